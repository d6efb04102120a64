"""The changes of a drive over its versions, as marks of a slider."""

from linkup_nb.hyperdrive.entry import FILES
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.notebook.explorer.requests import Mark

MAX_KEYS = 100_000  # changes of one drive that are remembered; the slider of a longer one shows the last of them


class History:
    """Which path each version of one drive has changed, read once and then only what is new."""

    def __init__(self) -> None:
        self._fork = -1
        self._next = 1
        self._first = 1
        self._paths: list[str] = []

    async def read(self, drive: DriveView) -> None:
        """Read what is new."""
        fork, head = drive.bee.core.fork, drive.version
        if fork != self._fork or head < self._next:  # its author has cut it
            self._fork, self._next, self._paths = fork, max(1, head - MAX_KEYS), []
            self._first = self._next
        async for entry in drive.bee.history(start=self._next):
            self._paths.append(entry.key.removeprefix(FILES).decode(errors="replace"))
            self._next = entry.seq + 1

    def marks(self, path: str, most: int) -> list[Mark]:
        """At most so many marks: beyond one a version they are gathered."""
        count = len(self._paths)
        if not count:
            return []
        step = -(-count // most)
        found = []
        for start in range(0, count, step):
            paths = self._paths[start : start + step]
            # The change of block n makes version n + 1.
            first = self._first + start + 1
            found.append(Mark(first=first, last=first + len(paths) - 1, changes=len(paths), own=paths.count(path)))
        return found
