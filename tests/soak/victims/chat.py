"""Members of both kinds of rooms."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import linkup_nb as lu
from linkup_nb.rooms.memory.block import MessageBody
from linkup_nb.rooms.memory.keys import RoomKeys
from tests.rooms.memory.members import TestMember, connect, ids, until
from tests.rooms.memory.members import say as write
from tests.soak.processes import Say, Victim
from tests.soak.victims.logs import Kills

ROOM = RoomKeys(b"r" * 32)
TOPIC = b"t" * 32
MESSAGES = 600  # of the room that is caught up with
MAX_ROOMS = 20
SLOW = 0.1  # seconds that who opens a whole node lives on average


async def member(folder: Path, name: str, port: int, say: Say, _: Random, *, writes: bool) -> None:
    """A member who says where it listens and how much it has; then each message of its own, or each change."""
    with ThreadPoolExecutor(1) as executor:
        one = TestMember(folder / name, name, executor)
        await one.open()
        session = await one.enter(ROOM)
        server = await one.listen()
        say(server.port, session.index.count(), None)
        if not writes:
            session.on("taken", lambda _: say(server.port, session.index.count(), None))
        if port:
            await one.dial(port)
        while writes:
            row = await write(session, "promised")
            say(server.port, session.index.count(), [row.tie, row.seq])
        await asyncio.Event().wait()


def follows(before: list[Any], now: list[Any]) -> bool:
    """The index has no less than it had."""
    return bool(now[1] >= before[1])


def remembering(kills: Kills, folder: Path) -> None:
    """Who is killed while sending; a member who is there all the time gets what it sends."""
    bob = Victim(partial(member, folder, "bob", 0, writes=False), 0)
    bob.wait_for(1)
    said = kills(partial(member, folder, "ann", bob.said[0][0], writes=True), follows)
    bob.kill()
    promised = [tuple(place) for _, _, place in said if place]
    assert len(set(promised)) == len(promised), "one place was given to two messages"
    asyncio.run(check_members(folder, set(promised)))


def indexing(kills: Kills, folder: Path) -> None:
    """Who is killed while catching up goes on where it was."""
    asyncio.run(write_room(folder))
    ann = Victim(partial(member, folder, "ann", 0, writes=False), 0)
    ann.wait_for(1)
    kills(partial(member, folder, "bob", ann.said[0][0], writes=False), follows)
    ann.kill()
    asyncio.run(check_members(folder, set()))


async def write_room(folder: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        ann = TestMember(folder / "ann", "ann", executor)
        await ann.open()
        session = await ann.enter(ROOM)
        for start in range(0, MESSAGES, 100):
            await session.write([MessageBody(f"{number}") for number in range(start, start + 100)])
        await ann.close()


async def check_members(folder: Path, promised: set[tuple[int, int]]) -> None:
    """Both come to the same room, with all that was promised, in one feed; and the index is as the feeds."""
    with ThreadPoolExecutor(1) as executor:
        members = [TestMember(folder / name, name, executor) for name in ("ann", "bob")]
        for one in members:
            await one.open()
        hers, his = [await one.enter(ROOM) for one in members]
        await until(hers, lambda: promised <= set(ids(hers)))
        assert len({tie for tie, _ in promised}) <= 1, "a feed was given up"
        await connect(members[0], members[1])
        await until(hers, lambda: len(hers.feeds.members) == 2)
        await until(his, lambda: len(his.feeds.members) == 2)
        # Blocks that nobody was told of are there, too: written, and killed before it was said.
        written = sum(stored.length for one in members for stored in one.store.cores if is_feed(stored.name))
        await until(hers, lambda: len(ids(hers)) == written)
        await until(his, lambda: ids(his) == ids(hers))
        assert not his.feeds.disputed
        assert not hers.feeds.disputed
        want = ids(hers)
        for one in members:
            await one.close()
        for one in members:
            await check_again(one, want)


def is_feed(name: str | None) -> bool:
    """Whether this is the name of a feed of one's own."""
    return name is not None and name.startswith("feed/")


async def check_again(one: TestMember, want: list[tuple[int, int]]) -> None:
    """The index is a cache: made anew from the feeds it is the same; and the feeds are undamaged."""
    for file in one.path.glob("*.sqlite3*"):
        file.unlink()
    await one.open()
    session = await one.enter(ROOM)
    await until(session, lambda: len(ids(session)) == len(want))
    assert ids(session) == want
    for stored in one.store.cores:
        async with await one.store.core(key=stored.key) as core:
            audit = await core.audit()
            assert audit.clean, audit.faults
    await one.close()


async def linkup(folder: Path, name: str, say: Say, rolls: Random) -> None:
    """A node in a LinkUp room, which joins others, takes names and sends messages and files."""
    async with lu.Node(folder / name, name=f"{name} 0", discovery=[lu.Local(mdns=False)]) as node:
        room = await node.join(TOPIC)
        while True:
            topics = sorted(one.topic.hex() for one in node.rooms)
            say(node.public_key.hex(), topics)
            roll = rolls.random()
            if roll < 0.3 and len(topics) < MAX_ROOMS:
                await node.join(rolls.randbytes(32))
            elif roll < 0.5:
                await node.set_name(f"{name} {rolls.randrange(1000)}")
            elif roll < 0.7:
                await room.send_file((f"{rolls.randrange(1000)}.bin", rolls.randbytes(5000)))
            else:
                await room.send(f"{rolls.randrange(1000)}")


async def listener(folder: Path, say: Say, _: Random) -> None:
    """A node that says what it hears in the room."""
    async with lu.Node(folder / "kestrel", name="kestrel", discovery=[lu.Local(mdns=False)]) as node:
        room = await node.join(TOPIC)
        room.on("message", lambda message: say(type(message).__name__, getattr(message, "text", "")))
        say("open", "")
        await asyncio.Event().wait()


def forgetting(kills: Kills, folder: Path) -> None:
    """A LinkUp room keeps nothing; a node keeps who it is and its rooms, and is heard again each time."""

    def follows(before: list[Any], now: list[Any]) -> bool:
        return bool(now[0] == before[0] and set(now[1]) >= set(before[1]))

    kestrel = Victim(partial(listener, folder), 0)
    kestrel.wait_for(1)
    kills(partial(linkup, folder, "otter"), follows, SLOW)
    last = Victim(partial(goodbye, folder), 0)
    last.wait_for(1)
    while ["LinkUpTextMessage", "goodbye"] not in kestrel.said and ["TextMessage", "goodbye"] not in kestrel.said:
        kestrel.wait_for(len(kestrel.said) + 1)
    last.kill()
    kestrel.kill()


async def goodbye(folder: Path, say: Say, _: Random) -> None:
    """Say so to whoever is in the room, until killed."""
    async with lu.Node(folder / "otter", discovery=[lu.Local(mdns=False)]) as node:
        room = node.room(TOPIC)
        connected = asyncio.Event()
        room.on("update", connected.set)
        while not any(one.status == "here" for one in room.peers):
            await connected.wait()
            connected.clear()
        await room.send("goodbye")
        say("sent")
        await asyncio.Event().wait()
