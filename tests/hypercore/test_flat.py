"""The numbering, against the picture that one draws by hand."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.hypercore import flat

indexes = st.integers(0, 2**50)


def test_the_first_rows() -> None:
    assert [flat.depth(i) for i in range(8)] == [0, 1, 0, 2, 0, 1, 0, 3]
    assert [flat.parent(i) for i in range(8)] == [1, 3, 1, 7, 5, 3, 5, 15]
    assert [flat.sibling(i) for i in range(8)] == [2, 5, 0, 11, 6, 1, 4, 23]
    assert (flat.children(7), flat.left_span(7), flat.right_span(7), flat.leaves(7)) == ((3, 11), 0, 14, 8)


def test_the_roots_of_a_length_are_its_binary_digits() -> None:
    assert [list(flat.roots(n)) for n in range(6)] == [[], [0], [1], [1, 4], [3], [3, 8]]


@given(indexes)
def test_siblings_share_a_parent_that_has_them_as_children(index: int) -> None:
    other = flat.sibling(index)

    assert flat.sibling(other) == index
    assert flat.parent(other) == flat.parent(index)
    assert flat.children(flat.parent(index)) == (min(index, other), max(index, other))


@given(st.integers(0, 2**40))
def test_roots_cover_every_leaf_once(length: int) -> None:
    roots = list(flat.roots(length))

    assert sum(flat.leaves(root) for root in roots) == length
    assert all(flat.left_span(right) - flat.right_span(left) == 2 for left, right in pairwise(roots))
