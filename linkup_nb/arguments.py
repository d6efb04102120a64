"""What callers pass in, looked at where it comes in: what is of the wrong kind is told in one sentence."""

import operator
from typing import Any

from linkup_nb.errors import UsageError
from linkup_nb.wire.keys import KEY_SIZE


def number(value: Any, what: str) -> int:
    """A whole number, NumPy's too. Raises `UsageError`."""
    try:
        return operator.index(value)
    except TypeError:
        raise UsageError(f"{what} is a whole number, not {_kind(value)}") from None


def text(value: Any, what: str) -> str:
    """A string. Raises `UsageError`."""
    if not isinstance(value, str):
        raise UsageError(f"{what} is text, not {_kind(value)}")
    return value


def content(value: Any, what: str) -> bytes:
    """Bytes, or a copy of what a buffer holds. Raises `UsageError`."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise UsageError(f"{what} is bytes, not {_kind(value)}{'; encode text first' if isinstance(value, str) else ''}")


def secret(value: Any, what: str) -> bytes:
    """A key of 32 bytes. Raises `UsageError`, which does not repeat it."""
    if not isinstance(value, bytes) or len(value) != KEY_SIZE:
        size = f"{len(value)} bytes" if isinstance(value, bytes) else _kind(value)
        raise UsageError(f"{what} is {KEY_SIZE} bytes, not {size}")
    return value


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
