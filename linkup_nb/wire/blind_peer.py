"""What a blind peer is asked: to hold cores, which it needs no secret for, while those who write them are away.

Format: the npm package `blind-peer-muxer` 1.2.0, a Protomux protocol whose channel has no id and no handshake. There is
no answer: what is held shows in what the blind peer replicates back.
"""

from dataclasses import dataclass
from typing import Self

from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KEY_SIZE
from linkup_nb.wire.wakeup import NamedCore, decode_cores, encode_cores

PROTOCOL = "blind-peer"
CORES = 0  # the one type of message
MAX_CORES = 1_024  # in one message

_REFERRER, _PRIORITY, _ANNOUNCE = 1, 2, 4


@dataclass(frozen=True, slots=True)
class HoldCores:
    """A request to hold cores, and to name them, by `wakeup`, to whoever knows the 32-byte `referrer`.

    A blind peer that is short of space gives up a core of a low `priority` first; to those whom it trusts it announces
    the cores in the DHT, if they ask it to `announce`.
    """

    cores: tuple[NamedCore, ...]
    referrer: bytes | None = None
    priority: int = 0
    announce: bool = False

    def __bytes__(self) -> bytes:
        flags = _REFERRER * (self.referrer is not None) | _PRIORITY * bool(self.priority) | _ANNOUNCE * self.announce
        encoder = Encoder().uint(flags)
        if self.referrer is not None:
            encoder.fixed(self.referrer, KEY_SIZE)
        if self.priority:
            encoder.uint(self.priority)
        return bytes(encode_cores(encoder, self.cores))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`, also for over `MAX_CORES`; what follows the known fields is ignored."""
        decoder = Decoder(data)
        flags = decoder.uint()
        referrer = decoder.fixed(KEY_SIZE) if flags & _REFERRER else None
        priority = decoder.uint() if flags & _PRIORITY else 0
        return cls(decode_cores(decoder, MAX_CORES), referrer, priority, bool(flags & _ANNOUNCE))
