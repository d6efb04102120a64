import io

from PIL import Image, ImageOps
from playwright.sync_api import FilePayload


def picture(width: int, height: int) -> bytes:
    """A PNG of the Mandelbrot set."""
    fractal = Image.effect_mandelbrot((width, height), (-2.4, -1.0, 1.6, 1.0), 40)
    out = io.BytesIO()
    ImageOps.colorize(fractal, "#16324f", "#f2b950", mid="#3f8f8b").save(out, "PNG")
    return out.getvalue()


def payload(name: str, data: bytes) -> FilePayload:
    """A file as the browser gives it to the page; its type is made from the name."""
    return {
        "name": name,
        "mimeType": "image/png" if name.endswith(".png") else "application/octet-stream",
        "buffer": data,
    }
