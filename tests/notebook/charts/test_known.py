from linkup_nb.discovery.view import KnownNode, TableView
from linkup_nb.notebook.charts.known import MAX_NODES, known
from tests.notebook.charts.pictures import kept, marks, rows, shown

ME = 212
KNOWN = (214, 215, 208, 223, 236, 242, 248, 129, 154, 156, 67, 75, 82)  # by node 212 of lesson 3


def node(id: int, me: int = ME, bits: int = 8) -> KnownNode:
    full = id << 256 - bits
    away = full ^ me << 256 - bits
    return KnownNode(("127.0.0.1", id + 1), full.to_bytes(32), away, 256 - away.bit_length(), 1.0, 0.01)


def test_nodes_stand_in_rows_by_the_bits_that_they_share() -> None:
    picture = kept(lambda: known(TableView(bytes([ME]) + bytes(31), tuple(map(node, KNOWN)))))
    assert picture.text.splitlines()[0] == "13 nodes known to 212, by the leading bits that they share with it."
    assert "0 bits with 3: 82, 67, 75; 1 bit with 3: 156, 154, 129; 2 bits with 3:" in picture.text
    assert "4 bits with 1: 223; 5 bits with 1: 208; 6 bits with 2: 214, 215." in picture.text
    heights = {row["id"]: row["y"] for row in marks(picture, role="known")}
    assert heights["67"] < heights["129"] < heights["236"] < heights["223"] < heights["208"] < heights["214"]
    assert {"0 bits", "1 bit", "6 bits"} <= shown(picture)


def test_no_node_stands_outside_of_its_block() -> None:
    picture = kept(lambda: known(TableView(bytes([ME]) + bytes(31), tuple(map(node, KNOWN)))))
    bands = {row["y"] + 8: row for row in rows(picture) if "shared" in row}
    for row in marks(picture, role="known"):
        assert bands[row["y"]]["x"] - 1 <= row["x"] <= bands[row["y"]]["x2"] + 1


def test_a_large_table_is_bounded() -> None:
    table = TableView(bytes(32), tuple(node(id, me=0, bits=16) for id in range(1, MAX_NODES + 50)))
    picture = kept(lambda: known(table))
    assert len(marks(picture, role="known")) == MAX_NODES
    assert f"the {MAX_NODES} nearest are drawn" in picture.spec["title"]["subtitle"]


def test_an_empty_table_is_no_picture() -> None:
    assert known(TableView(bytes(32), ())) is None
