"""Rooms with memory: `python -m tests.bench.rooms [messages to catch up on, 10,000 if not said]`.

Everything is in one process over loopback, so both ends share a processor. npm's hypercore copies a feed of as many
blocks in the same run, likewise both ends in one process. `tests/interop` needs its `npm ci` first.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import Arrival
from linkup_nb.rooms.memory.book import Choices
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.session import RoomSession
from tests.bench.table import format_value, print_table
from tests.rooms.memory.members import TestMember, say, until

ROOM = RoomKeys(b"r" * 32)
TEXT = "a message of a length as people write it, with a few words more or less "
MESSAGES = 10_000  # that a newcomer catches up on, unless the command says how many
LARGE = 100_000
SMALL = 100
JAVASCRIPT = ["node", str(Path(__file__).parents[1] / "interop" / "rooms_bench.js")]


class Bench:
    """Members in folders of one directory, and the rows of the table."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        self.folder = folder
        self.rows: list[tuple[str, str]] = []
        self._executor = executor

    def row(self, what: str, value: float) -> None:
        self.rows.append((what, format_value(value)))
        sys.stderr.write(f"{what}: {format_value(value)}\n")

    @asynccontextmanager
    async def member(self, name: str) -> AsyncIterator[TestMember]:
        one = TestMember(self.folder / name, name, self._executor)
        await one.open()
        try:
            yield one
        finally:
            await one.close()

    async def visible(self, peers: int) -> None:
        """From `send` to the row at the last of so many peers, each connected to the sender."""
        members = [TestMember(self.folder / f"{peers} {n}", f"{peers} {n}", self._executor) for n in range(peers + 1)]
        for one in members:
            await one.open()
        sessions = [await one.enter(ROOM) for one in members]
        port = (await members[0].listen()).port
        for one in members[1:]:
            await one.dial(port)
        for session in sessions:
            await until(session, partial(knows, session, peers + 1))
        took = []
        for number in range(20):
            start = time.perf_counter()
            await say(sessions[0], TEXT)
            for session in sessions:
                await until(session, partial(has, session, number + 1))
            took.append(time.perf_counter() - start)
        self.row(f"message to visible at all of {peers} peers, ms", 1000 * median(took))
        for one in members:
            await one.close()

    async def catch_up(self, messages: int) -> None:
        """A newcomer takes a room of so many messages, index and all."""
        async with self.member("ann") as ann, self.member("bob") as bob:
            hers = await ann.enter(ROOM)
            start = time.perf_counter()
            for _ in range(200):
                await say(hers, TEXT)
            self.row("messages sent one by one, a second", 200 / (time.perf_counter() - start))
            await fill(hers, messages - 200)
            port = (await ann.listen()).port
            his = await bob.enter(ROOM)
            start = time.perf_counter()
            await bob.dial(port)
            await until(his, lambda: his.index.count() > 0)
            self.row("newest messages there after, ms", 1000 * (time.perf_counter() - start))
            await until(his, lambda: his.index.count() == messages, timeout=600)
            self.row(f"catching up on {messages:,}, messages a second", messages / (time.perf_counter() - start))
        done = await asyncio.to_thread(subprocess.run, [*JAVASCRIPT, str(messages)], capture_output=True, check=True)
        self.row(f"JavaScript's hypercore copies {messages:,} blocks, a second", float(done.stdout))

    async def large(self) -> None:
        """A room of 100,000 beside one of 100."""
        for count in (SMALL, LARGE):
            async with self.member(f"{count}") as one:
                await fill(await one.enter(ROOM), count)
            before = memory()
            async with self.member(f"{count}") as one:
                start = time.perf_counter()
                session = await one.enter(ROOM)
                room = MemoryRoom("room", session, Nobody())
                assert len(room.messages) == count
                assert room.messages[-50:]
                assert not room.unread
                self.row(f"open a room of {count:,}, ms", 1000 * (time.perf_counter() - start))
                start = time.perf_counter()
                await room.search("message")
                self.row(f"first search in {count:,}, ms", 1000 * (time.perf_counter() - start))
                self.row(f"search in {count:,}, ms", await timed(partial(room.search, "messa* few")))
                self.row(f"a page from the middle of {count:,}, ms", page(room))
                await self.arrival(session, count)
                self.row(f"memory that a room of {count:,} took, MiB", memory() - before)

    async def arrival(self, session: RoomSession, count: int) -> None:
        """One message into the index, in its own transaction."""
        arrivals = session.feeds._arrivals
        own = session.feeds.own
        assert own
        seq, took = arrivals.feed(own.key).next, []
        t = arrivals.top
        for number in range(200):
            t += 1
            arrival = Arrival(
                own.key, seq + number, blocks.encode(blocks.MessageBody(TEXT), t=t, timestamp=t // 1000), 0
            )
            start = time.perf_counter()
            await session.feeds.on_thread(partial(arrivals.take, [arrival], now=t))
            took.append(time.perf_counter() - start)
        self.row(f"one arrival among {count:,}, ms", 1000 * median(took))


class Nobody:
    """A node that has nothing to do when a room is left."""

    async def leave(self, room: MemoryRoom, forget: bool) -> None:
        await room.close()

    async def keep(self, room: MemoryRoom, choices: Choices) -> None: ...
    async def rename(self, room: MemoryRoom, name: str) -> None: ...


async def fill(session: RoomSession, messages: int) -> None:
    """So many messages, in large appends."""
    for start in range(0, messages, 1000):
        await session.write([blocks.MessageBody(f"{TEXT}{n}") for n in range(start, min(start + 1000, messages))])


def has(session: RoomSession, messages: int) -> bool:
    return session.index.count() >= messages


def knows(session: RoomSession, members: int) -> bool:
    return len(session.feeds.members) >= members


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """The median of ten, in ms."""
    took = []
    for _ in range(10):
        start = time.perf_counter()
        await work()
        took.append(time.perf_counter() - start)
    return 1000 * median(took)


def page(room: MemoryRoom) -> float:
    middle = room.messages[len(room) // 2]
    start = time.perf_counter()
    room.messages.before(middle, 50)
    return 1000 * (time.perf_counter() - start)


def memory() -> float:
    """MiB that this process has resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def main(messages: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        os.environ["XDG_STATE_HOME"] = folder
        bench = Bench(Path(folder), executor)
        for peers in (2, 10, 30):
            await bench.visible(peers)
        await bench.catch_up(messages)
        await bench.large()
    print_table(("", "here"), bench.rows)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else MESSAGES))
