"""Signatures of several signers over one head, some of them over a longer tree that grows out of it.

Format: the npm package `hypercore` 11.37.1, `lib/multisig.js`. With the signature of a longer tree come the nodes that
lead to it, the patch.
"""

from collections.abc import Sequence
from typing import NamedTuple

from linkup_nb.errors import DecodeError, InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.merkle import HASH_SIZE, MerkleNode, Peaks
from linkup_nb.wire.compact import Decoder
from linkup_nb.wire.keys import SIGNATURE_SIZE

MAX_PATCH_NODES = 1024  # with one signature


class Signature(NamedTuple):
    """What one signer signed: the head, or with `patch`, the tree that has so many blocks more."""

    signer: int
    signature: bytes
    patch: int


def read(data: bytes, version: int) -> tuple[list[Signature], dict[int, MerkleNode]]:
    """The signatures beside a head, and the nodes of patches, for a manifest of a version. Raises `InvalidProof`."""
    source = Decoder(data)
    try:
        signatures = source.array(_signature if version else _first_signature)
        nodes = source.array(lambda s: MerkleNode(s.uint(), s.uint(), s.fixed(HASH_SIZE)))
    except DecodeError as error:
        raise InvalidProof(f"A signature cannot be read: {error}") from None
    if len(nodes) > MAX_PATCH_NODES:
        raise InvalidProof(f"A patch has at most {MAX_PATCH_NODES} nodes, got {len(nodes)}.")
    return signatures, {node.index: node for node in nodes}


def patched(roots: Sequence[MerkleNode], patch: int, nodes: dict[int, MerkleNode]) -> Peaks:
    """The tree that is `patch` blocks longer. Raises `InvalidProof` if the nodes do not lead there."""
    peaks = Peaks(roots)
    for index in flat.extension(peaks.length, peaks.length + patch):
        node = nodes.get(index)
        if node is None:
            raise InvalidProof(f"A patch by {patch} blocks without node {index}.")
        peaks.push(node)
    return peaks


def _signature(source: Decoder) -> Signature:
    return Signature(source.uint(), source.fixed(SIGNATURE_SIZE), source.uint())


def _first_signature(source: Decoder) -> Signature:
    """As version 0 writes it: the patch is a place, a length, and which of the nodes belong to it."""
    has_patch = source.uint() & 1
    signer, signature = source.uint(), source.fixed(SIGNATURE_SIZE)
    if not has_patch:
        return Signature(signer, signature, 0)
    source.uint()
    length = source.uint()
    source.array(Decoder.uint)
    return Signature(signer, signature, length)
