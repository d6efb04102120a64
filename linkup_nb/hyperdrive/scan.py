"""A walk over a range of keys of a bee, page by page; whoever wrote the bee cannot make it go in circles."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdrive.tree import MAX_DEPTH, Block, Tree, TreeNode

PAGE = 256  # entries fetched before they are given out
PAGE_BYTES = 4 * 1024 * 1024  # of their values, after which a page ends early


class Bounds(NamedTuple):
    """Which keys of a range are meant."""

    gt: bytes | None = None
    gte: bytes | None = None
    lt: bytes | None = None
    lte: bytes | None = None

    def contain(self, key: bytes) -> bool:
        """Whether the key lies within."""
        return not (
            (self.gt is not None and key <= self.gt)
            or (self.gte is not None and key < self.gte)
            or (self.lt is not None and key >= self.lt)
            or (self.lte is not None and key > self.lte)
        )


class RangeScan:
    """Collects the blocks of at most `limit` keys within the bounds into `found`."""

    def __init__(
        self, tree: Tree, load: Callable[[int], Awaitable[Block]], bounds: Bounds, limit: int, reverse: bool
    ) -> None:
        self.found: list[Block] = []
        self._tree = tree
        self._load = load
        self._bounds = bounds
        self._limit = limit
        self._reverse = reverse
        self._size = 0
        self._last: bytes | None = None
        self._low = bounds.gte if bounds.gte is not None else bounds.gt
        self._high = bounds.lt if bounds.lt is not None else bounds.lte

    @property
    def full(self) -> bool:
        """Whether there may be more than was collected."""
        return len(self.found) >= self._limit or self._size > PAGE_BYTES

    async def run(self) -> None:
        """Walk. Raises `DecodeError` for a tree whose keys are out of order, or that is too deep."""
        await self._walk(self._tree.root, 1)

    async def _walk(self, node: TreeNode, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise DecodeError(f"A tree of more than {MAX_DEPTH} levels.")
        tree, low, high = self._tree, self._low, self._high
        first = (await tree.search(node, low))[0] if low is not None else 0
        last = (await tree.search(node, high))[0] if high is not None else len(node.seqs)
        for at in range(last, first - 1, -1) if self._reverse else range(first, last + 1):
            if node.children and not self._reverse:
                await self._walk(await tree.child(node, at), depth + 1)
            if at < len(node.seqs) and not self.full:
                self._take(await self._load(node.seqs[at]))
            if node.children and self._reverse and not self.full:
                await self._walk(await tree.child(node, at), depth + 1)
            if self.full:
                return

    def _take(self, block: Block) -> None:
        # Every node that is looked at gives a key, or leads on to one other node: order ends what goes in circles.
        if self._last is not None and (block.key >= self._last if self._reverse else block.key <= self._last):
            raise DecodeError(f"The key of block {block.seq} stands out of order.")
        self._last = block.key
        if self._bounds.contain(block.key):
            self.found.append(block)
            self._size += len(block.value or b"")
