"""Who has, and who has read, what one has written: the rules, then between members on real connections."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.errors import ProtocolError
from linkup_nb.rooms.memory.delivery import Delivery, read_lengths
from linkup_nb.rooms.memory.exchange import MAX_DELIVERIES
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.message import RoomMessage
from linkup_nb.rooms.memory.peer import BURST, FLOOD, RATES
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.rows import FeedRow, Held
from linkup_nb.wire import rooms as wire
from tests.hypercore.histories import forked, head
from tests.hypercore.liar import HONEST
from tests.rooms.memory.members import WAIT, TestMember, connect, say, texts, until
from tests.rooms.memory.test_room import a_room, comes, two_rooms

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)

ME, ANN, BOB = b"me", b"ann", b"bob"
OWN = FeedRow(1, b"own", identity=ME, device=b"my device", next=9)
HERS = FeedRow(2, b"hers", identity=ANN, device=b"ann's", next=5)
HER_PHONE = FeedRow(3, b"phone", identity=ANN, device=b"ann's phone", next=3)


def a_delivery(*held: Held) -> Delivery:
    delivery = Delivery(ME, held)
    for feed in (OWN, HERS, HER_PHONE):
        delivery.introduce(feed)
    return delivery


def test_people_are_counted_not_devices_and_not_oneself() -> None:
    delivery = a_delivery()
    assert delivery.held(b"ann's", 1, 3) == (0, 3)
    assert delivery.held(b"ann's phone", 1, 2) == (0, 2)
    assert delivery.held(b"my device", 1, 9) is None
    assert delivery.held(b"a stranger's", 1, 9) is None
    assert delivery.held(b"ann's", 2, 9) is None
    assert delivery.held_by(1, 1) == (ANN,)
    assert delivery.held_by(1, 2) == (ANN,)
    assert delivery.held_by(1, 3) == ()


def test_lengths_grow_and_what_is_read_is_held() -> None:
    delivery = a_delivery(Held(b"ann's", 1, 4, 2))
    assert delivery.held(b"ann's", 1, 3) is None
    assert delivery.read(b"ann's", 1, 2) is None
    assert delivery.read(b"ann's", 1, 6) == (2, 6)
    assert delivery.held_by(1, 5) == delivery.read_by(1, 5) == (ANN,)
    assert delivery.unsaved() == [Held(b"ann's", 1, 6, 6)]
    assert delivery.unsaved() == []


def test_a_feed_is_read_up_to_its_first_unread_block_and_not_beyond_a_gap() -> None:
    gap = HERS._replace(next=5, low=9, high=12)
    assert read_lengths([OWN, gap, HER_PHONE], {3: 1}, ME) == {2: 5, 3: 1}
    assert read_lengths([gap], {2: 3}, ME) == {2: 3}


async def test_a_message_is_written_then_held_then_read(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers = await a_room(ann)
    first = await hers.send("first")
    assert (first.state, first.held_by, first.read_by) == ("written", (), ())
    delivered: list[RoomMessage] = []
    hers.on("delivery", delivered.append)
    his = await a_room(bob)
    await connect(ann, bob)
    await comes(hers, "delivery", lambda: first.state == "held by 1")
    assert [member.name for member in first.held_by] == ["bob"]
    assert first in delivered
    assert his[0].state == ""
    await his.mark_read()
    await comes(hers, "delivery", lambda: first.state == "read by 1")
    assert [member.name for member in first.read_by] == ["bob"]


async def test_what_stands_unread_in_between_is_not_read(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    sent = [await hers.send(text) for text in ("one", "two", "three")]
    await comes(his, "message", lambda: len(his) == 3)
    await his.mark_read(his[0])
    await his.mark_read(his[2])
    await comes(hers, "delivery", lambda: sent[0].state == "read by 1")
    assert [message.state for message in sent] == ["read by 1", "held by 1", "held by 1"]


async def test_who_does_not_share_what_they_read_does_not_see_what_others_have(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await a_room(ann), await a_room(bob)
    bob.sessions[0].exchange.share_reads = False
    await connect(ann, bob)
    sent, received = await hers.send("one"), await his.send("two")
    await comes(hers, "delivery", lambda: sent.state == "held by 1")
    await comes(his, "delivery", lambda: received.state == "held by 1")
    await hers.mark_read()
    await his.mark_read()
    await hers.send("three")
    await comes(his, "message", lambda: len(his) == 3)
    bob.sessions[0].exchange.share_reads = True  # from here on
    await comes(hers, "delivery", lambda: sent.state == "read by 1")
    assert received.read_by == ()


async def stop(member: TestMember) -> None:
    """The member's only room is closed, as if the program had ended."""
    session = member.sessions.pop()
    member.links.remove(session)
    await session.close()


async def test_who_held_and_read_is_known_after_a_restart(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await a_room(ann), await a_room(bob)
    connection = await connect(ann, bob)
    sent = await hers.send("one")
    await comes(his, "message", lambda: len(his) == 1)
    await his.mark_read()
    await comes(hers, "delivery", lambda: sent.state == "read by 1")
    await connection.close()
    await stop(ann)
    again = await a_room(ann)
    assert [again[0].state] == ["read by 1"]


async def test_a_block_that_names_a_message_shows_that_its_author_has_it(make_member: MakeMember) -> None:
    """Bob was never connected to Ann: his answer is."""
    ann, eve, bob = await make_member("ann"), await make_member("eve"), await make_member("bob")
    hers, between, his = await a_room(ann), await a_room(eve), await a_room(bob)
    sent = await hers.send("one")
    connection = await connect(ann, eve)
    await comes(between, "message", lambda: len(between) == 1)
    await connection.close()
    await stop(ann)
    other = await connect(eve, bob)
    await comes(his, "message", lambda: len(his) == 1)
    await his.send("two")
    await comes(between, "message", lambda: len(between) == 2)
    await other.close()
    await stop(bob)
    again = await a_room(ann)
    await connect(ann, eve)
    await comes(again, "message", lambda: len(again) == 2)
    assert {member.name for member in again.message(sent.id).held_by} == {"eve", "bob"}


async def test_ones_other_device_has_read_what_one_has_read(make_member: MakeMember) -> None:
    ann, laptop, phone = await make_member("ann"), await make_member("bob"), await make_member("bob's phone")
    phone.identity = laptop.identity
    hers, one, other = await a_room(ann), await a_room(laptop), await a_room(phone)
    await connect(ann, laptop)
    await connect(laptop, phone)
    await hers.send("one")
    await hers.send("two")
    await comes(other, "message", lambda: len(other) == 2)
    await comes(one, "message", lambda: len(one) == 2)
    assert (one.unread, other.unread) == (2, 2)
    await one.mark_read()
    await comes(other, "update", lambda: other.unread == 0)
    assert not other[0].unread


async def test_of_many_messages_at_once_the_last_are_reported(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers = await a_room(ann)
    sent = [await hers.send(f"{number}") for number in range(MAX_DELIVERIES + 30)]
    reported: list[str] = []
    hers.on("delivery", lambda message: reported.append(message.id))
    await a_room(bob)
    await connect(ann, bob)
    await comes(hers, "delivery", lambda: sent[-1].id in reported)
    assert sent[0].state == "held by 1"


MESSAGES: dict[wire.MessageType, wire.Message] = {
    wire.MessageType.FEEDS: wire.FeedKeys(()),
    wire.MessageType.PRESENCE: wire.Presence(wire.PresenceState.HERE, ()),
    wire.MessageType.TYPING: wire.Typing("", 1),
    wire.MessageType.READ: wire.Read(()),
    wire.MessageType.SKELETON_REQUEST: wire.SkeletonRequest(1, bytes(wire.TAG_SIZE), 0),
    wire.MessageType.CONFLICT: wire.Conflict(head(HONEST, 39).encode(), head(forked(40, 20), 39).encode()),
}


def test_each_rate_has_its_test() -> None:
    assert set(RATES) == set(MESSAGES)


@pytest.mark.parametrize("kind", RATES, ids=lambda kind: kind.name.lower())
async def test_what_comes_too_often_is_dropped_and_a_flood_ends_the_connection(
    make_member: MakeMember, kind: wire.MessageType
) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    connection = await connect(ann, bob)
    await until(his, lambda: bool(his.peers))
    await until(hers, lambda: bool(hers.peers))
    [to_bob], [from_ann] = hers.peers, his.peers

    for _ in range(BURST + 25):
        to_bob.send(MESSAGES[kind])
    await say(hers, "after that")
    await until(his, lambda: texts(his) == ["after that"])
    assert from_ann.dropped
    assert not connection.closed

    for _ in range(FLOOD * (BURST + int(RATES[kind].per_second) * 2)):
        to_bob.send(MESSAGES[kind])
    await asyncio.wait_for(connection.wait_closed(), WAIT)
    assert isinstance(connection.close_reason, ProtocolError)
    assert f"over {FLOOD} times as many {kind.name.lower()} messages" in str(connection.close_reason)


async def test_share_reads_is_kept_in_the_profile(tmp_path: Path) -> None:
    async with lu.Node(tmp_path / "ann", name="ann", discovery=[]) as ann:
        room = await ann.create_room("physics")
        assert isinstance(room, MemoryRoom)
        assert ann.share_reads
        ann.share_reads = False
    async with lu.Node(tmp_path / "ann", discovery=[]) as ann:
        assert not ann.share_reads
