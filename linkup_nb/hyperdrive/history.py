"""What has happened to the files of a drive: every change, where something began, and how two versions differ."""

import csv
import difflib
import hashlib
import io
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple

from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive import bee as bees
from linkup_nb.hyperdrive.blobs import BlobId
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES, Entry, folder_of, normalize

if TYPE_CHECKING:
    import pandas

MAX_COMPARED = 16 * 1024 * 1024  # bytes of a file that are compared line by line; larger ones by size and hash


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


class History:
    """The changes of a file, or of all files in a folder: `async for event in history`."""

    def __init__(self, drive: Drive, path: str, *, newest_first: bool = False) -> None:
        self._drive = drive
        self._path = path
        self._newest_first = newest_first
        self._exact = FILES + normalize(path).encode() if path.strip("/.") else b""
        self._prefix = FILES + folder_of(path).encode()

    def __repr__(self) -> str:
        return f"History({self._path!r} of {self._drive!r})"

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._backwards() if self._newest_first else self._forwards()

    async def to_pandas(self) -> "pandas.DataFrame":
        """All changes as a table, one row each. Raises `UsageError` where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_pandas needs pandas: pip install pandas") from None
        rows = [(e.version, e.path, e.operation.value, e.size_before, e.size_after) async for e in self]
        frame = pandas.DataFrame(rows, columns=["version", "path", "operation", "size_before", "size_after"])
        return frame.astype({"size_before": "Int64", "size_after": "Int64"})

    async def _entries(self, *, reverse: bool) -> AsyncIterator[bees.Entry]:
        async for entry in self._drive.bee.history(reverse=reverse):
            if entry.key == self._exact or entry.key.startswith(self._prefix):
                yield entry

    async def _forwards(self) -> AsyncIterator[Event]:
        before: dict[bytes, bees.Entry] = {}
        async for entry in self._entries(reverse=False):
            yield _event(before.get(entry.key), entry)
            before[entry.key] = entry

    async def _backwards(self) -> AsyncIterator[Event]:
        """Looks back from each change as far as to the one before of the same path, and no further."""
        older = self._entries(reverse=True)
        seen: deque[bees.Entry] = deque()
        of_key: dict[bytes, deque[bees.Entry]] = {}
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


def _event(before: bees.Entry | None, after: bees.Entry) -> Event:
    old = Entry.decode(before) if before and before.value is not None else None
    new = Entry.decode(after) if after.value is not None else None
    path = after.key.removeprefix(FILES).decode(errors="replace")
    operation = Operation.DELETE if new is None else Operation.LINK if new.linkname is not None else Operation.PUT
    sizes = [entry.blob.byte_length if entry and entry.blob else None for entry in (old, new)]
    return Event(after.seq + 1, path, operation, sizes[0], sizes[1], new.blob if new else None)


async def bisect(
    drive: Drive, predicate: Callable[[Drive], bool | Awaitable[bool]], start: int = 1, end: int | None = None
) -> int | None:
    """The first version from `start` to `end` of which the predicate holds, `None` if it never does.

    The predicate must go on to hold once it does. It is asked about few versions: 14 of 10,000.
    """
    low, high = start, drive.version if end is None else end

    async def holds(version: int) -> bool:
        answer = predicate(drive[version])
        return bool(await answer if isawaitable(answer) else answer)

    if low > high or not await holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if await holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


class Side(NamedTuple):
    """A file in one version: its bytes and their SHA-256, `None` where there is no file."""

    version: int
    size: int | None
    sha256: str | None


class Comparison(NamedTuple):
    """How a file differs between two versions.

    `lines` is a unified diff of a text; `removed` and `added` are the rows of a table (CSV, or JSON lines) that only
    one version has. For anything else sizes and hashes have to do.
    """

    path: str
    before: Side
    after: Side
    lines: tuple[str, ...] = ()
    removed: tuple[Any, ...] = ()
    added: tuple[Any, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the contents are the same."""
        return self.before.sha256 == self.after.sha256

    def __str__(self) -> str:
        if self.same:
            return f"{self.path} is the same in versions {self.before.version} and {self.after.version}"
        if self.lines:
            return "\n".join(self.lines)
        if self.removed or self.added:
            return "\n".join([f"- {row}" for row in self.removed] + [f"+ {row}" for row in self.added])
        return f"{self.path}: {self.before.size} bytes became {self.after.size}"


async def compare(drive: Drive, path: str, a: int, b: int) -> Comparison:
    """How a file differs between versions `a` and `b`: texts by lines, tables by rows, the rest by size and hash."""
    contents = [await drive[version].get(path) for version in (a, b)]
    sides = [
        Side(version, None, None) if data is None else Side(version, len(data), hashlib.sha256(data).hexdigest())
        for version, data in zip((a, b), contents, strict=True)
    ]
    plain = Comparison(normalize(path), sides[0], sides[1])
    if plain.same or any(len(data or b"") > MAX_COMPARED for data in contents):
        return plain
    try:
        texts = [(data or b"").decode() for data in contents]
    except UnicodeDecodeError:
        return plain
    rows = [_rows(plain.path, text) for text in texts]
    if rows[0] is not None and rows[1] is not None:
        return plain._replace(removed=_only(rows[0], rows[1]), added=_only(rows[1], rows[0]))
    old, new = (f"{plain.path} (version {side.version})" for side in sides)
    diff = difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), old, new, lineterm="")
    return plain._replace(lines=tuple(diff))


def _rows(path: str, text: str) -> list[str] | None:
    """The rows of a table, each as one line of text; `None` for what is no table."""
    try:
        if path.endswith(".csv"):
            return [", ".join(row) for row in csv.reader(io.StringIO(text))]
        if path.endswith((".jsonl", ".ndjson")):
            return [json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines() if line.strip()]
    except (csv.Error, ValueError):
        return None
    return None


def _only(rows: list[str], others: list[str]) -> tuple[str, ...]:
    """The rows that the others lack, as often as they lack them."""
    spare: dict[str, int] = {}
    for row in others:
        spare[row] = spare.get(row, 0) + 1
    found = []
    for row in rows:
        if spare.get(row, 0):
            spare[row] -= 1
        else:
            found.append(row)
    return tuple(found)
