"""Manifests: who may sign a log. The hash of its manifest is a log's key.

Format: the npm package `hypercore` 11.37.1, `lib/messages.js`. Almost every log has version 1 and one signer; other
versions, several signers and prologues are read and verified too. Logs that npm's `hypercore` makes with `compat` have
no manifest: their key is the public key of their author.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from linkup_nb.errors import DecodeError, InvalidProof
from linkup_nb.hypercore import multisig
from linkup_nb.hypercore.merkle import HASH_SIZE, MerkleNode
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KEY_SIZE, SIGNATURE_SIZE, KeyPair, blake2b_256, namespace, verify

MAX_SIGNERS = 255
MAX_LINKED = 255  # other logs that a manifest names

_TREE, _, _, _MANIFEST, DEFAULT_NAMESPACE = namespace("hypercore", list(range(5)))
(_BLOBS,) = namespace("hyperdrive", [0])
_ALLOW_PATCH, _PROLOGUE, _LINKED, _USER_DATA = 1, 2, 4, 8
_STATIC, _SINGLE, _MULTI = range(3)
_VERSIONS = range(4)


@dataclass(frozen=True, slots=True)
class Signer:
    """A public key that may sign, and 32 bytes that keep its signatures for one purpose apart from others."""

    public_key: bytes
    namespace: bytes = DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class Prologue:
    """The tree that a log must begin with."""

    hash: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Who may sign a log, and how many of them must."""

    signers: tuple[Signer, ...]
    quorum: int = 1
    version: int = 1
    allow_patch: bool = False
    prologue: Prologue | None = None
    linked: tuple[bytes, ...] = ()
    user_data: bytes = b""

    @classmethod
    def of(cls, public_key: bytes) -> Self:
        """The manifest of an ordinary log that one key signs."""
        return cls((Signer(public_key),))

    @property
    def key(self) -> bytes:
        """The 32-byte key of the log."""
        return blake2b_256(_MANIFEST + self.encode())

    def for_blobs(self, key: bytes) -> Self:
        """The manifest of the log of file contents that belongs to a drive, whose own manifest and key these are."""
        signers = tuple(replace(s, namespace=blake2b_256(_BLOBS + key + s.namespace)) for s in self.signers)
        return replace(self, signers=signers, prologue=None, linked=(), user_data=b"")

    def encode(self) -> bytes:
        """The bytes whose hash is the key."""
        out = Encoder().uint(self.version)
        if self.version == 0:
            return self._encode_first(out)
        flags = _ALLOW_PATCH * self.allow_patch
        flags |= _PROLOGUE * bool(self.prologue) | _LINKED * bool(self.linked) | _USER_DATA * bool(self.user_data)
        out.uint(flags).uint(0).uint(self.quorum).array(list(self.signers), _put_signer)
        if self.prologue:
            out.fixed(self.prologue.hash, HASH_SIZE).uint(self.prologue.length)
        if self.linked:
            out.array(list(self.linked), lambda to, key: to.fixed(key, KEY_SIZE))
        if self.user_data:
            out.buffer(self.user_data)
        return bytes(out)

    def _encode_first(self, out: Encoder) -> bytes:
        out.uint(0)
        if self.prologue:
            out.uint(_STATIC).fixed(self.prologue.hash, HASH_SIZE)
        elif self.quorum == 1 and len(self.signers) == 1 and not self.allow_patch:
            _put_signer(out.uint(_SINGLE), self.signers[0])
        else:
            out.uint(_MULTI).uint(self.allow_patch).uint(self.quorum).array(list(self.signers), _put_signer)
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the bytes of `encode`; raises `DecodeError`."""
        return cls.read(Decoder(data))

    @classmethod
    def read(cls, source: Decoder) -> Self:
        """Read a manifest that stands in a longer message; raises `DecodeError`."""
        version = source.uint()
        if version not in _VERSIONS:
            raise DecodeError(f"A manifest of version {version}; this program knows {_VERSIONS[0]} to {_VERSIONS[-1]}.")
        flags = source.uint() if version else 0
        if hash_type := source.uint():
            raise DecodeError(f"A manifest that hashes by method {hash_type}; this program knows 0, BLAKE2b.")
        if version == 0:
            return cls._read_first(source)
        quorum = source.uint()
        signers = _get_signers(source)
        prologue = Prologue(source.fixed(HASH_SIZE), source.uint()) if flags & _PROLOGUE else None
        linked = source.array(lambda s: s.fixed(KEY_SIZE)) if flags & _LINKED else []
        if len(linked) > MAX_LINKED:
            raise DecodeError(f"A manifest names at most {MAX_LINKED} logs, got {len(linked)}.")
        user_data = source.buffer() if flags & _USER_DATA else b""
        return cls(signers, quorum, version, bool(flags & _ALLOW_PATCH), prologue, tuple(linked), user_data)

    @classmethod
    def _read_first(cls, source: Decoder) -> Self:
        kind = source.uint()
        if kind == _STATIC:
            return cls((), 0, 0, prologue=Prologue(source.fixed(HASH_SIZE), 0))
        if kind == _SINGLE:
            return cls((_get_signer(source),), 1, 0)
        if kind != _MULTI:
            raise DecodeError(f"A manifest of kind {kind}; this program knows {_STATIC} to {_MULTI}.")
        flags, quorum = source.uint(), source.uint()
        return cls(_get_signers(source), quorum, 0, bool(flags & _ALLOW_PATCH))

    def signable(self, key: bytes, tree_hash: bytes, length: int, fork: int, signer: int = 0) -> bytes:
        """The 112 bytes that a signer signs."""
        context = key if self.version else self.signers[signer].namespace
        return _TREE + context + tree_hash + length.to_bytes(8, "little") + fork.to_bytes(8, "little")

    def sign(self, key_pair: KeyPair, key: bytes, tree_hash: bytes, length: int, fork: int) -> bytes:
        """What the only signer of a log puts beside its head."""
        signature = key_pair.sign(self.signable(key, tree_hash, length, fork))
        # A list of (signer, signature, patch length), then a list of patch nodes.
        return b"\x01\x00" + signature + b"\x00\x00" if self.version else signature

    def verify(
        self, signature: bytes, key: bytes, tree_hash: bytes, length: int, fork: int, roots: Sequence[MerkleNode] = ()
    ) -> None:
        """Raises `InvalidProof` unless enough signers signed a tree of this hash, length and fork.

        `roots` are those of the tree; some signers may have signed one that grows out of it.
        """
        if self.prologue and length <= self.prologue.length:
            if (length, tree_hash) != (self.prologue.length, self.prologue.hash):
                raise InvalidProof(f"A head at length {length} that is not the prologue of its log.")
            return
        if not self.signers or not self.quorum:
            raise InvalidProof("A head of a log that nobody may sign.")
        nodes: dict[int, MerkleNode] = {}
        if self.version == 0 and len(self.signers) == 1 and not self.allow_patch:
            signatures = [multisig.Signature(0, signature, 0)]
        else:
            signatures, nodes = multisig.read(signature, self.version)
        signatures = signatures[: self.quorum]
        if len({one.signer for one in signatures}) < self.quorum:
            raise InvalidProof(f"A head signed by {len(signatures)} where {self.quorum} must sign.")
        for signer, one, patch in signatures:
            if signer >= len(self.signers):
                raise InvalidProof(f"A signature by signer {signer} of {len(self.signers)}.")
            tree, signed = tree_hash, length
            if patch:
                if not self.allow_patch:
                    raise InvalidProof("A patched signature, which the manifest of this log does not allow.")
                longer = multisig.patched(roots, patch, nodes)
                tree, signed = longer.hash(), longer.length
            if not verify(self.signable(key, tree, signed, fork, signer), one, self.signers[signer].public_key):
                raise InvalidProof(f"The signature of the head at length {length}, fork {fork} is not its author's.")


def verify_bare(signature: bytes, key: bytes, tree_hash: bytes, length: int, fork: int) -> None:
    """Raises `InvalidProof` unless the key itself, of a log without a manifest, signed a tree."""
    signed = _TREE + tree_hash + length.to_bytes(8, "little") + fork.to_bytes(8, "little")
    if len(signature) != SIGNATURE_SIZE or not verify(signed, signature, key):
        raise InvalidProof("A head without the manifest that says who may sign it, and not signed by the key either.")


def _put_signer(out: Encoder, signer: Signer) -> None:
    out.uint(0).fixed(signer.namespace, HASH_SIZE).fixed(signer.public_key, KEY_SIZE)


def _get_signer(source: Decoder) -> Signer:
    if kind := source.uint():
        raise DecodeError(f"A signer of kind {kind}; this program knows 0, Ed25519.")
    own_namespace = source.fixed(HASH_SIZE)
    return Signer(source.fixed(KEY_SIZE), own_namespace)


def _get_signers(source: Decoder) -> tuple[Signer, ...]:
    signers = source.array(_get_signer)
    if len(signers) > MAX_SIGNERS:
        raise DecodeError(f"A manifest has at most {MAX_SIGNERS} signers, got {len(signers)}.")
    return tuple(signers)
