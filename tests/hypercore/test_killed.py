"""`kill -9` at random moments of appending, cutting, clearing, putting and copying, some hundreds of times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import linkup_nb

KILLS = {"author": 120, "hasty": 80, "drive": 100, "reader": 80}


@pytest.mark.parametrize("kind", KILLS)
def test_killed_processes_lose_nothing_that_they_announced(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-m", "tests.hypercore.killed", kind, str(tmp_path), str(KILLS[kind]), "7"]
    root = Path(linkup_nb.__file__).parent.parent

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=root, env=os.environ)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > KILLS[kind]
