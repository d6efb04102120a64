"""What has happened to the files of a drive: every change, what differs between two versions, where something began."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from enum import Enum
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from linkup_nb.arguments import number
from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.bee import Bee, BeeEntry
from linkup_nb.hyperdrive.blobs import BlobId
from linkup_nb.hyperdrive.entry import FILES, Entry, folder_of, named, normalize, sizes

if TYPE_CHECKING:
    import pandas

MAX_SHOWN = 5  # changes in a repr

T = TypeVar("T")


class Operation(Enum):
    """What a change did."""

    PUT = "put"
    LINK = "link"
    DELETE = "delete"


class Event(NamedTuple):
    """One change of a path: the version that it made, and the sizes in bytes before and after, `None` for no file."""

    version: int
    path: str
    operation: Operation
    size_before: int | None
    size_after: int | None
    blob: BlobId | None

    def __repr__(self) -> str:
        size = sizes(self.size_before, self.size_after)
        return f"Event(version {self.version}, {self.operation.value} {named(self.path)}, {size})"


class Changes(tuple[T, ...]):
    """Changes that have been read, in order; the value of a cell shows the first of them as a table."""

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:MAX_SHOWN]))
        more = f", … and {len(self) - MAX_SHOWN} more" if len(self) > MAX_SHOWN else ""
        return f"Changes({shown}{more})"


class Change(NamedTuple):
    """A path that differs between two versions, with its entry in each, `None` where it is not there."""

    path: str
    before: Entry | None
    after: Entry | None

    def __repr__(self) -> str:
        if self.before is None:
            return f"Change({named(self.path)} is new: {self.after})"
        if self.after is None:
            return f"Change({named(self.path)} is gone: {self.before})"
        return f"Change({named(self.path)}: {sizes(self.before.size, self.after.size)})"


class Look(NamedTuple):
    """A version that a bisection has looked at, and whether the predicate held of it."""

    version: int
    holds: bool


class Bisection(int):
    """The version that a bisection from `start` to `end` has found; `looks` is how, in that order."""

    looks: tuple[Look, ...]
    start: int
    end: int

    def __new__(cls, version: int, looks: Iterable[Look], start: int, end: int) -> "Bisection":
        made = super().__new__(cls, version)
        made.looks, made.start, made.end = tuple(looks), start, end
        return made


class Versioned(Protocol):
    """What has a history: a drive."""

    @property
    def bee(self) -> Bee: ...

    async def arrived(self) -> None:
        """Wait until something of it is here."""


class _Reading(ABC, Generic[T]):
    """A lazy read: `async for`, or `await` it to have all."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[T]: ...

    def __await__(self) -> Generator[Any, None, Changes[T]]:
        return self._all().__await__()

    async def _all(self) -> Changes[T]:
        return Changes([one async for one in self])


class History(_Reading[Event]):
    """The changes of a file, or of all files in a folder: `async for event in history`, or `await history`."""

    def __init__(self, drive: Versioned, path: str, *, newest_first: bool = False) -> None:
        self._drive = drive
        self._path = path
        self._newest_first = newest_first
        folder = folder_of(path)
        self._exact = b"" if folder == "/" else FILES + normalize(path).encode()
        self._prefix = FILES + folder.encode()

    def __repr__(self) -> str:
        return f"History({named(self._path)} of {self._drive!r})"

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._backwards() if self._newest_first else self._forwards()

    async def to_pandas(self) -> "pandas.DataFrame":
        """All changes as a table, one row each. Raises `UsageError` where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_pandas needs pandas: pip install pandas.") from None
        rows = [(e.version, e.path, e.operation.value, e.size_before, e.size_after) async for e in self]
        frame = pandas.DataFrame(rows, columns=["version", "path", "operation", "size_before", "size_after"])
        return frame.astype({"size_before": "Int64", "size_after": "Int64"})

    async def _entries(self, *, reverse: bool) -> AsyncIterator[BeeEntry]:
        await self._drive.arrived()
        async for entry in self._drive.bee.history(reverse=reverse):
            if entry.key == self._exact or entry.key.startswith(self._prefix):
                yield entry

    async def _forwards(self) -> AsyncIterator[Event]:
        before: dict[bytes, BeeEntry] = {}
        async for entry in self._entries(reverse=False):
            yield _event(before.get(entry.key), entry)
            before[entry.key] = entry

    async def _backwards(self) -> AsyncIterator[Event]:
        """Looks back from each change as far as to the one before of the same path, and no further."""
        older = self._entries(reverse=True)
        seen: deque[BeeEntry] = deque()
        of_key: dict[bytes, deque[BeeEntry]] = {}
        more = True
        while more or seen:
            key = seen[0].key if seen else None
            if more and (key is None or len(of_key[key]) < 2):
                entry = await anext(older, None)
                more = entry is not None
                if entry:
                    seen.append(entry)
                    of_key.setdefault(entry.key, deque()).append(entry)
                continue
            if seen:
                entry = seen.popleft()
                same = of_key[entry.key]
                same.popleft()
                yield _event(same[0] if same else None, entry)


def _event(before: BeeEntry | None, after: BeeEntry) -> Event:
    old = Entry.decode(before) if before and before.value is not None else None
    new = Entry.decode(after) if after.value is not None else None
    path = after.key.removeprefix(FILES).decode(errors="replace")
    operation = Operation.DELETE if new is None else Operation.LINK if new.linkname is not None else Operation.PUT
    sizes = [entry.blob.byte_length if entry and entry.blob else None for entry in (old, new)]
    return Event(after.seq + 1, path, operation, sizes[0], sizes[1], new.blob if new else None)


class Diff(_Reading[Change]):
    """What has changed in a folder between two versions: `async for change in diff`, or `await diff`."""

    def __init__(self, drive: Versioned, a: int, b: int | None, folder: str) -> None:
        self._drive = drive
        self._a = a
        self._b = b
        self._folder = folder
        self._prefix = FILES + folder_of(folder).encode()

    def __repr__(self) -> str:
        end = "now" if self._b is None else f"version {self._b}"
        return f"Diff({named(self._folder)} of {self._drive!r}, version {self._a} to {end})"

    async def __aiter__(self) -> AsyncIterator[Change]:
        await self._drive.arrived()
        newer = self._drive.bee if self._b is None else self._drive.bee.checkout(self._b)
        async for difference in newer.diff(self._a, prefix=self._prefix):
            before, after = (Entry.decode(e) if e else None for e in (difference.before, difference.after))
            yield Change(difference.key.removeprefix(FILES).decode(errors="replace"), before, after)


async def bisect(
    at: Callable[[int], T], predicate: Callable[[T], bool | Awaitable[bool]], start: int, end: int
) -> Bisection | None:
    """The first version from `start` to `end` of which the predicate holds, `None` if it never does.

    `at` gives a version. The predicate must go on to hold once it does. It is called with few versions: 14 of 10,000.
    """
    low, high = number(start, "a version"), number(end, "a version")
    if not callable(predicate):
        raise UsageError("Bisect takes a function that is given a drive and returns whether something holds of it.")

    looks: list[Look] = []
    first, last = low, high

    async def holds(version: int) -> bool:
        answer = predicate(at(version))
        looks.append(Look(version, bool(await answer if isawaitable(answer) else answer)))
        return looks[-1].holds

    if low > high or not await holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if await holds(middle):
            high = middle
        else:
            low = middle + 1
    return Bisection(low, looks, first, last)
