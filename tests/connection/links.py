"""What the swarm's tests stand on: peers that note what happens to them, and links that are slow or dead."""

import asyncio
import os
import random
from collections.abc import Callable
from typing import Self

from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import Announcer, Discovery, FoundPeer, PeerInfo
from linkup_nb.errors import LinkupError
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import KeyPair

PATIENCE = 10.0  # seconds until a test that still waits has failed


def seeds_in_order() -> tuple[bytes, bytes]:
    """Seeds of two key pairs, first that of the smaller public key, whose owner leaves decisions to the other."""
    one, two = sorted((os.urandom(32), os.urandom(32)), key=lambda seed: KeyPair.from_seed(seed).public_key)
    return one, two


async def refused(connection: Connection) -> bool:
    """Whether the other end closes a connection instead of opening it."""
    try:
        async with asyncio.timeout(PATIENCE):
            await connection.opened()
    except LinkupError:
        return True
    return False


class Pointer:
    """A discovery that finds exactly whom a test points out."""

    name = "pointer"
    this_machine_only = True

    def __init__(self) -> None:
        self.announced: dict[bytes, bool] = {}
        self.refreshed: list[bytes] = []
        self.on_refresh: Callable[[], None] = lambda: None
        self._found: dict[bytes, Callable[[FoundPeer], None]] = {}

    async def start(self, announcer: Announcer) -> None:
        self.announcer = announcer

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        self.announced[topic] = server
        self._found[topic] = found

    async def leave(self, topic: bytes) -> None:
        self.announced.pop(topic, None)
        self._found.pop(topic, None)

    async def refresh(self, topic: bytes) -> None:
        self.refreshed.append(topic)
        self.on_refresh()

    async def close(self) -> None:
        self.announced.clear()

    def describe(self) -> str:
        return "Looking where the test points."

    def point(self, topic: bytes, public_key: bytes, *addresses: tuple[str, int]) -> None:
        self._found[topic](FoundPeer(public_key, addresses, self.name))


class Seeker:
    """A discovery of ours on one topic, and whom it has found."""

    def __init__(self, discovery: Discovery, number: int, port: int = 1000) -> None:
        self.discovery = discovery
        self.key_pair = KeyPair.from_seed(bytes([number]) * 32)
        self.key = self.key_pair.public_key
        self.announcer = Announcer(self.key_pair, port + number, ("127.0.0.1",))
        self.found: list[FoundPeer] = []
        self._news = asyncio.Event()

    async def join(self, topic: bytes, *, server: bool = True, client: bool = True) -> None:
        await self.discovery.start(self.announcer)
        await self.discovery.join(topic, server=server, client=client, found=self.note)

    def note(self, peer: FoundPeer) -> None:
        self.found.append(peer)
        self._news.set()

    async def next(self) -> None:
        """Wait for the next report of anybody."""
        self._news.clear()
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()

    async def finds(self, key: bytes) -> FoundPeer:
        """What was reported of this peer, once something was."""
        while True:
            for peer in self.found:
                if peer.public_key == key:
                    return peer
            await self.next()


class Member:
    """A swarm on one topic that notes what happens to it, reads all that it gets, and can greet whoever comes."""

    def __init__(
        self, topic: bytes, seed: bytes | None = None, *, greeting: bytes = b"", discovery: Discovery | None = None
    ) -> None:
        self.topic = topic
        self.pointer = Pointer()
        self.swarm = Swarm(KeyPair.from_seed(seed) if seed else None, discovery=[discovery or self.pointer])
        self.key = self.swarm.public_key
        self.came: list[bytes] = []
        self.went: list[bytes] = []
        self.received: list[tuple[bytes, bytes]] = []
        self._greeting = greeting
        self._changed = asyncio.Event()
        self.swarm.on("connection", self._connected)
        self.swarm.on("disconnection", self._disconnected)
        self.swarm.on("update", self._changed.set)
        self.pointer.on_refresh = self._changed.set

    async def __aenter__(self) -> Self:
        joined = await self.swarm.join(self.topic)
        await joined.flushed()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.swarm.close()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.pointer.announcer.port)

    def info(self, peer: "Member | bytes") -> PeerInfo:
        key = peer.key if isinstance(peer, Member) else peer
        return next(info for info in self.swarm.peers if info.public_key == key)

    def finds(self, other: "Member", *addresses: tuple[str, int]) -> None:
        self.pointer.point(self.topic, other.key, *(addresses or (other.address,)))

    async def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait until a condition holds, evaluated after each event of the swarm and its connections."""
        async with asyncio.timeout(patience):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def receives(self, count: int) -> None:
        """Wait until that many messages have come, of all peers together."""
        await self.until(lambda: len(self.received) >= count)

    async def loses(self, count: int) -> None:
        """Wait until that many connections have ended."""
        await self.until(lambda: len(self.went) >= count)

    async def _connected(self, connection: Connection, info: PeerInfo) -> None:
        self.came.append(info.public_key)
        self._changed.set()
        if self._greeting:
            await connection.write(self._greeting)
        async for message in connection:
            self.received.append((info.public_key, message))
            self._changed.set()

    def _disconnected(self, connection: Connection, info: PeerInfo) -> None:
        self.went.append(info.public_key)
        self._changed.set()


class Link:
    """A TCP relay to a port on this machine: late by a random time each way and in pieces, or dead without a word."""

    def __init__(self, port: int, *, delay: float = 0.0, chance: random.Random | None = None) -> None:
        self._port = port
        self._delay = delay
        self._chance = chance or random.Random(0)
        self._alive = asyncio.Event()
        self._alive.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address: tuple[str, int] = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def die(self) -> None:
        """From now on nothing comes through, not even the end of a connection."""
        self._alive.clear()

    def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._relay(near, back)))

    async def _relay(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(self._carry(near, forth), self._carry(far, back))
        finally:
            forth.close()
            back.close()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while True:
            try:
                data = await source.read(65536)
            except OSError:
                data = b""
            middle = self._chance.randint(0, len(data))
            for piece in (data[:middle], data[middle:]):
                await asyncio.sleep(self._chance.uniform(0, self._delay))
                await self._alive.wait()
                target.write(piece)
            if not data:
                target.close()
                return
