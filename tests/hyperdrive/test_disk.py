"""A full disk and a read-only folder: a clear error, and nothing is lost. The scenarios are in `disk.py`."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hyperdrive.disk import SCENARIOS

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
ROOT = Path(__file__).parents[2]


def _kinds() -> list[str]:
    """Small disks need a namespace, which not every machine gives; what works everywhere is always tested."""
    mount = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", tempfile.gettempdir()]
    can_mount = shutil.which("unshare") and subprocess.run(mount, capture_output=True).returncode == 0
    return ["limited", "mounted"] if can_mount else ["limited"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not under `tmp_path`, which is for one user's eyes only."""
    with tempfile.TemporaryDirectory(prefix="lu-disk-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("kind", _kinds())
def test_on_a_disk_that_refuses(kind: str, scenario: str, folder: Path) -> None:
    command = [sys.executable, "-m", "tests.hyperdrive.disk", kind, scenario, str(folder)]
    enter = NAMESPACE if kind == "mounted" else []
    done = subprocess.run([*enter, *command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
