"""Every test gets folders of its own, and stays on loopback."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Profiles and the registry of peers live in folders of this test; processes that it starts inherit them."""
    # Not under tmp_path: a path this short still leaves room for the names of Unix sockets.
    runtime = Path(tempfile.mkdtemp(prefix="lu-"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("LINKUP_OFFLINE", "1")
    monkeypatch.delenv("LINKUP_BOOTSTRAP", raising=False)
    yield
    shutil.rmtree(runtime, ignore_errors=True)
