"""The conversation of lesson 7: Ann is cut off from Bob, whose clock is an hour slow, and from Cy."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations

from linkup_nb.rooms.memory.book import Choices
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.rooms.memory.members import WAIT, Clock, TestMember, connect

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)
SAID = ["who brings cake?", "not me", "I will, then", "I will"]


class Alone:
    """A node that has nothing to do when a room is left."""

    async def keep(self, room: MemoryRoom, choices: Choices) -> None: ...
    async def rename(self, room: MemoryRoom, name: str) -> None: ...

    async def leave(self, room: MemoryRoom, forget: bool) -> None:
        await room.close()


async def has(room: MemoryRoom, count: int) -> None:
    """Wait until a room has so many messages."""
    happened = asyncio.Event()
    room.on("message", lambda _: happened.set())
    async with asyncio.timeout(WAIT):
        while len(room) < count:
            happened.clear()
            await happened.wait()


async def cut_and_healed(make_member: MakeMember) -> tuple[MemoryRoom, ...]:
    """The rooms of Ann, Bob and Cy, who have said all of it to each other in the end."""
    members = [await make_member(name) for name in ("Ann", "Bob", "Cy")]
    slow = Clock(datetime.now(UTC) - timedelta(hours=1))
    ann, bob, cy = [
        MemoryRoom("cake", await (member.enter(ROOM, slow) if member.name == "Bob" else member.enter(ROOM)), Alone())
        for member in members
    ]
    for one, other in combinations(members, 2):
        await connect(other, one)
    await ann.send(SAID[0])
    for room in (bob, cy):
        await has(room, 1)
    await members[0].cut()
    await ann.send(SAID[2])
    await bob.send(SAID[1])
    await has(cy, 2)
    await cy.send(SAID[3])
    await has(bob, 3)
    for other in members[1:]:
        await connect(other, members[0])
    for room in (ann, bob, cy):
        await has(room, 4)
    return ann, bob, cy
