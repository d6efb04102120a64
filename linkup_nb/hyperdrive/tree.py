"""The B-tree of a Hyperbee: nodes that blocks hold in their indexes, and how they change.

Format: the npm package `hyperbee` 2.27. A block holds the nodes that its change rewrote; a node holds the numbers of
the blocks whose keys stand in it, and where its children are: in which block, and at which place of its index.
"""

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import NamedTuple

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdrive.protobuf import BYTES, field, fields, packed, unpack

MIN_KEYS = 4
MAX_KEYS = 8
MAX_DEPTH = 32  # levels; a tree of 2^31 keys has 14
MAX_NODES = 256  # in one block, which rewrites a few on each level
MAX_NODE = 512  # bytes of the keys, and of the children, of a node in a block

_INDEX, _KEY, _VALUE = 1, 2, 3
_LEVEL = 1
_KEYS, _CHILDREN = 1, 2


class Block(NamedTuple):
    """One change of a bee: a key, its value or `None` for its deletion, and the index of nodes that it rewrote."""

    seq: int
    key: bytes
    value: bytes | None
    nodes: bytes

    @classmethod
    def decode(cls, seq: int, data: bytes) -> "Block":
        """Read a block. Raises `DecodeError`."""
        usual = _split(data)
        if usual:
            return cls(seq, *usual)
        index, key, value = b"", None, None
        for number, content in fields(data):
            if number == _INDEX:
                index = content
            elif number == _KEY:
                key = content
            elif number == _VALUE:
                value = content
        if key is None:
            raise DecodeError(f"Block {seq} is not one of a bee: it has no key.")
        return cls(seq, key, value, index)

    def levels(self) -> list[tuple[list[int], list[int]]]:
        """The keys and the children of each node of the index. Raises `DecodeError`."""
        return [_level(content) for content in self._levels()]

    def level(self, offset: int) -> tuple[list[int], list[int]]:
        """The keys and the children of one node of the index. Raises `DecodeError`."""
        levels = self._levels()
        if offset >= len(levels):
            raise DecodeError(f"Block {self.seq} has no node {offset}.")
        return _level(levels[offset])

    def _levels(self) -> list[bytes]:
        levels = [content for number, content in islice(fields(self.nodes), MAX_NODES + 1) if number == _LEVEL]
        if len(levels) > MAX_NODES:
            raise DecodeError(f"Block {self.seq} has over {MAX_NODES} nodes.")
        return levels


def _split(data: bytes) -> tuple[bytes, bytes | None, bytes] | None:
    """Key, value and index of a block as nearly all are: these fields in their order, each shorter than 16 KiB."""
    at, parts = 0, []
    try:
        for number in (_INDEX, _KEY, _VALUE):
            if data[at] != number << 3 | BYTES:
                return None
            size, at = data[at + 1], at + 2
            if size >= 0x80:
                if data[at] >= 0x80:
                    return None
                size, at = size & 0x7F | data[at] << 7, at + 1
            parts.append(data[at : at + size])
            at += size
    except IndexError:
        return None
    return (parts[1], parts[2], parts[0]) if at == len(data) else None


def _level(data: bytes) -> tuple[list[int], list[int]]:
    keys: list[int] = []
    children: list[int] = []
    for number, content in fields(data):
        if len(content) > MAX_NODE:
            raise DecodeError(f"A node has at most {MAX_KEYS} keys, not {len(content)} bytes of them.")
        if number == _KEYS:
            keys = unpack(content)
        elif number == _CHILDREN:
            children = unpack(content)
    if len(children) % 2 or (children and len(children) != 2 * len(keys) + 2):
        raise DecodeError(f"A node of {len(keys)} keys has {len(children) / 2:g} children.")
    return keys, children


class Child:
    """Where a node is, and the node itself once it has been looked at."""

    __slots__ = ("node", "offset", "seq")

    def __init__(self, seq: int, offset: int, node: "TreeNode | None" = None) -> None:
        self.seq = seq
        self.offset = offset
        self.node = node


class TreeNode:
    """A node in memory: the blocks of its keys, the keys as far as they have been looked at, its children."""

    __slots__ = ("changed", "children", "seqs", "texts")

    def __init__(self, seqs: list[int], texts: list[bytes | None], children: list[Child]) -> None:
        self.seqs = seqs
        self.texts = texts
        self.children = children
        self.changed = False

    @classmethod
    def of(cls, block: Block, offset: int) -> "TreeNode":
        """The node at a place in a block's index. Raises `DecodeError` if there is none."""
        keys, children = block.level(offset)
        # The tree of a version is made of the blocks up to it, and every node but the root of an empty tree has keys.
        seqs = (*keys, *children[::2])
        known = not seqs or 0 < min(seqs) <= max(seqs) <= block.seq
        if not known or (children and not keys) or len(keys) > MAX_KEYS:
            raise DecodeError(f"Node {offset} of block {block.seq} has {len(keys)} keys, or names a block after it.")
        pairs = [Child(seq, place) for seq, place in zip(children[::2], children[1::2], strict=True)]
        return cls(keys, [block.key if seq == block.seq else None for seq in keys], pairs)

    def insert(self, at: int, seq: int, text: bytes | None, right: Child | None = None) -> None:
        """Add a key, and the child to its right."""
        self.seqs.insert(at, seq)
        self.texts.insert(at, text)
        if right:
            self.children.insert(at + 1, right)
        self.changed = True

    def take(self, at: int) -> tuple[int, bytes | None]:
        """Remove a key."""
        self.changed = True
        return self.seqs.pop(at), self.texts.pop(at)

    def split(self) -> tuple[int, bytes | None, "TreeNode"]:
        """Give the upper half away; the key between the halves, and the node of the upper one."""
        half = len(self.seqs) // 2
        right = TreeNode(self.seqs[half + 1 :], self.texts[half + 1 :], self.children[half + 1 :])
        seq, text = self.seqs[half], self.texts[half]
        del self.seqs[half:], self.texts[half:], self.children[half + 1 :]
        self.changed = right.changed = True
        return seq, text, right

    def merge(self, seq: int, text: bytes | None, right: "TreeNode") -> None:
        """Take everything of the node to the right, and the key between."""
        self.seqs += [seq, *right.seqs]
        self.texts += [text, *right.texts]
        self.children += right.children
        self.changed = True

    def number(self, seq: int, index: list[Child | None]) -> int:
        """Give every changed node below a place in the index of block `seq`; the place of this one."""
        offset = len(index)
        index.append(None)
        self.changed = False
        for child in self.children:
            if child.node and child.node.changed:
                child.seq = seq
                child.offset = child.node.number(seq, index)
                index[child.offset] = child
        return offset

    def encode(self) -> bytes:
        """The node as it stands in an index."""
        out = field(_KEYS, packed(self.seqs)) if self.seqs else b""
        if self.children:
            out += field(_CHILDREN, packed([part for child in self.children for part in (child.seq, child.offset)]))
        return out


class TreeChange:
    """A block to be written, and the nodes for its index."""

    __slots__ = ("index", "key", "seq", "value")

    def __init__(self, seq: int, key: bytes, value: bytes | None, root: TreeNode) -> None:
        self.seq = seq
        self.key = key
        self.value = value
        self.index: list[Child | None] = []
        root.number(seq, self.index)
        self.index[0] = Child(seq, 0, root)

    def drop_superseded(self) -> None:
        """Leave out the root, and nodes that a later change of the batch rewrote; fill the holes from the end."""
        index = self.index
        index[0] = None
        at = 0
        while at < len(index):
            child = index[at]
            if child and child.seq == self.seq:
                child.offset = at
                at += 1
            elif at == len(index) - 1:
                index.pop()
            else:
                index[at] = index.pop()

    def encode(self) -> bytes:
        """The block."""
        levels = b"".join(field(_LEVEL, child.node.encode()) for child in self.index if child and child.node)
        out = field(_INDEX, levels) + field(_KEY, self.key)
        return out if self.value is None else out + field(_VALUE, self.value)


LoadBlock = Callable[[int], Awaitable[Block]]


class Tree:
    """The tree of one version, its nodes loaded as they are needed."""

    def __init__(self, root: TreeNode, load: LoadBlock) -> None:
        self.root = root
        self.loaded = 0
        self._load = load

    async def child(self, node: TreeNode, at: int) -> TreeNode:
        """The child `at` of a node."""
        child = node.children[at]
        if child.node is None:
            child.node = TreeNode.of(await self._load(child.seq), child.offset)
            self.loaded += 1
            if not child.node.seqs:
                raise DecodeError(f"Node {child.offset} of block {child.seq} is empty, and not a root.")
        return child.node

    async def text(self, node: TreeNode, at: int) -> bytes:
        """The key `at` of a node."""
        text = node.texts[at]
        if text is None:
            text = node.texts[at] = (await self._load(node.seqs[at])).key
        return text

    async def search(self, node: TreeNode, key: bytes) -> tuple[int, bool]:
        """Where in a node the key is, or would be; and whether it is."""
        low, high = 0, len(node.seqs)
        while low < high:
            middle = low + high >> 1
            text = node.texts[middle] or await self.text(node, middle)
            if text == key:
                return middle, True
            if key < text:
                high = middle
            else:
                low = middle + 1
        return low, False

    async def find(self, key: bytes) -> int | None:
        """The block of the key, `None` if the tree lacks it."""
        node = self.root
        for _ in range(MAX_DEPTH):
            at, found = await self.search(node, key)
            if found:
                return node.seqs[at]
            if not node.children:
                return None
            node = node.children[at].node or await self.child(node, at)
        raise DecodeError(f"A tree of more than {MAX_DEPTH} levels.")

    async def put(self, seq: int, key: bytes) -> None:
        """Let the key stand for the block `seq`."""
        path: list[tuple[TreeNode, int]] = []
        node = self.root
        while True:
            node.changed = True
            at, found = await self.search(node, key)
            if found:
                node.seqs[at] = seq
                return
            if not node.children:
                break
            _push(path, node, at)
            node = await self.child(node, at)
        node.insert(at, seq, key)
        while len(node.seqs) > MAX_KEYS:
            median, text, right = node.split()
            if not path:
                self.root = TreeNode([median], [text], [Child(0, 0, node), Child(0, 0, right)])
                self.root.changed = True
                return
            node, at = path.pop()
            node.insert(at, median, text, Child(0, 0, right))

    async def delete(self, key: bytes) -> bool:
        """Take the key out; whether it was there."""
        path: list[tuple[TreeNode, int]] = []
        node = self.root
        while True:
            at, found = await self.search(node, key)
            if found:
                break
            if not node.children:
                return False
            _push(path, node, at)
            node = await self.child(node, at)
        for passed, _ in path:
            passed.changed = True
        if node.children:
            await self._take_nearest(node, at, path)
        else:
            node.take(at)
            path.append((node, 0))
        await self._rebalance(path)
        return True

    async def _take_nearest(self, node: TreeNode, at: int, path: list[tuple[TreeNode, int]]) -> None:
        """Put the key before or after in the place of a key of an inner node, out of the fuller leaf."""
        before, after = await self._edge(node, at, last=True), await self._edge(node, at + 1, last=False)
        from_left = len(before[-1][0].seqs) >= len(after[-1][0].seqs)
        leaf = (before if from_left else after)[-1][0]
        node.seqs[at], node.texts[at] = leaf.take(-1 if from_left else 0)
        node.changed = True
        path.append((node, at if from_left else at + 1))
        for passed, turn in before if from_left else after:
            passed.changed = True
            path.append((passed, turn))

    async def _edge(self, node: TreeNode, at: int, *, last: bool) -> list[tuple[TreeNode, int]]:
        """The nodes from a child down along its last, or first, children."""
        path: list[tuple[TreeNode, int]] = []
        while True:
            node = await self.child(node, at)
            at = len(node.children) - 1 if last else 0
            _push(path, node, max(at, 0))
            if not node.children:
                return path

    async def _rebalance(self, path: list[tuple[TreeNode, int]]) -> None:
        """Fill nodes that have become too small, from the leaf up."""
        while len(path) > 1:
            node, _ = path.pop()
            if len(node.seqs) >= MIN_KEYS:
                return
            parent, at = path[-1]
            if await self._borrow(parent, at, node):
                return
            if at > 0:
                left, right, at = await self.child(parent, at - 1), node, at - 1
            else:
                left, right = node, await self.child(parent, 1)
            left.merge(*parent.take(at), right)
            del parent.children[at + 1]
        root = self.root
        if not root.seqs and root.children:
            self.root = await self.child(root, 0)
            self.root.changed = True

    async def _borrow(self, parent: TreeNode, at: int, node: TreeNode) -> bool:
        """Move a key from a sibling that can spare one over the parent to this node."""
        if at > 0:
            left = await self.child(parent, at - 1)
            if len(left.seqs) > MIN_KEYS:
                node.insert(0, parent.seqs[at - 1], parent.texts[at - 1])
                if left.children:
                    node.children.insert(0, left.children.pop())
                parent.seqs[at - 1], parent.texts[at - 1] = left.take(-1)
                return True
        if at + 1 < len(parent.children):
            right = await self.child(parent, at + 1)
            if len(right.seqs) > MIN_KEYS:
                node.insert(len(node.seqs), parent.seqs[at], parent.texts[at])
                if right.children:
                    node.children.append(right.children.pop(0))
                parent.seqs[at], parent.texts[at] = right.take(0)
                return True
        return False


def _push(path: list[tuple[TreeNode, int]], node: TreeNode, at: int) -> None:
    """Go one level down. Raises `DecodeError` when there are too many."""
    if len(path) >= MAX_DEPTH:
        raise DecodeError(f"A tree of more than {MAX_DEPTH} levels.")
    path.append((node, at))
