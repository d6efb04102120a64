import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from linkup_nb import Node, connect, listen
from linkup_nb.connection.frames import Part
from linkup_nb.connection.tap import Direction, Frame
from linkup_nb.discovery.check import Check, Outcome, Report
from linkup_nb.discovery.protocol import PeerInfo, PeerStatus
from linkup_nb.notebook.charts.card import VEGA_LITE
from linkup_nb.notebook.reprs import display
from linkup_nb.notebook.reprs.html import MAX_CELL, MAX_LISTED
from linkup_nb.rooms.member import Member, MemberStatus
from linkup_nb.rooms.message import AudioMessage, FileMessage, TextMessage, UnknownMessage
from linkup_nb.wire.keys import short_key
from linkup_nb.wire.secret_stream import FrameKind
from tests.hyperdht.network import network
from tests.rooms.nodes import add_member

EVIL = '<img src=x onerror="alert(1)">\u202e'
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ABOUT: dict[str, Any] = {"name": EVIL, "key": bytes(32), "topic": bytes(32), "timestamp": NOON, "received": NOON}


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance()
    display.register()
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with Node(tmp_path / "kestrel", name="kestrel", discovery=[]) as node:
        yield node


def drawn(shell: InteractiveShell, value: object) -> str:
    assert shell.display_formatter
    data, _ = shell.display_formatter.format(value)  # type: ignore[no-untyped-call]
    assert "text/plain" in data
    return str(data["text/html"])


def pictured(shell: InteractiveShell, value: object) -> str:
    """The words of a value of which a cell shows a picture, and nothing else that could hide it."""
    assert shell.display_formatter
    data, metadata = shell.display_formatter.format(value)  # type: ignore[no-untyped-call]
    assert set(data) == {VEGA_LITE, "text/plain"}
    assert set(metadata) == {VEGA_LITE}
    return str(data["text/plain"])


def is_harmless(html: str) -> None:
    assert "<img" not in html
    assert "\u202e" not in html


async def test_a_node_shows_who_it_is_and_its_rooms(shell: InteractiveShell, node: Node) -> None:
    assert "No room yet" in drawn(shell, node)
    for number in range(MAX_LISTED + 3):
        await node.create_room(f"room {number}", linkup=True)
    html = drawn(shell, node)
    assert "<strong>kestrel (" in html
    assert html.count("<tr>") == 1 + MAX_LISTED
    assert "… and 3 more" in html
    assert node.rooms[0].topic.hex() not in html
    assert (node.path / "seed").read_bytes().hex() not in html


async def test_somebody_without_a_name_is_called_by_the_key_once(shell: InteractiveShell, tmp_path: Path) -> None:
    async with Node(tmp_path / "nobody", discovery=[]) as node:
        await node.create_room("lobby", linkup=True)
        assert drawn(shell, node).count(short_key(node.public_key)) == 1


async def test_a_closed_node_still_has_a_view(shell: InteractiveShell, node: Node) -> None:
    await node.close()
    assert "this node is closed" in drawn(shell, node)


async def test_a_room_shows_its_people_but_not_its_topic(shell: InteractiveShell, node: Node) -> None:
    room = await node.create_room("lobby", linkup=True)
    add_member(room, bytes(32), EVIL)
    html = drawn(shell, room)
    assert "lobby" in html
    assert "&lt;img" in html
    assert room.topic.hex() not in html
    is_harmless(html)


def peer(**known: Any) -> PeerInfo:
    unknown: dict[str, Any] = {
        "public_key": bytes(32),
        "status": PeerStatus.FAILED,
        "topics": frozenset(),
        "addresses": (),
        "sources": frozenset({EVIL}),
        "attempts": 3,
        "last_error": EVIL,
        "transport": "udx",
        "address": (EVIL, 1),
        "since": None,
        "rtt": 0.5,
        "bytes_sent": 1,
        "bytes_received": 2,
        "initiator": None,
        "dropped": 0,
    }
    return PeerInfo(**unknown | known)


@pytest.mark.parametrize(
    "message",
    [
        TextMessage(**ABOUT, text=EVIL),
        FileMessage(**ABOUT, file_name=EVIL, data=b"<img>"),
        AudioMessage(**ABOUT, data=b"<img>"),
        UnknownMessage(**ABOUT, type=EVIL, fields={EVIL: EVIL}),
        Member(EVIL, bytes(32), MemberStatus.HERE),
        peer(),
        (peer(), peer()),
        Report((Check(EVIL, Outcome.FAILED, EVIL, EVIL, EVIL),)),
        Frame(0, 0.0, Direction.SENT, FrameKind.MESSAGE, 1, (Part(EVIL, 1, EVIL, 1, EVIL),)),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_strangers_say_is_only_text(shell: InteractiveShell, message: object) -> None:
    html = drawn(shell, message)
    assert "&lt;img" in html
    is_harmless(html)


async def test_a_text_is_drawn_as_in_the_chat(shell: InteractiveShell) -> None:
    assert "<strong>bold</strong>" in drawn(shell, TextMessage(**ABOUT, text="**bold**"))


async def test_a_long_field_is_cut(shell: InteractiveShell) -> None:
    html = drawn(shell, UnknownMessage(**ABOUT, type="x", fields={"y": "z" * 10_000}))
    assert "z" * MAX_CELL + "…" in html
    assert len(html) < 1_000


async def test_a_swarm_shows_its_discovery_and_what_was_dropped(shell: InteractiveShell, node: Node) -> None:
    node.linkup_swarm.count(EVIL)
    html = drawn(shell, node.linkup_swarm)
    assert "0 connections on 0 topics" in html
    assert "&lt;img" in html
    is_harmless(html)


async def test_peers_are_a_table(shell: InteractiveShell) -> None:
    topic = bytes(range(32))
    html = drawn(shell, tuple(peer(topics=frozenset({topic}), since=NOON.timestamp()) for _ in range(MAX_LISTED + 5)))
    assert html.count("<tr>") == 1 + MAX_LISTED
    assert "… and 5 more" in html
    assert ">udx</td>" in html
    assert "000102…" in html
    assert topic.hex() not in html


async def test_other_tuples_are_drawn_as_ever(shell: InteractiveShell) -> None:
    assert shell.display_formatter
    for value in ((), (1, 2), (peer(), 1)):
        data, _ = shell.display_formatter.format(value)  # type: ignore[no-untyped-call]
        assert set(data) == {"text/plain"}


async def test_a_report_shows_every_check(shell: InteractiveShell) -> None:
    checks = [Check(f"check {number}", Outcome.OK, "seen") for number in range(MAX_LISTED + 3)]
    assert "All is well" in drawn(shell, Report(tuple(checks)))
    html = drawn(shell, Report((*checks, Check("UDP out", Outcome.FAILED, "Nothing.", "y" * 300, "Try that."))))
    assert "<strong>UDP out: failed</strong>" in html
    assert html.count("<tr>") == 1 + len(checks) + 1
    assert "y" * 300 in html


async def test_a_tap_shows_its_last_frames(shell: InteractiveShell) -> None:
    server = await listen("127.0.0.1", 0, lambda connection: None)
    connection = await connect("127.0.0.1", server.port)
    tap = connection.tap()
    assert "no frame so far" in drawn(shell, tap)
    for _ in range(MAX_LISTED):
        await connection.write(b"x")
    await connection.write(b'{"type":"message","message":"a secret"}')
    html = drawn(shell, tap.frames)
    assert html.startswith("<p>… and 1 before</p>")
    assert "linkup message" in html
    assert "a secret" not in html
    assert pictured(shell, tap).startswith(f"Tap on {short_key(connection.remote_public_key)}: {MAX_LISTED + 1} frames")
    await connection.close()
    await server.close()


async def test_a_node_of_the_dht_shows_its_table_and_its_last_query_hop_by_hop(shell: InteractiveShell) -> None:
    topic = bytes(range(32))
    async with network(MAX_LISTED + 5) as nodes:
        assert [record async for record in nodes[1].lookup(topic)] == []
        view = nodes[1].view()
    html = drawn(shell, view)
    assert f"HyperDHT node at 127.0.0.1:{view.address[1]}" in html
    assert f"{len(view.nodes)} nodes known; ours keeps things for others" in html
    assert f"… and {len(view.nodes) - MAX_LISTED} more" in html
    assert "Last query: LOOKUP near 00010203…" in html
    assert "known before" in html
    assert topic.hex() not in html
    assert topic.hex() not in repr(view)
    assert view.last_query
    assert pictured(shell, view.last_query).startswith("Look-up of ")
    assert pictured(shell, view.table).startswith(f"{len(view.nodes)} nodes known to ")
    assert "known before" in drawn(shell, view.last_query.hops)


async def test_a_connection_shows_its_peer(shell: InteractiveShell) -> None:
    server = await listen("127.0.0.1", 0, lambda connection: None)
    connection = await connect("127.0.0.1", server.port)
    assert f"127.0.0.1:{server.port}" in drawn(shell, connection)
    await connection.close()
    await asyncio.wait_for(connection.wait_closed(), 10)
    assert "closed" in drawn(shell, connection)
    await server.close()
