"""A program that asks a blind peer, message by message, on this machine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import linkup_nb as lu
from linkup_nb.blind.keeper import BlindKeeper
from linkup_nb.blind.wakeup import WakeupChannel
from linkup_nb.channels import Channels
from linkup_nb.wire import blind_peer
from linkup_nb.wire.blind_peer import HoldCores
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.wakeup import NamedCore

PATIENCE = 20.0  # seconds until a test that still waits has failed


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that no event reports."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def keeper_in(path: Path) -> AsyncIterator[BlindKeeper]:
    """A blind peer of ours whose key follows from the name of its folder."""
    await asyncio.to_thread(path.mkdir, exist_ok=True)
    key_pair = KeyPair.from_seed(path.name.encode().ljust(32, b"."))
    keeper = BlindKeeper(path, key_pair, [lu.Local(mdns=False)])
    await keeper.open()
    try:
        yield keeper
    finally:
        await keeper.close()


class Asking:
    """The program, with a store of its own, connected with one blind peer."""

    def __init__(self, path: Path, blind: bytes) -> None:
        self.store = lu.Corestore(path)
        self.swarm = lu.Swarm(discovery=[lu.Local(mdns=False)])
        self.reasons: list[str] = []
        """Why the connection was closed, as this end sees it."""
        self.named: dict[bytes, list[bytes]] = {}
        """The cores that were named under each referrer."""
        self._blind = blind
        self._connected: asyncio.Future[lu.Connection] = asyncio.get_running_loop().create_future()
        self.swarm.on("connection", lambda connection, _: self._connected.set_result(connection))
        self.swarm.on("disconnection", lambda connection, _: self.reasons.append(str(connection.close_reason)))

    async def __aenter__(self) -> Self:
        await self.store.open()
        await self.swarm.join_peer(self._blind)
        async with asyncio.timeout(PATIENCE):
            connection = await self._connected
        self.store.replicate(connection)
        self.channels = Channels.of(connection)
        self._channel = self.channels.open(blind_peer.PROTOCOL, b"", b"", self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.swarm.close()
        await self.store.close()

    async def write(self, name: str, *blocks: bytes) -> lu.Core:
        """A core of its own."""
        core = await self.store.core(name=name)
        await core.append(list(blocks))
        return core

    def ask(self, *keys: bytes, referrer: bytes | None = None) -> None:
        """Ask that these be held."""
        self.send(bytes(HoldCores(tuple(NamedCore(key, 1) for key in keys), referrer)))

    def send(self, payload: bytes) -> None:
        """Send any bytes as a request."""
        self.channels.send(self._channel, blind_peer.CORES, payload)

    def listen(self, referrer: bytes) -> None:
        """Ask what there is under a referrer."""

        def named(cores: tuple[NamedCore, ...]) -> None:
            self.named.setdefault(referrer, []).extend(core.key for core in cores)

        WakeupChannel(self.channels, referrer, named=named, ended=lambda _: None)

    # What the channel calls

    def opened(self, handshake: bytes) -> None:
        """It is a blind peer."""

    def received(self, type: int, payload: bytes) -> None:
        """It has nothing to say."""

    def drained(self) -> None:
        """All has gone out."""

    def ended(self) -> None:
        """It wants no more."""
