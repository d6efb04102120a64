"""The look-up of lesson 3: from 212 for 39, among 32 nodes with k = 3."""

from linkup_nb.discovery.view import Hop, QueryView
from linkup_nb.notebook.charts.card import CROSSED
from linkup_nb.notebook.charts.look_up import MAX_HOPS, look_up
from tests.hyperdht.network import network
from tests.notebook.charts.pictures import kept, marks, rows, shown

HOST = "127.0.0.1"
NAMED = {67: None, 6: 67, 37: 6, 32: 37, 46: 37}


def id_of(byte: int) -> bytes:
    return bytes([byte]) + bytes(range(31))


def hop(byte: int, named_by: int | None, *, silent: bool = False) -> Hop:
    distance = int.from_bytes(id_of(byte)) ^ int.from_bytes(id_of(39))
    known = (HOST, named_by) if named_by else None
    return Hop((HOST, byte), distance, 256 - distance.bit_length(), known, 0.0, None if silent else 0.01)


def query(hops: tuple[Hop, ...], closest: tuple[int, ...] = (37, 32, 46)) -> QueryView:
    return QueryView("FIND_NODE", id_of(212), id_of(39), hops, tuple((HOST, byte) for byte in closest))


ASKED = tuple(hop(byte, named_by) for byte, named_by in NAMED.items())


def test_the_words_say_whom_it_asked_and_whom_it_found() -> None:
    picture = kept(lambda: look_up(query(ASKED)))
    assert picture.text.splitlines()[:2] == [
        "Look-up of 39 from 212: asked 67, 6, 37, 32, 46; nearest 37, 32, 46; none silent.",
        "Named by: 67 by the asker's table, 6 by 67, 37 by 6, 32 by 37, 46 by 37.",
    ]


def test_each_row_is_a_hop_with_its_distance() -> None:
    picture = kept(lambda: look_up(query(ASKED)))
    hops = [row for row in marks(picture) if "step" in row]
    assert [(row["step"], row["id"], row["distance"], row["role"]) for row in hops] == [
        (1, "67", "100", "asked"),
        (2, "6", "33", "asked"),
        (3, "37", "2", "nearest"),
        (4, "32", "7", "nearest"),
        (5, "46", "9", "nearest"),
    ]
    by_nearness = sorted(hops, key=lambda row: -row["x"])
    assert [row["id"] for row in by_nearness] == ["37", "32", "46", "6", "67"]


def test_the_line_above_is_in_order_of_the_ids_and_not_of_the_distance() -> None:
    picture = kept(lambda: look_up(query(ASKED)))
    line = [row for row in marks(picture) if "role" in row and "step" not in row]
    assert [row["id"] for row in sorted(line, key=lambda row: row["x"])] == ["6", "32", "37", "39", "46", "67", "212"]
    assert {row["id"]: row["role"] for row in line}["212"] == "asker"
    assert {"0", "255"} <= shown(picture)


def test_a_silent_node_says_so_by_shape_and_by_word() -> None:
    hops = (*ASKED[:2], hop(37, 6, silent=True), *ASKED[3:])
    picture = kept(lambda: look_up(query(hops, (32, 46))))
    assert "37 silent." in picture.text
    (silent,) = [row for row in marks(picture, role="silent") if "step" in row]
    assert silent["shape"] == CROSSED
    assert silent["distance"] == "2, no reply"


def test_nodes_of_one_first_byte_are_told_apart_by_digits() -> None:
    distances = [1 << 240, 3 << 240, 1 << 255]
    hops = tuple(Hop((HOST, n), one, 256 - one.bit_length(), None, 0.0, 0.0) for n, one in enumerate(distances))
    picture = kept(lambda: look_up(QueryView("LOOKUP", b"\xff" * 32, bytes(32), hops, ())))
    assert picture.text.startswith("Look-up of 0000 from ffff: asked 0001, 0003, 8000; nearest nobody; none silent.")
    assert "under 2^256" in shown(picture)


def test_of_many_hops_the_first_are_shown_and_the_rest_counted() -> None:
    hops = tuple(hop(byte, None) for byte in range(100, 100 + MAX_HOPS + 12))
    picture = kept(lambda: look_up(query(hops)))
    assert "… and 12 more" in picture.text
    assert f"the first {MAX_HOPS} are shown" in picture.spec["title"]["subtitle"]
    assert max(row["step"] for row in rows(picture) if "step" in row) == MAX_HOPS


def test_nobody_asked_is_a_picture_too() -> None:
    assert "asked nobody; nearest nobody; none silent" in kept(lambda: look_up(query((), ()))).text


async def test_the_picture_of_a_real_query_does_not_tell_its_target() -> None:
    topic = bytes(range(32))
    async with network(12) as nodes:
        found = await nodes[3].find(topic)
    picture = kept(lambda: look_up(found))
    assert f"{len(found.hops)} nodes asked" in picture.spec["title"]["subtitle"]
    assert topic.hex()[:10] not in str(picture.spec) + picture.text
    assert found.asker == nodes[3].id
