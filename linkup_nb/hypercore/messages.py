"""The messages of `hypercore/alpha`, the protocol by which peers replicate logs.

Format: the npm package `hypercore` 11.37.1, `lib/messages.js`. The number of a message is its place in `TYPES`.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Self

from linkup_nb.errors import DecodeError, ProtocolError
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import HASH_SIZE, MerkleNode
from linkup_nb.hypercore.proof import BlockProof, HashProof, Proof, ProofRequest, SeekProof, UpgradeProof
from linkup_nb.wire.compact import Decoder, Encoder, encode_uint

MAX_PROOF_NODES = 128  # in one list; a path is as long as its tree is deep, an upgrade at most two paths

_BLOCK, _HASH, _SEEK, _UPGRADE, _MANIFEST, _PRIORITY = 1, 2, 4, 8, 16, 32
_CAN_UPGRADE, _UPLOADING, _DOWNLOADING, _HAS_MANIFEST, _ALLOW_PUSH = 1, 2, 4, 8, 16
_DROP, _ONE = 1, 2


class Refusal(IntEnum):
    """Why a request is answered with no data."""

    NOT_AVAILABLE = 1
    INVALID_REQUEST = 2


class Handshake(NamedTuple):
    """What opens the channel: proof that its sender knows the log's key, which itself is never sent."""

    capability: bytes
    seeks: bool = True

    def encode(self) -> bytes:
        return bytes(Encoder().uint(self.seeks).fixed(self.capability, HASH_SIZE))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        seeks = bool(source.uint() & 1)
        return cls(source.fixed(HASH_SIZE), seeks)


class Sync(NamedTuple):
    """The sender's head, and the last length of ours that it received (0 when the forks differ)."""

    fork: int
    length: int
    remote_length: int
    can_upgrade: bool = True
    uploading: bool = True
    downloading: bool = True
    has_manifest: bool = False
    allow_push: bool = False

    def encode(self) -> bytes:
        flags = _CAN_UPGRADE * self.can_upgrade | _UPLOADING * self.uploading | _DOWNLOADING * self.downloading
        flags |= _HAS_MANIFEST * self.has_manifest | _ALLOW_PUSH * self.allow_push
        return bytes(Encoder().uint(flags).uint(self.fork).uint(self.length).uint(self.remote_length))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        flags = source.uint()
        head = (source.uint(), source.uint(), source.uint())
        bits = (_CAN_UPGRADE, _UPLOADING, _DOWNLOADING, _HAS_MANIFEST, _ALLOW_PUSH)
        return cls(*head, *(bool(flags & bit) for bit in bits))


class DataRequest(NamedTuple):
    """A request for a proof."""

    id: int
    fork: int
    wanted: ProofRequest
    manifest: bool = False
    priority: int = 0

    def encode(self) -> bytes:
        block, hash_, seek, upgrade = self.wanted
        if block and hash_ is None and seek is None and upgrade is None and not self.priority:
            # Nearly all requests and answers are about a lone block.
            flags = _BLOCK | _MANIFEST if self.manifest else _BLOCK
            return b"".join(map(encode_uint, (flags, self.id, self.fork, *block)))
        out = Encoder()
        flags = _MANIFEST * self.manifest | _PRIORITY * bool(self.priority)
        for bit, part in zip((_BLOCK, _HASH, _SEEK, _UPGRADE), self.wanted, strict=True):
            flags |= bit * (part is not None)
        out.uint(flags).uint(self.id).uint(self.fork)
        for part in self.wanted:
            if part is not None:
                out.uint(part[0]).uint(part[1])
        if self.priority:
            out.uint(self.priority)
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        uint = source.uint
        flags, request, fork = uint(), uint(), uint()
        if flags == _BLOCK:
            return cls(request, fork, ProofRequest((uint(), uint())))
        bits = (_BLOCK, _HASH, _SEEK, _UPGRADE)
        wanted = ProofRequest(*((source.uint(), source.uint()) if flags & bit else None for bit in bits))
        priority = source.uint() if flags & _PRIORITY else 0
        return cls(request, fork, wanted, bool(flags & _MANIFEST), priority)


class Cancel(NamedTuple):
    """The request of this id is no longer of interest."""

    request: int

    def encode(self) -> bytes:
        return bytes(Encoder().uint(self.request))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        return cls(Decoder(data).uint())


class Data(NamedTuple):
    """The answer to a request."""

    request: int
    fork: int
    proof: Proof
    manifest: Manifest | None = None

    def encode(self) -> bytes:
        block, hash_, seek, upgrade = self.proof
        if block and not (hash_ or seek or upgrade or self.manifest):
            _, value, nodes = block
            head = map(encode_uint, (_BLOCK, self.request, self.fork, block.index, len(value)))
            parts = [*head, value, encode_uint(len(nodes))]
            for index, size, digest in nodes:
                parts += (encode_uint(index), encode_uint(size), digest)
            return b"".join(parts)
        out = Encoder()
        flags = _BLOCK * bool(block) | _HASH * bool(hash_) | _SEEK * bool(seek) | _UPGRADE * bool(upgrade)
        out.uint(flags | _MANIFEST * bool(self.manifest)).uint(self.request).uint(self.fork)
        if block:
            _put_nodes(out.uint(block.index).buffer(block.value), block.nodes)
        if hash_:
            _put_nodes(out.uint(hash_.index), hash_.nodes)
        if seek:
            _put_nodes(out.uint(seek.bytes), seek.nodes)
        if upgrade:
            _put_nodes(out.uint(upgrade.start).uint(upgrade.length), upgrade.nodes)
            _put_nodes(out, upgrade.additional)
            out.buffer(upgrade.signature)
        if self.manifest:
            out.raw(self.manifest.encode())
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        flags, request, fork = source.uint(), source.uint(), source.uint()
        if flags == _BLOCK:
            return cls(request, fork, Proof(BlockProof(source.uint(), source.buffer(), _get_nodes(source))))
        proof = Proof(
            BlockProof(source.uint(), source.buffer(), _get_nodes(source)) if flags & _BLOCK else None,
            HashProof(source.uint(), _get_nodes(source)) if flags & _HASH else None,
            SeekProof(source.uint(), _get_nodes(source)) if flags & _SEEK else None,
            UpgradeProof(source.uint(), source.uint(), _get_nodes(source), _get_nodes(source), source.buffer())
            if flags & _UPGRADE
            else None,
        )
        return cls(request, fork, proof, Manifest.read(source) if flags & _MANIFEST else None)


class NoData(NamedTuple):
    """A request that is not answered with data."""

    request: int
    reason: int = Refusal.NOT_AVAILABLE

    def encode(self) -> bytes:
        return bytes(Encoder().uint(self.request).uint(1).uint(self.reason))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        request = source.uint()
        flags = source.uint() if source.remaining else 0  # older peers send the id alone
        return cls(request, source.uint() if flags & 1 else Refusal.NOT_AVAILABLE)


class Want(NamedTuple):
    """A request for the blocks of a range that the peer has, or with `any`, for whether it has one at all."""

    start: int
    length: int
    any: bool = False

    def encode(self) -> bytes:
        out = Encoder().uint(self.start).uint(self.length)
        return bytes(out.uint(1) if self.any else out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        span = (source.uint(), source.uint())
        return cls(*span, bool(source.remaining and source.uint() & 1))


class Unwant(Want):
    """The end of a `Want`."""


class HaveBitfield(NamedTuple):
    """Which blocks the sender has: bit i of word w is block start + 32 w + i; a word is 4 bytes of `words`."""

    start: int
    words: bytes

    def encode(self) -> bytes:
        return bytes(Encoder().uint(self.start).uint(len(self.words) // 4).raw(self.words))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        start = source.uint()
        return cls(start, source.fixed(4 * source.uint()))


class Range(NamedTuple):
    """Blocks that the sender has, or with `drop`, has no longer."""

    start: int
    length: int
    drop: bool = False

    def encode(self) -> bytes:
        out = Encoder().uint(_DROP * self.drop | _ONE * (self.length == 1)).uint(self.start)
        return bytes(out if self.length == 1 else out.uint(self.length))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        flags, start = source.uint(), source.uint()
        return cls(start, 1 if flags & _ONE else source.uint(), bool(flags & _DROP))


class Extension(NamedTuple):
    """A message of an application; an empty name is the name of the sender's last one."""

    name: str
    payload: bytes

    def encode(self) -> bytes:
        return bytes(Encoder().string(self.name).raw(self.payload))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        source = Decoder(data)
        return cls(source.string(), source.raw())


Message = Sync | DataRequest | Cancel | Data | NoData | Want | Unwant | HaveBitfield | Range | Extension
TYPES: tuple[type[Message], ...] = (
    Sync,
    DataRequest,
    Cancel,
    Data,
    NoData,
    Want,
    Unwant,
    HaveBitfield,
    Range,
    Extension,
)
NUMBERS = {kind: number for number, kind in enumerate(TYPES)}


def decode(number: int, payload: bytes) -> Message:
    """Read a message; raises `DecodeError`, or `ProtocolError` for a number that the protocol does not have."""
    if number >= len(TYPES):
        raise ProtocolError(f"The protocol hypercore/alpha has no message {number}.")
    return TYPES[number].decode(payload)


def _put_nodes(out: Encoder, nodes: Sequence[MerkleNode]) -> None:
    out.uint(len(nodes))
    for node in nodes:
        out.uint(node.index).uint(node.size).raw(node.hash)


def _get_nodes(source: Decoder) -> list[MerkleNode]:
    count = source.uint()
    if count > MAX_PROOF_NODES:
        raise DecodeError(f"A proof lists at most {MAX_PROOF_NODES} nodes, got {count}.")
    return [MerkleNode(source.uint(), source.uint(), source.fixed(HASH_SIZE)) for _ in range(count)]
