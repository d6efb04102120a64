import io

from PIL import Image


def picture(width: int, height: int) -> bytes:
    """A PNG of two blended colours."""
    image = Image.linear_gradient("L").resize((width, height))
    out = io.BytesIO()
    Image.merge("RGB", (image, image.rotate(180), Image.new("L", (width, height), 120))).save(out, "PNG")
    return out.getvalue()
