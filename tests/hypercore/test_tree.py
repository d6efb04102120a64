"""The tree of a log as one looks at it: ten blocks, a copy with holes, a disk that was tampered with."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from linkup_nb import Corestore
from linkup_nb.errors import UsageError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.merkle import leaf_hash
from linkup_nb.hypercore.tree import WINDOW, NodeState, Tree, tree_of_proof

TEN = [f"day {i}".encode() for i in range(10)]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Corestore]:
    async with Corestore(tmp_path / "store") as store:
        yield store


async def log(store: Corestore, blocks: Sequence[bytes]) -> Core:
    core = await store.core(name=f"{len(blocks)} blocks")
    if blocks:
        await core.append(blocks)
    return core


def states(tree: Tree, state: NodeState) -> list[int]:
    return [node.index for node in tree.nodes if node.state is state]


async def test_ten_blocks_have_all_their_nodes_and_two_roots(store: Corestore) -> None:
    tree = await (await log(store, TEN)).tree()
    assert [node.index for node in tree.nodes] == [*range(15), 16, 17, 18]
    assert (tree.roots, tree.depth) == ((7, 17), 3)
    assert states(tree, NodeState.HELD) == [node.index for node in tree.nodes]
    assert tree.node(8).hash == leaf_hash(b"day 4")
    assert tree.node(17).size == 10


async def test_a_path_has_the_siblings_of_the_proof_in_the_order_of_hashing(store: Corestore) -> None:
    core = await log(store, TEN)
    path = (await core.tree()).path(4)
    proof = (await core.proof(4)).proof
    assert proof.block
    assert list(path.siblings) == [node.index for node in proof.block.nodes] == [10, 13, 3]
    assert path.computed == (9, 11, 7)
    assert states(path, NodeState.WANTED) == [8]
    assert states(path, NodeState.SIBLING) == [3, 10, 13]
    assert states(path, NodeState.COMPUTED) == [7, 9, 11]
    assert states(path, NodeState.ROOT) == [17]


async def test_a_proof_holds_what_the_path_says_and_nothing_else(store: Corestore) -> None:
    core = await log(store, TEN)
    tree = tree_of_proof(await core.proof(4))
    assert tree
    assert [node.index for node in tree.nodes] == [3, 7, 8, 9, 10, 11, 13, 17]
    assert tree.node(7).hash == (await core.tree()).node(7).hash
    assert tree_of_proof(core.log.synced.evidence()) is None


async def test_every_block_of_every_length_has_a_path_to_its_root(store: Corestore) -> None:
    for length in range(1, 40):
        core = await log(store, [b"x"] * length)
        for block in range(length):
            path = (await core.tree(block)).path(block)
            assert (2 * block, *path.computed)[-1] in path.roots
            assert states(path, NodeState.COMPUTED) == sorted(path.computed)
            assert states(path, NodeState.CHANGED) == []


async def test_of_a_large_log_a_part_is_taken(store: Corestore) -> None:
    core = await log(store, [b"x"] * 100_003)
    tree = await core.tree(50_000)
    assert (tree.start, tree.end) == (50_000, 50_000 + WINDOW)
    assert len(tree.nodes) < 100
    assert len(tree.path(50_003).siblings) == 16
    with pytest.raises(UsageError, match=r"in another part of this tree, which `await core.tree\(4\)` takes"):
        tree.path(4)
    assert (await core.tree()).end == 100_003


async def test_a_cleared_block_leaves_its_hash(store: Corestore) -> None:
    core = await log(store, TEN)
    await core.clear(4)
    tree = await core.tree()
    assert not tree.node(8).block
    assert tree.node(8).state is NodeState.HELD
    assert tree.path(4).node(8).state is NodeState.WANTED


async def test_a_sparse_copy_lacks_nodes_and_says_which(tmp_path: Path, store: Corestore) -> None:
    core = await log(store, TEN)
    core.log.store.delete(core.log.id, nodes=(13, 14))
    await core.log.store.flush()
    core.log._nodes.forget()  # the disk has changed behind it
    tree = await core.tree()
    assert states(tree, NodeState.ABSENT) == [13]
    path = tree.path(4)
    assert states(path, NodeState.ABSENT) == [13]
    assert 13 in path.siblings
    assert states(path, NodeState.COMPUTED) == [9]


async def tampered(folder: Path, *, mend: bool) -> Tree:
    """The ten blocks, "day X" written over block 4 on the disk; with `mend` its hash, too."""
    async with Corestore(folder) as store:
        await log(store, TEN)
    with sqlite3.connect(folder / "logs.sqlite3") as disk:
        disk.execute("UPDATE block SET value = ? WHERE value = ?", (b"day X", b"day 4"))
        if mend:
            disk.execute("UPDATE node SET hash = ? WHERE hash = ?", (leaf_hash(b"day X"), leaf_hash(b"day 4")))
    disk.close()
    async with Corestore(folder) as store:
        return await (await store.core(name="10 blocks")).tree()


async def test_a_tampered_block_ripples_up_to_its_root(tmp_path: Path) -> None:
    tree = await tampered(tmp_path, mend=False)
    assert states(tree, NodeState.CHANGED) == [7, 8, 9, 11]
    assert states(tree.path(4), NodeState.CHANGED) == [7, 8, 9, 11]
    assert states(tree.path(5), NodeState.CHANGED) == []  # its sibling is the hash, which nobody has touched
    assert states(tree.path(8), NodeState.CHANGED) == [8, 9, 11]


async def test_a_mended_hash_moves_the_beginning_of_the_ripple(tmp_path: Path) -> None:
    tree = await tampered(tmp_path, mend=True)
    assert states(tree, NodeState.CHANGED) == [7, 9, 11]
    assert states(tree.path(4), NodeState.CHANGED) == [7, 9, 11]
    assert states(tree.path(5), NodeState.CHANGED) == [7, 9, 11]


async def test_an_earlier_length_has_the_tree_of_then(store: Corestore) -> None:
    core = await log(store, TEN)
    async with await core.checkout(5) as then:
        assert (await then.tree()).roots == (3, 8)


async def test_an_empty_log_has_an_empty_tree(store: Corestore) -> None:
    tree = await (await log(store, [])).tree()
    assert (tree.nodes, tree.roots, tree.depth) == ((), (), 0)


async def test_numbers_that_are_no_blocks_are_refused(store: Corestore) -> None:
    core = await log(store, TEN)
    tree = await core.tree()
    for block in (10, -1):
        with pytest.raises(UsageError, match=f"no block {block}"):
            await core.tree(block)
        with pytest.raises(UsageError, match=f"no block {block}"):
            tree.path(block)
    with pytest.raises(UsageError, match="The number of a block"):
        tree.path("4")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Node 15 is not in this part"):
        tree.node(15)
    assert all(flat.depth(node.index) <= tree.depth for node in tree.nodes)
