"""The packets of UDX: a header of 20 bytes, then ranges of received packets, padding, or data.

Format: the C library `libudx`, version 1 of its protocol. All numbers are little endian. A packet holds two bytes of
magic, its kinds, how many bytes lie between header and data, the stream at the receiver, how many bytes the sender
would take, its number, and the next number that its sender expects. Numbers count packets of data and wrap at 2^32.
"""

import struct
from typing import NamedTuple

from linkup_nb.errors import DecodeError

DATA = 1
END = 2  # the last packet of a stream's data, which it may carry
SACK = 4  # carries ranges of packets received beyond the one expected next
MESSAGE = 8  # carries one unordered message
DESTROY = 16
HEARTBEAT = 32  # asks for an acknowledgement
KINDS = 63

HEADER = struct.Struct("<HBBIIII")
HEADER_SIZE = HEADER.size  # bytes
MAGIC = 0x01FF  # 0xff, then the version
MAX_SACKS = 50  # ranges in one packet
NUMBERS = 1 << 32  # there are this many packet numbers

_RANGE = struct.Struct("<II")
SACK_SIZE = _RANGE.size  # bytes of a range


class Packet(NamedTuple):
    """One packet as it is written; `seq` and `ack` are still modulo 2^32."""

    kinds: int
    stream_id: int
    window: int
    seq: int
    ack: int
    sacks: tuple[tuple[int, int], ...] = ()  # first packet and the one after the last
    payload: bytes = b""


def encode(packet: Packet, padding: int = 0) -> bytes:
    """The datagram for a packet; `padding` bytes of zeros go before the payload."""
    sacks = b"".join(_RANGE.pack(start % NUMBERS, end % NUMBERS) for start, end in packet.sacks)
    offset = len(sacks) if packet.sacks and packet.payload else padding
    kinds, stream_id, window, seq, ack = packet[:5]
    header = HEADER.pack(MAGIC, kinds, offset, stream_id, window, seq % NUMBERS, ack % NUMBERS)
    return b"".join((header, sacks, bytes(padding), packet.payload))


def decode(datagram: bytes | memoryview) -> Packet:
    """The packet in a datagram; raises `DecodeError` for anything that no peer writes."""
    size = len(datagram)
    if size < HEADER_SIZE:
        raise DecodeError(f"A UDX packet has at least {HEADER_SIZE} bytes, this one has {size}.")
    magic, kinds, offset, stream_id, window, seq, ack = HEADER.unpack_from(datagram)
    start = HEADER_SIZE + offset
    if magic != MAGIC or kinds > KINDS or start > size:
        raise DecodeError("This is not a UDX packet.")
    if kinds == DATA:
        return Packet(kinds, stream_id, window, seq, ack, (), bytes(datagram[start:]))
    sacks: tuple[tuple[int, int], ...] = ()
    if kinds & SACK:
        start = start if offset else size
        sacks = _decode_sacks(datagram[HEADER_SIZE:start])
    payload = bytes(datagram[start:]) if kinds & (DATA | END | MESSAGE) else b""
    return Packet(kinds, stream_id, window, seq, ack, sacks, payload)


def is_udx(datagram: bytes | memoryview) -> bool:
    """Whether a datagram that came to a shared socket looks like UDX, going by its first bytes."""
    return len(datagram) >= HEADER_SIZE and datagram[0] == 0xFF and datagram[1] == 0x01


def unwrap(number: int, near: int) -> int:
    """The packet number that is `number` modulo 2^32 and nearest to `near`, a number that did not wrap."""
    return near + (number - near + NUMBERS // 2) % NUMBERS - NUMBERS // 2


def _decode_sacks(data: bytes | memoryview) -> tuple[tuple[int, int], ...]:
    if len(data) % SACK_SIZE or len(data) > MAX_SACKS * SACK_SIZE:
        raise DecodeError(
            f"A UDX packet names at most {MAX_SACKS} whole ranges, this one has {len(data)} bytes of them."
        )
    return tuple(_RANGE.iter_unpack(data))
