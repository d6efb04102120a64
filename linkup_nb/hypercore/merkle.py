"""The Merkle tree of a log: what its nodes hash, and how it grows.

The hashes are BLAKE2b-256 with one leading byte that says what is hashed, as `hypercore-crypto` does it.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from linkup_nb.hypercore import flat

HASH_SIZE = 32  # bytes

_LEAF, _PARENT, _ROOT = 0, 1, 2
_ONE_CALL = 4096  # bytes; below this, joining prefix and block costs less than a second call
_prefix = Struct("<BQ").pack
_u64_pair = Struct("<QQ").pack
_node = tuple.__new__  # half the price of MerkleNode(...)


class MerkleNode(NamedTuple):
    """One node of the tree: its number, the bytes of the blocks under it, and its hash."""

    index: int  # type: ignore[assignment]  # hides tuple.index, for which a node has no use
    size: int
    hash: bytes


FindNode = Callable[[int], MerkleNode | None]
"""Gives the node of a number from wherever the tree is kept, `None` if it is not there."""


def leaf_hash(block: bytes) -> bytes:
    """The hash of the leaf over `block`."""
    prefix = _prefix(_LEAF, len(block))
    if len(block) <= _ONE_CALL:
        return blake2b(prefix + block, digest_size=HASH_SIZE).digest()
    state = blake2b(prefix, digest_size=HASH_SIZE)
    state.update(block)
    return state.digest()


def leaf(index: int, block: bytes) -> MerkleNode:
    """The node of the block at `index` (a block number, not a node number)."""
    return MerkleNode(2 * index, len(block), leaf_hash(block))


def parent_hash(size: int, left: bytes, right: bytes) -> bytes:
    """The hash of the node over two hashes; `size` is the bytes of all blocks under it."""
    return blake2b(_prefix(_PARENT, size) + left + right, digest_size=HASH_SIZE).digest()


def parent(left: MerkleNode, right: MerkleNode) -> MerkleNode:
    """The node above two siblings."""
    size = left.size + right.size
    return MerkleNode(left.index + right.index >> 1, size, parent_hash(size, left.hash, right.hash))


def tree_hash(roots: Iterable[MerkleNode]) -> bytes:
    """The hash of a whole tree, which its author signs."""
    parts = [bytes([_ROOT])]
    for node in roots:
        parts += (node.hash, _u64_pair(node.index, node.size))
    return blake2b(b"".join(parts), digest_size=HASH_SIZE).digest()


class Peaks:
    """The roots of a tree while it grows to the right; `added` collects every node that growing made."""

    __slots__ = ("added", "byte_length", "length", "roots")

    def __init__(self, roots: Sequence[MerkleNode] = ()) -> None:
        self.roots = list(roots)
        self.length = sum(flat.leaves(node.index) for node in roots)
        self.byte_length = sum(node.size for node in roots)
        self.added: list[MerkleNode] = []

    def copy(self) -> "Peaks":
        """The same roots, to grow on their own."""
        return Peaks(self.roots)

    def append(self, blocks: Iterable[bytes]) -> None:
        """Grow by one leaf a block."""
        # The work of `push`, written out: this loop is what a large append spends its time in.
        roots, add, length = self.roots, self.added.append, self.length
        for block in blocks:
            index, size, digest = 2 * length, len(block), leaf_hash(block)
            self.byte_length += size
            node = _node(MerkleNode, (index, size, digest))
            add(node)
            width, joins = 1, length
            while joins & 1:
                _, left_size, left_hash = roots.pop()
                index -= width
                size += left_size
                digest = blake2b(_prefix(_PARENT, size) + left_hash + digest, digest_size=HASH_SIZE).digest()
                node = _node(MerkleNode, (index, size, digest))
                add(node)
                width <<= 1
                joins >>= 1
            roots.append(node)
            length += 1
        self.length = length

    def push(self, node: MerkleNode) -> None:
        """Grow by a subtree, which must start at the leaf where this tree ends."""
        self.added.append(node)
        width = 2 * flat.leaves(node.index)  # the distance to its sibling
        self.length += width >> 1
        self.byte_length += node.size
        roots = self.roots
        while roots and roots[-1].index == node.index - width and not roots[-1].index & width:
            node = parent(roots.pop(), node)
            self.added.append(node)
            width <<= 1
        roots.append(node)

    def hash(self) -> bytes:
        """The hash that the author of this tree signs."""
        return tree_hash(self.roots)
