"""Clocks that are wrong, and are set right: nothing is lost by them, and nobody stops being able to write."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from linkup_nb.rooms.memory import feeds
from linkup_nb.rooms.memory.keys import RoomKeys
from tests.rooms.memory.members import WAIT, Clock, TestMember, connect, ids, say, texts, until

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)


async def test_who_has_a_clock_of_1970_writes_all_the_same(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    async with asyncio.timeout(WAIT):
        hers, his = await ann.enter(ROOM, Clock(datetime(1970, 1, 1, tzinfo=UTC))), await bob.enter(ROOM)
        await say(hers, "no battery")
    await connect(ann, bob)
    await until(his, lambda: texts(his) == ["no battery"])


async def test_who_sets_a_clock_back_by_years_goes_on_writing(make_member: MakeMember) -> None:
    ann = await make_member("ann")
    clock = Clock(datetime.now(UTC) + timedelta(days=3 * 365))
    hers = await ann.enter(ROOM, clock)
    await say(hers, "in three years")
    clock.set(datetime.now(UTC))
    async with asyncio.timeout(WAIT):
        await say(hers, "now")
    assert texts(hers) == ["in three years", "now"]


async def test_what_waited_for_a_clock_comes_when_it_is_set_right(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "CLOCK_CHECK", 0.05)
    ann, bob = await make_member("ann"), await make_member("bob")
    clock = Clock(datetime(2018, 1, 1, tzinfo=UTC))
    hers, his = await ann.enter(ROOM), await bob.enter(ROOM, clock)
    await say(hers, "today")
    await connect(ann, bob)
    own = hers.feeds.own
    assert own
    waits = asyncio.Event()
    his.on("taken", lambda taken: waits.set() if own.key in taken.waiting else None)
    await asyncio.wait_for(waits.wait(), WAIT)
    assert texts(his) == []
    clock.set(datetime.now(UTC))
    await until(his, lambda: ids(his) == ids(hers))
