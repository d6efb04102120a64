"""`python -m tests.fuzz [seconds] [decoder]`: each decoder for so long, or one of them. Ends with 1 if one is wrong.

What the fuzzer learns lies in tests/.cache/fuzz, and so does the input that a decoder could not take.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

SECONDS = 30  # for each decoder
FOLDER = Path(__file__).parents[1] / ".cache" / "fuzz"


def main() -> None:
    if importlib.util.find_spec("atheris") is None:
        sys.exit(
            'Fuzzing needs atheris, which there is for CPython 3.11 to 3.13 on Linux: pip install -e ".[test,fuzz]"'
        )
    seconds = next((int(word) for word in sys.argv[1:] if word.isdigit()), SECONDS)
    names = [word for word in sys.argv[1:] if not word.isdigit()] or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        sys.exit(f"There is no decoder {', '.join(unknown)}; there are {', '.join(TARGETS)}.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    wrong = [name for name in names if not fuzz(name, seconds)]
    if wrong:
        sys.exit(f"Wrong: {', '.join(wrong)}. The inputs are in {FOLDER}.")


def fuzz(name: str, seconds: int) -> bool:
    """Whether a decoder took everything; says what was done."""
    log = FOLDER / f"{name}.log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "tests.fuzz.worker", name, str(seconds), str(FOLDER)]
        environment = os.environ | {"LINKUP_OFFLINE": "1"}
        code = subprocess.run(command, env=environment, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    text = log.read_text(errors="replace")
    runs = re.findall(r"^Done (\d+) runs|^#(\d+)\s", text, re.MULTILINE)
    covered = re.findall(r"cov: (\d+)", text)
    done = max((int(done or at) for done, at in runs), default=0)
    sys.stdout.write(
        f"{name:20} {done:>10,} inputs  {covered[-1] if covered else '?':>6} edges  {'ok' if code == 0 else log}\n"
    )
    sys.stdout.flush()
    return code == 0


if __name__ == "__main__":
    main()
