"""The media type of a stranger's file, by its first bytes; its name and the sender's word count for nothing."""

import io
from dataclasses import dataclass
from typing import Literal

from linkup_nb.rooms.memory.message import RoomAudioMessage, RoomFileMessage
from linkup_nb.rooms.message import AudioMessage, FileMessage

MAX_INLINE_PIXELS = 40_000_000  # of an image that the page shows: 160 MB once the browser has decoded it
OTHER = "application/octet-stream"

# Media types are from a closed list, so that nothing a page may open is ever HTML, SVG or a PDF with scripts.
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_SOUNDS = (
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_RECORDINGS = ((b"\x1a\x45\xdf\xa3", "audio/webm"),)  # a film may start so too: taken for sound only if declared so


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
    if isinstance(message, RoomFileMessage | RoomAudioMessage):
        # It is in a drive: fetched when somebody wants it, and not looked into before.
        return Media("file", message.file_name if isinstance(message, FileMessage) else "clip.webm", b"", OTHER)
    data = message.data
    if isinstance(message, AudioMessage):
        mime = _sound(data) or _starts(data, _RECORDINGS) or ("audio/mp4" if data[4:8] == b"ftyp" else OTHER)
        return Media("audio" if mime != OTHER else "file", _clip_name(message, mime), data, mime)
    if mime := _image(data):
        size = _pixels(data)
        if size and size[0] * size[1] <= MAX_INLINE_PIXELS:
            return Media("image", message.file_name, data, mime, *size)
        return Media("file", message.file_name, data, mime)
    if mime := _sound(data):
        return Media("audio", message.file_name, data, mime)
    return Media("file", message.file_name, data, OTHER)


def _starts(data: bytes, kinds: tuple[tuple[bytes, str], ...]) -> str:
    return next((mime for start, mime in kinds if data.startswith(start)), "")


def _image(data: bytes) -> str:
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else _starts(data, _IMAGES)


def _sound(data: bytes) -> str:
    return "audio/wav" if data[:4] == b"RIFF" and data[8:12] == b"WAVE" else _starts(data, _SOUNDS)


def _pixels(data: bytes) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
            return image.size
    except Exception:  # noqa: BLE001 (Pillow raises a dozen kinds on damaged files)
        return None


def _clip_name(message: AudioMessage, mime: str) -> str:
    ending = {"audio/mpeg": "mp3", OTHER: "bin"}.get(mime, mime.removeprefix("audio/"))
    return f"clip-{message.timestamp:%Y%m%d-%H%M%S}.{ending}"
