"""Where in a log a byte lies: the sizes of its tree's nodes lead there, and those that are not here are fetched."""

from collections.abc import Awaitable, Callable

from linkup_nb.errors import UsageError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.log import Log

Fetch = Callable[[int, int, int], Awaitable[None]]
"""Fetches what is under a node on the way to a byte, counted without some bytes of padding in each block."""


def count_bytes(log: Log, length: int) -> int | None:
    """The bytes of the first `length` blocks, padding too; `None` if not enough of the tree is here."""
    nodes = [log.find(index) for index in flat.roots(length)]
    return None if None in nodes else sum(node.size for node in nodes if node)


async def find_byte(log: Log, length: int, offset: int, padding: int, fetch: Fetch) -> tuple[int, int]:
    """The block, of the first `length`, in which a byte lies, and where in it; each block has `padding` bytes more.

    Raises `UsageError` past the end. May `fetch` without end: use it within a timeout.
    """
    while True:
        start, index = _descend(log, length, offset, padding)
        if index is None and offset == start:
            return length, 0
        if index is None:
            raise UsageError(f"This core has {start} bytes, and no byte {offset}.")
        if not index & 1 and log.find(index):
            return index // 2, offset - start
        while log.find(index) is None:
            index = flat.parent(index)
        await fetch(index, offset, padding)


def _descend(log: Log, length: int, offset: int, padding: int) -> tuple[int, int | None]:
    """The lowest node that may hold a byte, `None` if it is past the end, and how many bytes come before it."""
    start = 0
    for index in flat.roots(length):
        size = _size(log, index, padding)
        if size is None:
            return start, index
        if offset < start + size:
            break
        start += size
    else:
        return start, None
    while index & 1:
        left, right = flat.children(index)
        size = _size(log, left, padding)
        if size is None:
            break
        index = left if offset < start + size else right
        start += 0 if index == left else size
    return start, index


def _size(log: Log, index: int, padding: int) -> int | None:
    node = log.find(index)
    return node.size - padding * flat.leaves(index) if node else None
