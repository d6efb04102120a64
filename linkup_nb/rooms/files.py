"""Files of a profile: after a crash each is either the old one or the new one, and nobody else can read them."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from linkup_nb.errors import UsageError


def write_private(path: Path, data: bytes) -> None:
    """Replace a file, with mode 0600; it is on disk when this returns."""
    # In the same directory, so that the replacement is atomic; made with mode 0600.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        written = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            written.unlink()
            raise
    written.replace(path)
    if os.name != "nt":  # there folders are not synced
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk: else a power cut may bring back the old file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_file(path: Path, check_size: Callable[[int], None] = lambda size: None) -> tuple[str, bytes]:
    """The name and the content of a file that a user names; `check_size` may refuse it before it is read.

    Raises `UsageError` if there is none.
    """
    path = path.expanduser()
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}: check its path.")
    check_size(path.stat().st_size)
    return path.name, path.read_bytes()
