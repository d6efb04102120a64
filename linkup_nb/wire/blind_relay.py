"""What peers ask of a relay: that streams of theirs be joined, of those two who show it the same token.

Format: the npm package `blind-relay`, a protocol on Protomux whose channel has the asking peer's public key as its id.
"""

from dataclasses import dataclass
from typing import Self

from linkup_nb.errors import DecodeError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.dht.connect import MAX_UDX_NUMBER

PROTOCOL = "blind-relay"
PAIR = 0  # message types
UNPAIR = 1
TOKEN_SIZE = 32  # bytes


@dataclass(frozen=True, slots=True)
class Pair:
    """A peer that asks names its stream; the relay answers with the one of its own that the peer is to send to.

    One of the two with a token is its `initiator`.
    """

    initiator: bool
    token: bytes
    stream_id: int

    def __bytes__(self) -> bytes:
        return bytes(Encoder().uint(self.initiator).fixed(self.token, TOKEN_SIZE).uint(self.stream_id).uint(0))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        flags, token, stream_id = decoder.uint(), decoder.fixed(TOKEN_SIZE), decoder.uint()
        decoder.uint()  # the number of the stream's first packet, which is always 0
        if stream_id > MAX_UDX_NUMBER:
            raise DecodeError(f"a UDX stream has 32-bit numbers, got {stream_id}")
        return cls(bool(flags & 1), token, stream_id)


@dataclass(frozen=True, slots=True)
class Unpair:
    """A peer no longer asks for what it has asked for with this token."""

    token: bytes

    def __bytes__(self) -> bytes:
        return bytes(Encoder().uint(0).fixed(self.token, TOKEN_SIZE))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        decoder.uint()  # flags, of which none is defined
        return cls(decoder.fixed(TOKEN_SIZE))
