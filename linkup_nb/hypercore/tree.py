"""The Merkle tree of a log at one moment: which of its nodes are here, and which prove a block."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from linkup_nb.arguments import number
from linkup_nb.errors import UsageError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.merkle import MerkleNode, leaf, parent

MAX_LEAVES = 16  # blocks of a log that is taken whole
WINDOW = 8  # blocks that are taken around one of a larger log, a power of two
MAX_HASHED = 1024 * 1024  # bytes of a block that is hashed again; larger ones count as what they were


class NodeState(StrEnum):
    """What a node of a tree is in a picture of it."""

    HELD = "held"
    ABSENT = "absent"
    CHANGED = "changed"  # hashing again what is under it gives another hash than the one that is kept
    WANTED = "wanted"  # the block that is proved
    SIBLING = "sibling"  # has to come with the block
    ROOT = "other root"  # has to come with it too, for all roots are signed together
    COMPUTED = "computed"  # a verifier hashes it


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A node: its number in the flat tree, its state, and its hash and the bytes under it if it is here.

    `block` is whether it is a leaf whose block is here, `hashed` what hashing that block again gives.
    """

    index: int
    state: NodeState
    size: int | None = None
    hash: bytes | None = None
    block: bool = False
    hashed: MerkleNode | None = None

    @property
    def merkle(self) -> MerkleNode | None:
        """The node as it is kept."""
        return None if self.hash is None or self.size is None else MerkleNode(self.index, self.size, self.hash)


@dataclass(frozen=True, slots=True, repr=False)
class Tree:
    """Nodes of the tree of a log of `length` blocks, by number; `wanted` is the block that they prove, if any.

    A log of up to `MAX_LEAVES` blocks is here whole; of a larger one the blocks from `start` to before `end`, at most
    `WINDOW`, what leads from them to their root, and the other roots.
    """

    key: bytes
    length: int
    fork: int
    start: int
    end: int
    nodes: tuple[TreeNode, ...]
    wanted: int | None = None

    def __repr__(self) -> str:
        about = "" if self.wanted is None else f", the path of block {self.wanted}"
        return f"<Tree of {self.length:,} blocks: {len(self.nodes)} nodes{about}>"

    @property
    def roots(self) -> tuple[int, ...]:
        """The numbers of the roots, left to right."""
        return tuple(flat.roots(self.length))

    @property
    def depth(self) -> int:
        """How many levels stand above the leaves."""
        return max(map(flat.depth, self.roots), default=0)

    @property
    def siblings(self) -> tuple[int, ...]:
        """The nodes that come with the wanted block, from the leaf up; nothing without one."""
        return tuple(flat.sibling(index) for index in self._climb()[:-1])

    @property
    def computed(self) -> tuple[int, ...]:
        """The nodes that a verifier hashes, from the one over the leaf up to a root; nothing without a wanted block."""
        return self._climb()[1:]

    def node(self, index: int) -> TreeNode:
        """The node of a number. Raises `UsageError` if it is not among `nodes`."""
        for node in self.nodes:
            if node.index == index:
                return node
        raise UsageError(f"Node {index} is not in this part of the tree: `await core.tree(block)` takes another.")

    def path(self, block: int) -> "Tree":
        """The same nodes, as those that prove a block: its siblings, what a verifier computes, and the other roots.

        What is computed and differs from what is kept is "changed". Raises `UsageError` for a block of another part.
        """
        block = number(block, "the number of a block")
        if not 0 <= block < self.length:
            raise UsageError(f"This core has {self.length} blocks, and no block {block}.")
        found = {node.index: node for node in self.nodes}
        if not self.start <= block < self.end:
            raise UsageError(f"Block {block} is in another part of this tree, which `await core.tree({block})` takes.")
        states = {root: NodeState.ROOT for root in self.roots if found[root].merkle}
        climbed = replace(self, wanted=block)
        computed: MerkleNode | None = found[2 * block].hashed or found[2 * block].merkle
        for index in climbed._climb():
            if index != 2 * block and computed:
                beside = found[flat.sibling(computed.index)].merkle
                computed = beside and _parent(computed, beside)
            if computed:
                kept = NodeState.COMPUTED if index & 1 else NodeState.WANTED
                states[index] = kept if computed == found[index].merkle else NodeState.CHANGED
            elif index == 2 * block:
                states[index] = NodeState.ABSENT
            else:
                states.pop(index, None)
        for index in climbed.siblings:
            if found[index].merkle:
                states[index] = NodeState.SIBLING
        nodes = tuple(replace(node, state=states.get(node.index, node.state)) for node in self.nodes)
        return replace(climbed, nodes=nodes)

    def _climb(self) -> tuple[int, ...]:
        if self.wanted is None:
            return ()
        path = [2 * self.wanted]
        while path[-1] not in self.roots:
            path.append(flat.parent(path[-1]))
        return tuple(path)


async def read_tree(log: Log, length: int, fork: int, block: int | None) -> Tree:
    """The tree over the first `length` blocks, the part of it around `block`, by default the last one."""
    at = max(0, length - 1) if block is None else number(block, "the number of a block")
    if at < 0 or (at >= length and length):
        raise UsageError(f"This core has {length} blocks, and no block {at}.")
    found: dict[int, TreeNode] = {}
    again: dict[int, MerkleNode] = {}
    start, end = _blocks(length, at)
    for index in sorted(_part(length, start, end), key=flat.depth):
        kept = log.find(index)
        is_leaf = not index & 1
        held = is_leaf and log.blocks.has(index // 2)
        hashed = None
        if not is_leaf:
            one, other = (again.get(child) or log.find(child) for child in flat.children(index))
            hashed = _parent(one, other) if one and other else None
        elif held and kept and kept.size <= MAX_HASHED:
            value = log.store.block(log.id, index // 2)
            hashed = None if value is None else leaf(index // 2, value)
            await asyncio.sleep(0)
        if present := hashed or kept:
            again[index] = present
        state = NodeState.HELD if kept else NodeState.ABSENT
        if kept and hashed and hashed != kept:
            state = NodeState.CHANGED
        size, digest = (kept.size, kept.hash) if kept else (None, None)
        found[index] = TreeNode(index, state, size, digest, held, hashed if is_leaf else None)
    return Tree(log.key, length, fork, start, end, tuple(found[index] for index in sorted(found)))


def tree_of_proof(evidence: Evidence) -> Tree | None:
    """What a proof of a block holds, and what its verifier computes; `None` for a proof of no block."""
    block, _, _, upgrade = evidence.proof
    if not block or not upgrade or upgrade.start:
        return None
    given = {node.index: node for node in (*block.nodes, *upgrade.nodes, *upgrade.additional)}
    length = upgrade.length + sum(flat.leaves(node.index) for node in upgrade.additional)
    hashed = leaf(block.index, block.value)
    nodes = {hashed.index: hashed}
    while hashed.index not in flat.roots(length) and (beside := given.get(flat.sibling(hashed.index))):
        hashed = _parent(hashed, beside)
        nodes[hashed.index] = hashed
    nodes |= given
    held = [
        TreeNode(node.index, NodeState.HELD, node.size, node.hash, node.index == 2 * block.index)
        for _, node in sorted(nodes.items())
    ]
    tree = Tree(evidence.key, length, evidence.fork, block.index, block.index + 1, tuple(held))
    return tree if all(root in nodes for root in tree.roots) else None


def _blocks(length: int, block: int) -> tuple[int, int]:
    """The blocks to take around one, from the first to before the second."""
    if length <= MAX_LEAVES:
        return 0, length
    start = block // WINDOW * WINDOW
    return start, min(start + WINDOW, length)


def _part(length: int, start: int, end: int) -> frozenset[int]:
    """The nodes over these blocks, and all roots."""
    roots = frozenset(flat.roots(length))
    return roots | {index for block in range(start, end) for index in _way(2 * block, roots)}


def _way(index: int, roots: frozenset[int]) -> Iterator[int]:
    """A node and its sibling, and so on up to a root."""
    yield index
    while index not in roots:
        yield flat.sibling(index)
        index = flat.parent(index)
        yield index


def _parent(one: MerkleNode, other: MerkleNode) -> MerkleNode:
    return parent(one, other) if one.index < other.index else parent(other, one)
