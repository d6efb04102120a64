"""What a cell shows, as a message: values by their MIME type, as in Jupyter's messages.

https://jupyter-client.readthedocs.io/en/stable/messaging.html#display-data: text is text, bytes are in base64, JSON is
itself. Nothing is ever pickled.
"""

import base64
import binascii
import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from linkup_nb.errors import UsageError
from linkup_nb.rooms.frames import FrameFile, frame_file, is_frame
from linkup_nb.rooms.media import picture
from linkup_nb.surroundings import surroundings

MAX_OUTPUT_BYTES = 16 * 1_048_576  # of an output, as JSON
MAX_TYPES = 16  # MIME types of one output
MAX_CODE = 16 * 1024  # characters that are sent as code; more is sent as a file
PICTURES = ("image/png", "image/jpeg")
TEXT = "text/plain"

_METHODS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/json": "_repr_json_",
}
"""IPython's names for how an object shows itself."""


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """Values by their MIME type, and what is known about them, by the same."""

    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}

    def picture(self) -> bytes | None:
        """The picture of it, if it has one."""
        for mime in PICTURES:
            value = self.data.get(mime)
            if isinstance(value, str):
                try:
                    data = base64.b64decode(value, validate=False)
                except (binascii.Error, ValueError):
                    continue
                if picture(data)[0] == mime:
                    return data
        return None


class FrameOutput(NamedTuple):
    """A data frame: what a cell shows of it, and its file."""

    output: Output
    frame: FrameFile


def said_of(value: object) -> str | Output | FrameOutput:
    """What of a value is sent: a text as it is, a data frame whole, anything else as a cell would show it.

    Raises `UsageError` for one that is too large.
    """
    if isinstance(value, str):
        return value
    if is_frame(value):
        return FrameOutput(output_of(value), frame_file(value))
    return output_of(value)


def nearest(value: object) -> str | tuple[str, bytes]:
    """What a program that shows texts and files gets of a value: a text, or the name and the bytes of a file.

    Raises `UsageError` for one that is too large.
    """
    if isinstance(value, str):
        return value
    if is_frame(value):
        return "table.csv", frame_file(value, csv=True).data
    output = output_of(value)
    if drawn := output.picture():
        return f"picture.{picture(drawn)[0].removeprefix('image/')}", drawn
    if isinstance(text := output.data.get("text/markdown"), str):
        return text
    text = str(output.data[TEXT])
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", text))]))
    return f"{fence}\n{text}\n{fence}" if len(text) <= MAX_CODE else ("output.txt", text.encode(errors="replace"))


def output_of(value: object) -> Output:
    """How a cell would show a value. Raises `UsageError` for one that is too large to be sent."""
    show = surroundings().show
    data, metadata = show(value) if show else ({}, {})
    data = data or _own(value)
    if not any(mime in data for mime in PICTURES) and (drawn := _drawn(value)):
        data["image/png"] = drawn
    if TEXT not in data:
        data[TEXT] = _text_of(value)
    output = Output({mime: _json(shown) for mime, shown in list(data.items())[:MAX_TYPES]}, dict(metadata))
    if shown := output.picture():
        mime, size = picture(shown)
        if size:
            output.metadata[mime] = {"width": size[0], "height": size[1], "size": len(shown)}
    try:
        size_of_all = len(msgspec.json.encode(output))
    except (TypeError, ValueError, RecursionError):
        output = Output({mime: value for mime, value in output.data.items() if isinstance(value, str)})
        size_of_all = len(msgspec.json.encode(output))
    if size_of_all > MAX_OUTPUT_BYTES:
        raise UsageError(
            f"This output has {size_of_all / 1_048_576:.0f} MiB, and one has at most {MAX_OUTPUT_BYTES // 1_048_576}:"
            " send a file of it with `send_file`, or less of it."
        )
    return output


def _own(value: object) -> dict[str, Any]:
    bundle = getattr(value, "_repr_mimebundle_", None)
    if callable(bundle):
        found = _try(bundle)
        found = found[0] if isinstance(found, tuple) else found
        if isinstance(found, dict):
            return {str(mime): shown for mime, shown in found.items()}
    shown = {mime: _try(getattr(value, name, None)) for mime, name in _METHODS.items()}
    return {mime: one for mime, one in shown.items() if one is not None}


def _try(method: Callable[[], Any] | None) -> Any:
    try:
        return method() if callable(method) else None
    except Exception:  # noqa: BLE001  # as IPython does: what fails to show itself has the other ways
        return None


def _drawn(value: object) -> bytes | None:
    """A figure of matplotlib, which shows itself only where its backend has taught IPython to."""
    save = getattr(value, "savefig", None)
    if not callable(save):
        return None
    out = io.BytesIO()
    try:
        save(out, format="png", bbox_inches="tight")
    except Exception as error:  # noqa: BLE001  # it is the figure's own code
        raise UsageError(
            f"This figure cannot be drawn ({type(error).__name__}: {error}): mend it, then send it."
        ) from None
    return out.getvalue()


def _text_of(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # it is the object's own code
        raise UsageError(
            f"This object cannot be shown ({type(error).__name__}: {error}): send a text about it, or a file."
        ) from None


def _json(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return value
