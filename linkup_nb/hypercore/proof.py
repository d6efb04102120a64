"""Proofs: the few tree nodes that show that a block, a node, a byte offset or a longer tree belongs to a signed log.

A request names what is to be proved and what the requester already has; a proof holds no node that it can
compute. The walks are those of the npm package `hypercore` 11.37.1, so that both ends list the same nodes in the same
order.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from linkup_nb.errors import InvalidProof, InvalidRequest
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.merkle import FindNode, MerkleNode, Peaks, leaf, leaf_hash, parent, parent_hash

MAX_BYTES = 2**53 - 1  # in one log; JavaScript can count no further


class Unrooted(InvalidProof):
    """A proof that ends at a node that is not known here: it may be true."""


class MissingNode(InvalidRequest):
    """A request for proof with a node that the log has, but that is not here."""


class ProofRequest(NamedTuple):
    """What is to be proved.

    `block` and `hash` are (index, nodes): `nodes` is the steps up from there to a node that the requester has,
    `index` a block number for `block`, a node number for `hash`. `seek` is (byte offset, bytes of padding in each
    block), `upgrade` is (start, length) in blocks.
    """

    block: tuple[int, int] | None = None
    hash: tuple[int, int] | None = None
    seek: tuple[int, int] | None = None
    upgrade: tuple[int, int] | None = None


class BlockProof(NamedTuple):
    """A block and the siblings on its way up."""

    index: int  # type: ignore[assignment]  # hides tuple.index
    value: bytes
    nodes: Sequence[MerkleNode]


class HashProof(NamedTuple):
    """A node, then the siblings on its way up."""

    index: int  # type: ignore[assignment]  # hides tuple.index
    nodes: Sequence[MerkleNode]


class SeekProof(NamedTuple):
    """The node in which a byte offset lies, then the siblings on its way up."""

    bytes: int
    nodes: Sequence[MerkleNode]


class UpgradeProof(NamedTuple):
    """The nodes that grow a tree from `start` by `length` blocks; `additional` grows it on to the length signed."""

    start: int
    length: int
    nodes: Sequence[MerkleNode]
    additional: Sequence[MerkleNode]
    signature: bytes


class Proof(NamedTuple):
    """The answer to a `ProofRequest`, part by part."""

    block: BlockProof | None = None
    hash: HashProof | None = None
    seek: SeekProof | None = None
    upgrade: UpgradeProof | None = None


class Verified(NamedTuple):
    """What a proof has shown: the nodes to keep, and the signed tree if it held a longer one."""

    nodes: list[MerkleNode]
    peaks: Peaks | None


def prove(wanted: ProofRequest, length: int, find: FindNode, *, block: bytes = b"", signature: bytes = b"") -> Proof:
    """Answer `wanted` out of a tree of `length` blocks.

    `block` is the wanted block's value, `signature` the tree's. Raises `InvalidRequest` for what this tree cannot show.
    """
    if wanted.block and wanted.hash is None and wanted.seek is None and wanted.upgrade is None:
        return Proof(_prove_path(*wanted.block, length, find, block))
    return prove_parts(wanted, length, find, block=block, signature=signature)


def prove_parts(
    wanted: ProofRequest, length: int, find: FindNode, *, block: bytes = b"", signature: bytes = b""
) -> Proof:
    """The same for any request; `prove` knows a shorter way for a lone block, which is nearly all that is requested."""
    return _Prover(wanted, length, find).prove(block, signature)


def _prove_path(number: int, steps: int, length: int, find: FindNode, block: bytes) -> BlockProof:
    steps = min(steps, (2 * length).bit_length() + 1)
    if number | (1 << steps) - 1 >= length:
        raise InvalidRequest(f"A path of {steps} nodes from block {number} in a log of {length} blocks.")
    index, width = 2 * number, 2
    nodes: list[MerkleNode] = []
    for _ in range(steps):
        beside = index ^ width
        node = find(beside)
        if node is None:
            raise MissingNode(f"Node {beside}, which is not here.")
        nodes.append(node)
        index = index + beside >> 1
        width <<= 1
    return BlockProof(number, block, nodes)


class _Prover:
    """One walk over the tree; holds the lists that the walk fills."""

    def __init__(self, wanted: ProofRequest, length: int, find: FindNode) -> None:
        self._find = find
        self._wanted = wanted
        self._head = 2 * length
        self._target: int | None = None
        self._seek: int | None = None
        self._path: list[MerkleNode] | None = None
        self._seek_path: list[MerkleNode] | None = None

    def prove(self, block: bytes, signature: bytes) -> Proof:
        wanted = self._wanted
        start, to = 0, self._head
        if wanted.upgrade:
            start, to = 2 * wanted.upgrade[0], 2 * sum(wanted.upgrade)
            empty = bool(signature) and start == to == self._head == 0  # an author may sign that nothing is left
            if not (start < to <= self._head or empty):
                raise InvalidRequest(f"An upgrade from {start // 2} to {to // 2} of a log of {self._head // 2} blocks.")
        self._aim(start, to)
        upgrade = None
        if wanted.upgrade:
            nodes = list(self._extend(start, to))
            upgrade = UpgradeProof(*wanted.upgrade, nodes, list(self._extend(to, self._head)), signature)
        return Proof(
            BlockProof(wanted.block[0], block, self._path or []) if wanted.block else None,
            HashProof(wanted.hash[0], self._path or []) if wanted.hash and not wanted.block else None,
            SeekProof(wanted.seek[0], self._seek_path) if wanted.seek and self._seek_path else None,
            upgrade,
        )

    def _aim(self, start: int, to: int) -> None:
        """Find the requested nodes; prove those under a node that the requester has, the rest waits for `_extend`."""
        wanted = self._wanted
        if wanted.block:
            self._target, steps = 2 * wanted.block[0], wanted.block[1]
        elif wanted.hash:
            self._target, steps = wanted.hash
        elif wanted.seek and not wanted.upgrade:
            raise InvalidRequest("A seek with nothing to hang it on.")
        if self._target is not None and flat.right_span(self._target) >= to:
            raise InvalidRequest(f"Node {self._target} of a log of {to // 2} blocks.")
        if self._target is not None and not (wanted.upgrade and flat.left_span(self._target) >= start):
            top = self._target
            for _ in range(min(steps, to.bit_length() + 1)):
                top = flat.parent(top)
            if flat.right_span(top) >= to:
                raise InvalidRequest(f"Node {top} of a log of {to // 2} blocks.")
            if wanted.seek:
                self._seek = self._seek_under(top, *wanted.seek)
            self._climb(top)
        elif wanted.seek:
            self._seek = self._seek_from_start(to, *wanted.seek)

    def _seek_from_start(self, to: int, offset: int, padding: int) -> int:
        for root in flat.roots(to // 2):
            size = self._size(root, padding)
            if offset <= size:
                return root if offset == size else self._descend(root, offset, padding)
            offset -= size
        raise InvalidRequest("A seek past the end.")

    def _seek_under(self, top: int, offset: int, padding: int) -> int:
        offset -= sum(self._size(root, padding) for root in flat.roots(flat.left_span(top) // 2))
        size = self._size(top, padding)
        if not 0 <= offset <= size:
            raise InvalidRequest("A seek outside of the node that it came with.")
        return top if offset == size else self._descend(top, offset, padding)

    def _descend(self, index: int, offset: int, padding: int) -> int:
        """The node under `index` that ends at `offset`, or else the lowest known one that holds it."""
        while offset and index & 1:
            left, right = flat.children(index)
            node = self._find(left)
            if node is None:
                break
            size = node.size - padding * flat.leaves(left)
            if size == offset:
                return left
            if size > offset:
                index = left
            else:
                offset -= size
                index = right
        return index

    def _extend(self, start: int, to: int) -> Iterator[MerkleNode]:
        """The nodes that lead from a tree that ends before node `start` to one that ends before `to`."""
        for index in flat.extension(start // 2, to // 2):
            yield from self._list(index)

    def _list(self, index: int) -> Iterator[MerkleNode]:
        """The node at `index`, unless the requested block or seek proves it."""
        if self._path is None and self._target is not None and _contains(index, self._target):
            self._climb(index)
        elif self._seek_path is None and self._seek is not None and _contains(index, self._seek):
            self._seek_path = self._siblings(self._seek, index)
        else:
            yield self._node(index)

    def _climb(self, top: int) -> None:
        assert self._target is not None
        index = self._target
        self._path = [] if self._wanted.block else [self._node(index)]
        while index != top:
            beside = flat.sibling(index)
            if self._seek is not None and beside != self._seek and _contains(beside, self._seek):
                self._seek_path = self._siblings(self._seek, beside)
            else:
                self._path.append(self._node(beside))
            index = flat.parent(index)

    def _siblings(self, index: int, top: int) -> list[MerkleNode]:
        nodes = [self._node(index)]
        while index != top:
            nodes.append(self._node(flat.sibling(index)))
            index = flat.parent(index)
        return nodes

    def _node(self, index: int) -> MerkleNode:
        node = self._find(index)
        if node is None:
            raise MissingNode(f"Node {index}, which is not here.")
        return node

    def _size(self, index: int, padding: int) -> int:
        return self._node(index).size - padding * flat.leaves(index)


def _contains(index: int, other: int) -> bool:
    return flat.left_span(index) <= other <= flat.right_span(index)


def verify(
    proof: Proof, roots: Sequence[MerkleNode], find: FindNode, authenticate: Callable[[Peaks, bytes], None]
) -> Verified:
    """Check all that `proof` claims against the tree with `roots`, whose nodes `find` gives.

    `authenticate(tree, signature)` must raise unless the log's author signed that tree. Raises `InvalidProof`; nothing
    of the proof may be used then.
    """
    if proof.block and proof.hash is None and proof.seek is None and proof.upgrade is None:
        return Verified(_verify_path(proof.block, find), None)
    return verify_parts(proof, roots, find, authenticate)


def verify_parts(
    proof: Proof, roots: Sequence[MerkleNode], find: FindNode, authenticate: Callable[[Peaks, bytes], None]
) -> Verified:
    """The same for any proof; `verify` knows a shorter way for a lone block."""
    verified: list[MerkleNode] = []
    subtrees: list[MerkleNode] = []
    if proof.seek:
        if not proof.seek.nodes:
            raise InvalidProof("A seek proof without a node")
        subtrees.append(_climb(proof.seek.nodes[0], proof.seek.nodes[1:], subtrees, verified))
    if proof.block:
        node = leaf(proof.block.index, proof.block.value)
        subtrees.append(_climb(node, proof.block.nodes, subtrees, verified))
    elif proof.hash:
        if not proof.hash.nodes or proof.hash.nodes[0].index != proof.hash.index:
            raise InvalidProof(f"Expected node {proof.hash.index} first in a hash proof")
        subtrees.append(_climb(proof.hash.nodes[0], proof.hash.nodes[1:], subtrees, verified))
    peaks = _grow(proof.upgrade, roots, subtrees, verified) if proof.upgrade else None
    for subtree in subtrees:
        known = find(subtree.index)
        if known is None:
            raise Unrooted(f"The proof ends at node {subtree.index}, which is not known here")
        if known != subtree:
            raise InvalidProof(f"Node {subtree.index} does not have the hash that it should have")
    if peaks and proof.upgrade:
        authenticate(peaks, proof.upgrade.signature)
    return Verified(verified, peaks)


def _verify_path(block: BlockProof, find: FindNode) -> list[MerkleNode]:
    """Hash from a block up to a node that is known here; what that shows."""
    number, value, siblings = block
    index, size, digest, width = 2 * number, len(value), leaf_hash(value), 2
    node = MerkleNode(index, size, digest)
    verified = [node]
    for beside in siblings:
        beside_index, beside_size, beside_hash = beside
        if beside_index != index ^ width:
            raise InvalidProof(f"Expected node {index ^ width}, got node {beside_index}")
        size += beside_size
        digest = (
            parent_hash(size, digest, beside_hash) if index < beside_index else parent_hash(size, beside_hash, digest)
        )
        index = index + beside_index >> 1
        width <<= 1
        node = MerkleNode(index, size, digest)
        verified += (beside, node)
    known = find(index)
    if known is None:
        raise Unrooted(f"The proof ends at node {index}, which is not known here")
    if known != node:
        raise InvalidProof(f"Node {index} does not have the hash that it should have")
    return verified


def _climb(
    node: MerkleNode, siblings: Sequence[MerkleNode], subtrees: list[MerkleNode], verified: list[MerkleNode]
) -> MerkleNode:
    """Hash from `node` up along `siblings`; one of `subtrees` may stand in for a sibling, and is used up."""
    verified.append(node)
    rest = iter(siblings)
    given = next(rest, None)
    while True:
        wanted = flat.sibling(node.index)
        if subtrees and subtrees[-1].index == wanted:
            beside = subtrees.pop()
        elif given is None:
            return node
        elif given.index != wanted:
            raise InvalidProof(f"Expected node {wanted}, got node {given.index}")
        else:
            beside = given
            verified.append(given)
            given = next(rest, None)
        node = parent(node, beside) if node.index < wanted else parent(beside, node)
        verified.append(node)


def _grow(
    upgrade: UpgradeProof, roots: Sequence[MerkleNode], subtrees: list[MerkleNode], verified: list[MerkleNode]
) -> Peaks:
    """The tree that the author should have signed; each subtree that it takes up is proved with it, and is used up."""
    peaks = Peaks(roots)
    if peaks.length != upgrade.start:
        raise InvalidProof(f"An upgrade from length {upgrade.start} for a tree of length {peaks.length}")
    end = upgrade.start + upgrade.length
    rest = iter(upgrade.nodes)
    while peaks.length < end:
        node = next((s for s in subtrees if flat.left_span(s.index) == 2 * peaks.length), None)
        if node:
            subtrees.remove(node)
        else:
            node = next(rest, None)
        if node is None:
            raise InvalidProof(f"An upgrade to length {end} that ends at length {peaks.length}")
        _push(peaks, node)
    if peaks.length != end or next(rest, None):
        raise InvalidProof(f"An upgrade to length {end} with nodes beyond it")
    for node in upgrade.additional:
        _push(peaks, node)
    verified += peaks.added
    return peaks


def _push(peaks: Peaks, node: MerkleNode) -> None:
    if peaks.byte_length + node.size > MAX_BYTES:
        raise InvalidProof(f"A log holds at most {MAX_BYTES} bytes.")
    if flat.left_span(node.index) != 2 * peaks.length:
        raise InvalidProof(f"Expected a node that starts at block {peaks.length}, got node {node.index}")
    peaks.push(node)
