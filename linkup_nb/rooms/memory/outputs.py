"""Outputs as blocks: what is small stands in its block, the rest in a file of the author's drive."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from linkup_nb.errors import DecodeError
from linkup_nb.rooms.frames import FrameFile
from linkup_nb.rooms.memory.block import OutputBody
from linkup_nb.rooms.outputs import MAX_TYPES, TEXT, Output

MAX_INLINE_BYTES = 128 * 1024  # of an output that stands in its block
PREVIEW = 2_000  # characters of the text of an output in a drive that stand in its block
HTML = "text/html"


def inline_body(output: Output) -> OutputBody | None:
    """The block of an output; `None` for one that is so large that it belongs into a drive."""
    data, metadata = _raw(output.data), _raw(output.metadata)
    if sum(map(len, (*map(bytes, data.values()), *map(bytes, metadata.values())))) > MAX_INLINE_BYTES:
        return None
    return OutputBody(data, metadata)


def drive_body(output: Output, path: str, version: int) -> OutputBody:
    """The block of an output that is at this path and version of the author's drive, with the beginning of its text."""
    text = str(output.data.get(TEXT, ""))[:PREVIEW]
    return OutputBody(_raw({TEXT: text}), _raw(output.metadata), path, version)


def frame_body(output: Output, frame: FrameFile, path: str, version: int) -> OutputBody:
    """The block of a data frame at this path and version of the author's drive, with what a cell shows of it."""
    metadata = _raw({frame.mime: frame.about})
    shown = Output({mime: output.data[mime] for mime in (HTML, TEXT) if mime in output.data})
    inline = inline_body(shown) or drive_body(shown, path, version)
    return OutputBody(inline.data, metadata, path, version)


def read_output(file: bytes) -> Output:
    """The output in a file of a drive. Raises `DecodeError`."""
    try:
        return msgspec.json.decode(file, type=Output)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"This is no output of a cell: {error}.") from None


def inline(body: OutputBody) -> Output:
    """What of an output stands in its block."""

    def values(raw: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
        found = {}
        for mime, value in list(raw.items())[:MAX_TYPES]:
            with suppress(ValueError, RecursionError):  # as 1e999, which is JSON and no number here
                found[mime] = msgspec.json.decode(value)
        return found

    return Output(values(body.data), values(body.metadata))


def _raw(values: Mapping[str, Any]) -> dict[str, msgspec.Raw]:
    return {mime: msgspec.Raw(msgspec.json.encode(value)) for mime, value in values.items()}
