"""What two members of a room with memory send each other on its channel, and how each proves to know the room's secret.

The protocol `linkup-nb/room` on Protomux, version 1. The channel's id and the proofs depend on the connection: who does
not know the secret learns nothing from them, not even the topic, and cannot use them on another connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Self, TypeVar

from linkup_nb.errors import DecodeError, ProtocolError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KEY_SIZE, blake2b_256, namespace

PROTOCOL = "linkup-nb/room"
VERSION = 1
SERVES_RUNS = 1  # flags of an opening; those that are not known are ignored
SHARES_READ_MARKS = 2

TAG_SIZE = (
    8  # first bytes of a feed's key: of two feeds that share them only the one with the smaller key is a member's
)
MAX_FEED_KEYS = 512  # in one message; a room has no more feeds
MAX_CHANNEL_NAME = 64  # characters of the name of a channel
MAX_TYPING = 60  # seconds for which somebody may be announced as typing
MAX_EVIDENCE = 64 * 1024  # bytes of one half of a conflict: a signed head and its roots
MAX_SKELETON = 2**16  # nodes of a skeleton: a feed of 2^24 blocks
MAX_RUN_BLOCKS = 256
MAX_RUN_BYTES = 4 * 1024 * 1024  # of the blocks of one run; a longer one is answered empty
MAX_LENGTH = 2**31  # blocks of a feed

T = TypeVar("T")

CHANNEL, INITIATOR, RESPONDER, ENCRYPTION, HELLO, FOUNDER, CHECK, REFERRER = namespace(PROTOCOL, list(range(8)))


def channel_id(handshake_hash: bytes, secret: bytes) -> bytes:
    """The 32-byte id of a room's channel on the connection with this handshake hash."""
    return blake2b_256(CHANNEL + secret, key=handshake_hash)


def membership_proof(handshake_hash: bytes, secret: bytes, *, initiator: bool) -> bytes:
    """What shows, on this connection only, that its sender (`initiator` of the connection or not) knows the secret."""
    return blake2b_256((INITIATOR if initiator else RESPONDER) + secret, key=handshake_hash)


class MessageType(IntEnum):
    """The number of each message on the channel; others are ignored."""

    FEEDS = 0
    PRESENCE = 1
    TYPING = 2
    READ = 3
    CONFLICT = 4
    SKELETON_REQUEST = 5
    SKELETON = 6
    RUN_REQUEST = 7
    RUN = 8


class PresenceState(IntEnum):
    """Where a member is."""

    GONE = 0
    AWAY = 1
    HERE = 2


@dataclass(frozen=True, slots=True)
class Opening:
    """The handshake of the channel: its sender's version, flags, `proof`, and clock in milliseconds since 1970."""

    proof: bytes
    clock: int
    flags: int = 0
    version: int = VERSION

    def __bytes__(self) -> bytes:
        return bytes(Encoder().uint(self.version).uint(self.flags).fixed(self.proof, KEY_SIZE).uint(self.clock))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError` or, for version 0, `ProtocolError`; what follows the known fields is ignored."""
        decoder = Decoder(data)
        version, flags = decoder.uint(), decoder.uint()
        if version < 1:
            raise ProtocolError("The peer opened the room with version 0, which does not exist.")
        proof, clock = decoder.fixed(KEY_SIZE), decoder.uint()
        return cls(proof, clock, flags, version)


@dataclass(frozen=True, slots=True)
class FeedKeys:
    """Keys of feeds of the room, the sender's own first; after it each one whose hello the sender has verified."""

    type = MessageType.FEEDS
    keys: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        return bytes(Encoder().array(list(self.keys), lambda encoder, key: encoder.fixed(key, KEY_SIZE)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        return cls(tuple(_array(Decoder(data), lambda decoder: decoder.fixed(KEY_SIZE), "feeds")))


@dataclass(frozen=True, slots=True)
class Presence:
    """Where the sender is, and the tags of the feeds of those it is connected to."""

    type = MessageType.PRESENCE
    state: PresenceState
    connected: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        tags = list(self.connected)
        return bytes(Encoder().uint(self.state).array(tags, lambda encoder, tag: encoder.fixed(tag, TAG_SIZE)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        state = decoder.uint()
        if state > PresenceState.HERE:
            raise DecodeError(f"The state of a presence is 0 to {PresenceState.HERE}, got {state}.")
        return cls(PresenceState(state), tuple(_array(decoder, lambda source: source.fixed(TAG_SIZE), "presences")))


@dataclass(frozen=True, slots=True)
class Typing:
    """The sender is typing in a channel ("" for the main one), and will have stopped in so many seconds."""

    type = MessageType.TYPING
    channel: str
    seconds: int

    def __bytes__(self) -> bytes:
        return bytes(Encoder().string(self.channel).uint(self.seconds))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`; a longer time is cut to `MAX_TYPING`."""
        decoder = Decoder(data)
        channel, seconds = decoder.string(), decoder.uint()
        if len(channel) > MAX_CHANNEL_NAME:
            raise DecodeError(f"The name of a channel has {len(channel)} characters, over {MAX_CHANNEL_NAME}.")
        return cls(channel, min(seconds, MAX_TYPING))


@dataclass(frozen=True, slots=True)
class Read:
    """Up to which length the sender has read feeds, by their tags; only those that have changed."""

    type = MessageType.READ
    lengths: tuple[tuple[bytes, int], ...]

    def __bytes__(self) -> bytes:
        return bytes(Encoder().array(list(self.lengths), lambda encoder, mark: _length(encoder, *mark)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        return cls(tuple(_array(Decoder(data), lambda source: (source.fixed(TAG_SIZE), _below(source)), "read marks")))


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two signed heads of one length of one feed that differ, each an encoded `Evidence` of hypercore."""

    type = MessageType.CONFLICT
    one: bytes
    other: bytes

    def __bytes__(self) -> bytes:
        return bytes(Encoder().buffer(self.one).buffer(self.other))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        one, other = decoder.buffer(), decoder.buffer()
        if max(len(one), len(other)) > MAX_EVIDENCE:
            raise DecodeError(f"The evidence of a conflict has over {MAX_EVIDENCE} bytes.")
        return cls(one, other)


@dataclass(frozen=True, slots=True)
class SkeletonRequest:
    """Asks for the nodes of one depth that prove the first `length` blocks of a feed."""

    type = MessageType.SKELETON_REQUEST
    id: int
    tag: bytes
    length: int

    def __bytes__(self) -> bytes:
        return bytes(_length(Encoder().uint(self.id), self.tag, self.length))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        return cls(decoder.uint(), decoder.fixed(TAG_SIZE), _below(decoder))


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The answer: (index, size in bytes, hash) of each node; empty where the sender cannot say."""

    type = MessageType.SKELETON
    id: int
    nodes: tuple[tuple[int, int, bytes], ...]

    def __bytes__(self) -> bytes:
        encoder = Encoder().uint(self.id)
        return bytes(encoder.array(list(self.nodes), lambda e, node: e.uint(node[0]).uint(node[1]).fixed(node[2], 32)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        id = decoder.uint()
        nodes = _array(decoder, lambda d: (d.uint(), d.uint(), d.fixed(32)), "nodes", MAX_SKELETON)
        return cls(id, tuple(nodes))


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Asks for the `MAX_RUN_BLOCKS` stored blocks of a feed from `start` on."""

    type = MessageType.RUN_REQUEST
    id: int
    tag: bytes
    start: int

    def __bytes__(self) -> bytes:
        return bytes(_length(Encoder().uint(self.id), self.tag, self.start))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        return cls(decoder.uint(), decoder.fixed(TAG_SIZE), _below(decoder))


@dataclass(frozen=True, slots=True)
class Run:
    """The answer: the blocks as they are stored, encrypted; none where the run is not whole here, or too large."""

    type = MessageType.RUN
    id: int
    blocks: tuple[bytes, ...]

    def __bytes__(self) -> bytes:
        return bytes(Encoder().uint(self.id).array(list(self.blocks), lambda encoder, block: encoder.buffer(block)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        if len(data) > MAX_RUN_BYTES + 8 * MAX_RUN_BLOCKS:
            raise DecodeError(f"A run has {len(data)} bytes, over {MAX_RUN_BYTES}.")
        decoder = Decoder(data)
        return cls(decoder.uint(), tuple(_array(decoder, lambda source: source.buffer(), "blocks", MAX_RUN_BLOCKS)))


Message = FeedKeys | Presence | Typing | Read | Conflict | SkeletonRequest | Skeleton | RunRequest | Run

_KINDS: dict[int, type[Message]] = {
    kind.type: kind for kind in (FeedKeys, Presence, Typing, Read, Conflict, SkeletonRequest, Skeleton, RunRequest, Run)
}


def decode(number: int, payload: bytes) -> Message | None:
    """The message of this type; `None` for a type that a later version may have. Raises `DecodeError`."""
    kind = _KINDS.get(number)
    return kind.decode(payload) if kind else None


def _length(encoder: Encoder, tag: bytes, length: int) -> Encoder:
    return encoder.fixed(tag, TAG_SIZE).uint(length)


def _below(decoder: Decoder) -> int:
    length = decoder.uint()
    if length > MAX_LENGTH:
        raise DecodeError(f"A feed has at most {MAX_LENGTH} blocks, got {length}.")
    return length


def _array(decoder: Decoder, item: Callable[[Decoder], T], what: str, most: int = MAX_FEED_KEYS) -> list[T]:
    count = decoder.uint()
    if count > most:
        raise DecodeError(f"A message has at most {most} {what}, got {count}.")
    return [item(decoder) for _ in range(count)]
