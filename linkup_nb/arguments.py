"""What callers pass in, checked where it comes in: what is of the wrong type is refused in one sentence."""

import operator
from typing import Any

from linkup_nb.errors import UsageError
from linkup_nb.wire.keys import KEY_SIZE


def number(value: Any, what: str) -> int:
    """A whole number, NumPy's too. Raises `UsageError`."""
    try:
        return operator.index(value)
    except TypeError:
        raise _wrong(what, f"is a whole number, not {_kind(value)}") from None


def text(value: Any, what: str) -> str:
    """A string. Raises `UsageError`."""
    if not isinstance(value, str):
        raise _wrong(what, f"is text, not {_kind(value)}")
    return value


def content(value: Any, what: str) -> bytes:
    """Bytes, or a copy of what a buffer holds. Raises `UsageError`."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise _wrong(what, f"is bytes, not {_kind(value)}{'; encode text first' if isinstance(value, str) else ''}")


def secret(value: Any, what: str) -> bytes:
    """A key of 32 bytes. Raises `UsageError`, which does not repeat it."""
    if not isinstance(value, bytes) or len(value) != KEY_SIZE:
        size = f"{len(value)} bytes" if isinstance(value, bytes) else _kind(value)
        raise _wrong(what, f"is {KEY_SIZE} bytes, not {size}")
    return value


def _wrong(what: str, why: str) -> UsageError:
    return UsageError(f"{what[0].upper()}{what[1:]} {why}.")


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
