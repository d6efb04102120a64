import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import Arrival, Arrivals
from linkup_nb.rooms.memory.channel import MAX_CHANNELS_IN_ROOM, RoomChannels
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.message import RoomTextMessage
from tests.rooms.memory.members import TestMember
from tests.rooms.memory.test_room import a_room, comes, two_rooms
from tests.rooms.memory.world import NOW, START, TOPIC, feed_key, hello, pair

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


def said(messages: object) -> list[str]:
    assert hasattr(messages, "__iter__")
    return [message.text for message in messages if isinstance(message, RoomTextMessage)]


async def test_a_channel_is_a_view_of_the_room(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    made = await hers.create_channel(" #random ", "anything\nat all")
    assert (made.name, made.topic, made.invite, len(made)) == ("random", "anything at all", None, 0)
    await comes(his, "update", lambda: [channel.name for channel in his.channels] == ["random"])
    await hers.send("in the main one")
    first = await made.send("one cat")
    await made.send_file(("a.txt", b"a"))
    await comes(his, "message", lambda: len(his) == 3)
    theirs = his.channel("random")
    assert (theirs.unread, his.channel("").unread, his.unread) == (2, 1, 3)
    await theirs.send("two cats", to=theirs[0])
    await his.messages[1].reply("three cats")
    await comes(hers, "message", lambda: len(hers) == 5)
    for room in (hers, his):
        assert said(room.channel("random").messages) == ["one cat", "two cats", "three cats"]
        assert said(room.channel("").messages) == ["in the main one"]
        assert said(room.messages) == ["in the main one", "one cat", "two cats", "three cats"]
        messages = room.channel("random").messages
        assert (len(messages), messages[0], messages[-4]) == (4, first, first)
        assert messages[1:3] == tuple(messages)[1:3]
        assert tuple(reversed(messages)) == tuple(messages)[::-1]
    assert said(await his.channel("").search("cat*")) == []
    assert len(await theirs.search("cat*")) == 3
    await theirs.mark_read()
    assert (theirs.unread, his.channel("").unread) == (0, 1)
    await theirs.set_typing()
    await comes(hers, "typing", lambda: bool(made.typing))
    assert [member.name for member in made.typing] == ["bob"]


async def test_a_snapshot_of_a_channel_does_not_grow(make_member: MakeMember) -> None:
    room = await a_room(await make_member("ann"))
    random_channel = await room.create_channel("random")
    await random_channel.send("one")
    messages = random_channel.messages
    await random_channel.send("two")
    assert (len(messages), said(messages)) == (1, ["one"])
    assert said(random_channel.messages) == ["one", "two"]


async def test_the_last_word_about_a_channel_and_the_room_counts(make_member: MakeMember) -> None:
    hers, his = await two_rooms(make_member)
    await hers.create_channel("random", "one")
    await hers.create_channel("Random", "another")
    await hers.create_channel("random", "two")
    await hers.set_subject("All of  physics")
    await comes(his, "update", lambda: bool(his.subject))
    assert [(channel.name, channel.topic) for channel in his.channels] == [("random", "two"), ("Random", "another")]
    assert his.subject == hers.subject == "All of physics"


@pytest.mark.parametrize("name", ["", " ", "#", "\u202e", "x" * 65])
async def test_names_that_no_channel_has(make_member: MakeMember, name: str) -> None:
    room = await a_room(await make_member("ann"))
    with pytest.raises(UsageError, match="1 to 64 characters"):
        await room.create_channel(name)
    with pytest.raises(UsageError, match="There is no channel 'random'"):
        room.channel("random")


def test_a_room_has_so_many_channels_the_first_ones_whatever_comes_first(tmp_path: Path) -> None:
    feed = feed_key(0)
    made = [hello(0), *(blocks.ChannelBody(f"c{number}") for number in range(MAX_CHANNELS_IN_ROOM + 20))]
    raws = [blocks.encode(body, t=START + at, timestamp=0) for at, body in enumerate(made)]
    index = Index(tmp_path / "room")
    arrivals = Arrivals(index, TOPIC, pair(0, "identity").public_key)
    arrivals.follow(feed)
    channels = RoomChannels(index)
    rows = arrivals.take([Arrival(feed, at, raw, 0) for at, raw in enumerate(raws)], now=NOW).rows[1:]
    random.Random(1).shuffle(rows)
    for row in rows:
        channels.take(row)
    first = [f"c{number}" for number in range(MAX_CHANNELS_IN_ROOM)]
    assert [channel.name for channel in channels.all] == [channel.name for channel in RoomChannels(index).all] == first
    with pytest.raises(UsageError, match="at most 100 channels"):
        channels.check_new("another")
    assert channels.check_new("c1") == "c1"
    index.close()
