"""A disk that loses at a power cut what was not synced: `losing.c` writes down what happens, `cut` takes it back.

What a sync of a file covers stays: all that was written to it before, and that it was made. A name that was given or
taken away stays once its folder was synced. Of the rest any part may be there, in any order, of a write a part of it.
"""

import ctypes
import os
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

SOURCE = Path(__file__).with_name("losing.c")
LIBRARY = Path(__file__).parents[1] / ".cache" / "soak" / "losing.so"
SECTOR = 512  # bytes that are written whole or not at all
WHOLE = 0.9  # of the sectors of a write that no sync covers, where anything of it is there
_HEAD = struct.Struct("=4I5Q")  # `struct record` of losing.c
WRITE, TRUNCATE, SYNC, CREATE, RENAME, UNLINK = range(1, 7)


def prepare() -> None:
    """Begin this program anew with the library; it is compiled first."""
    if "losing" in os.environ.get("LD_PRELOAD", ""):
        return
    LIBRARY.parent.mkdir(parents=True, exist_ok=True)
    made = LIBRARY.with_suffix(f".{os.getpid()}")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(made), str(SOURCE), "-ldl", "-lpthread"]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        sys.exit("The disk that loses things is written in C: apt-get install gcc libc6-dev")
    made.replace(LIBRARY)
    os.environ["LD_PRELOAD"] = str(LIBRARY)
    os.execv(sys.executable, sys.orig_argv)


def begin(folder: Path, journal: Path) -> None:
    """Write down what this process does below a folder from now on."""
    losing_begin = ctypes.CDLL(None).losing_begin
    assert losing_begin(str(folder.resolve()).encode(), str(journal).encode()) >= 0


@dataclass(frozen=True)
class Change:
    """One thing that was done below the folder, or a sync."""

    kind: int
    path: str
    other: str
    inode: int
    offset: int
    size_before: int
    before: bytes
    after: bytes


def changes(journal: Path) -> list[Change]:
    """What was written down; what was being written when the process was killed was not done."""
    data, at, found = journal.read_bytes() if journal.exists() else b"", 0, []
    while at + _HEAD.size <= len(data):
        kind, path_size, other_size, _, inode, offset, size, before_size, after_size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        parts = []
        for part_size in (path_size, other_size, before_size, after_size):
            parts.append(data[at : at + part_size])
            at += part_size
        if at <= len(data):
            path, other, before, after = parts
            found.append(Change(kind, os.fsdecode(path), os.fsdecode(other), inode, offset, size, before, after))
    return found


def cut(journal: Path, rolls: Random) -> int:
    """Cut the power: take back a part of what no sync covers; how many changes those were."""
    done = changes(journal)
    lost = unsynced(done)
    for change in reversed(lost):
        undo(change)
    keep = rolls.choice([0.0, 0.0, 0.5, 0.9])
    for change in lost:
        if rolls.random() < keep:
            redo(change, rolls)
    for path in {change.path for change in done if change.path.endswith("-wal")}:
        Path(f"{path.removesuffix('-wal')}-shm").unlink(missing_ok=True)
    journal.unlink(missing_ok=True)
    return len(lost)


def unsynced(done: list[Change]) -> list[Change]:
    """The changes that no sync covers, in their order."""
    files: set[int] = set()
    folders: set[str] = set()
    lost = []
    for change in reversed(done):
        named = str(Path(change.other or change.path).parent) in folders
        if change.kind == SYNC:
            files.add(change.inode)
            folders.add(change.path)
        elif change.kind in (WRITE, TRUNCATE):
            if change.inode not in files:
                lost.append(change)
        elif not named and not (change.kind == CREATE and change.inode in files):
            lost.append(change)
        if change.kind == CREATE:
            files.discard(change.inode)  # before that it was the number of another file
    return lost[::-1]


def undo(change: Change) -> None:
    """Make it as it was before a change."""
    path = Path(change.path)
    with suppress(FileNotFoundError):
        if change.kind in (WRITE, TRUNCATE):
            with path.open("r+b") as file:
                file.seek(change.offset)
                file.write(change.before)
                file.truncate(change.size_before)
        elif change.kind == CREATE:
            path.unlink()
        elif change.kind == RENAME:
            Path(change.other).replace(path)
            if change.offset:  # there was such a file
                Path(change.other).write_bytes(change.before)
        elif change.kind == UNLINK:
            path.write_bytes(change.before)


def redo(change: Change, rolls: Random) -> None:
    """Make a change again, perhaps not all of it."""
    path = Path(change.path)
    with suppress(FileNotFoundError):
        if change.kind == WRITE:
            with path.open("r+b") as file:
                for at in range(0, len(change.after), SECTOR):
                    if rolls.random() < WHOLE:
                        file.seek(change.offset + at)
                        file.write(change.after[at : at + SECTOR])
        elif change.kind == TRUNCATE:
            os.truncate(path, change.offset)
        elif change.kind == CREATE:
            path.touch()
        elif change.kind == RENAME:
            path.replace(change.other)
        elif change.kind == UNLINK:
            path.unlink()
