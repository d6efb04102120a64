"""Compact encoding: the integers, buffers, strings and arrays of the JavaScript stack.

Format: the npm package `compact-encoding`. Everything is little endian; a `uint` takes 1, 3, 5 or 9 bytes.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from typing import Self, TypeVar

from linkup_nb.errors import DecodeError

MAX_UINT = 2**53 - 1  # the largest integer that JavaScript holds exactly; its decoder refuses more
MAX_ITEMS = 0x100000  # items in one array, as in JavaScript

T = TypeVar("T")


_ONE_BYTE = [bytes((value,)) for value in range(0xFD)]


def encode_uint(value: int) -> bytes:
    """An unsigned integer up to 2^53 - 1, as `Encoder.uint` writes it. Raises `ValueError` for any other."""
    if 0 <= value <= 0xFC:
        return _ONE_BYTE[value]
    if 0 <= value <= 0xFFFF:
        return b"\xfd" + value.to_bytes(2, "little")
    return bytes(Encoder().uint(value))


class Encoder:
    """Builds one message, field by field; each method returns the encoder, `bytes(encoder)` is the message.

    Raises `ValueError` for a value that the format cannot hold.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)

    def uint(self, value: int) -> Self:
        """An unsigned integer up to 2^53 - 1."""
        if not 0 <= value <= MAX_UINT:
            raise ValueError(f"A uint is 0 to {MAX_UINT}, not {value}.")
        if value <= 0xFC:
            self._bytes.append(value)
        elif value <= 0xFFFF:
            self._bytes += b"\xfd" + value.to_bytes(2, "little")
        elif value <= 0xFFFFFFFF:
            self._bytes += b"\xfe" + value.to_bytes(4, "little")
        else:
            self._bytes += b"\xff" + value.to_bytes(8, "little")
        return self

    def sint(self, value: int) -> Self:
        """A signed integer from -2^52 to 2^52 - 1, zigzag: 0, -1, 1, -2 become 0, 1, 2, 3."""
        return self.uint(2 * value if value >= 0 else -2 * value - 1)

    def boolean(self, value: bool) -> Self:
        """One byte, 0 or 1."""
        self._bytes.append(value)
        return self

    def raw(self, value: bytes) -> Self:
        """The bytes as they are, with no length before them."""
        self._bytes += value
        return self

    def fixed(self, value: bytes, size: int) -> Self:
        """Exactly `size` bytes, such as a 32-byte key or a 64-byte signature."""
        if len(value) != size:
            raise ValueError(f"Expected {size} bytes, got {len(value)}.")
        return self.raw(value)

    def buffer(self, value: bytes | None) -> Self:
        """A length and that many bytes; `None` is written as no bytes."""
        value = value or b""
        return self.uint(len(value)).raw(value)

    def string(self, value: str) -> Self:
        """UTF-8 text as a buffer."""
        return self.buffer(value.encode())

    def uint32array(self, words: Iterable[int]) -> Self:
        """A count and that many 4-byte words."""
        return self.array([word.to_bytes(4, "little") for word in words], Encoder.raw)

    def array(self, items: list[T], item: "Callable[[Encoder, T], object]") -> Self:
        """A count and the items, each written by `item(encoder, value)`."""
        self.uint(len(items))
        for value in items:
            item(self, value)
        return self

    def ipv4_address(self, host: str, port: int) -> Self:
        """Six bytes: the address in the order in which it is written, and the port."""
        return self.raw(_pack_address(host, port))

    def ipv4_addresses(self, addresses: Iterable[tuple[str, int]]) -> Self:
        """A count and that many addresses."""
        packed = [_pack_address(host, port) for host, port in addresses]
        return self.uint(len(packed)).raw(b"".join(packed))


class Decoder:
    """Reads one message, field by field, in the order in which it was written.

    Every method raises `DecodeError` when the bytes end early or hold what the format does not allow: then
    drop the message. Call `end` after the last field of a message that may have no trailing bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def remaining(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._at

    @property
    def at(self) -> int:
        """How many bytes have been read."""
        return self._at

    def skip(self, size: int) -> None:
        """Pass over exactly `size` bytes."""
        if size > self.remaining:
            raise DecodeError(f"Expected {size} more bytes, got {self.remaining}.")
        self._at += size

    def fixed(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        start = self._at
        end = self._at = start + size
        if end > len(self._data):
            self._at = start
            raise DecodeError(f"Expected {size} more bytes, got {self.remaining}.")
        return self._data[start:end]

    def uint(self) -> int:
        """An unsigned integer up to 2^53 - 1; longer forms than needed are read too."""
        try:  # no comparison: most of a message are integers
            first = self._data[self._at]
        except IndexError:
            raise DecodeError("Expected an integer, got the end of the message.") from None
        self._at += 1
        if first <= 0xFC:
            return first
        value = int.from_bytes(self.fixed(1 << (first - 0xFC)), "little")
        if value > MAX_UINT:
            raise DecodeError(f"An integer is at most {MAX_UINT}, got {value}.")
        return value

    def sint(self) -> int:
        """A signed integer."""
        value = self.uint()
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1

    def boolean(self) -> bool:
        """One byte, 0 or 1."""
        value = self.fixed(1)[0]
        if value > 1:
            raise DecodeError(f"A boolean is 0 or 1, got {value}.")
        return value == 1

    def raw(self) -> bytes:
        """Everything that is left."""
        return self.fixed(self.remaining)

    def buffer(self) -> bytes:
        """A length and that many bytes."""
        return self.fixed(self.uint())

    def optional_buffer(self) -> bytes | None:
        """A buffer, of which an empty one means `None`."""
        return self.buffer() or None

    def string(self) -> str:
        """UTF-8 text."""
        try:
            return self.buffer().decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"A string is not UTF-8: {error}.") from None

    def uint32array(self) -> list[int]:
        """A count and that many 4-byte words."""
        words = self.fixed(4 * self.uint())
        return [int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4)]

    def array(self, item: "Callable[[Decoder], T]") -> list[T]:
        """A count, at most `MAX_ITEMS`, and the items, each read by `item(decoder)`."""
        count = self.uint()
        if count > MAX_ITEMS:
            raise DecodeError(f"An array has at most {MAX_ITEMS} items, got {count}.")
        return [item(self) for _ in range(count)]

    def ipv4_address(self) -> tuple[str, int]:
        """Host and port."""
        return _unpack_address(self.fixed(6))

    def ipv4_addresses(self) -> list[tuple[str, int]]:
        """A count and that many addresses."""
        packed = self.fixed(6 * self.uint())
        return [_unpack_address(packed[at : at + 6]) for at in range(0, len(packed), 6)]

    def end(self) -> None:
        """Check that nothing is left; raises `DecodeError` when bytes are."""
        if self.remaining:
            raise DecodeError(f"Expected the end of the message, got {self.remaining} more bytes.")


# A DHT node reads and writes the same few hundred addresses, twenty in each datagram: hence the caches.


@lru_cache(4096)
def _pack_address(host: str, port: int) -> bytes:
    try:
        return IPv4Address(host).packed + port.to_bytes(2, "little")
    except (AddressValueError, OverflowError):
        raise ValueError(f"Expected an IPv4 address and a port, got {host!r} and {port}.") from None


@lru_cache(4096)
def _unpack_address(packed: bytes) -> tuple[str, int]:
    return str(IPv4Address(packed[:4])), int.from_bytes(packed[4:], "little")
