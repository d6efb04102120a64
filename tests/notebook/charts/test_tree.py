from functools import partial
from pathlib import Path

from linkup_nb import Corestore
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.tree import Tree
from linkup_nb.notebook.charts.tree import proof, tree
from tests.hypercore.test_tree import TEN, log, tampered
from tests.notebook.charts.pictures import kept, marks, shown


async def taken(folder: Path, count: int, block: int | None = None) -> Tree:
    async with Corestore(folder) as store:
        return await (await log(store, TEN if count == len(TEN) else [b"x"] * count)).tree(block)


async def test_a_tree_shows_leaves_parents_and_roots(tmp_path: Path) -> None:
    taken_tree = await taken(tmp_path, 10)
    picture = kept(lambda: tree(taken_tree))
    assert picture.text.splitlines() == [
        "Merkle tree of 10 blocks: roots 7, 17, 4 levels.",
        "Of 10 blocks shown, 10 are here.",
    ]
    shapes = {row["node"]: row["shape"] for row in marks(picture) if "node" in row}
    assert {index for index, shape in shapes.items() if shape == "diamond"} == {7, 17}
    assert {index for index, shape in shapes.items() if shape == "square"} == set(range(0, 20, 2))
    assert {str(index) for index in shapes} <= shown(picture)
    rows = {row["node"]: row for row in marks(picture) if "node" in row}
    assert rows[7]["y"] < rows[3]["y"] < rows[1]["y"] < rows[0]["y"]
    assert rows[0]["x"] < rows[1]["x"] < rows[2]["x"]
    assert rows[5]["over"] == "blocks 2 to 3"


async def test_a_path_says_what_comes_and_what_is_computed(tmp_path: Path) -> None:
    path = (await taken(tmp_path, 10)).path(4)
    picture = kept(lambda: tree(path))
    assert picture.text.splitlines() == [
        "Proof of block 4 of 10: leaf 8 comes with 10, 13, 3, beside root 17.",
        "Its verifier computes 9, 11, 7.",
    ]
    states = {row["node"]: row["glyph"] for row in marks(picture) if row.get("glyph") and "node" in row}
    assert states == {8: "?", 10: "+", 13: "+", 3: "+", 17: "+", 9: "=", 11: "=", 7: "="}


async def test_a_ripple_is_told_by_colour_by_sign_and_by_word(tmp_path: Path) -> None:
    broken = await tampered(tmp_path, mend=False)
    picture = kept(lambda: tree(broken))
    assert "Changed: 7, 8, 9, 11. " in picture.text
    assert {row["node"] for row in marks(picture, glyph="≠")} == {7, 8, 9, 11}
    assert "≠ changed" in shown(picture)


async def test_a_proof_says_whether_it_is_genuine(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        core = await log(store, TEN)
        evidence = await core.proof(4)
        assert proof(core.log.synced.evidence()) is None
    assert kept(lambda: proof(evidence)).text.splitlines()[-1].startswith("It is genuine")
    block = evidence.proof.block
    assert block
    forged = Evidence(*evidence[:3], evidence.proof._replace(block=block._replace(value=b"day X")))
    assert kept(lambda: proof(forged)).text.splitlines()[-1].startswith("It is not genuine")


async def test_a_large_log_is_a_part_that_says_so(tmp_path: Path) -> None:
    part = await taken(tmp_path, 100_003, 22)
    picture = kept(lambda: tree(part))
    assert "Shown are 48 of its nodes: blocks 16 to 23, and what leads to their root." in picture.text
    path = kept(lambda: tree(part.path(22)))
    assert path.text.startswith("Proof of block 22 of 100,003: leaf 44 comes with 46, 41, 35, 55, 15, 95,")


async def test_small_trees_are_pictures_too(tmp_path: Path) -> None:
    for count in (0, 1, 2, 16, 17):
        part = await taken(tmp_path / str(count), count)
        assert f"{count:,} block" in kept(partial(tree, part)).text
