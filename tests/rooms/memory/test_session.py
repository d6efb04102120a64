import asyncio
from collections.abc import Awaitable, Callable

from linkup_nb.rooms.memory.faults import REWRITTEN
from linkup_nb.rooms.memory.keys import RoomKeys
from tests.rooms.memory.members import WAIT, TestMember, connect, ids, say, texts, until

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


async def test_two_members_talk(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    await say(hers, "before")
    await connect(ann, bob)
    await until(his, lambda: texts(his) == ["before"])
    await say(his, "hello")
    await until(hers, lambda: texts(hers) == ["before", "hello"])
    assert ids(hers) == ids(his)


async def test_who_comes_later_has_everything_from_the_one_who_is_left(make_member: MakeMember) -> None:
    ann, bob, eve = await make_member("ann"), await make_member("bob"), await make_member("eve")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    connection = await connect(ann, bob)
    for number in range(100):
        await say(hers if number % 2 else his, f"{number}")
    await until(his, lambda: len(texts(his)) == 100)
    await connection.close()
    late = await eve.enter(ROOM)
    await connect(bob, eve)
    await until(late, lambda: len(texts(late)) == 100)
    await until(his, lambda: len(his.feeds.members) == 3)
    await until(late, lambda: ids(late) == ids(his))
    assert sorted(texts(late), key=int) == [str(number) for number in range(100)]


async def test_a_room_that_is_joined_while_connected_is_met(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers = await ann.enter(ROOM)
    await connect(ann, bob)
    await say(hers, "hello")
    his = await bob.enter(ROOM)
    await until(his, lambda: texts(his) == ["hello"])


async def test_an_author_who_cuts_a_feed_cuts_nothing_from_the_others(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    await connect(ann, bob)
    for text in ("one", "two"):
        await say(hers, text)
    await until(his, lambda: texts(his) == ["one", "two"])
    rewritten = asyncio.Event()
    his.feeds.on("conflict", lambda key: rewritten.set())
    own = hers.feeds.own
    assert own
    await own.truncate(2)
    await asyncio.wait_for(rewritten.wait(), WAIT)
    assert texts(his) == ["one", "two"]
    assert his.feeds.disputed == {own.key: REWRITTEN}
    core = his.feeds.core(own.key)
    assert core
    assert (core.length, core.fork) == (3, 0)
    await bob.close()
    again = await (await make_member("bob")).enter(ROOM)
    assert again.feeds.disputed == {own.key: REWRITTEN}
    assert texts(again) == ["one", "two"]
