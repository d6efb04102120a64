"""The media type of a file, by its first bytes; its name and the sender's word count for nothing."""

import io

IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
SOUNDS = (
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
RECORDINGS = ((b"\x1a\x45\xdf\xa3", "audio/webm"),)  # a film may start so too: taken for sound only if declared so


def starts(data: bytes, kinds: tuple[tuple[bytes, str], ...]) -> str:
    """The media type of what begins like one of these, "" for none."""
    return next((mime for start, mime in kinds if data.startswith(start)), "")


def image_type(data: bytes) -> str:
    """The media type of a picture, "" for what is none."""
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else starts(data, IMAGES)


def sound_type(data: bytes) -> str:
    """The media type of a recording, "" for what is none."""
    return "audio/wav" if data[:4] == b"RIFF" and data[8:12] == b"WAVE" else starts(data, SOUNDS)


def picture(data: bytes) -> tuple[str, tuple[int, int] | None]:
    """The media type of a picture and its size in pixels; "" and `None` for what is none."""
    mime = image_type(data)
    size = _pixels(data) if mime else None
    return (mime, size) if size else ("", None)


def _pixels(data: bytes) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
            return image.size
    except Exception:  # noqa: BLE001 (Pillow raises a dozen kinds on damaged files)
        return None
