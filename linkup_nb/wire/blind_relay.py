"""The messages of a blind relay: it joins the streams of the two peers that show it the same token.

Format: the npm package `blind-relay`, a Protomux protocol; the id of its channel is the public key of the client.
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
    """A request to be paired: `stream_id` is the client's UDX stream; in the reply, the relay's, to connect it to.

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
            raise DecodeError(f"A UDX stream has 32-bit numbers, got {stream_id}.")
        return cls(bool(flags & 1), token, stream_id)


@dataclass(frozen=True, slots=True)
class Unpair:
    """The end of the request with this token."""

    token: bytes

    def __bytes__(self) -> bytes:
        return bytes(Encoder().uint(0).fixed(self.token, TOKEN_SIZE))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        decoder.uint()  # flags, of which none is defined
        return cls(decoder.fixed(TOKEN_SIZE))
