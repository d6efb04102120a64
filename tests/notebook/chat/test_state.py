from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from linkup_nb import Node
from linkup_nb.discovery.local import Local
from linkup_nb.discovery.protocol import PeerInfo, PeerStatus
from linkup_nb.notebook.chat.feeds import feeds_of
from linkup_nb.notebook.chat.rendering import actions
from linkup_nb.notebook.chat.state import describe, expression, pictures
from linkup_nb.notebook.chat.updates import StatusLine
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.status import Level
from tests.rooms.nodes import add_member, until

OTTER = bytes(range(32))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with Node(tmp_path / "kestrel", name="kestrel", discovery=[]) as node:
        yield node


def connected(key: bytes, rtt: float) -> PeerInfo:
    return PeerInfo(
        public_key=key,
        status=PeerStatus.CONNECTED,
        topics=frozenset(),
        addresses=(),
        sources=frozenset(),
        attempts=0,
        last_error=None,
        transport="tcp",
        address=("127.0.0.1", 1),
        since=0.0,
        rtt=rtt,
        bytes_sent=0,
        bytes_received=0,
        initiator=True,
        dropped=0,
    )


RTTS = [(0.00002, "0.02 ms"), (0.0004, "0.4 ms"), (0.038, "38.0 ms"), (0.25, "250 ms")]


@pytest.mark.parametrize(("rtt", "detail"), RTTS)
async def test_people_are_described_for_the_page(node: Node, rtt: float, detail: str) -> None:
    room = await node.create_room("lobby", linkup=True)
    add_member(room, OTTER, "otter", b"\x89PNG a picture", connected(OTTER, rtt))
    state = msgspec.to_builtins(describe(node, feeds_of(node), room))
    picture = feeds_of(node).avatars.name(b"\x89PNG a picture")
    you, *others = state["peers"]
    assert (you["key"], you["name"], you["role"]) == (node.public_key.hex(), "kestrel", "you")
    assert others == [
        {
            "key": OTTER.hex(),
            "short": room.peers[0].short_key,
            "name": "otter",
            "shared_name": False,
            "status": "here",
            "detail": detail,
            "avatar": picture,
            "role": "",
            "since": None,
            "faults": [],
        }
    ]
    [entry] = state["rooms"]
    assert (entry["topic"], entry["name"], entry["linkup"], entry["unread"]) == (room.topic.hex(), "lobby", True, 0)
    assert state["status"] == {"level": "ok", "text": "Connected to otter"}
    assert pictures(node, room) == {OTTER: b"\x89PNG a picture", node.public_key: node.avatar}


async def test_a_closed_node_can_still_be_described(node: Node) -> None:
    room = await node.create_room("lobby", linkup=True)
    feeds = feeds_of(node)
    await node.close()
    state = describe(node, feeds, room)
    assert state.status == StatusLine(level=Level.OFF, text="Not connected: this node is closed.")
    assert not state.needs_profile


async def test_the_python_that_gives_a_message(node: Node) -> None:
    first = await node.create_room("first", linkup=True)
    second = await node.create_room("second", linkup=True)
    await first.send("one")
    message = await second.send("two")
    assert expression("node", node, message) == "node.rooms[1][0]"
    assert eval(expression("node", node, message)) is message
    await second.leave()
    assert expression("node", node, message) == "panel.selection"


async def test_a_reader_is_told_why_they_cannot_write(tmp_path: Path) -> None:
    async with (
        Node(tmp_path / "ann", name="ann", discovery=[Local(mdns=False)]) as ann,
        Node(tmp_path / "bob", name="bob", discovery=[Local(mdns=False)]) as bob,
    ):
        hers = await ann.create_room("physics", writers="admitted")
        his = await bob.join(hers.invite)
        assert isinstance(his, MemoryRoom)
        await hers.send("read this")
        await until(lambda: bool(his.read_only) and len(his) == 1, his)
        state = describe(bob, feeds_of(bob), his)
        assert state.read_only == his.read_only
        assert [peer.role for peer in state.peers] == ["you", "founder"]
        assert actions(his, his[0]) == ["copy", "verify", "hide", "mute", "block"]
        await until(lambda: len(hers.peers) == 1, hers)
        state = describe(ann, feeds_of(ann), hers)
        assert state.read_only is None
        assert [peer.role for peer in state.peers] == ["you, founder", "reader"]
