"""A folder of this computer as a mirror sees it: what in it a drive can hold, and what of a drive it can hold."""

import errno
import os
import posixpath
import secrets
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.entry import normalize

MAX_NAME = 255  # bytes of a name, where the system does not report it
MAX_TARGET = 4095  # bytes of a link's target, or of a whole path: PATH_MAX of Linux without its NUL

LEADS_OUT = "it leads out of the folder"

_UNFIT_ON_WINDOWS = frozenset('\\:*?"<>|')
_SPECIAL = {
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}
# Windows has none of these.
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class LocalFile(NamedTuple):
    """A file or a symbolic link; a link has a `target`, relative to the folder that it is in."""

    size: int
    executable: bool
    target: str | None


class FolderScan(NamedTuple):
    """What was in a folder; names are paths in it, with `/`."""

    files: dict[str, LocalFile]
    folders: set[str]
    skipped: dict[str, str]
    """What no drive can hold, and why; of a folder, all that is in it."""
    strays: set[str]
    """Those of the skipped that are links out of the folder: something else may take their place."""


class Folder:
    """A folder of this computer, and which folder of a drive it mirrors. Its methods wait for the disk."""

    def __init__(self, root: Path | str, base: str) -> None:
        if not isinstance(root, str | os.PathLike):
            raise UsageError(f"A folder of this computer is named by a path, not by {type(root).__name__}.")
        self.root = Path(root)
        self.base = base
        self._inside = {os.path.abspath(self.root), os.path.realpath(self.root)}

    def scan(self) -> FolderScan:
        """Look at everything in it, following no links. Raises `OSError` if it is there and cannot be read."""
        found = FolderScan({}, set(), {}, set())
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(self.root / folder) as entries:
                    for entry in entries:
                        if self._look(found, folder + entry.name, entry):
                            waiting.append(f"{folder}{entry.name}/")
            except FileNotFoundError:
                continue
            except OSError as error:
                if not folder:
                    raise
                found.skipped[folder[:-1]] = refusal(error)
        return found

    def _look(self, found: FolderScan, name: str, entry: os.DirEntry[str]) -> bool:
        """Take down what there is; whether it is a folder, to be looked into."""
        unfit = _unfit_for_drives(self.base, name)
        if unfit:
            found.skipped[name] = unfit
            return False
        try:
            status = entry.stat(follow_symlinks=False)
            link = os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else None
        except FileNotFoundError:
            return False
        except OSError as error:
            found.skipped[name] = refusal(error)
            return False
        if link is not None:
            target, unfit = self._link(name, link)
            if target is None:
                found.skipped[name] = unfit
                found.strays.add(name)
            else:
                found.files[name] = LocalFile(len(os.fsencode(link)), False, target)
        elif stat.S_ISDIR(status.st_mode):
            found.folders.add(name)
            return True
        elif stat.S_ISREG(status.st_mode):
            found.files[name] = LocalFile(status.st_size, bool(status.st_mode & 0o100), None)
        else:
            found.skipped[name] = _SPECIAL.get(stat.S_IFMT(status.st_mode), "it is neither a file nor a folder")
        return False

    def _link(self, name: str, link: str) -> tuple[str | None, str]:
        """Where a link leads, relative to its folder; or `None`, and why it cannot be in a drive."""
        if os.name == "nt":
            link = link.removeprefix("\\\\?\\").replace("\\", "/")
        if not _is_utf8(link):
            return None, "its target is not UTF-8"
        if os.path.isabs(link):
            link = os.path.normpath(link)
            inside = next(
                (root for root in self._inside if link == root or link.startswith(root.rstrip("/") + "/")), None
            )
            if inside is None:
                return None, LEADS_OUT
            return posixpath.relpath(os.path.relpath(link, inside).replace(os.sep, "/"), posixpath.dirname(name)), ""
        return (None, LEADS_OUT) if _climbs_out(name, link) else (link, "")

    def unfit(self, name: str) -> str | None:
        """Why this folder cannot hold a file of a drive by that name, `None` if it can."""
        if _normal(self.base + name) != self.base + name or "\0" in name:
            return "it is not a path that files can have"
        if os.name == "nt" and _UNFIT_ON_WINDOWS & set(name):
            return "it is not a name that files can have on Windows"
        if len(os.fsencode(self.root / name)) > MAX_TARGET:
            return "its path is too long for this computer"
        longest = max(len(os.fsencode(part)) for part in name.split("/"))
        return "its name is too long for this computer" if longest > self._max_name else None

    @cached_property
    def _max_name(self) -> int:
        if not hasattr(os, "pathconf"):
            return MAX_NAME
        there = next(place for place in (self.root, *self.root.absolute().parents) if place.exists())
        return os.pathconf(there, "PC_NAME_MAX")

    def target(self, name: str, link: str) -> tuple[str, None] | tuple[None, str]:
        """Where the link of a drive by that name leads here; or `None`, and why it cannot be here.

        A drive's absolute targets begin at the drive's root, not at that of this computer.
        """
        if not link:
            return None, "its target is empty"
        if "\0" in link or not _is_utf8(link):
            return None, "its target is not a path that files can have"
        if link.startswith("/"):
            link = posixpath.normpath("/" + link.lstrip("/"))
            if not f"{link.rstrip('/')}/".startswith(self.base):
                return None, LEADS_OUT
            link = posixpath.relpath(link, posixpath.join(self.base, posixpath.dirname(name)))
        if _climbs_out(name, link.replace("\\", "/") if os.name == "nt" else link):
            return None, LEADS_OUT
        if len(os.fsencode(link)) > MAX_TARGET:
            return None, "its target is too long for this computer"
        return link, None

    def open(self, name: str) -> BinaryIO:
        """Open a file to read. Raises `OSError`, also for what has become a pipe or a link since it was looked at."""
        return open_file(self.root / name, os.O_RDONLY | _NO_WAITING | getattr(os, "O_NOFOLLOW", 0))

    def beside(self, name: str) -> Path:
        """A new name on the same disk, for what `place` is to put at a name."""
        self.root.mkdir(parents=True, exist_ok=True)
        place = self.root
        for part in PurePosixPath(name).parent.parts:
            if (place / part).is_symlink() or not (place / part).is_dir():
                break
            place = place / part
        return place / f".linkup-{secrets.token_hex(8)}"

    def place(self, staged: Path, name: str) -> None:
        """Move what was written beside it to a name, in one step; what is in the way of its folders is removed.

        Raises `OSError` if there is a folder at the name that has anything in it.
        """
        place = self.root
        for part in PurePosixPath(name).parent.parts:
            place = place / part
            if place.is_symlink() or place.is_file():  # writing through a link would leave the folder
                place.unlink()
            place.mkdir(exist_ok=True)
        target = self.root / name
        if target.is_dir() and not target.is_symlink():
            for inner, _, _ in os.walk(target, topdown=False):
                os.rmdir(inner)
        os.replace(staged, target)

    def remove(self, name: str) -> None:
        """Remove a file, and the folders that it leaves empty: a drive has none."""
        target = self.root / name
        target.unlink(missing_ok=True)
        for place in target.parents:
            if place == self.root or any(place.iterdir()):
                return
            place.rmdir()


def open_file(path: Path, flags: int = os.O_RDONLY | _NO_WAITING) -> BinaryIO:
    """Open a file to read; waits for no writer of a pipe. Raises `OSError`, also for what is no file."""
    handle = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.ENXIO, "It is no file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _climbs_out(name: str, link: str) -> bool:
    depth = 0
    for part in (PurePosixPath(name).parent / link).parts:
        depth += -1 if part == ".." else 1
        if depth < 0 or part == "/":
            return True
    return False


def _unfit_for_drives(base: str, name: str) -> str | None:
    if "\\" in name:
        return "its name has a backslash, which a drive takes for a slash"
    if not _is_utf8(name):
        return "its name is not UTF-8"
    return "its path is too long for a drive" if _normal(base + name) is None else None


def _normal(path: str) -> str | None:
    try:
        return normalize(path)
    except UsageError:
        return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def refusal(error: OSError) -> str:
    """Why this computer has not done what was to be done with a file."""
    return f"this computer refuses it: {error.strerror or error}"


def ancestors(name: str) -> Iterator[str]:
    """The folders that a name is in, the innermost first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name
