"""The records of the DHT: peers announced on a topic or key, and small mutable and immutable values.

Format: the npm package `hyperdht` (`lib/messages.js`, `lib/persistent.js`). Each is the value of a request or reply of
`rpc`; writes also carry a token. A signature is over the command's 32-byte namespace and a hash of the signed fields.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.dht.rpc import ID_SIZE, Address
from linkup_nb.wire.keys import KEY_SIZE, SIGNATURE_SIZE, KeyPair, blake2b_256, namespace, verify

MAX_RELAYS = 3  # addresses in one record; those beyond are ignored
MAX_RECORDS = 20  # in one reply; those beyond are ignored
MAX_VALUE = 1000  # bytes of a stored value


class DhtCommand(IntEnum):
    """The commands of HyperDHT, beside those of `rpc.Internal`."""

    PEER_HANDSHAKE = 0
    PEER_HOLEPUNCH = 1
    FIND_PEER = 2
    LOOKUP = 3
    ANNOUNCE = 4
    UNANNOUNCE = 5
    MUTABLE_PUT = 6
    MUTABLE_GET = 7
    IMMUTABLE_PUT = 8
    IMMUTABLE_GET = 9


def signing_context(command: DhtCommand) -> bytes:
    """The 32-byte namespace that signatures and keys of this command are bound to."""
    return namespace("hyperswarm/dht", [command])[0]


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A peer's public key, and the nodes that relay handshakes to it."""

    public_key: bytes
    relays: tuple[Address, ...] = ()

    def __bytes__(self) -> bytes:
        return bytes(_write_record(Encoder(), self))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The record in a reply to FIND_PEER; raises `DecodeError`."""
        return cls(*_read_fields(Decoder(data)))


def encode_records(records: list[PeerRecord], bump: int = 0) -> bytes:
    """The value of a reply to LOOKUP: the records on a target, and its bump in milliseconds since 1970, 0 for none."""
    return bytes(Encoder().array(records[:MAX_RECORDS], _write_record).uint(bump))


def decode_records(data: bytes) -> list[PeerRecord]:
    """The records in a reply to LOOKUP; raises `DecodeError`."""
    return Decoder(data).array(_read_record)[:MAX_RECORDS]


@dataclass(frozen=True, slots=True)
class DhtAnnouncement:
    """The value of ANNOUNCE and UNANNOUNCE: a record, signed for one target, one node and the token that it gave.

    With a record, `refresh` is the BLAKE2b-256 hash of 32 bytes that the announcer keeps; without one, those bytes,
    which renew the earlier announcement. `bump` is in milliseconds since 1970; a node keeps the largest of each target
    and adds it to its replies to LOOKUP.
    """

    record: PeerRecord | None = None
    refresh: bytes | None = None
    signature: bytes | None = None
    bump: int | None = None

    def __bytes__(self) -> bytes:
        flags = (
            (self.record is not None) * 1
            | (self.refresh is not None) * 2
            | (self.signature is not None) * 4
            | (self.bump is not None) * 8
        )
        encoder = Encoder().uint(flags)
        if self.record is not None:
            _write_record(encoder, self.record)
        if self.refresh is not None:
            encoder.fixed(self.refresh, ID_SIZE)
        if self.signature is not None:
            encoder.fixed(self.signature, SIGNATURE_SIZE)
        if self.bump is not None:
            encoder.uint(self.bump)
        return bytes(encoder)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The announcement in a request; raises `DecodeError`. Store it only if it is `valid`."""
        decoder = Decoder(data)
        flags = decoder.uint()
        return cls(
            record=_read_record(decoder) if flags & 1 else None,
            refresh=decoder.fixed(ID_SIZE) if flags & 2 else None,
            signature=decoder.fixed(SIGNATURE_SIZE) if flags & 4 else None,
            bump=decoder.uint() if flags & 8 else None,
        )

    @classmethod
    def sign(
        cls,
        command: DhtCommand,
        key_pair: KeyPair,
        target: bytes,
        node_id: bytes,
        token: bytes,
        relays: tuple[Address, ...],
        *,
        refresh: bytes | None = None,
        bump: int | None = None,
    ) -> Self:
        """A signed announcement, or with `UNANNOUNCE` and no relays the withdrawal of one."""
        unsigned = cls(PeerRecord(key_pair.public_key, relays), refresh)
        signature = key_pair.sign(unsigned._signed(command, target, node_id, token))
        return cls(unsigned.record, refresh, signature, bump)

    def valid(self, command: DhtCommand, target: bytes, node_id: bytes, token: bytes) -> bool:
        """Whether it is signed by the key in its record, for this target, this node id and this token."""
        if self.record is None or self.signature is None:
            return False
        return verify(self._signed(command, target, node_id, token), self.signature, self.record.public_key)

    def _signed(self, command: DhtCommand, target: bytes, node_id: bytes, token: bytes) -> bytes:
        record = bytes(self.record) if self.record is not None else b""
        return signing_context(command) + blake2b_256(target + node_id + token + record + (self.refresh or b""))


@dataclass(frozen=True, slots=True)
class MutableValue:
    """A value signed by a key and replaced only by one with a larger `seq`; stored at the hash of the key."""

    public_key: bytes
    seq: int
    value: bytes
    signature: bytes

    @classmethod
    def sign(cls, key_pair: KeyPair, seq: int, value: bytes) -> Self:
        """A signed value; raises `UsageError` unless it has 1 to `MAX_VALUE` bytes."""
        check_value(value)
        return cls(key_pair.public_key, seq, value, key_pair.sign(_mutable_signed(seq, value)))

    @property
    def target(self) -> bytes:
        """The 32-byte target that it is stored at."""
        return blake2b_256(self.public_key)

    @property
    def valid(self) -> bool:
        """Whether its signature is that of its key."""
        return verify(_mutable_signed(self.seq, self.value), self.signature, self.public_key)

    def encode_put(self) -> bytes:
        """The value of MUTABLE_PUT."""
        return self.public_key + self.encode_reply()

    def encode_reply(self) -> bytes:
        """The value of a reply to MUTABLE_GET; it lacks the key, which the requester knows."""
        return bytes(Encoder().uint(self.seq).buffer(self.value).fixed(self.signature, SIGNATURE_SIZE))

    @classmethod
    def decode_put(cls, data: bytes) -> Self:
        """The value in MUTABLE_PUT; raises `DecodeError`. Use it only if it is `valid`."""
        decoder = Decoder(data)
        return cls._read(decoder, decoder.fixed(KEY_SIZE))

    @classmethod
    def decode_reply(cls, data: bytes, public_key: bytes) -> Self:
        """The value in a reply to MUTABLE_GET; raises `DecodeError`. Use it only if it is `valid`."""
        return cls._read(Decoder(data), public_key)

    @classmethod
    def _read(cls, decoder: Decoder, public_key: bytes) -> Self:
        seq, value = decoder.uint(), decoder.buffer()
        if len(value) > MAX_VALUE:
            raise DecodeError(f"A value has at most {MAX_VALUE} bytes, got {len(value)}.")
        return cls(public_key, seq, value, decoder.fixed(SIGNATURE_SIZE))


def encode_least_seq(seq: int) -> bytes:
    """The value of MUTABLE_GET: the least `seq` that is wanted."""
    return bytes(Encoder().uint(seq))


def decode_least_seq(data: bytes) -> int:
    """The least `seq` in MUTABLE_GET; raises `DecodeError`."""
    return Decoder(data).uint()


def check_value(value: bytes) -> None:
    """Raises `UsageError` for a value that cannot be stored; an immutable one is stored at its `blake2b_256`."""
    if not 0 < len(value) <= MAX_VALUE:
        raise UsageError(f"The DHT stores values of 1 to {MAX_VALUE} bytes, this one has {len(value)}.")


def _mutable_signed(seq: int, value: bytes) -> bytes:
    signed = bytes(Encoder().uint(seq).buffer(value))
    return signing_context(DhtCommand.MUTABLE_PUT) + blake2b_256(signed)


def _write_record(encoder: Encoder, record: PeerRecord) -> Encoder:
    relays = list(record.relays[:MAX_RELAYS])
    return encoder.fixed(record.public_key, KEY_SIZE).array(relays, lambda encoder, node: encoder.ipv4_address(*node))


def _read_fields(decoder: Decoder) -> tuple[bytes, tuple[Address, ...]]:
    public_key = decoder.fixed(KEY_SIZE)
    return public_key, tuple(decoder.array(Decoder.ipv4_address)[:MAX_RELAYS])


def _read_record(decoder: Decoder) -> PeerRecord:
    return PeerRecord(*_read_fields(decoder))
