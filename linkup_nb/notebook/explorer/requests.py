"""The requests of the Drive tab's page and the answers, as `static/protocol.d.ts` declares them.

A drive is named by its key in z-base-32, a version by its number.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linkup_nb.notebook.bridge import Answer, Id, Request, Update

DriveId = Annotated[str, Meta(min_length=1, max_length=64)]
PathText = Annotated[str, Meta(max_length=4096)]
Version = Annotated[int, Meta(ge=0)]


class DriveEntry(msgspec.Struct, frozen=True):
    """A drive of the list; `python` gives it.

    `fetching` says how far the fetching of all of it is, `trouble` what its author has done to it.
    """

    id: str
    name: str
    group: str
    version: int
    writable: bool
    python: str
    fetching: str = ""
    trouble: str = ""


class FileEntry(msgspec.Struct, frozen=True):
    """A file or folder of a listing; `version` made it what it is, `change` says how it differs from the other one."""

    path: str
    name: str
    folder: bool
    size: int
    version: int
    change: Literal["", "+", "~", "-"]


class Mark(msgspec.Struct, frozen=True):
    """The changes from one version to another, gathered; `own` of them are of the file that was asked about."""

    first: int
    last: int
    changes: int
    own: int


class VersionOfFile(msgspec.Struct, frozen=True):
    """A change of a file; sizes in bytes, `None` for no file."""

    version: int
    operation: Literal["put", "link", "delete"]
    before: int | None
    after: int | None


class DiffLine(msgspec.Struct, frozen=True):
    """A line or row of a comparison, added, removed, or around those."""

    sign: Literal["+", "-", " ", "@"]
    text: str


class DiffCell(msgspec.Struct, frozen=True):
    """A cell of a table, and what it was where that differs."""

    text: str
    was: str | None = None


class DiffRow(msgspec.Struct, frozen=True):
    """A row of a table that was added, removed or changed."""

    sign: Literal["+", "-", "~"]
    cells: list[DiffCell]


class DrivesRequest(Request, kw_only=True, frozen=True):
    """The tab is being looked at: which drives there are, now and when that changes."""


class DrivesCloseRequest(Request, kw_only=True, frozen=True):
    """It no longer is."""


class MountRequest(Request, kw_only=True, frozen=True):
    """Mount somebody's drive by its key or link, or make one's own by a name."""

    key: PathText = ""
    name: PathText = ""


class ForgetDriveRequest(Request, kw_only=True, frozen=True):
    """Announce a drive no more, and delete what is here of it."""

    drive: DriveId


class FolderRequest(Request, kw_only=True, frozen=True):
    """What is in a folder, and with `since` how that differs from an earlier version."""

    drive: DriveId
    version: Version
    folder: PathText
    since: Version | None = None


class MarksRequest(Request, kw_only=True, frozen=True):
    """The changes of a drive over its versions, gathered into at most `most` marks."""

    drive: DriveId
    path: PathText = ""
    most: Annotated[int, Meta(ge=1, le=1000)]


class PreviewRequest(Request, kw_only=True, frozen=True):
    """The beginning of a file as it was; it becomes what the panel has selected, unless it stands `beside` that."""

    drive: DriveId
    version: Version
    path: PathText
    beside: bool = False


class CompareRequest(Request, kw_only=True, frozen=True):
    """How a file differs between two versions."""

    drive: DriveId
    path: PathText
    a: Version
    b: Version


class FileHistoryRequest(Request, kw_only=True, frozen=True):
    """The changes of a file, the newest first."""

    drive: DriveId
    path: PathText


class FindRequest(Request, kw_only=True, frozen=True):
    """The version in which a text began to be in a file."""

    drive: DriveId
    path: PathText
    text: Annotated[str, Meta(min_length=1, max_length=1000)]


class RestoreRequest(Request, kw_only=True, frozen=True):
    """Make a file, or all of a folder, what it was, as a new version."""

    drive: DriveId
    path: PathText
    version: Version


class ReadRequest(Request, kw_only=True, frozen=True):
    """A chunk of a file, to save it."""

    drive: DriveId
    version: Version
    path: PathText
    index: Annotated[int, Meta(ge=0)]


class PutRequest(Request, kw_only=True, frozen=True):
    """One of the chunks of a file that goes into a drive; it is there once the last has come."""

    drive: DriveId
    path: PathText
    upload: Id
    index: Annotated[int, Meta(ge=0)]
    chunks: Annotated[int, Meta(ge=1)]
    data: bytes


class ServeRequest(Request, kw_only=True, frozen=True):
    """An address at which the browser of this machine can open a file."""

    drive: DriveId
    version: Version
    path: PathText


class MirrorRequest(Request, kw_only=True, frozen=True):
    """Make a folder of the kernel's machine like one of a drive, or with `back` the reverse; `dry` only counts."""

    drive: DriveId
    version: Version
    folder: PathText
    local: PathText
    back: bool = False
    dry: bool = True


class ClearDriveRequest(Request, kw_only=True, frozen=True):
    """Forget the contents of somebody's drive here; they are fetched again when they are read."""

    drive: DriveId


class DownloadDriveRequest(Request, kw_only=True, frozen=True):
    """Fetch all of a drive."""

    drive: DriveId


class Drives(Answer, kw_only=True):
    """All drives."""

    drives: list[DriveEntry]


class OneDrive(Answer, kw_only=True):
    """A drive that was mounted or made."""

    drive: str


class Folder(Answer, kw_only=True):
    """A listing, folders first; `left_out` more are there; `python` gives it."""

    files: list[FileEntry]
    left_out: int
    changed: int
    python: str


class Marks(Answer, kw_only=True):
    """Marks in the order of the versions; `head` is the newest version."""

    marks: list[Mark]
    head: int


class Preview(Answer, kw_only=True):
    """What a file looks like: safe HTML, or the bytes of a picture or sound; `note` says what is left out.

    `stored` is the percentage of it that was here before.
    """

    kind: Literal["html", "picture", "sound", "none"]
    html: str
    mime: str
    note: str
    size: int
    stored: int
    python: str
    data: bytes | None = None


class Compared(Answer, kw_only=True):
    """What was removed, added and changed, in words and in lines or rows, which `columns` head.

    Of `pictures` a preview of each version is worth looking at.
    """

    summary: str
    lines: list[DiffLine]
    columns: list[str]
    differing: list[DiffRow]
    pictures: bool
    python: str


class FileHistory(Answer, kw_only=True):
    """The changes of a file, the newest first; `left_out` older ones are not listed."""

    changes: list[VersionOfFile]
    left_out: int


class FoundVersion(Answer, kw_only=True):
    """Where a text began, in one sentence."""

    found: int | None
    sentence: str


class Restored(Answer, kw_only=True):
    """The newest version, and how many files were changed."""

    version: int
    changed: int


class Mirrored(Answer, kw_only=True):
    """What was done or would be, in one sentence, the Python for it, and how many files differ."""

    sentence: str
    changed: int
    python: str


class Piece(Answer, kw_only=True):
    """A chunk of a file, of so many."""

    chunks: int
    size: int
    data: bytes


class Put(Answer, kw_only=True):
    """The version that the file made, once it is whole."""

    version: int | None


class Address(Answer, kw_only=True):
    """Where a browser of this machine can open it."""

    link: str


class DrivesUpdate(Update, kw_only=True, tag="drives"):
    """The drives as they are now."""

    drives: list[DriveEntry]
