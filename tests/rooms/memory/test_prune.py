"""Making room by hand: what others said long ago is deleted here, and nothing else."""

from datetime import UTC, datetime

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.rooms.memory.message import RoomTextMessage
from linkup_nb.rooms.memory.origin import PRUNED
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.rooms.memory.members import connect
from tests.rooms.memory.test_room import MakeMember, a_room, comes, two_rooms


def texts(room: MemoryRoom) -> list[str]:
    return [message.text for message in room.messages if isinstance(message, RoomTextMessage)]


async def pruned_room(make_member: MakeMember) -> tuple[MemoryRoom, MemoryRoom]:
    hers, his = await two_rooms(make_member)
    for number in range(20):
        await hers.send(f"hers {number}")
    await comes(his, "message", lambda: len(his) == 20)
    await his[0].reply("his own")
    await hers[0].edit("hers, edited")
    await comes(his, "change", lambda: texts(his)[0] == "hers, edited")
    await comes(hers, "message", lambda: len(hers) == 21)
    await hers.send("the last one")
    await comes(his, "message", lambda: len(his) == 22)
    return hers, his


async def test_what_others_said_goes_and_ones_own_stays(make_member: MakeMember) -> None:
    hers, his = await pruned_room(make_member)
    feed = his._session.core_of(his[0].id)
    assert feed is not None
    counted = await his._session._store.usage()
    before = {use.key: use.blocks for use in counted}[feed.key]
    assert await his.prune(his[-1]) == 21  # twenty messages, and an edit
    assert texts(his) == [""] * 20 + ["his own", "the last one"]
    assert his[0].hidden == PRUNED
    assert his[0].edits == ()
    assert await his.search("edited") == ()
    assert len(await his.search("own")) == 1
    with pytest.raises(UsageError, match="is not here"):
        await his[3].provenance()
    after = {use.key: use.blocks for use in await his._session._store.usage()}[feed.key]
    assert after == before - 21
    assert await feed.has(0)  # whose feed it is
    assert await his.prune(datetime.now(UTC)) == 1
    assert texts(hers)[0] == "hers, edited"  # others keep theirs
    await hers.send("and on it goes")
    await comes(his, "message", lambda: texts(his)[-1] == "and on it goes")


async def test_it_stays_so_after_a_restart(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers, his = await a_room(ann), await a_room(bob)
    await connect(ann, bob)
    await hers.send("long ago")
    await comes(his, "message", lambda: len(his) == 1)
    assert await his.prune(datetime.now(UTC)) == 1
    await bob.close()
    await bob.open()
    assert texts(await a_room(bob)) == [""]
