"""Wakeup: who knows a secret 32-byte capability is named the cores that belong to it, and how long they are.

Format: the npm package `protomux-wakeup` 2.9.0, a Protomux protocol; the id of its channel is the discovery key of the
capability.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Self

from linkup_nb.errors import DecodeError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KEY_SIZE, blake2b_256, namespace

PROTOCOL = "wakeup"
VERSION = 0
MAX_CORES = 1_024  # in one message

_ACTIVE = 1

INITIATOR, RESPONDER = namespace(PROTOCOL, [0, 1])


class MessageType(IntEnum):
    """The number of each message on the channel; others are ignored."""

    LOOKUP = 0
    ANNOUNCE = 1
    INFO = 2


def capability_proof(capability: bytes, handshake_hash: bytes, *, initiator: bool) -> bytes:
    """What shows, on this connection only, that its sender (`initiator` of the connection or not) knows it."""
    return blake2b_256((INITIATOR if initiator else RESPONDER) + capability + handshake_hash)


@dataclass(frozen=True, slots=True)
class Opening:
    """The handshake of the channel; who is `active` wants to be told of cores."""

    proof: bytes
    active: bool = True
    version: int = VERSION

    def __bytes__(self) -> bytes:
        return bytes(Encoder().uint(self.version).fixed(self.proof, KEY_SIZE).uint(_ACTIVE if self.active else 0))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`; what follows the known fields is ignored."""
        decoder = Decoder(data)
        version, proof, flags = decoder.uint(), decoder.fixed(KEY_SIZE), decoder.uint()
        return cls(proof, bool(flags & _ACTIVE), version)


class NamedCore(NamedTuple):
    """The key of a core and its length in blocks, as somebody says."""

    key: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Cores that belong to the capability."""

    cores: tuple[NamedCore, ...]

    def __bytes__(self) -> bytes:
        return bytes(encode_cores(Encoder(), self.cores))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`, also for over `MAX_CORES`."""
        return cls(decode_cores(Decoder(data), MAX_CORES))


@dataclass(frozen=True, slots=True)
class Info:
    """Whether the sender wants to be told of cores from now on."""

    active: bool

    def __bytes__(self) -> bytes:
        return bytes(Encoder().uint(_ACTIVE if self.active else 0))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        return cls(bool(Decoder(data).uint() & _ACTIVE))


def encode_cores(encoder: Encoder, cores: Iterable[NamedCore]) -> Encoder:
    """A list of cores, as this protocol and `blind-peer` write it."""
    return encoder.array(list(cores), lambda encoder, core: encoder.fixed(core.key, KEY_SIZE).uint(core.length))


def decode_cores(decoder: Decoder, most: int) -> tuple[NamedCore, ...]:
    """Such a list of at most so many. Raises `DecodeError`."""
    count = decoder.uint()
    if count > most:
        raise DecodeError(f"A message names at most {most:,} cores, not {count:,}.")
    return tuple(NamedCore(decoder.fixed(KEY_SIZE), decoder.uint()) for _ in range(count))
