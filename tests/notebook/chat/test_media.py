import io
from datetime import UTC, datetime

import pytest
from PIL import Image

from linkup_nb.notebook.chat import media
from linkup_nb.notebook.chat.media import OTHER, attachment
from linkup_nb.rooms.message import AudioMessage, FileMessage

NOON = datetime(2026, 1, 2, 12, 30, 5, tzinfo=UTC)


def file(data: bytes, name: str = "a") -> FileMessage:
    return FileMessage(
        name="otter", key=bytes(32), topic=bytes(32), timestamp=NOON, received=NOON, file_name=name, data=data
    )


def clip(data: bytes) -> AudioMessage:
    return AudioMessage(name="otter", key=bytes(32), topic=bytes(32), timestamp=NOON, received=NOON, data=data)


def picture(kind: str, size: tuple[int, int] = (6, 4)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_shown_whatever_it_is_called(kind: str) -> None:
    shown = attachment(file(picture(kind), "report.html"))
    assert (shown.kind, shown.mime, shown.width, shown.height) == ("image", f"image/{kind.lower()}", 6, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"BM" + bytes(60),
        b"",
    ],
)
def test_what_could_be_live_in_a_page_is_only_a_file(data: bytes) -> None:
    shown = attachment(file(data, "cat.png"))
    assert (shown.kind, shown.mime) == ("file", OTHER)


def test_a_damaged_or_huge_picture_is_only_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attachment(file(picture("PNG")[:20])).kind == "file"
    monkeypatch.setattr(media, "MAX_INLINE_PIXELS", 23)
    assert attachment(file(picture("PNG"))).kind == "file"


@pytest.mark.parametrize(
    ("start", "mime"),
    [
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/wav"),
    ],
)
def test_a_sound_is_played_inline(start: bytes, mime: str) -> None:
    shown = attachment(file(start + bytes(40), "song"))
    assert (shown.kind, shown.mime, shown.name) == ("audio", mime, "song")


def test_a_recorded_clip_is_played_and_a_film_is_not() -> None:
    webm = b"\x1a\x45\xdf\xa3" + bytes(40)
    shown = attachment(clip(webm))
    assert (shown.kind, shown.mime, shown.name) == ("audio", "audio/webm", "clip-20260102-123005.webm")
    assert attachment(file(webm)).kind == "file"
    assert attachment(clip(bytes(4) + b"ftypisom")).mime == "audio/mp4"


def test_a_clip_that_is_no_sound_is_only_a_file() -> None:
    shown = attachment(clip(b"<script>alert(1)</script>"))
    assert (shown.kind, shown.mime, shown.name) == ("file", OTHER, "clip-20260102-123005.bin")
