"""The Swarm tab, as its page sees it."""

from collections.abc import Callable
from typing import Any

import pytest

from linkup_nb import Node
from linkup_nb.discovery.protocol import PeerInfo, PeerStatus
from linkup_nb.discovery.view import Hop, KnownNode, QueryView
from linkup_nb.hyperdht.view import DhtView
from linkup_nb.notebook.swarm import tab
from linkup_nb.notebook.swarm.entries import MAX_HOPS, People, dht_entry, entry_of
from linkup_nb.wire.dht.nat import NatSample
from linkup_nb.wire.keys import discovery_key
from tests.notebook.page import Json, Page

Start = Callable[..., Node]
Open = Callable[..., Page]

KEY = bytes(range(32))
TOPIC = bytes(32)
PEOPLE = People({KEY: (b"o" * 32, "otter")}, {TOPIC: "physics"})


def info(status: PeerStatus, **known: Any) -> PeerInfo:
    about: dict[str, Any] = {
        "public_key": KEY,
        "status": status,
        "topics": frozenset({TOPIC}),
        "addresses": (),
        "sources": frozenset({"hyperdht"}),
        "attempts": 0,
        "last_error": None,
        "transport": None,
        "address": None,
        "since": None,
        "rtt": None,
        "bytes_sent": 0,
        "bytes_received": 0,
        "initiator": None,
        "dropped": 0,
    }
    return PeerInfo(**about | known)


@pytest.mark.parametrize(
    ("peer", "kind", "way"),
    [
        (info(PeerStatus.CONNECTED, transport="udx"), "direct", "UDX, HyperDHT"),
        (info(PeerStatus.CONNECTED, transport="udx", relayed=True), "relayed", "UDX, by a relay"),
        (info(PeerStatus.CONNECTED, transport="tcp", sources=frozenset()), "direct", "TCP, it came by itself"),
        (info(PeerStatus.CONNECTING), "dialled", "dialling"),
        (info(PeerStatus.CONNECTING, attempts=2), "dialled", "dialling, try 2"),
        (info(PeerStatus.WAITING, last_error="No answer."), "failed", "No answer. It is dialled again."),
        (info(PeerStatus.FAILED, last_error="Not in a room of ours"), "failed", "Not in a room of ours."),
        (info(PeerStatus.DISCOVERED), "found", "found by HyperDHT, not dialled yet"),
    ],
)
def test_a_peer_says_how_it_is_connected_or_why_it_is_not(peer: PeerInfo, kind: str, way: str) -> None:
    entry = entry_of(peer, PEOPLE, (0, 0), tapped=False)
    assert (entry.kind, entry.way) == (kind, way)
    assert (entry.name, entry.who, entry.replicates) == ("otter", (b"o" * 32).hex(), ["physics"])


def test_the_table_of_the_dht_is_counted_by_distance_and_the_look_up_told_hop_by_hop() -> None:
    near = ("192.0.2.1", 1)
    far = ("192.0.2.2", 2)
    hops = (Hop(far, 1 << 255, 0, None, 0.0, 0.04), Hop(near, 1 << 243, 12, far, 0.1, None)) + (
        Hop(near, 1 << 243, 12, far, 0.1, 0.1),
    ) * MAX_HOPS
    view = DhtView(
        address=("127.0.0.1", 1),
        public_address=None,
        nat=NatSample(),
        id=None,
        nodes=tuple(
            KnownNode(near, KEY, distance, 0, seen, None)
            for distance, seen in ((1 << 255, 1.0), ((1 << 256) - 1, 1.0), (1 << 253, 1000.0))
        ),
        last_query=QueryView("LOOKUP", KEY, discovery_key(TOPIC), hops, (near,)),
        stored={"announcements": 3},
        passed_on={},
        counters={},
    )
    entry = dht_entry(view, PEOPLE)
    assert (entry.nodes, entry.buckets, entry.recent, entry.stored) == (3, [1, 0, 2], 2, 3)
    look_up = entry.look_up
    assert look_up
    assert (look_up.about, look_up.command, look_up.asked) == ("physics", "lookup", len(hops))
    assert [(hop.hop, hop.exponent, hop.failed) for hop in look_up.hops[:2]] == [(1, 256, False), (2, 244, True)]
    assert len(look_up.hops) == MAX_HOPS


def swarm(page: Page, matches: Callable[[Json], bool], after: int = 0) -> Json:
    return page.sees(lambda content: content["type"] == "swarm" and matches(content), after)[0]


def connected(start: Start, open_page: Open) -> tuple[Node, Page, Page]:
    node = start("kestrel")
    kestrel, otter = open_page(node), open_page(start("otter"))
    topic = kestrel.request("create", name="lobby", linkup=True)["topic"]
    otter.request("join", word=topic)
    kestrel.state(lambda state: state["status"]["level"] == "ok")
    return node, kestrel, otter


def test_the_tab_shows_who_is_connected_and_what_the_doctor_says(start: Start, open_page: Open) -> None:
    node, page, _ = connected(start, open_page)
    page.request("swarm_open")
    shown = swarm(page, lambda state: any(peer["kind"] == "direct" for peer in state["peers"]) and state["checks"])
    [peer] = shown["peers"]
    assert (peer["name"], peer["replicates"]) == ("otter", ["lobby"])
    assert peer["id"] == node.linkup_swarm.connections[0].remote_public_key.hex()
    assert shown["expression"] == "lu.start().swarm"


def test_the_expression_of_a_peer_gives_that_peer(start: Start, open_page: Open) -> None:
    node, page, _ = connected(start, open_page)
    page.request("swarm_open")
    [peer] = swarm(page, lambda state: bool(state["peers"]))["peers"]
    page.request("swarm_select", peer=peer["id"])
    shown = swarm(page, lambda state: state["selected"] == peer["id"])
    found = eval(shown["expression"], {"lu": type("lu", (), {"start": lambda: node})})
    assert found.public_key.hex() == peer["id"]
    page.request("swarm_select")
    swarm(page, lambda state: not state["selected"], after=len(page.said) - 1)


def test_a_tap_shows_frames_until_it_is_switched_off(start: Start, open_page: Open) -> None:
    node, page, otter = connected(start, open_page)
    page.request("swarm_open")
    [peer] = swarm(page, lambda state: bool(state["peers"]))["peers"]
    page.request("tap", peer=peer["id"])
    otter.request("send", topic=node.rooms[0].topic.hex(), text="over the wire")

    def has_message(content: Json) -> bool:
        return content["type"] == "tap" and any(frame["frame"] == "message" for frame in content["frames"])

    update, _ = page.sees(has_message)
    assert "over the wire" not in str(update)
    assert (update["name"], update["open"]) == ("otter", True)
    page.request("tap_clear")
    cleared, _ = page.sees(lambda content: content["type"] == "tap" and content["first"] > update["first"])
    assert cleared["seen"] < update["seen"] + len(cleared["frames"])
    page.request("tap")
    page.sees(lambda content: content["type"] == "tap" and not content["open"])


def test_who_is_known_no_more_is_refused_in_one_sentence(start: Start, open_page: Open) -> None:
    page = open_page(start())
    page.request("swarm_open")
    for kind in ("tap", "swarm_select"):
        assert page.refused(kind, peer="00" * 32) == "This peer is known no more: it was forgotten meanwhile."


def test_a_tab_that_nobody_looks_at_is_sent_nothing(
    start: Start, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "RATES_EVERY", 0.05)
    _, page, otter = connected(start, open_page)
    page.request("swarm_open")
    swarm(page, lambda state: bool(state["peers"]))
    page.request("swarm_close")
    before = len(page.said)
    otter.request("send", topic=otter.state(lambda state: bool(state["room"]))["room"], text="hello")
    page.row(lambda row: row.get("text") == "hello")
    assert [content for content, _ in page.said[before:] if content["type"] == "swarm"] == []
