"""Where the peers of a network keep their profiles: a temporary folder, which goes with the network."""

import shutil
import tempfile
import time
from pathlib import Path
from weakref import finalize

from filelock import FileLock, Timeout

PREFIX = "linkup-lab-"
LOCK = "lock"
YOUNG = 60.0  # seconds in which a folder may not be locked yet


class LabFolder:
    """A new temporary folder, locked while this process lives; removed by `close`, or when the interpreter ends.

    A process that is killed, as kernels are, removes nothing: its folders are removed when the next one is made.
    """

    def __init__(self) -> None:
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = FileLock(self.path / LOCK, thread_local=False)
        lock.acquire()
        self._remove = finalize(self, _remove, lock, self.path)

    def close(self) -> None:
        """Remove it."""
        self._remove()


def _remove(lock: FileLock, path: Path) -> None:
    lock.release()
    shutil.rmtree(path, ignore_errors=True)


def _sweep() -> None:
    """Remove the folders of processes that are no more."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime > YOUNG:
                lock = FileLock(path / LOCK, timeout=0, thread_local=False)
                lock.acquire()
                _remove(lock, path)
        except (OSError, Timeout):
            continue  # it is another user's, or in use
