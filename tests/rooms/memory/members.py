"""Members of a room in one process: real stores, real connections over loopback, no discovery."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import linkup_nb as lu
from linkup_nb.rooms.memory.block import MessageBody
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.links import RoomLinks
from linkup_nb.rooms.memory.rows import BlockRow
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.wire.keys import KeyPair

WAIT = 20.0  # seconds for what must happen between members


class Clock:
    """A clock that goes on from whenever it was set to, in microseconds."""

    def __init__(self, moment: datetime | None = None) -> None:
        self.set(moment or datetime.now(UTC))

    def set(self, moment: datetime) -> None:
        self._ahead = int(moment.timestamp() * 1e6) - time.time_ns() // 1000

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self._ahead


class TestMember:
    """Somebody with a store, an identity and a device, who is in rooms."""

    __test__ = False

    def __init__(self, path: Path, name: str, executor: ThreadPoolExecutor) -> None:
        self.path, self.name, self.executor = path, name, executor
        self.identity = KeyPair.from_seed(f"identity {name}".encode().ljust(32, b"."))
        self.device = KeyPair.from_seed(f"device {name}".encode().ljust(32, b"."))
        self.store = lu.Corestore(path / "store", self.device.secret_key[:32])
        self.links = RoomLinks(self.store, lambda core: False)
        self.sessions: list[RoomSession] = []
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        self.path.mkdir(exist_ok=True)
        await self.store.open()

    async def enter(self, keys: RoomKeys, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> RoomSession:
        session = RoomSession(
            self.store,
            keys,
            identity=self.identity,
            device=self.device,
            index=self.path / f"{keys.topic.hex()}.sqlite3",
            executor=self.executor,
            clock=clock,
        )
        await session.open(self.name)
        self.links.add(session)
        self.sessions.append(session)
        return session

    async def listen(self) -> lu.Server:
        server = await lu.listen("127.0.0.1", 0, self.links.connected, self.device)
        self._stack.push_async_callback(server.close)
        return server

    async def dial(self, port: int) -> lu.Connection:
        connection = await lu.connect("127.0.0.1", port, self.device)
        self._stack.push_async_callback(connection.close)
        self.links.connected(connection)
        return connection

    async def close(self) -> None:
        await self.cut()
        for session in self.sessions:
            self.links.remove(session)
            await session.close()
        self.sessions = []
        await self.store.close()

    async def cut(self) -> None:
        """End all connections."""
        await self._stack.aclose()


async def connect(one: TestMember, other: TestMember) -> lu.Connection:
    """A connection between two members."""
    return await other.dial((await one.listen()).port)


def texts(session: RoomSession) -> list[str]:
    """What is said in a room, in order."""
    return [row.text or "" for row in session.index.said(2**62)]


def ids(session: RoomSession) -> list[tuple[int, int]]:
    """The places of all blocks of a room, in order."""
    return [(row.tie, row.seq) for row in session.index.timeline()]


async def say(session: RoomSession, text: str) -> BlockRow:
    """Write a message."""
    return (await session.write([MessageBody(text)]))[0]


async def until(session: RoomSession, condition: Callable[[], bool], timeout: float = WAIT) -> None:
    """Wait until something is so, looking again after each change of the room."""
    changed = asyncio.Event()
    for source, event in ((session, "taken"), (session, "update"), (session.feeds, "forget")):
        source.on(event, lambda *_: changed.set())
    async with asyncio.timeout(timeout):
        while not condition():
            changed.clear()
            await changed.wait()
