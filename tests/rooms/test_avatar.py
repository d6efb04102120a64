import io
import zlib
from base64 import b64encode

import pytest
from PIL import Image

from linkup_nb.errors import InvalidImage
from linkup_nb.rooms.avatar import (
    MAX_AVATAR,
    MAX_IMAGE,
    from_base64,
    generated_avatar,
    media_type,
    scale_avatar,
    to_data_url,
)


def picture(mode: str, size: tuple[int, int], kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 120).convert(mode).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_any_picture_becomes_a_small_one(mode: str, kind: str) -> None:
    image = picture("RGB" if kind == "JPEG" else mode, (900, 600), kind)
    avatar = scale_avatar(image)
    assert len(avatar) <= MAX_AVATAR
    assert Image.open(io.BytesIO(avatar)).width <= 256
    assert media_type(avatar) in ("image/png", "image/jpeg")


def test_noise_with_transparency_is_made_smaller_until_it_fits() -> None:
    noise = Image.merge("RGBA", [Image.effect_noise((256, 256), 200) for _ in range(4)])
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert len(out.getvalue()) > MAX_AVATAR
    avatar = scale_avatar(out.getvalue())
    assert len(avatar) <= MAX_AVATAR
    assert Image.open(io.BytesIO(avatar)).mode == "RGBA"


def test_where_a_photo_was_taken_stays_at_home() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "in my kitchen"
    avatar = scale_avatar(picture("RGB", (300, 100), "JPEG", exif=exif.tobytes()))
    assert b"kitchen" not in avatar
    assert Image.open(io.BytesIO(avatar)).size == (85, 256)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"not a picture",
        b"<svg onload=alert(1)>",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        picture("RGB", (50, 50), "PNG")[:90],
    ],
)
def test_what_is_no_picture_gets_a_sentence(junk: bytes) -> None:
    with pytest.raises(InvalidImage, match="choose a PNG, JPEG, WebP or GIF file"):
        scale_avatar(junk)


@pytest.mark.parametrize("side", [(9_000, 9_000), (20_000, 20_000)])
def test_a_small_file_cannot_fill_the_memory(side: tuple[int, int]) -> None:
    out = io.BytesIO()
    Image.new("1", side).save(out, "PNG")
    assert len(out.getvalue()) < 100_000
    with pytest.raises(InvalidImage, match="pixels; choose a smaller one"):
        scale_avatar(out.getvalue())
    with pytest.raises(InvalidImage, match="pixels"):
        scale_avatar(picture("L", (100, 100), "PNG"), max_pixels=9_999)


def test_a_file_too_large_for_a_picture_is_not_looked_into() -> None:
    with pytest.raises(InvalidImage, match="choose one under 32 MiB"):
        scale_avatar(bytes(MAX_IMAGE + 1))


def test_a_generated_avatar_depends_on_the_name_and_the_key() -> None:
    avatars = {
        generated_avatar(name, key) for name in ("kestrel", "heron", "日本") for key in (bytes(32), b"\x80" * 32)
    }
    assert len(avatars) == 6
    assert all(avatar.startswith(b"\x89PNG") and len(avatar) < MAX_AVATAR for avatar in avatars)


def test_data_urls_go_both_ways() -> None:
    avatar = generated_avatar("kestrel", bytes(32))
    assert to_data_url(avatar).startswith("data:image/png;base64,")
    assert from_base64(to_data_url(avatar)) == from_base64(b64encode(avatar).decode().rstrip("=")) == avatar


@pytest.mark.parametrize("text", ["!!!", "A", "data:image/png,raw", "data:image/png;base64", "AAAA\nAAAA", "éééé"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (any of its messages will do)
        from_base64(text)


def test_a_compressed_text_in_a_png_does_not_unfold() -> None:
    image = picture("RGB", (8, 8), "PNG")
    bomb = b"zTXtk\x00\x00" + zlib.compress(bytes(200 * 1024 * 1024), 9)
    chunk = (len(bomb) - 4).to_bytes(4, "big") + bomb + zlib.crc32(bomb).to_bytes(4, "big")
    with pytest.raises(InvalidImage):
        scale_avatar(image[:33] + chunk + image[33:])
