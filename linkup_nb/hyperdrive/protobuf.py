"""The little of Protocol Buffers that Hyperbee uses: varints, and fields of bytes.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterable, Iterator

from linkup_nb.errors import DecodeError

MAX_VARINT = 10  # bytes

BYTES = 2  # the kind of the fields


def varint(value: int) -> bytes:
    """An unsigned integer in groups of 7 bits, the lowest first."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: bytes) -> bytes:
    """A field of bytes."""
    return bytes((number << 3 | BYTES,)) + varint(len(value)) + value


def packed(values: Iterable[int]) -> bytes:
    """Varints one after the other."""
    return b"".join(map(varint, values))


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The integer at `at`, and where it ends. Raises `DecodeError`."""
    value = shift = 0
    for byte in data[at : at + MAX_VARINT]:
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise DecodeError("An integer that does not end.")


def unpack(data: bytes) -> list[int]:
    """All varints of a packed field."""
    if data.isascii():
        return list(data)
    values, at = [], 0
    while at < len(data):
        value, at = read_varint(data, at)
        values.append(value)
    return values


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of bytes of a message, in order. Raises `DecodeError` for any other kind of field."""
    at = 0
    while at < len(data):
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(data, at - 1)
        if tag & 7 != BYTES:
            raise DecodeError(f"A field of kind {tag & 7} where only bytes may stand.")
        size = data[at] if at < len(data) else 0x80
        at += 1
        if size >= 0x80:
            size, at = read_varint(data, at - 1)
        if at + size > len(data):
            raise DecodeError("A field that ends after its message.")
        yield tag >> 3, data[at : at + size]
        at += size
