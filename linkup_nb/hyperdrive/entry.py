"""What a drive has at a path, and how paths are written.

Format: the npm package `hyperdrive` 13.3: JSON under a key of the bee.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from linkup_nb.arguments import text
from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.hyperdrive.bee import BeeEntry
from linkup_nb.hyperdrive.blobs import BlobId

MAX_PATH = 4096  # bytes
MAX_NAMED = 200  # characters of a path in a repr; a peer's may be as long as a block
MAX_VALUE = 1024 * 1024  # bytes of an entry, which is metadata but for about 200
FILES = b"files\x00"  # begins every key in the bee


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """What a drive has at a path: a file (`blob`), or a symbolic link (`linkname`)."""

    path: str
    version: int = field(compare=False)
    blob: BlobId | None
    executable: bool = False
    linkname: str | None = None
    metadata: Any = None

    def __repr__(self) -> str:
        what = f"{self.size:,} bytes" if self.linkname is None else f"a link to {named(self.linkname)}"
        return f"Entry({named(self.path)}, version {self.version}, {what})"

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.blob.byte_length if self.blob else 0

    @property
    def leads_to(self) -> str:
        """The path that a symbolic link leads to, from the drive's root."""
        link = self.linkname or ""
        return link if link.startswith("/") else f"{self.path}/../{link}"

    def encode(self) -> bytes:
        """The value in the bee, as JavaScript writes it."""
        value = {
            "executable": self.executable,
            "linkname": self.linkname,
            "blob": self.blob.to_json() if self.blob else None,
            "metadata": self.metadata,
        }
        try:
            data = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"Metadata is what JSON can hold: {error}.") from None
        if len(data) > MAX_VALUE:
            raise UsageError(f"Metadata has at most {MAX_VALUE} bytes, not {len(data)}; put it into a file of its own.")
        return data

    @classmethod
    def decode(cls, entry: BeeEntry) -> "Entry":
        """Read an entry of the bee. Raises `DecodeError`."""
        if len(entry.value or b"") > MAX_VALUE:
            raise DecodeError(f"An entry of over {MAX_VALUE} bytes.")
        try:
            value = msgspec.json.decode(entry.value or b"")
            path = entry.key.removeprefix(FILES).decode()
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            raise DecodeError(f"An entry that is not one of a drive: {error}.") from None
        if not isinstance(value, dict):
            raise DecodeError("An entry that is not one of a drive.")
        blob = BlobId.from_json(value["blob"]) if value.get("blob") is not None else None
        link = value.get("linkname")
        return cls(
            path,
            entry.seq + 1,
            blob,
            bool(value.get("executable")),
            link if isinstance(link, str) else None,
            value.get("metadata"),
        )


def named(path: str) -> str:
    """A path in a repr: quoted, cut where it would fill the screen."""
    return repr(path if len(path) <= MAX_NAMED else path[:MAX_NAMED] + "…")


def sizes(before: int | None, after: int | None) -> str:
    """How a file's bytes have changed; `None` is no file."""
    if after is None:
        return "nothing" if before is None else f"{before:,} bytes less"
    return f"{after:,} bytes" if before is None else f"{before:,} → {after:,} bytes"


def normalize(path: str) -> str:
    """The path as drives write it: from the root, with `/`, without `.` and `..`. Raises `UsageError` for the root."""
    parts = _parts(path, "A path in a drive")
    if not parts:
        raise UsageError("A path names a file; '/' is the folder of all.")
    normal = "/" + "/".join(parts)
    try:
        size = len(normal.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{normal!r} is no text that can be written as UTF-8, as paths in a drive are.") from None
    if size > MAX_PATH:
        raise UsageError(f"A path has at most {MAX_PATH} bytes.")
    return normal


def key_of(path: str) -> bytes:
    """The key of a path in the bee. Raises `UsageError` for what is no path."""
    return FILES + normalize(path).encode()


def folder_of(path: str) -> str:
    """The beginning of all paths in a folder; `/` for the folder of all."""
    return normalize(path) + "/" if _parts(path, "A folder of a drive") else "/"


def _parts(path: str, what: str) -> list[str]:
    parts: list[str] = []
    for part in text(path, what).replace("\\", "/").split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return parts
