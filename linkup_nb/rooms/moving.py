"""A profile as one file, to go on as the same person on another machine.

It holds your key and the secrets of your rooms, and neither logs nor the key of this device: the other machine is
another device of yours, with feeds and drives of its own, for two that write one feed would fork it.
"""

import io
import zipfile
from pathlib import Path

from linkup_nb.errors import UsageError
from linkup_nb.rooms.files import write_private
from linkup_nb.rooms.profile import MAX_CONFIG, profile_path

MAX_PART = MAX_CONFIG  # bytes of one file in it
_PARTS = ("config.json", "seed", "rooms.json")


def pack_profile(folder: Path) -> bytes:
    """The profile in this folder as the bytes of a zip file. Whoever has them can speak as you: keep them secret."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _PARTS:
            if (folder / name).exists():
                archive.write(folder / name, name)
    return packed.getvalue()


def export_profile(folder: Path, to: Path) -> Path:
    """Write the profile in a folder into a new file; raises `UsageError` if there is such a file already."""
    to = to.expanduser()
    if to.exists():
        raise UsageError(f"There is a file {str(to)!r} already: choose another name.")
    write_private(to, pack_profile(folder))
    return to


def import_profile(file: Path | str, profile: str = "default") -> Path:
    """Make a profile of this name out of an exported one; `lu.chat(profile)` goes on as that person.

    Raises `UsageError` if there is a profile of this name already, or for a file that is no exported profile.
    """
    folder, file = profile_path(profile), Path(file).expanduser()
    if folder.exists() and any((folder / name).exists() for name in _PARTS):
        raise UsageError(
            f'There is a profile {profile!r} already: choose another name, as import_profile(…, "second").'
        )
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if "seed" not in sizes or any(sizes.get(name, 0) > MAX_PART for name in _PARTS):
                raise ValueError("it holds no key, or too much")
            parts = {name: archive.read(name) for name in _PARTS if name in sizes}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{file} is no exported profile ({error}): export it again.") from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, data in parts.items():
        write_private(folder / name, data)
    return folder
