"""Making a folder of a drive and a folder of this computer the same, in either direction.

What the other side cannot hold (a pipe, a name that is not UTF-8, a link that leads out of the folder) is skipped: left
alone on both sides, and named in `Steps.skipped`. What cannot be done without losing something is refused before
anything is touched.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.hyperdrive.bee import Bee
from linkup_nb.hyperdrive.entry import FILES, Entry, folder_of, named
from linkup_nb.hyperdrive.folder import Folder, FolderScan, LocalFile, ancestors, refusal
from linkup_nb.progress import Tally

PIECE = 1024 * 1024  # bytes read and written at a time
MAX_NAMED = 5  # entries named in an error or in a repr

# Of these a single file is the cause; of any other fault of a disk all that follow would have it too.
_ONE_FILE = {
    errno.EACCES,
    errno.EBUSY,
    errno.EEXIST,
    errno.EILSEQ,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.ENXIO,
    errno.EPERM,
    errno.ETXTBSY,
}


class Action(Enum):
    """What has to be done to a path."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


class Step(NamedTuple):
    """One path that differs, and the bytes to copy."""

    path: str
    action: Action
    size: int


class Skipped(NamedTuple):
    """A path that was left alone on both sides, and why."""

    path: str
    reason: str


class Steps(list[Step]):
    """What a mirror did, or would do; `skipped` has what the other side cannot hold."""

    def __init__(self, steps: Iterable[Step] = (), skipped: Iterable[Skipped] = ()) -> None:
        super().__init__(steps)
        self.skipped = tuple(skipped)

    def __repr__(self) -> str:
        done = ", ".join(f"{named(step.path)} {step.action.value}" for step in self[:MAX_NAMED])
        left = ", ".join(f"{named(one.path)}: {one.reason}" for one in self.skipped[:MAX_NAMED])
        more = (_more(len(self)), _more(len(self.skipped)))
        return f"Steps({done}{more[0]}{f'; skipped {left}{more[1]}' if left else ''})"


class Readable(Protocol):
    """What a mirror reads of a drive."""

    @property
    def bee(self) -> Bee: ...

    @property
    def version(self) -> int: ...

    def stream(self, path: str | Entry) -> AsyncIterator[bytes]:
        """The bytes of a file."""

    async def size(self, entry: Entry) -> int:
        """How many."""


class Writable(Readable, Protocol):
    """What a mirror needs of a drive to change it."""

    def check_writable(self) -> None:
        """Raises `NotWritable`."""

    async def put_stream(
        self,
        path: str,
        pieces: AsyncIterable[bytes],
        *,
        executable: bool = False,
        metadata: Any = None,
        progress: bool | None = None,
    ) -> None:
        """Set the content of a file."""

    async def symlink(self, path: str, target: str) -> None:
        """Put a symbolic link."""

    async def delete(self, path: str) -> bool:
        """Remove what is at a path."""


async def mirror_to(
    drive: Readable, path: Path | str, tally: Tally, *, of: str = "/", prune: bool = True, dry_run: bool = False
) -> Steps:
    """Make the local folder at `path` like the folder `of` of the drive; what was done, or with `dry_run` would be.

    With `prune`, local files that the drive lacks are removed, after all others have been written. Raises
    `NotAvailable` if nobody sends the drive or a file of it, and `UsageError`, before anything is touched, for a
    folder that is not in the drive, and for entries that cannot be in one folder.
    """
    base = folder_of(of)
    folder = Folder(path, base)
    there = await asyncio.to_thread(_scan, folder)
    entries, skipped = await _entries(drive, folder)
    if not entries and not skipped and (base != "/" or (prune and drive.version < 2)):
        what = "are no files" if base == "/" else f"is no folder {named(base[:-1])}"
        raise UsageError(f"There {what} in version {drive.version} of the drive; nothing was changed.")
    _check_clashes(entries, entries)
    for name in list(entries):
        obstacle = _obstacle(name, there, prune)
        if obstacle:
            skipped[name] = obstacle
            del entries[name]
    result = _Result(base, there, skipped)
    steps = [
        Step(base + name, Action.CHANGE if name in there.files else Action.ADD, entry.size)
        for name, entry in entries.items()
        if not await _same(drive, entry, folder, there.files.get(name))
    ]
    stale = {name for name in there.files if prune and name not in entries and not result.skips(name)}
    tally.total = sum(step.size for step in steps)
    removals = [Step(base + name, Action.REMOVE, 0) for name in sorted(stale)]
    if dry_run:
        return result.of(steps + removals)
    for step in steps:
        name = step.path[len(base) :]
        with result.one(step):
            async with _staged(drive, entries[name], folder, tally) as staged:
                in_its_way = stale.intersection(ancestors(name))
                if name in there.folders:
                    in_its_way |= {other for other in stale if other.startswith(f"{name}/")}
                for other in sorted(in_its_way):
                    await asyncio.to_thread(folder.remove, other)
                    stale.remove(other)
                    result.done.append(Step(base + other, Action.REMOVE, 0))
                await asyncio.to_thread(folder.place, staged, name)
    for step in removals:
        name = step.path[len(base) :]
        if name in stale:
            with result.one(step):
                await asyncio.to_thread(folder.remove, name)
    return result.of(result.done)


async def mirror_from(
    drive: Writable, path: Path | str, tally: Tally, *, to: str = "/", prune: bool = True, dry_run: bool = False
) -> Steps:
    """Make the folder `to` of the drive like the local folder at `path`; what was done, or with `dry_run` would be.

    With `prune`, files of the drive that the folder lacks are deleted. Raises `UsageError`, before anything is
    changed, for what is no folder, and for files that cannot be in one drive with what is not pruned.
    """
    drive.check_writable()
    base = folder_of(to)
    folder = Folder(path, base)
    if not await asyncio.to_thread(folder.root.is_dir):
        raise UsageError(f"{folder.root} is not a folder.")
    there = await asyncio.to_thread(_scan, folder)
    entries, skipped = await _entries(drive, folder)
    spoiled = {name for name in there.files if skipped.pop(name, None)}
    result = _Result(base, there, skipped)
    stale = {name for name in entries if prune and name not in there.files and not result.skips(name)}
    added = there.files.keys() - entries.keys() - spoiled
    _check_clashes(there.files.keys() | (entries.keys() - stale) | skipped.keys(), added)
    steps = []
    for name, file in sorted(there.files.items()):
        known = entries.get(name)
        if known is None or not await _same(drive, known, folder, file):
            action = Action.CHANGE if known or name in spoiled else Action.ADD
            steps.append(Step(base + name, action, file.size))
    tally.total = sum(step.size for step in steps)
    removals = [Step(base + name, Action.REMOVE, 0) for name in sorted(stale)]
    # What a new file would clash with goes first.
    new = {step.path[len(base) :] for step in steps}
    under = {ancestor for name in new for ancestor in ancestors(name)}
    first = [step for step in removals if (n := step.path[len(base) :]) in under or not new.isdisjoint(ancestors(n))]
    if dry_run:
        return result.of(steps + removals)
    for step in first:
        await drive.delete(step.path)
        result.done.append(step)
    for step in steps:
        name = step.path[len(base) :]
        with result.one(step):
            await _read(drive, step.path, folder, name, there.files[name], tally)
    for step in removals:
        if step not in first:
            await drive.delete(step.path)
            result.done.append(step)
    return result.of(result.done)


class _Result:
    """What a mirror has done and what it has skipped; names are paths in both folders."""

    def __init__(self, base: str, there: FolderScan, skipped: dict[str, str]) -> None:
        self.done: list[Step] = []
        self._base = base
        self._skipped = there.skipped | skipped

    def skips(self, name: str) -> bool:
        """Whether a name, or a folder that it is in, is left alone."""
        return name in self._skipped or any(folder in self._skipped for folder in ancestors(name))

    def one(self, step: Step) -> "_One":
        """Do a step inside of this: it is done at its end, or skipped if its file alone is at fault."""
        return _One(self, step)

    def skip(self, step: Step, error: OSError) -> None:
        self._skipped[step.path[len(self._base) :]] = refusal(error)

    def of(self, steps: list[Step]) -> Steps:
        return Steps(steps, [Skipped(self._base + name, reason) for name, reason in sorted(self._skipped.items())])


class _One:
    def __init__(self, result: _Result, step: Step) -> None:
        self._result = result
        self._step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, OSError) and error.errno in _ONE_FILE:
            self._result.skip(self._step, error)
            return True
        if error is None:
            self._result.done.append(self._step)
        return False


def _scan(folder: Folder) -> FolderScan:
    try:
        return folder.scan()
    except OSError as error:
        raise UsageError(f"{folder.root} cannot be used as a folder: {error.strerror}.") from None


async def _entries(drive: Readable, folder: Folder) -> tuple[dict[str, Entry], dict[str, str]]:
    """What is in a folder of a drive, by its path in it; and what this computer cannot hold, and why.

    A drive is somebody else's data: nothing of it may lead out of the folder that it is written to.
    """
    entries: dict[str, Entry] = {}
    skipped: dict[str, str] = {}
    prefix = FILES + folder.base.encode()
    async for found in drive.bee.range(gte=prefix, lt=prefix[:-1] + b"0"):
        name = found.key[len(prefix) :].decode(errors="backslashreplace")
        try:
            entry = Entry.decode(found)
        except DecodeError as error:
            skipped[name] = f"it cannot be read: {error}"
            continue
        unfit = folder.unfit(name)
        if unfit is None and entry.linkname is not None:
            _, unfit = folder.target(name, entry.linkname)
        elif unfit is None and entry.blob is None:
            unfit = "it is neither a file nor a link"
        if unfit:
            skipped[name] = unfit
        else:
            entries[name] = entry
    return entries, skipped


def _check_clashes(names: Iterable[str], among: Iterable[str]) -> None:
    """Raises `UsageError` if one of the names is a file where another of them needs a folder."""
    names, among = set(names), set(among)
    clashes = sorted(
        (folder, name) for name in names for folder in ancestors(name) if folder in names and {folder, name} & among
    )
    if clashes:
        pairs = ", ".join(f"{named('/' + folder)} and {named('/' + name)}" for folder, name in clashes[:MAX_NAMED])
        raise UsageError(
            f"No folder can hold a file and what would be in it: {pairs}{_more(len(clashes))}. Nothing was changed."
        )


def _obstacle(name: str, there: FolderScan, prune: bool) -> str | None:
    """Why a file of a drive cannot be written where it belongs, `None` if it can."""
    for folder in ancestors(name):
        if folder in there.skipped.keys() - there.strays or (not prune and folder in there.files):
            return f"{named(folder)} is in its way"
    if name in there.skipped.keys() - there.strays:
        return f"something else is there: {there.skipped[name]}"
    if name in there.folders:
        inside = f"{name}/"
        for other in (*there.skipped, *(() if prune else there.files)):
            if other.startswith(inside):
                return f"there is a folder with {named(other)}, which stays"
    return None


async def _same(drive: Readable, entry: Entry, folder: Folder, file: LocalFile | None) -> bool:
    if file is None:
        return False
    name = entry.path[len(folder.base) :]
    if entry.linkname is not None or file.target is not None:
        return entry.linkname is not None and folder.target(name, entry.linkname)[0] == file.target
    executable = file.executable if os.name != "nt" else entry.executable
    if (file.size, executable) != (await drive.size(entry), entry.executable):
        return False
    try:
        local = await asyncio.to_thread(folder.open, name)
    except OSError:
        return False
    with local:
        async for piece in drive.stream(entry):
            if await asyncio.to_thread(local.read, len(piece)) != piece:
                return False
    return True


@asynccontextmanager
async def _staged(drive: Readable, entry: Entry, folder: Folder, tally: Tally) -> AsyncIterator[Path]:
    """A file or a link of the drive, written beside its place: nothing gives way before all of it is here."""
    name = entry.path[len(folder.base) :]
    staged = await asyncio.to_thread(folder.beside, name)
    try:
        if entry.linkname is not None:
            target, _ = folder.target(name, entry.linkname)
            assert target is not None
            await asyncio.to_thread(os.symlink, target, staged)
        else:
            with await asyncio.to_thread(staged.open, "xb") as file:
                async for piece in tally.count(drive.stream(entry)):
                    await asyncio.to_thread(file.write, piece)
            if entry.executable:
                await asyncio.to_thread(staged.chmod, 0o755)
        yield staged
    finally:
        await asyncio.to_thread(staged.unlink, missing_ok=True)


async def _read(drive: Writable, path: str, folder: Folder, name: str, file: LocalFile, tally: Tally) -> None:
    if file.target is not None:
        await drive.symlink(path, file.target)
        return
    with await asyncio.to_thread(folder.open, name) as local:
        await drive.put_stream(path, tally.count(_pieces(local)), executable=file.executable, progress=False)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece


def _more(count: int) -> str:
    return f", … and {count - MAX_NAMED} more" if count > MAX_NAMED else ""
