import asyncio
import io
import json
from base64 import b64encode
from collections.abc import Callable

import pytest
from PIL import Image

import linkup_nb as lu
from linkup_nb.errors import DecodeError, PeerTimeout
from linkup_nb.rooms.linkup.flow import BURST
from linkup_nb.rooms.linkup.lobby import MAX_FAULTS, MAX_STRANGER_PIXELS, NOT_A_PICTURE, NOT_LINKUP, UNKNOWN_TOPIC
from linkup_nb.rooms.linkup.messages import MAX_MESSAGE_BYTES
from linkup_nb.rooms.member import MAX_MEMBERS
from linkup_nb.rooms.names import MAX_NAME
from tests.rooms.nodes import PATIENCE, MakeNode, Stranger, said, until

MakeStranger = Callable[[], Stranger]
MAX_FRAME_MESSAGE = 16_777_198  # bytes: the largest message that one frame of a secret stream holds


async def lobby(make_node: MakeNode) -> tuple[lu.Node, lu.Room]:
    node = await make_node("kestrel")
    return node, await node.create_room("lobby", linkup=True)


def texts(room: lu.Room) -> list[str]:
    return [message.text for message in room.messages if isinstance(message, lu.TextMessage)]


def png(colour: str = "red", size: tuple[int, int] = (8, 8)) -> str:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return b64encode(out.getvalue()).decode()


async def test_a_peer_gets_our_icon_once_a_topic(make_node: MakeNode, make_stranger: MakeStranger) -> None:
    node, room = await lobby(make_node)
    other = await node.create_room("other", linkup=True)
    stranger = make_stranger()
    connection = await stranger.meet(room)
    icon = await stranger.receives("icon", topic=room.topic.hex())
    assert (icon["name"], icon["username"]) == ("kestrel", "kestrel")
    assert icon["avatar"] == b64encode(node.avatar).decode()

    await connection.write(said(other.topic, "I am here too"))
    await stranger.receives("icon", topic=other.topic.hex())
    await connection.write(said(other.topic, "again"))
    await until(lambda: len(other) == 2, other)
    assert [message["topic"] for message in stranger.received] == [room.topic.hex(), other.topic.hex()]


async def test_what_is_said_in_a_room_goes_to_those_in_it_only(
    make_node: MakeNode, make_stranger: MakeStranger
) -> None:
    node, room = await lobby(make_node)
    other = await node.create_room("other", linkup=True)
    insider, outsider = make_stranger(), make_stranger()
    await insider.meet(room)
    await outsider.meet(other)
    await until(lambda: bool(room.peers and other.peers), node)
    assert (await room.send("for insiders")).recipients == 1
    await other.send("for others")
    await insider.receives("message", message="for insiders")
    await outsider.receives("message", message="for others")
    assert [m["message"] for m in outsider.received if m["type"] == "message"] == ["for others"]
    assert [m["message"] for m in insider.received if m["type"] == "message"] == ["for insiders"]


async def test_a_message_for_a_room_that_we_are_not_in_is_dropped_and_counted(
    make_node: MakeNode, make_stranger: MakeStranger
) -> None:
    node, room = await lobby(make_node)
    connection = await make_stranger().meet(room)
    await connection.write(said(b"x" * 32, "psst"))
    await connection.write(said(room.topic, "hi"))
    await until(lambda: len(room) == 1, room)
    assert node.linkup_swarm.counters == {UNKNOWN_TOPIC: 1}
    assert [peer.dropped for peer in node.linkup_swarm.peers] == [1]
    assert [topic.topic for topic in node.linkup_swarm.topics] == [room.topic]


async def test_an_icon_names_and_pictures_its_sender(make_node: MakeNode, make_stranger: MakeStranger) -> None:
    _, room = await lobby(make_node)
    connection = await make_stranger().meet(room)
    icon = {"type": "icon", "username": "otter", "avatar": png(), "timestamp": 1}
    await connection.write(json.dumps(icon).encode())  # without a topic, as LinkUp sends it
    await until(lambda: [member.name for member in room.peers] == ["otter"], room)
    await until(lambda: room.peers[0].avatar is not None, room)
    first = room.peers[0].avatar
    assert first is not None
    assert first.startswith(b"\xff\xd8\xff")  # drawn anew, not as it came
    assert len(room) == 0

    await connection.write(json.dumps(icon | {"avatar": png("blue"), "topic": room.topic.hex()}).encode())
    await until(lambda: room.peers[0].avatar != first, room)


@pytest.mark.parametrize(
    "avatar",
    [
        "",
        b64encode(b"<svg onload='alert(1)'>").decode(),
        b64encode(b"\x89PNG\r\n\x1a\n" + bytes(99)).decode(),
        png(size=(MAX_STRANGER_PIXELS // 4000 + 1, 4000)),
    ],
)
async def test_an_avatar_that_is_no_picture_leaves_the_name(
    make_node: MakeNode, make_stranger: MakeStranger, avatar: str
) -> None:
    node, room = await lobby(make_node)
    connection = await make_stranger().meet(room)
    await connection.write(json.dumps({"type": "icon", "name": "otter", "avatar": avatar}).encode())
    await until(lambda: [member.name for member in room.peers] == ["otter"], room)
    assert room.peers[0].avatar is None
    assert node.linkup_swarm.counters.get(NOT_A_PICTURE, 0) == (1 if avatar else 0)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"null",
        b'{"type":"message"}',
        b'{"type":["message"],"message":{"a":1}}',
        b'{"a":' * 100_000,
        b"[" * 1_000_000,
        bytes(MAX_MESSAGE_BYTES + 1),
        b"x" * MAX_FRAME_MESSAGE,
    ],
    ids=lambda junk: f"{junk[:12]!r}, {len(junk)}",
)
async def test_bytes_that_are_not_linkups_are_dropped_and_counted(
    make_node: MakeNode, make_stranger: MakeStranger, junk: bytes
) -> None:
    node, room = await lobby(make_node)
    connection = await make_stranger().meet(room)
    await connection.write(junk)
    await connection.write(said(room.topic, "hi"))
    await until(lambda: len(room) == 1, room)
    assert node.linkup_swarm.counters == {NOT_LINKUP: 1}
    assert not connection.closed


async def test_a_peer_that_sends_nothing_but_junk_is_disconnected(
    make_node: MakeNode, make_stranger: MakeStranger
) -> None:
    node, room = await lobby(make_node)
    connection = await make_stranger().meet(room)
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    node.linkup_swarm.on("disconnection", lambda lost, _: ended.set_result(lost.close_reason))
    for _ in range(MAX_FAULTS + 50):
        try:
            await connection.write(b"junk")
        except lu.LinkupError:
            break
    reason = await asyncio.wait_for(ended, PATIENCE)
    assert isinstance(reason, DecodeError)
    assert str(reason).startswith("100 messages were not LinkUp's")
    assert node.linkup_swarm.counters[NOT_LINKUP] == MAX_FAULTS


async def test_a_flooder_delays_nobody_and_loses_nothing(make_node: MakeNode, make_stranger: MakeStranger) -> None:
    _, room = await lobby(make_node)
    flooder, friend = make_stranger(), make_stranger()
    flood, friendly = await flooder.meet(room), await friend.meet(room)
    count = BURST + 1500

    async def overflow() -> None:
        for number in range(count):
            await flood.write(said(room.topic, str(number), name=f"name {number}"))

    flooding = asyncio.create_task(overflow())
    await until(lambda: len(room) >= BURST, room)
    await friendly.write(said(room.topic, "excuse me"))
    await until(lambda: "excuse me" in texts(room), room)
    assert len(room) < count
    await until(lambda: len(room) == count + 1, room)
    await flooding
    assert [text for text in texts(room) if text != "excuse me"] == [str(number) for number in range(count)]
    assert len(room.peers) == 2 <= MAX_MEMBERS


async def test_hostile_fields_become_harmless_ones(make_node: MakeNode, make_stranger: MakeStranger) -> None:
    _, room = await lobby(make_node)
    connection = await make_stranger().meet(room)
    script = "<script>alert(1)</script>"
    await connection.write(said(room.topic, script, name="\u202e" + script * 1000, timestamp=8.64e15))
    await connection.write(
        json.dumps(
            {"type": "file", "name": None, "fileName": f"../{script}\x00.png", "file": "", "topic": room.topic.hex()}
        ).encode()
    )
    await connection.write(json.dumps({"type": script, "topic": room.topic.hex(), "x": [script]}).encode())
    await until(lambda: len(room) == 3, room)
    text, file, unknown = room.messages
    assert text.name == (script * 3)[:MAX_NAME]
    assert text.timestamp == text.received
    assert isinstance(file, lu.FileMessage)
    assert file.file_name == "script>.png"
    assert isinstance(unknown, lu.UnknownMessage)
    assert unknown.fields["x"] == json.dumps([script])


async def test_a_name_that_two_peers_use_is_told_apart(make_node: MakeNode, make_stranger: MakeStranger) -> None:
    _, room = await lobby(make_node)
    one, two = await make_stranger().meet(room), await make_stranger().meet(room)
    await one.write(said(room.topic, "hi", name="heron"))
    await until(lambda: len(room) == 1, room)
    assert not room.shares_name("heron")
    await two.write(said(room.topic, "hi", name="Heron\u200b"))
    await until(lambda: len(room) == 2, room)
    await until(lambda: all(member.shared_name for member in room.peers), room)
    assert room.shares_name(room[0].name)
    assert room[0].short_key != room[1].short_key


async def test_a_peer_that_leaves_is_away_and_here_again_when_it_returns(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    otter = await make_node("otter")
    await otter.join(room.topic)
    await until(lambda: [(m.name, m.status.value) for m in room.peers] == [("otter", "here")], room)
    assert node.status.text == "Connected to otter"
    await otter.close()
    await until(lambda: [m.status.value for m in room.peers] == ["away"], room)
    assert node.status.text.startswith("Nobody else is in lobby now: otter is away.")
    await otter.open()
    await until(lambda: [(m.name, m.status.value) for m in room.peers] == [("otter", "here")], room)


async def test_a_new_name_and_avatar_reach_everybody(make_node: MakeNode) -> None:
    kestrel, room = await lobby(make_node)
    otter = await make_node("otter")
    theirs = await otter.join(room.topic)
    await until(lambda: bool(theirs.peers and theirs.peers[0].avatar), theirs)
    before = theirs.peers[0].avatar
    await kestrel.set_name("heron")
    await until(lambda: theirs.peers[0].name == "heron", theirs)
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "blue").save(out, "PNG")
    await kestrel.set_avatar(out.getvalue())
    await until(lambda: theirs.peers[0].avatar != before, theirs)
    assert (await room.send("hi")).name == "heron"


async def test_a_peer_that_stops_reading_delays_nobody_and_is_disconnected(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    otter = await make_node("otter")
    theirs = await otter.join(room.topic)
    stuck = lu.Swarm(discovery=[lu.Local(mdns=False)])
    await stuck.join(room.topic)
    await until(lambda: sum(member.status == "here" for member in room.peers) == 2, room)

    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    node.linkup_swarm.on("disconnection", lambda lost, _: ended.set_result(lost.close_reason))
    file = ("large.bin", bytes(9 * 1024 * 1024))
    sending = [asyncio.create_task(room.send_file(file, timeout=2.0)) for _ in range(3)]
    await until(lambda: len(theirs) == 3, theirs)
    assert not ended.done()
    assert isinstance(await asyncio.wait_for(ended, PATIENCE), PeerTimeout)
    assert (await sending[-1]).recipients == 1
    await stuck.close()
