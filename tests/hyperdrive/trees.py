"""Folders and drives, made and looked at whole."""

import os
import socket
import stat
from pathlib import Path

from linkup_nb.hyperdrive.drive import Drive


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file of a folder, and where its links point."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def fill(folder: Path, files: dict[str, bytes]) -> None:
    """Write files."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def snapshot(folder: Path) -> dict[bytes, object]:
    """Everything in a folder, of whatever kind."""
    found: dict[bytes, object] = {}
    for place, folders, files in os.walk(os.fsencode(folder)):
        for name in [*folders, *files]:
            path = os.path.join(place, name)
            status = os.lstat(path)
            kind = stat.S_IFMT(status.st_mode)
            content: object = None
            if stat.S_ISLNK(kind):
                content = os.readlink(path)
            elif stat.S_ISREG(kind):
                content = Path(os.fsdecode(path)).read_bytes()
            found[os.path.relpath(path, os.fsencode(folder))] = (kind, content, bool(status.st_mode & 0o100))
    return found


def bind(path: Path) -> None:
    """A socket in the file system; its own path may be too long for one."""
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            sock.bind(path.name)
        finally:
            os.chdir(here)


async def listed(drive: Drive) -> dict[str, bytes | str | None]:
    """Every file of a drive, and where its links point."""
    return {entry.path: entry.linkname or await drive.get(entry.path) async for entry in drive.list()}
