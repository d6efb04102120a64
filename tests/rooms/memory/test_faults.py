"""Feeds with which something is wrong: it is said, stays where it happened, and is known after a restart."""

from collections.abc import Awaitable, Callable

import pytest

from linkup_nb.rooms.memory import feeds
from linkup_nb.rooms.memory.block import MessageBody
from linkup_nb.rooms.memory.faults import TOO_LONG, TWO_COPIES
from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.rooms.memory.members import TestMember, connect, say, texts, until
from tests.rooms.memory.test_room import ROOM, Alone

MakeMember = Callable[[str], Awaitable[TestMember]]


async def test_blocks_that_are_none_are_skipped_counted_and_named(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    room = MemoryRoom("physics", his, Alone())
    await connect(ann, bob)
    await say(hers, "one")
    own = hers.feeds.own
    assert own
    await own.append([b"garbage", b"{}"])
    await say(hers, "two")
    await until(his, lambda: texts(his) == ["one", "two"])
    [fault] = room.faults
    assert (fault.member, fault.feed, fault.blocks) == (ann.identity.public_key, short_id(own.key), 2)
    assert fault.reason.startswith("A block is a JSON object")


async def test_two_copies_of_a_profile_are_noticed_and_it_is_known_after_a_restart(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    copy = TestMember(ann.path.with_name("copy"), "ann", ann.executor)
    his = await bob.enter(ROOM)
    hers = await ann.enter(ROOM)
    await say(hers, "from the original")
    first = await connect(ann, bob)
    await until(his, lambda: texts(his) == ["from the original"])
    own = hers.feeds.own
    assert own
    await first.close()
    await ann.close()
    (copy.path.parent / "state").rename(copy.path.parent / "another machine")  # which knows no lengths
    await copy.open()
    theirs = await copy.enter(ROOM)
    for text in ("from the copy", "and more"):
        await say(theirs, text)
    await connect(copy, bob)
    await until(his, lambda: own.key in his.feeds.disputed)
    assert texts(his) == []  # even their first blocks differ
    await say(his, "I go on")
    await copy.close()
    await bob.close()
    again = await make_member("bob")
    room = MemoryRoom("physics", await again.enter(ROOM), Alone())
    assert [(fault.feed, fault.reason) for fault in room.faults] == [(short_id(own.key), TWO_COPIES)]
    assert [message.text for message in room.messages] == ["I go on"]  # type: ignore[attr-defined]
    assert [message.text for message in room.disputed] == ["from the original"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("limit", "most", "seen"), [("MAX_FEED_BLOCKS", 20, 19), ("MAX_FEED_BYTES", 1000, 0)])
async def test_a_feed_that_fills_the_disk_is_fetched_only_when_the_user_allows_it(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, seen: int
) -> None:
    monkeypatch.setattr(feeds, limit, most)
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    room = MemoryRoom("physics", his, Alone())
    await hers.write([MessageBody(f"{number}") for number in range(30)])
    await connect(ann, bob)
    await until(his, lambda: bool(room.peers and room.faults) and len(texts(his)) == seen)
    assert [(fault.reason, fault.blocks) for fault in room.faults] == [(TOO_LONG, 0)]
    await room.allow(room.peers[0])
    await until(his, lambda: len(texts(his)) == 30)
    assert not room.faults
