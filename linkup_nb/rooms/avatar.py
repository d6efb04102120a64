"""Avatars: any picture in, a small harmless one out.

Pillow takes 80 ms to import, and a node that starts with a saved avatar needs none of it: hence the imports inside.
"""

import io
import os
from base64 import b64encode
from binascii import Error, a2b_base64
from pathlib import Path
from typing import TYPE_CHECKING

from linkup_nb.errors import InvalidImage
from linkup_nb.rooms.names import look
from linkup_nb.wire.keys import short_key

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_AVATAR = 65_536  # bytes of an avatar as it is kept and sent
MAX_IMAGE = 32 * 1_048_576  # bytes of a picture that an avatar is made from
MAX_PIXELS = 64_000_000  # of such a picture, so that a small file cannot fill the memory
SIDES = (256, 192, 128, 96, 64)  # pixels, tried until the picture fits in MAX_AVATAR; the last always does
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def media_type(avatar: bytes) -> str:
    """What an avatar made here is: image/png, image/jpeg or image/webp."""
    return next((kind for magic, kind in _MAGIC.items() if avatar.startswith(magic)), "image/png")


def read_avatar(image: bytes | str | os.PathLike[str]) -> bytes:
    """A picture, given by its bytes or its path, scaled down as by `scale_avatar`; raises `InvalidImage`."""
    if not isinstance(image, bytes):
        path = Path(image).expanduser()
        if not path.is_file():
            raise InvalidImage(f"There is no picture {str(path)!r}: check its path.")
        image = path.read_bytes()
    return scale_avatar(image)


def scale_avatar(image: bytes, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """The picture as a PNG or JPEG of at most `MAX_AVATAR` bytes and 256 x 256 pixels.

    Metadata (a photo says where it was taken) is left out. A large photo takes half a second of processor time. Raises
    `InvalidImage`.
    """
    from PIL import Image, ImageOps

    if len(image) > MAX_IMAGE:
        raise InvalidImage(f"This picture has {len(image):,} bytes; choose one under {MAX_IMAGE // 1_048_576} MiB.")
    try:
        with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
            if opened.width * opened.height > max_pixels:
                raise InvalidImage(f"This picture has {opened.width} x {opened.height} pixels; choose a smaller one.")
            opened.draft("RGB", (SIDES[0], SIDES[0]))
            clear = opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info
            upright = ImageOps.exif_transpose(opened).convert("RGBA" if clear else "RGB")
            return _fit(upright, "PNG" if clear else "JPEG")
    except InvalidImage:
        raise
    except Image.DecompressionBombError:
        raise InvalidImage("This picture has far too many pixels; choose a smaller one.") from None
    except Exception as error:  # Pillow raises a dozen kinds on damaged files
        raise InvalidImage("This is not a picture that can be read; choose a PNG, JPEG, WebP or GIF file.") from error


def _fit(picture: "Picture", kind: str) -> bytes:
    from PIL import Image

    picture.info.clear()
    for side in SIDES:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        picture.save(out, kind, optimize=True)
        if out.tell() <= MAX_AVATAR:
            break
    return out.getvalue()


def generated_avatar(name: str, key: bytes) -> bytes:
    """A PNG of the name's first letter, or the key's if the font lacks that, on a colour that the public key gives."""
    import colorsys

    from PIL import Image, ImageDraw, ImageFont

    # Lightness 0.32 keeps white letters readable (contrast above 4.5:1) on most hues.
    red, green, blue = colorsys.hls_to_rgb(key[0] / 256, 0.32, 0.35 + key[1] / 256 * 0.3)
    picture = Image.new("RGB", (128, 128), (int(red * 255), int(green * 255), int(blue * 255)))
    font = ImageFont.load_default(size=68)
    letter = look(name)[:1].upper()
    if bytes(font.getmask(letter)) == bytes(font.getmask("\uffff")):
        letter = short_key(key)[:1].upper()
    ImageDraw.Draw(picture).text((64, 64), letter, fill="white", anchor="mm", font=font)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def to_data_url(avatar: bytes) -> str:
    """An avatar as config.json holds it."""
    return f"data:{media_type(avatar)};base64,{b64encode(avatar).decode()}"


def from_base64(text: str) -> bytes:
    """The bytes of strict base64, its padding or a `data:` URL's head tolerated. Raises `ValueError`."""
    if text.startswith("data:"):
        head, found, text = text.partition(",")
        if not found or not head.endswith(";base64"):
            raise ValueError("a data: URL that is not base64")
    try:
        return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except Error as error:
        raise ValueError(str(error)) from None
