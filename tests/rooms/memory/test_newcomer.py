"""Who comes late into a large room."""

from collections.abc import Awaitable, Callable

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.hello import sign_hello
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.wire.keys import KeyPair
from tests.rooms.memory.members import TestMember, connect, ids, say, until

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)
FEEDS = 300


async def somebody_was_here(member: TestMember, session: RoomSession, number: int, t: int) -> None:
    """A feed of another device, as `member` has copied it."""
    keys = [KeyPair.from_seed(f"{what} {number}".encode().ljust(32, b".")) for what in ("identity", "device")]
    core = await member.store.core(name=f"feed {number}", encryption_key=ROOM.encryption_key)
    hello = sign_hello(ROOM.topic, core.key, b"d" * 32, identity=keys[0], device=keys[1], name=f"member {number}")
    bodies: list[blocks.Body] = [hello, blocks.MessageBody(f"{number} was here")]
    await core.append([blocks.encode(body, t=t + i, timestamp=t // 1000) for i, body in enumerate(bodies)])
    assert await session.feeds.follow(core.key)
    await core.close()


async def test_a_newcomer_to_a_room_of_three_hundred_feeds_has_them_all(make_member: MakeMember) -> None:
    ann, bob = await make_member("ann"), await make_member("bob")
    hers = await ann.enter(ROOM)
    start = (await say(hers, "first")).t
    for number in range(FEEDS):
        await somebody_was_here(ann, hers, number, start + 1000 * number)
    await until(hers, lambda: len(hers.feeds.members) == FEEDS + 1)
    await until(hers, lambda: hers.index.count() == FEEDS + 1)
    his = await bob.enter(ROOM)
    connection = await connect(ann, bob)
    await until(his, lambda: len(his.feeds.members) == FEEDS + 2)
    await until(hers, lambda: len(hers.feeds.members) == FEEDS + 2)
    await until(his, lambda: ids(his) == ids(hers))
    await say(his, "hello everybody")
    await until(hers, lambda: ids(his) == ids(hers))
    assert not connection.closed
