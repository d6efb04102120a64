"""Every test gets folders of its own and stays on loopback; the workers of pytest-xdist share the files of tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("linkup", deadline=None)
hypothesis.settings.load_profile("linkup")

# Folders whose tests share what takes long to start or to make: a JupyterLab and a Chromium; environments of kernels.
ONE_WORKER = ("tests/browser/", "tests/kernels/")
# A file whose tests share nothing and take minutes together.
ANY_WORKER = "tests/rooms/memory/test_arrivals.py"

# Folders whose tests talk to real programs, and so share a machine's pauses with them: such a test may fail once. It is
# then run again, and the summary says so; one that fails twice has failed.
REAL_PROGRAMS = ("tests/browser/", "tests/cli/", "tests/interop/", "tests/kernels/", "tests/nat/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(REAL_PROGRAMS):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Profiles and the registry of peers live in folders of this test; processes that it starts inherit them."""
    # Not under tmp_path: a path this short still leaves room for the names of Unix sockets.
    runtime = Path(tempfile.mkdtemp(prefix="lu-"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("LINKUP_OFFLINE", "1")
    monkeypatch.delenv("LINKUP_BOOTSTRAP", raising=False)
    yield
    shutil.rmtree(runtime, ignore_errors=True)


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist brings no types
    """All tests of a file run in one worker but those of `ANY_WORKER`, as do those of a folder in `ONE_WORKER`."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        if file == ANY_WORKER:
            return nodeid
        return next((folder for folder in ONE_WORKER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileByFile:
    config.option.loadscopereorder = False  # in order of collection the browser, which takes longest, comes first
    return FileByFile(config, log)
