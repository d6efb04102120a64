"""Making a folder of a drive and a folder of this computer the same, in either direction."""

import asyncio
import os
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry, folder_of, normalize
from linkup_nb.progress import Tally

PIECE = 1024 * 1024  # bytes read and written at a time


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


async def mirror_to(
    drive: Drive, folder: Path, tally: Tally, *, of: str = "/", prune: bool = True, dry_run: bool = False
) -> list[Step]:
    """Make the local `folder` like the folder `of` of the drive; what was done, or with `dry_run` would be.

    With `prune`, local files that the drive lacks are removed. Links that lead out of the folder are refused with
    `UsageError` before anything is written.
    """
    base = folder_of(of)
    entries = {entry.path[len(base) :]: entry async for entry in drive.list(of)}
    for name, entry in entries.items():
        _check_inside(name, entry)
    there = await asyncio.to_thread(_local, folder)
    steps: list[Step] = []
    for name, entry in entries.items():
        action = Action.CHANGE if name in there else Action.ADD
        if name not in there or not await _same(drive, entry, folder / name):
            steps.append(Step(entry.path, action, entry.size))
    if prune:
        steps += [Step(base + name, Action.REMOVE, 0) for name in sorted(there - entries.keys())]
    tally.total = sum(step.size for step in steps)
    if not dry_run:
        steps.sort(key=lambda step: step.action is not Action.REMOVE)  # a file may have to give way to a folder
        for step in steps:
            target = folder / step.path[len(base) :]
            if step.action is Action.REMOVE:
                await asyncio.to_thread(_remove, folder, target)
            else:
                await _write(drive, entries[step.path[len(base) :]], folder, target, tally)
    return steps


async def mirror_from(
    drive: Drive, folder: Path, tally: Tally, *, to: str = "/", prune: bool = True, dry_run: bool = False
) -> list[Step]:
    """Make the folder `to` of the drive like the local `folder`; what was done, or with `dry_run` would be.

    With `prune`, files of the drive that the folder lacks are deleted.
    """
    if not await asyncio.to_thread(folder.is_dir):
        raise UsageError(f"{folder} is not a folder")
    base = folder_of(to)
    entries = {entry.path[len(base) :]: entry async for entry in drive.list(to)}
    there = await asyncio.to_thread(_local, folder)
    steps: list[Step] = []
    for name in sorted(there):
        known = entries.get(name)
        if known is None or not await _same(drive, known, folder / name):
            size = await asyncio.to_thread(lambda path: path.lstat().st_size, folder / name)
            steps.append(Step(base + name, Action.ADD if known is None else Action.CHANGE, size))
    if prune:
        steps += [Step(entries[name].path, Action.REMOVE, 0) for name in sorted(entries.keys() - there)]
    tally.total = sum(step.size for step in steps)
    if not dry_run:
        for step in steps:
            if step.action is Action.REMOVE:
                await drive.delete(step.path)
            else:
                await _read(drive, step.path, folder / step.path[len(base) :], tally)
    return steps


def _local(folder: Path) -> set[str]:
    """All files and links in a folder, as paths with `/`; links are not followed."""
    found = set()
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        found |= {(Path(place) / name).relative_to(folder).as_posix() for name in [*files, *links]}
    return found


def _check_inside(name: str, entry: Entry) -> None:
    """A drive is somebody else's data: nothing of it may lead out of the folder that it is written to."""
    if normalize(entry.path) != entry.path or "\0" in name:
        raise UsageError(f"{entry.path!r} is not a path that files can have")
    if os.name == "nt" and any(sign in name for sign in '\\:*?"<>|'):
        raise UsageError(f"{entry.path} is not a name that files can have here")
    if entry.linkname is None:
        return
    target = PurePosixPath(name).parent / entry.linkname
    depth = 0
    for part in target.parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or part == "/":
            raise UsageError(f"the symbolic link {entry.path} leads out of the folder, to {entry.linkname}")


async def _same(drive: Drive, entry: Entry, path: Path) -> bool:
    def local() -> tuple[str | None, int, bool]:
        link = os.readlink(path) if path.is_symlink() else None
        status = path.lstat()
        return link, status.st_size, bool(status.st_mode & 0o100)

    if not await asyncio.to_thread(os.path.lexists, path):
        return False
    link, size, executable = await asyncio.to_thread(local)
    if link is not None or entry.linkname is not None:
        return link == entry.linkname
    if (size, executable if os.name != "nt" else entry.executable) != (await drive.size(entry), entry.executable):
        return False
    with await asyncio.to_thread(path.open, "rb") as file:
        async for piece in drive.stream(entry.path):
            if await asyncio.to_thread(file.read, len(piece)) != piece:
                return False
    return True


async def _write(drive: Drive, entry: Entry, root: Path, target: Path, tally: Tally) -> None:
    """Write beside the target and then replace it, so that it is never half there."""
    await asyncio.to_thread(_make_parent, root, target)
    beside = target.with_name(f".{target.name}.linkup")
    try:
        if entry.linkname is not None:
            await asyncio.to_thread(os.symlink, entry.linkname, beside)
        else:
            with await asyncio.to_thread(beside.open, "wb") as file:
                async for piece in tally.count(drive.stream(entry.path)):
                    await asyncio.to_thread(file.write, piece)
            if entry.executable:
                await asyncio.to_thread(beside.chmod, 0o755)
        await asyncio.to_thread(os.replace, beside, target)
    finally:
        await asyncio.to_thread(beside.unlink, missing_ok=True)


def _make_parent(root: Path, target: Path) -> None:
    """A file or a link may stand where the drive has a folder; writing through a link would leave the folder."""
    root.mkdir(parents=True, exist_ok=True)
    place = root
    for part in target.parent.relative_to(root).parts:
        place = place / part
        if place.is_symlink() or place.is_file():
            place.unlink()
        place.mkdir(exist_ok=True)


def _remove(root: Path, target: Path) -> None:
    """Remove a file, and the folders that it leaves empty: a drive has none."""
    target.unlink(missing_ok=True)
    for place in target.parents:
        if place == root or any(place.iterdir()):
            return
        place.rmdir()


async def _read(drive: Drive, path: str, source: Path, tally: Tally) -> None:
    if await asyncio.to_thread(source.is_symlink):
        await drive.symlink(path, await asyncio.to_thread(os.readlink, source))
        return
    status = await asyncio.to_thread(source.stat)

    async def pieces() -> AsyncIterator[bytes]:
        with await asyncio.to_thread(source.open, "rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece

    executable = bool(status.st_mode & 0o100)
    await drive.put_stream(normalize(path), tally.count(pieces()), executable=executable, progress=False)
