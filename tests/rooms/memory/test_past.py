"""Time travel: what somebody had seen, and what can still change."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory import past
from linkup_nb.rooms.memory.arrivals import Arrival, Arrivals
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.keys import RoomKeys, tie_of
from linkup_nb.rooms.memory.message import RoomNotice, RoomTextMessage
from linkup_nb.rooms.memory.past import clock_of, make_marks
from linkup_nb.rooms.memory.timeline import Timeline
from tests.rooms.memory.members import TestMember, connect, until
from tests.rooms.memory.test_room import a_room, comes, two_rooms
from tests.rooms.memory.world import NOW, TOPIC, World, feed_key, pair

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


def texts(messages: Timeline) -> list[str]:
    return [message.text for message in messages if isinstance(message, RoomTextMessage)]


@pytest.mark.parametrize("seed", range(20))
def test_the_past_of_a_block_is_what_its_author_had_seen(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "EVERY", 8)
    monkeypatch.setattr(past, "RECENT", random.Random(seed).choice((1, 100, 10_000)))
    rng = random.Random(seed)
    world = World(rng, 5)
    seen: dict[tuple[int, int], dict[int, int]] = {}
    for _ in range(200):
        before = [len(author.blocks) for author in world.authors]
        world.talk(1)
        for author, length in zip(world.authors, before, strict=True):
            if len(author.blocks) > length:
                known = {**author.known, author.number: length + 1}
                seen[author.number, length] = {tie_of(feed_key(number)): much for number, much in known.items()}
    index = Index(tmp_path / "room")
    arrivals = Arrivals(index, TOPIC, pair(0, "identity").public_key)
    for author in world.authors:
        arrivals.follow(feed_key(author.number))
    # A head names the tips alone, so who has not read everything cannot know what they had seen: all is here.
    for author in world.authors:
        raws = enumerate(author.blocks)
        arrivals.take([Arrival(feed_key(author.number), seq, raw, 0) for seq, raw in raws], now=NOW)

    def check() -> int:
        followed = 0
        for (number, seq), expected in seen.items():
            clock, heads = clock_of(index, {tie_of(feed_key(number)): seq + 1})
            followed += heads
            assert clock == expected, (number, seq)
        return followed

    without = check()
    marks = list(make_marks(index, {row.tie: row.next for row in arrivals.feeds}))
    assert len(marks) == sum(len(author.blocks) // 8 for author in world.authors)
    index.save_marks(marks)
    assert check() < without
    index.close()


def test_no_clock_is_kept_of_what_is_not_all_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "EVERY", 4)
    world = World(random.Random(1), 3)
    world.talk(100)
    index = Index(tmp_path / "room")
    arrivals = Arrivals(index, TOPIC, pair(0, "identity").public_key)
    for author in world.authors:
        arrivals.follow(feed_key(author.number))
    short = world.authors[0]
    for author in world.authors:
        raws = enumerate(author.blocks[:5] if author is short else author.blocks)
        arrivals.take([Arrival(feed_key(author.number), seq, raw, 0) for seq, raw in raws], now=NOW)
    lengths = {row.tie: row.next for row in arrivals.feeds}
    for mark in make_marks(index, lengths):
        clock, _ = clock_of(index, {mark.tie: mark.length})
        assert all(length <= lengths[tie] for tie, length in clock.items())
    index.close()


async def test_the_conversation_as_it_was_for_the_author_of_a_message(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await a_room(ann), await a_room(bob)
    connection = await connect(ann, bob)
    first = await hers.send("frist")
    await comes(his, "message", lambda: len(his) == 1)
    await connection.close()
    await first.edit("first")
    await hers.send("unseen by bob")
    answer = await his.send("what he says")
    await connect(bob, ann)
    await comes(hers, "message", lambda: len(hers) == 3)
    await comes(his, "message", lambda: len(his) == 3)
    for room in (hers, his):
        assert texts(room.messages) == ["first", "unseen by bob", "what he says"]
        then = room.at(room.message(answer.id))
        assert (texts(then), len(then)) == (["frist"], 1)
        assert [message.id for message in reversed(then)] == [first.id]
        assert texts(room.at(answer.heads)) == ["frist"]
        assert texts(room.at({})) == []
    after = await his.send("now he knows")
    assert texts(his.at(after)) == ["first", "unseen by bob", "what he says"]


async def test_what_is_settled_is_below_what_everybody_has_written(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    alone = await a_room(await make_member("eve"))
    assert (await alone.send("x")).settled
    await comes(hers, "update", lambda: bool(hers.peers))
    one = await hers.send("one")
    assert not one.settled
    assert [member.name for member in one.may_follow] == ["bob"]
    await comes(his, "message", lambda: len(his) == 1)
    await his.send("two")
    await comes(hers, "message", lambda: len(hers) == 2)
    assert one.settled
    assert one.may_follow == ()
    assert one.timestamp <= hers.settled_until <= datetime.now(UTC)
    assert [member.name for member in his[1].may_follow] == ["ann"]


async def test_nobody_waits_for_who_has_left(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, _ = await a_room(ann), await a_room(bob)
    await connect(ann, bob)
    await comes(hers, "update", lambda: bool(hers.peers))
    one = await hers.send("one")
    assert not one.settled
    await bob.sessions[0].write([blocks.LeaveBody()])
    await until(ann.sessions[0], lambda: one.settled)
    assert one.may_follow == ()


async def test_the_timeline_has_notices_too(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await comes(his, "update", lambda: bool(his.peers))
    await hers.set_subject("physics")
    await hers.send("one")
    await hers[0].react("👍")
    timeline = hers.timeline
    await hers.send("two")
    kinds = [message.kind for message in timeline if isinstance(message, RoomNotice)]
    assert sorted(kinds[:2]) == ["hello", "hello"]
    assert kinds[2:] == ["topic"]
    assert (len(timeline), len(hers.timeline)) == (4, 5)
    assert timeline[-1] == hers[0]
    topic = timeline[2]
    assert isinstance(topic, RoomNotice)
    assert topic.fields == {"message": "physics"}
    assert {name for notice in timeline[:2] if isinstance(notice, RoomNotice) for name in notice.fields} == {
        "name",
        "identity",
        "device",
        "drive",
    }
    assert timeline.before(timeline[-1], 2) == timeline[1:3]
