"""A walk over a range of keys of a bee, page by page; whoever wrote the bee cannot make it go in circles."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdrive.tree import MAX_DEPTH, MAX_KEYS, Block, Tree, TreeNode

PAGE = 256  # entries fetched before they are given out
PAGE_BYTES = 4 * 1024 * 1024  # of their values, after which a page ends early


class Bounds(NamedTuple):
    """Which keys of a range are meant."""

    gt: bytes | None = None
    gte: bytes | None = None
    lt: bytes | None = None
    lte: bytes | None = None

    @property
    def low(self) -> bytes | None:
        """The first key that may lie within."""
        keys = [key for key in (self.gte, None if self.gt is None else self.gt + b"\x00") if key is not None]
        return max(keys, default=None)

    @property
    def high(self) -> bytes | None:
        """The first key that lies beyond."""
        keys = [key for key in (self.lt, None if self.lte is None else self.lte + b"\x00") if key is not None]
        return min(keys, default=None)


class RangeScan:
    """Collects the blocks of at most `limit` keys within the bounds into `found`."""

    def __init__(
        self,
        tree: Tree,
        load: Callable[[int], Awaitable[Block]],
        load_together: Callable[[Sequence[int]], Awaitable[Mapping[int, Block]]],
        bounds: Bounds,
        limit: int,
        reverse: bool,
    ) -> None:
        self.found: list[Block] = []
        self._tree = tree
        self._load = load
        self._load_together = load_together
        self._low, self._high = bounds.low, bounds.high
        self._limit = limit
        self._reverse = reverse
        self._size = 0
        self._last: bytes | None = None

    @property
    def full(self) -> bool:
        """Whether there may be more than was collected."""
        return len(self.found) >= self._limit or self._size > PAGE_BYTES

    async def run(self) -> None:
        """Walk. Raises `DecodeError` for a tree whose keys are out of order, or that is too deep."""
        await self._walk(self._tree.root, self._low, self._high, 1)

    async def _walk(self, node: TreeNode, low: bytes | None, high: bytes | None, depth: int) -> None:
        """Walk over a node; `low` and `high` are where it reaches over the edge of the range."""
        if depth > MAX_DEPTH:
            raise DecodeError(f"A tree of more than {MAX_DEPTH} levels.")
        tree = self._tree
        first = (await tree.search(node, low))[0] if low is not None else 0
        last = (await tree.search(node, high))[0] if high is not None else len(node.seqs)
        near: Mapping[int, Block] = {}
        if self._limit - len(self.found) > MAX_KEYS:  # all of this node is wanted
            await self._load_together([child.seq for child in node.children[first : last + 1] if child.node is None])
            near = await self._load_together(node.seqs[first : last + 1])
        for at in range(last, first - 1, -1) if self._reverse else range(first, last + 1):
            edges = (low if at == first else None, high if at == last else None)
            if node.children and not self._reverse:
                await self._walk(await tree.child(node, at), *edges, depth + 1)
            if at < len(node.seqs) and not self.full:
                seq = node.seqs[at]
                self._take(near.get(seq) or await self._load(seq))
            if node.children and self._reverse and not self.full:
                await self._walk(await tree.child(node, at), *edges, depth + 1)
            if self.full:
                return

    def _take(self, block: Block) -> None:
        # Every node that is looked at gives a key, or leads on to one other node: order ends what goes in circles.
        key, last = block.key, self._last
        if last is not None and (key >= last if self._reverse else key <= last):
            raise DecodeError(f"The key of block {block.seq} stands out of order.")
        self._last = key
        if (self._low is None or key >= self._low) and (self._high is None or key < self._high):
            self.found.append(block)
            self._size += len(block.value or b"")
