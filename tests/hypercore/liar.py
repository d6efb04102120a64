"""A peer made of nothing but messages, which can lie in any field of any of them."""

import asyncio
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from linkup_nb.channels import Channels
from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import Server
from linkup_nb.errors import PeerError
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.peer import PROTOCOL, capability
from linkup_nb.hypercore.proof import prove
from linkup_nb.wire.keys import discovery_key
from tests.hypercore.vectors import KEY, KEY_PAIR, MANIFEST, Log

HONEST = Log([b"block %d" % index for index in range(40)])
MAX_HARM = 16 * 1024 * 1024  # bytes of memory that a liar may cost
Lie = Callable[[msg.Data], msg.Message | None]


class Liar:
    """Serves a log of the vectors' author; `lie` may change, or swallow, each of its answers."""

    def __init__(self, connection: Connection, log: Log, lie: Lie = lambda data: data, *, secret: bytes = KEY) -> None:
        self.log = log
        self.lie = lie
        self.answering = True
        self.heard: list[msg.Message] = []
        self.news = asyncio.Event()
        self._channels = Channels.of(connection)
        own = msg.Handshake(capability(secret, connection.handshake_hash, connection.initiator))
        self._channels.accept(PROTOCOL, lambda id: False)
        self._channel = self._channels.open(PROTOCOL, discovery_key(KEY), own.encode(), self)

    def send(self, message: msg.Message) -> None:
        """Say anything."""
        self._channels.send(self._channel, msg.NUMBERS[type(message)], message.encode())

    def send_raw(self, type: int, payload: bytes) -> None:
        """Say what is not even a message."""
        self._channels.send(self._channel, type, payload)

    def opened(self, handshake: bytes) -> None:
        length = len(self.log.blocks)
        self.send(msg.Sync(0, length, 0, has_manifest=True))
        self.send(msg.Range(0, length))

    def received(self, type: int, payload: bytes) -> None:
        message = msg.decode(type, payload)
        self.heard.append(message)
        self.news.set()
        if isinstance(message, msg.Sync) and message.length and self.answering:
            self.send(msg.Sync(0, len(self.log.blocks), message.length, has_manifest=True))
        if isinstance(message, msg.DataRequest) and self.answering:
            block = self.log.blocks[message.wanted.block[0]] if message.wanted.block else b""
            length = len(self.log.blocks)
            proof = prove(message.wanted, length, self.log.find, block=block, signature=self.log.signature)
            answer = self.lie(msg.Data(message.id, message.fork, proof, MANIFEST if message.manifest else None))
            if answer:
                self.send(answer)

    def drained(self) -> None:
        pass

    def ended(self) -> None:
        self.news.set()

    async def hears(self, kind: type[msg.Message]) -> msg.Message:
        """The next message of a kind."""
        async with asyncio.timeout(5):
            while True:
                for message in self.heard:
                    if isinstance(message, kind):
                        self.heard.remove(message)
                        return message
                self.news.clear()
                await self.news.wait()


class Victim:
    """A store that takes connections, and the core that it copies."""

    def __init__(self, store: Corestore, core: Core, server: Server, connections: "asyncio.Queue[Connection]") -> None:
        self.store = store
        self.core = core
        self.server = server
        self.connections = connections

    async def meets(self, log: Log, lie: Lie = lambda data: data, **options: Any) -> tuple[Liar, Connection]:
        """A liar dials; what it is, and our end of the connection."""
        liar = Liar(await connect("127.0.0.1", self.server.port), log, lie, **options)
        return liar, await self.connections.get()


async def cut_off(connection: Connection, kind: type[PeerError], text: str) -> None:
    """The connection ends, with this as the reason."""
    await asyncio.wait_for(connection.wait_closed(), 15)
    assert isinstance(connection.close_reason, kind), connection.close_reason
    assert text in str(connection.close_reason)


async def author(victim: Victim) -> None:
    """The victim is the author, and has large blocks."""
    core = await victim.store.core(key_pair=KEY_PAIR)
    await core.append([bytes(100_000)] * 10)


@contextmanager
def little_harm() -> Iterator[None]:
    """What is done in here costs less than `MAX_HARM`."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak - before < MAX_HARM
    finally:
        tracemalloc.stop()


def stop_reading(liar: Liar) -> None:
    """It takes nothing of what it is sent."""
    liar._channels.connection._transport.pause_reading()  # type: ignore[attr-defined]
