"""The media type of a stranger's file, by its first bytes; its name and the sender's word count for nothing."""

from dataclasses import dataclass
from typing import Literal

from linkup_nb.errors import UsageError
from linkup_nb.rooms.media import IMAGES, RECORDINGS, image_type, picture, sound_type, starts
from linkup_nb.rooms.memory.message import InDrive, RoomOutputMessage
from linkup_nb.rooms.message import AudioMessage, FileMessage
from linkup_nb.rooms.outputs import MAX_OUTPUT_BYTES, PICTURES, Output

MAX_INLINE_PIXELS = 40_000_000  # of an image that the page shows: 160 MB once the browser has decoded it
MAX_INLINE = 10 * 1_048_576  # bytes of a file in a drive that the page shows inline
OTHER = "application/octet-stream"
# From a closed list, so that nothing a page may open is ever HTML, SVG or a PDF with scripts.
SHOWN = {"image/webp", *(mime for _, mime in IMAGES)}


@dataclass(frozen=True, slots=True)
class Media:
    """A file as the page gets it; of the kinds "image", "audio" and "file" the first two are shown inline."""

    kind: Literal["image", "audio", "file"]
    name: str
    data: bytes
    mime: str
    width: int | None = None  # pixels
    height: int | None = None


def attachment(message: FileMessage | AudioMessage) -> Media:
    """What is attached to a message."""
    if isinstance(message, InDrive):
        return _in_drive(message)
    if isinstance(message, AudioMessage):
        mime = clip_type(message.data)
        return Media("audio" if mime != OTHER else "file", _clip_name(message, mime), message.data, mime)
    return vet(message.file_name, message.data)


def output_picture(message: RoomOutputMessage) -> Media | None:
    """The picture of what a cell showed; of one in a drive its author says that there is one, until `vet` sees it."""
    if message.path is None:
        data = Output(dict(message.data)).picture()
        media = vet(_output_name(data), data) if data else None
        return media if media and media.kind == "image" else None
    for mime in PICTURES:
        about = message.metadata.get(mime)
        if isinstance(about, dict):
            width, height = about.get("width"), about.get("height")
            known = isinstance(width, int) and isinstance(height, int) and _may_be(width, height)
            return Media("image", f"output.{mime[6:]}", b"", mime, *((width, height) if known else ()))
    return None


def _may_be(width: int, height: int) -> bool:
    return width > 0 and height > 0 and width * height <= MAX_INLINE_PIXELS


def size_in_drive(message: RoomOutputMessage) -> int:
    """The bytes of its picture, as its author says."""
    sizes = [about.get("size") for about in message.metadata.values() if isinstance(about, dict)]
    return next((size for size in sizes if isinstance(size, int) and 0 < size <= MAX_OUTPUT_BYTES), 0)


def vet_output(output: Output) -> Media:
    """The picture of a whole output. Raises `UsageError` if it has none that may be shown."""
    data = output.picture()
    media = vet(_output_name(data), data) if data else None
    if media is None or media.kind != "image":
        raise UsageError("This is not what its sender says it is: it is not shown.")
    return media


def _output_name(data: bytes | None) -> str:
    return f"output.{image_type(data or b'').removeprefix('image/')}"


def vet(name: str, data: bytes) -> Media:
    """A file by its content."""
    if mime := image_type(data):
        _, size = picture(data)
        if size and size[0] * size[1] <= MAX_INLINE_PIXELS:
            return Media("image", name, data, mime, *size)
        return Media("file", name, data, mime)
    if mime := sound_type(data):
        return Media("audio", name, data, mime)
    return Media("file", name, data, OTHER)


def clip_type(data: bytes) -> str:
    """The media type of a recorded clip."""
    return sound_type(data) or starts(data, RECORDINGS) or ("audio/mp4" if data[4:8] == b"ftyp" else OTHER)


def _in_drive(message: InDrive) -> Media:
    """What is not looked into before somebody wants it: its author says what it is, until `vet` sees it."""
    if isinstance(message, AudioMessage):
        name, kind, mime = _clip_name(message, "audio/webm"), "audio", "audio/webm"
    else:
        assert isinstance(message, FileMessage)
        name = message.file_name
        kind = "image" if message.mime in SHOWN and message.size <= MAX_INLINE else "file"
        mime = message.mime if kind == "image" else OTHER
    if kind == "audio" and message.size > MAX_INLINE:
        kind, mime = "file", OTHER
    width, height = getattr(message, "width", None), getattr(message, "height", None)
    known = kind == "image" and width and height and width * height <= MAX_INLINE_PIXELS
    return Media(kind, name, b"", mime, *((width, height) if known else ()))  # type: ignore[arg-type]


def _clip_name(message: AudioMessage, mime: str) -> str:
    ending = {"audio/mpeg": "mp3", OTHER: "bin"}.get(mime, mime.removeprefix("audio/"))
    return f"clip-{message.timestamp:%Y%m%d-%H%M%S}.{ending}"
