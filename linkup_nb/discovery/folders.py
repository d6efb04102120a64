"""Folders that this user's processes share, and that nobody else can enter."""

import os
import stat
import warnings
from pathlib import Path

import platformdirs


def runtime_folder(part: str) -> Path:
    """Where this user's processes keep what ends with them: a folder for each part of the program."""
    with warnings.catch_warnings():
        # It warns where it falls back to the temporary directory; we check whose folder we got there.
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_path("linkup_nb") / part


def make_private(folder: Path) -> None:
    """Make a folder that this user alone can enter. Raises `OSError` if it is somebody else's, or cannot be made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != our_uid():
        raise PermissionError(f"{folder} is not a directory of this user")
    if info.st_mode & 0o077:
        folder.chmod(0o700)


def our_uid() -> int:
    """The number of this user; 0 where users have none."""
    return os.geteuid() if hasattr(os, "geteuid") else 0
