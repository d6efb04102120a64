"""`kill -9` at any moment: nothing that was acknowledged is lost, no feed is forked, and the index is as the feeds."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from linkup_nb.rooms.memory.block import MessageBody
from linkup_nb.rooms.memory.keys import RoomKeys
from tests.rooms.memory.members import WAIT, TestMember, ids, until

MakeMember = Callable[[str], Awaitable[TestMember]]
ROOM = RoomKeys(b"r" * 32)
KILLS = 4


class Victim:
    """The process of `tests.rooms.memory.victim`, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0
        self.wrote: list[tuple[int, int]] = []
        self.rows = 0

    async def hear(self, condition: Callable[[], bool]) -> None:
        """Read what it says until something is so; as far as it goes if it is killed."""
        assert self.process.stdout
        while not condition() and (line := await self.process.stdout.readline()):
            if line.endswith(b"\n"):
                self._take(json.loads(line))

    def _take(self, said: dict[str, Any]) -> None:
        self.port = said.get("port", self.port)
        self.rows = said.get("rows", self.rows)
        if "wrote" in said:
            self.wrote.append(tuple(said["wrote"]))


@asynccontextmanager
async def victim(folder: Path, name: str, port: int, *, writes: bool) -> AsyncIterator[Victim]:
    """A process, which is killed in the end."""
    arguments = [str(folder), name, ROOM.secret.hex(), str(port), "writes" if writes else "reads"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.rooms.memory.victim", *arguments, stdout=asyncio.subprocess.PIPE
    )
    one = Victim(process)
    try:
        async with asyncio.timeout(3 * WAIT):  # it starts a Python
            await one.hear(lambda: bool(one.port))
            yield one
    finally:
        process.kill()
        await one.hear(lambda: False)
        await process.wait()


async def test_who_is_killed_while_sending_loses_nothing_and_forks_nothing(
    make_member: MakeMember, tmp_path: Path
) -> None:
    bob = await make_member("bob")
    his = await bob.enter(ROOM)
    port = (await bob.listen()).port
    rng = random.Random(1)
    promised: list[tuple[int, int]] = []
    for number in range(KILLS):
        async with victim(tmp_path / "ann", "ann", port if number % 2 else 0, writes=True) as ann:
            enough = rng.randrange(1, 40)
            await ann.hear(lambda enough=enough, ann=ann: len(ann.wrote) >= enough)  # type: ignore[misc]
        assert ann.wrote
        promised += ann.wrote
    assert len(set(promised)) == len(promised)
    assert len({tie for tie, _ in promised}) == 1  # never another feed: nothing was lost that would need one
    again = await make_member("ann")
    hers = await again.enter(ROOM)
    await until(hers, lambda: set(promised) <= set(ids(hers)))
    await again.dial(port)
    await until(hers, lambda: len(hers.feeds.members) == 2)
    await until(his, lambda: ids(his) == ids(hers))
    assert not his.feeds.disputed
    await same_when_read_again(again, ids(hers))


async def test_who_is_killed_while_catching_up_goes_on_where_it_was(make_member: MakeMember, tmp_path: Path) -> None:
    ann = await make_member("ann")
    hers = await ann.enter(ROOM)
    for start in range(0, 3000, 500):
        await hers.write([MessageBody(f"{number}") for number in range(start, start + 500)])
    port = (await ann.listen()).port
    rng = random.Random(2)
    rows = 0
    for _ in range(KILLS):
        async with victim(tmp_path / "bob", "bob", port, writes=False) as bob:
            more = min(3000, rows + rng.randrange(1, 900))
            await bob.hear(lambda more=more, bob=bob: bob.rows >= more)  # type: ignore[misc]
        assert bob.rows >= rows
        rows = bob.rows
    again = await make_member("bob")
    his = await again.enter(ROOM)
    assert his.index.count() >= rows
    await again.dial(port)
    await until(his, lambda: his.index.count() == 3000)
    await until(hers, lambda: len(hers.feeds.members) == 2)
    await until(his, lambda: ids(his) == ids(hers))
    await same_when_read_again(again, ids(hers))


async def same_when_read_again(member: TestMember, want: list[tuple[int, int]]) -> None:
    """The index is a cache: made anew from the feeds it is the same."""
    await member.close()
    for file in member.path.glob("*.sqlite3*"):
        file.unlink()
    await member.open()
    session = await member.enter(ROOM)
    await until(session, lambda: len(ids(session)) == len(want))
    assert ids(session) == want
