"""Flat trees: every node of a binary tree numbered in one row, leaves even, parents odd.

Leaf `i` is node `2 * i`; a parent stands halfway between its children:

        3
      /   \\
     1     5
    / \\   / \\
   0   2 4   6

https://datatracker.ietf.org/doc/html/rfc7574#section-4.2 numbers its bins the same way.
"""

from collections.abc import Iterator


def depth(index: int) -> int:
    """How many levels `index` stands above the leaves."""
    return (index ^ (index + 1)).bit_length() - 1


def parent(index: int) -> int:
    """The node above `index`."""
    bit = (index ^ (index + 1)) + 1 >> 1
    return (index | bit) & ~(bit << 1)


def sibling(index: int) -> int:
    """The other child of `parent(index)`."""
    return index ^ ((index ^ (index + 1)) + 1)


def children(index: int) -> tuple[int, int]:
    """The two nodes below `index`, which must be odd."""
    half = (index ^ (index + 1)) + 1 >> 2
    return index - half, index + half


def left_span(index: int) -> int:
    """The leftmost leaf under `index`, as a node."""
    return index - ((index ^ (index + 1)) >> 1)


def right_span(index: int) -> int:
    """The rightmost leaf under `index`, as a node."""
    return index + ((index ^ (index + 1)) >> 1)


def leaves(index: int) -> int:
    """How many leaves stand under `index`."""
    return (index ^ (index + 1)) + 1 >> 1


def roots(length: int) -> Iterator[int]:
    """The tops of the full subtrees that cover `length` leaves, left to right."""
    start = 0
    while length:
        size = 1 << (length.bit_length() - 1)
        yield 2 * start + size - 1
        start += size
        length -= size


def extension(start: int, to: int) -> Iterator[int]:
    """The nodes that a tree of `start` leaves needs to become one of `to` leaves, left to right."""
    for root in roots(to):
        if right_span(root) < 2 * start:
            continue
        if left_span(root) >= 2 * start:
            yield root
            continue
        index = 2 * start - 2  # the last leaf that is there
        while index != root:
            beside = sibling(index)
            if beside > index:
                yield beside
            index = parent(index)
