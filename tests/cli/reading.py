"""What a command prints, read while it runs."""

import re
import select
import subprocess

START_TIMEOUT = 60.0  # seconds until a command has printed what it is ready with


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read what the process prints until a line matches."""
    assert process.stdout is not None
    seen = ""
    while select.select([process.stdout], [], [], START_TIMEOUT)[0]:
        line = process.stdout.readline()
        if not line:
            break
        seen += line
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"nothing like {pattern!r} in:\n{seen}")
