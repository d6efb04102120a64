"""Feeds that a member names and nobody has, or that are none: they cost little, and nobody else pays for it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from linkup_nb.rooms.memory import feeds
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.open_feed import OpenFeed
from linkup_nb.rooms.memory.peer import MAX_UNPROVEN
from linkup_nb.wire.keys import blake2b_256
from tests.rooms.memory.members import WAIT, TestMember, connect, ids, say, texts, until

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


def nothing(number: int) -> bytes:
    """The key of a feed that nobody has."""
    return blake2b_256(number.to_bytes(4, "big"))


async def test_feeds_of_nothing_are_looked_for_a_few_at_a_time_and_forgotten(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "HELLO_TIMEOUT", 2.0)  # on a busy machine those that exist take a while, too
    ann, bob, eve = await make_member("ann"), await make_member("bob"), await make_member("eve")
    hers, his, liar = await ann.enter(ROOM), await bob.enter(ROOM), await eve.enter(ROOM)
    await connect(ann, eve)
    await until(liar, lambda: bool(liar.peers))
    most = 0

    def look(_: object) -> None:
        nonlocal most
        most = max(most, sum(row.identity is None for row in hers.feeds.rows))

    hers.feeds.on("follow", look)
    [peer] = liar.peers
    peer.name([nothing(number) for number in range(2 * MAX_UNPROVEN + 1)])
    await connect(ann, bob)
    await say(his, "hello")
    await until(hers, lambda: texts(hers) == ["hello"])
    await until(his, lambda: ids(his) == ids(hers))
    await until(hers, lambda: len(hers.feeds.rows) == 3)
    assert MAX_UNPROVEN // 2 < most <= MAX_UNPROVEN + 1  # bob's, too


async def test_a_feed_whose_hello_comes_while_it_is_given_up_stays(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "HELLO_TIMEOUT", 1.0)
    ann, bob = await make_member("ann"), await make_member("bob")
    ann.executor = ThreadPoolExecutor(1)
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    assert his.feeds.own is not None
    theirs = his.feeds.own.key
    gate, given_up = threading.Event(), asyncio.Event()
    hers.feeds.on("follow", lambda _: ann.executor.submit(gate.wait, WAIT))  # her index has one thread
    close = OpenFeed.close

    async def watched(feed: OpenFeed) -> None:
        await close(feed)
        given_up.set()

    monkeypatch.setattr(OpenFeed, "close", watched)
    await connect(ann, bob)
    await asyncio.wait_for(given_up.wait(), WAIT)
    assert ann.executor._work_queue.qsize()  # his hello has come, and waits
    gate.set()
    await say(his, "hello")
    await until(hers, lambda: texts(hers) == ["hello"])
    assert hers.feeds.core(theirs) is not None


async def test_a_feed_that_is_named_again_while_it_is_given_up_is_looked_for_again(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ann = await make_member("ann")
    ann.executor = ThreadPoolExecutor(1)
    hers = await ann.enter(ROOM)
    key, loop = nothing(1), asyncio.get_running_loop()
    gone, here = loop.create_future(), loop.create_future()
    gone.set_result(None)
    busy, gate, close = threading.Event(), threading.Event(), OpenFeed.close
    again: list[asyncio.Task[None]] = []

    def release(turns: int) -> None:
        if turns:
            loop.call_soon(release, turns - 1)  # all that wait for the index have asked it then
            return
        gate.set()
        ann.executor.submit(int).result()  # and it has answered all before anybody here goes on

    def hold() -> None:
        busy.set()
        gate.wait(WAIT)

    async def named_again(feed: OpenFeed) -> None:
        await close(feed)
        if not again:
            ann.executor.submit(hold)
            busy.wait(WAIT)
            again.append(loop.create_task(hers.feeds.prove(key, here)))
            while not ann.executor._work_queue.qsize():  # noqa: ASYNC110
                await asyncio.sleep(0)
            release(20)

    monkeypatch.setattr(OpenFeed, "close", named_again)
    await asyncio.wait_for(hers.feeds.prove(key, gone), WAIT)

    await until(hers, lambda: hers.feeds.core(key) is not None)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    here.set_result(None)
    await asyncio.wait_for(again[0], WAIT)


async def test_who_names_a_thousand_feeds_is_hung_up_on(make_member: MakeMember) -> None:
    ann, eve = await make_member("ann"), await make_member("eve")
    hers, liar = await ann.enter(ROOM), await eve.enter(ROOM)
    connection = await connect(ann, eve)
    await until(liar, lambda: bool(liar.peers))
    [peer] = liar.peers
    peer.name([nothing(number) for number in range(1000)])
    await asyncio.wait_for(connection.wait_closed(), WAIT)
    await until(hers, lambda: not hers.peers)
    await until(hers, lambda: all(row.identity for row in hers.feeds.rows))
    assert texts(hers) == []


async def test_a_feed_that_does_not_begin_with_a_hello_is_none_of_the_room(make_member: MakeMember) -> None:
    ann, eve = await make_member("ann"), await make_member("eve")
    hers, liar = await ann.enter(ROOM), await eve.enter(ROOM)
    core = await eve.store.core(name="no feed", encryption_key=ROOM.encryption_key)
    await core.append([b"not a hello", b"and more"])
    liar.feeds._open[core.key] = OpenFeed(core)  # a member that offers what it has not read
    await connect(ann, eve)
    await until(liar, lambda: bool(liar.peers))
    [peer] = liar.peers
    followed = asyncio.Event()
    hers.feeds.on("follow", lambda key: followed.set() if key == core.key else None)
    peer.name([core.key])
    await asyncio.wait_for(followed.wait(), WAIT)
    await until(hers, lambda: core.key not in [row.key for row in hers.feeds.rows])
    await say(liar, "hello all the same")
    await until(hers, lambda: texts(hers) == ["hello all the same"])


async def test_a_feed_that_nobody_has_yet_comes_when_somebody_has_it(make_member: MakeMember) -> None:
    ann, bob, cat = await make_member("ann"), await make_member("bob"), await make_member("cat")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    first = await connect(ann, bob)
    await say(hers, "ann was here")
    await until(his, lambda: texts(his) == ["ann was here"])
    await first.close()
    await ann.close()
    # Of ann's feed bob has the hello, and not the message that his own names.
    [key] = [row.key for row in his.feeds.rows if row.device == ann.device.public_key]
    core = his.feeds.core(key)
    assert core
    await core.clear(1, 2)
    await say(his, "bob saw her")
    late = await cat.enter(ROOM)
    await connect(bob, cat)
    await until(late, lambda: texts(late) == ["bob saw her"])
    again = await make_member("ann")
    back = await again.enter(ROOM)
    await connect(cat, again)
    await until(late, lambda: texts(late) == ["ann was here", "bob saw her"])
    await until(back, lambda: len(ids(back)) == 5)
    await until(late, lambda: ids(late) == ids(back))


async def test_a_named_key_alone_displaces_nobody_whose_feed_begins_alike(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, eve = await make_member("ann"), await make_member("bob"), await make_member("eve")
    hers, his, liar = await ann.enter(ROOM), await bob.enter(ROOM), await eve.enter(ROOM)
    await connect(ann, bob)
    await say(hers, "hello")
    await until(his, lambda: texts(his) == ["hello"])
    own = hers.feeds.own
    assert own
    await connect(bob, eve)
    await until(liar, lambda: bool(liar.peers))
    [peer] = liar.peers
    await until(his, lambda: len(his.feeds.members) == 3)
    monkeypatch.setattr(feeds, "HELLO_TIMEOUT", 0.2)
    tried = asyncio.Event()
    rival = own.key[:8] + bytes(24)
    his.feeds.on("follow", lambda key: tried.set() if key == rival else None)
    peer.name([rival])
    await asyncio.wait_for(tried.wait(), WAIT)
    await say(hers, "still here")
    await until(his, lambda: texts(his) == ["hello", "still here"])
    assert rival not in [row.key for row in his.feeds.rows]


async def test_feeds_that_were_read_before_a_restart_need_no_hello_again(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM)
    await connect(ann, bob)
    await say(hers, "hello")
    await until(his, lambda: texts(his) == ["hello"])
    await bob.close()
    monkeypatch.setattr(feeds, "HELLO_TIMEOUT", 0.01)
    again = await make_member("bob")
    back = await again.enter(ROOM)
    connection = await connect(ann, again)
    await until(back, lambda: bool(back.peers))
    await say(hers, "and again")
    await until(back, lambda: texts(back) == ["hello", "and again"])
    await connection.close()
    await until(back, lambda: not back.peers)
    assert len(back.feeds.members) == 2
