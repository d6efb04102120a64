"""A room and its people: how what one waits for grows with their number, up to what a room takes, and beyond."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

from linkup_nb.rooms.memory.arrivals import MAX_FEEDS
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.session import RoomSession
from tests.rooms.memory.members import TestMember, connect, say, texts, until
from tests.soak.campaign import Round
from tests.soak.processes import resident

PEOPLE = 1_000  # each with a feed; a room has places for `MAX_FEEDS`
AT = (10, 100, 500, PEOPLE)  # people, when it is looked at
TIMES = 20  # messages whose way is timed
ROOM = RoomKeys(b"r" * 32)
MAX_GROWTH = 3.0  # of the way of a message, from the fewest people to the most
MAX_CATCHING_UP = 60.0  # seconds until a newcomer has everything


def growing(this: Round) -> None:
    """The trial."""
    with ThreadPoolExecutor(1) as executor:
        asyncio.run(_grow(this, executor))


async def _grow(this: Round, executor: ThreadPoolExecutor) -> None:
    most = PEOPLE if this.size is None else max(AT[0], this.size // 20)
    folder = this.folder
    old = TestMember(folder / "old", "old", executor)
    await old.open()
    room = await old.enter(ROOM)
    ways: list[float] = []
    come = 1
    for size in [at for at in AT if at < most] + [most]:
        while come < size - 1:
            await _visit(old, room, folder, f"person {come}", executor)
            come += 1
        before = resident()
        for session in old.sessions:
            old.links.remove(session)
            await session.close()
        old.sessions = []
        started = time.perf_counter()
        room = await old.enter(ROOM)
        opening = time.perf_counter() - started

        started = time.perf_counter()
        new = TestMember(folder / f"new {size}", f"new {size}", executor)
        await new.open()
        theirs = await new.enter(ROOM)
        await connect(old, new)
        await until(theirs, partial(_has_all, room, theirs), MAX_CATCHING_UP)
        catching_up = time.perf_counter() - started
        ways.append(median([await _way(room, theirs, f"{size} {number}") for number in range(TIMES)]))
        await new.close()
        await old.cut()
        come += 1
        people = min(size, MAX_FEEDS)
        assert len(room.feeds.members) == people, f"{len(room.feeds.members)} of {people} people are in the room"
        this.note(
            f"{size:,} people",
            f"open {1000 * opening:.0f} ms, a newcomer has it all in {catching_up:.1f} s,"
            f" a message is seen in {1000 * ways[-1]:.1f} ms, memory {before >> 20} MiB",
        )
        this.survived(people)
    await old.close()
    assert this.size or ways[-1] <= MAX_GROWTH * ways[0], f"a message takes {ways} seconds"


async def _visit(old: TestMember, room: RoomSession, folder: Path, name: str, executor: ThreadPoolExecutor) -> None:
    """Somebody comes, says something, and goes once that is here; beyond the places of a room, it says it to itself."""
    one = TestMember(folder / name, name, executor)
    await one.open()
    theirs = await one.enter(ROOM)
    await say(theirs, f"from {name}")
    connection = await connect(old, one)
    if len(room.feeds.members) < MAX_FEEDS:
        await until(room, lambda: f"from {name}" in texts(room))
    await connection.close()
    await one.close()
    await old.cut()


def _has_all(room: RoomSession, other: RoomSession) -> bool:
    return set(texts(room)) <= set(texts(other))


async def _way(sender: RoomSession, other: RoomSession, text: str) -> float:
    """Seconds until a message is at the other end."""
    started = time.perf_counter()
    await say(sender, text)
    await until(other, lambda: texts(other)[-1] == text)
    return time.perf_counter() - started
