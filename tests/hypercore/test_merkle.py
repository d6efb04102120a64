"""The tree, against the one that JavaScript grew."""

from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.hypercore import flat
from linkup_nb.hypercore.merkle import MerkleNode, Peaks, leaf, parent, tree_hash
from tests.hypercore.vectors import BLOCKS, HYPERCORE, load


def _node(known: dict[str, str | int]) -> MerkleNode:
    return MerkleNode(int(known["index"]), int(known["size"]), bytes.fromhex(str(known["hash"])))


def test_leaf_parent_and_tree_hashes_are_javascripts() -> None:
    crypto = load("crypto")

    assert [leaf(0, bytes.fromhex(known["data"])).hash.hex() for known in crypto["leaf"]] == [
        known["hash"] for known in crypto["leaf"]
    ]
    assert (
        parent(_node(crypto["parent"]["left"]), _node(crypto["parent"]["right"])).hash.hex() == crypto["parent"]["hash"]
    )
    assert tree_hash([_node(root) for root in crypto["tree"]["roots"]]).hex() == crypto["tree"]["hash"]


def test_every_length_has_javascripts_roots_and_hash() -> None:
    peaks = Peaks()
    for block, known in zip(BLOCKS, HYPERCORE["lengths"], strict=True):
        peaks.append([block])

        assert (peaks.length, peaks.byte_length) == (known["length"], known["byteLength"])
        assert peaks.roots == [_node(root) for root in known["roots"]]
        assert peaks.hash().hex() == known["treeHash"]


def test_growing_makes_every_node_of_the_tree() -> None:
    peaks = Peaks()
    peaks.append(BLOCKS)

    assert sorted(peaks.added) == [_node(node) for node in HYPERCORE["nodes"]]


def test_a_large_block_hashes_as_a_small_one_does() -> None:
    assert [leaf(0, b"x" * size).hash for size in (4096, 4097)] == [leaf(7, b"x" * size).hash for size in (4096, 4097)]


@given(st.lists(st.binary(max_size=9), max_size=40), st.data())
def test_subtrees_pushed_whole_give_the_tree_of_their_blocks(blocks: list[bytes], data: st.DataObject) -> None:
    grown = Peaks()
    grown.append(blocks)
    nodes = {node.index: node for node in grown.added}
    pushed = Peaks()

    while pushed.length < len(blocks):
        fits = [i for i in nodes if flat.left_span(i) == 2 * pushed.length]
        pushed.push(nodes[data.draw(st.sampled_from(fits))])

    assert (pushed.roots, pushed.length, pushed.byte_length) == (grown.roots, grown.length, grown.byte_length)
