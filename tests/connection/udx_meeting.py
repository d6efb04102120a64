"""A discovery whose peers meet over UDX with no DHT, and a peer that takes connections as `hyperswarm` does."""

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from linkup_nb.connection.connection import Connection, adopt
from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.connection.udx_transport import UdxTransport
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.errors import LinkupError, PeerTimeout
from linkup_nb.loops import Tasks
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.udx.events import Address, AddressSeen, Event
from linkup_nb.wire.udx.stream import Stream

HOST = "127.0.0.1"
Arrived = Callable[[Connection], None]


class UdxPlace:
    """Where one key can be called: who calls sends its first message of the handshake, and its stream's id.

    `refuses` is called with the caller's key. `arrived` gets each inbound connection: with its first packet, or already
    with the first message of the handshake if callers are `open`, for then the called one sends first. Messages of the
    handshake are `delay` seconds late at most.
    """

    def __init__(
        self,
        key_pair: KeyPair,
        *,
        refuses: Callable[[bytes], str | None],
        arrived: Arrived,
        delay: float,
        chance: random.Random,
        open: bool,
    ) -> None:
        self.key_pair = key_pair
        self._open = open
        self._refuses = refuses
        self._arrived = arrived
        self._delay = delay
        self._chance = chance
        self._routes: dict[int, Callable[[Event], None]] = {}
        self._transports: dict[Connection, UdxTransport] = {}
        self.callers: dict[Connection, bytes] = {}
        self._socket = UdpSocket(HOST, 0, on_event=self._route, on_datagram=lambda data, address: None)
        self.calls = 0

    @property
    def address(self) -> Address:
        return self._socket.address

    async def call(self, other: "UdxPlace") -> Connection:
        """Establish a connection; raises `PeerTimeout` when there is no answer."""
        self.calls += 1
        ephemeral = KeyPair.from_seed(os.urandom(32))
        handshake = NoiseHandshake(
            True, self.key_pair, ephemeral, pattern=IK, remote_public_key=other.key_pair.public_key
        )
        stream = self._socket.open_stream()
        try:
            await self._wait()
            answer = other._answer(handshake.send(), stream.local_id, self.address)
            await self._wait()
            if not answer:
                raise PeerTimeout("there was no answer")
            handshake.receive(answer[0])
            return self._adopt(stream, answer[1], other.address, handshake)
        except BaseException:
            stream.destroy()
            raise

    def destroy(self, connection: Connection) -> None:
        """End a connection at once; what was written in this turn of the loop is not sent."""
        self._transports[connection].abort()

    def close(self) -> None:
        self._socket.close()

    async def _wait(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, self._delay))

    def _answer(self, message: bytes, remote_id: int, address: Address) -> tuple[bytes, int] | None:
        handshake = NoiseHandshake(False, self.key_pair, KeyPair.from_seed(os.urandom(32)), pattern=IK)
        handshake.receive(message)
        reply = handshake.send()
        assert handshake.result
        if self._refuses(handshake.result.remote_public_key):
            return None
        stream = self._socket.open_stream()
        if self._open:
            self._take(stream, remote_id, handshake, address)
        else:
            self._routes[stream.local_id] = partial(self._first_packet, stream, remote_id, handshake)
        return reply, stream.local_id

    def _first_packet(self, stream: Stream, remote_id: int, handshake: NoiseHandshake, event: Event) -> None:
        if isinstance(event, AddressSeen):
            self._take(stream, remote_id, handshake, event.address)

    def _take(self, stream: Stream, remote_id: int, handshake: NoiseHandshake, address: Address) -> None:
        assert handshake.result
        connection = self._adopt(stream, remote_id, address, handshake)
        self.callers[connection] = handshake.result.remote_public_key
        self._arrived(connection)

    def _adopt(self, stream: Stream, remote_id: int, address: Address, handshake: NoiseHandshake) -> Connection:
        self._socket.connect_stream(stream, remote_id, address)
        transport = UdxTransport(self._socket, stream, lambda: None)
        self._routes[stream.local_id] = transport.on_event
        connection = adopt(transport, handshake)
        self._transports[connection] = transport
        return connection

    def _route(self, event: Event) -> None:
        if route := self._routes.get(event.stream_id):
            route(event)


class UdxMeeting:
    """A discovery that finds exactly whom a test points out, and calls them over UDX."""

    name = "meeting"
    this_machine_only = True

    def __init__(self, *, delay: float = 0.0, chance: random.Random | None = None, open: bool = False) -> None:
        self._delay = delay
        self._open = open
        self._chance = chance or random.Random(0)
        self.found: dict[bytes, Callable[[FoundPeer], None]] = {}
        self._admitting = Tasks()
        self.refreshed: list[bytes] = []
        self.place: UdxPlace
        self.announcer: Announcer

    async def start(self, announcer: Announcer) -> None:
        self.announcer = announcer

        def arrived(connection: Connection) -> None:
            self._admitting.start(self._admit(connection, announcer.admit), "letting a peer in")

        self.place = UdxPlace(
            announcer.key_pair,
            refuses=announcer.refuses,
            arrived=arrived,
            delay=self._delay,
            chance=self._chance,
            open=self._open,
        )

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        self.found[topic] = found

    async def leave(self, topic: bytes) -> None:
        self.found.pop(topic, None)

    async def refresh(self, topic: bytes) -> None:
        self.refreshed.append(topic)

    async def close(self) -> None:
        await self._admitting.cancel()
        self.place.close()

    def describe(self) -> str:
        return "Looking where the test points."

    def point(self, topic: bytes, other: UdxPlace, *addresses: Address) -> None:
        """Find a peer that can be called, and perhaps be dialled over TCP."""
        key = other.key_pair.public_key
        self.found[topic](FoundPeer(key, addresses, self.name, partial(self.place.call, other)))

    async def _admit(self, connection: Connection, admit: Arrived) -> None:
        with suppress(LinkupError):
            await connection.established()
            admit(connection)


class JavaScriptRules:
    """A peer that keeps one connection a key by the rules of the npm package `hyperswarm` 4, `_handleServerConnection`.

    It sends `greeting` on each connection that opens, and `received` has the messages of the others.
    """

    def __init__(self, seed: bytes, greeting: bytes, *, delay: float, chance: random.Random, open: bool) -> None:
        key_pair = KeyPair.from_seed(seed)
        self.place = UdxPlace(
            key_pair, refuses=lambda key: None, arrived=self._arrived, delay=delay, chance=chance, open=open
        )
        self.key = key_pair.public_key
        self.connection: Connection | None = None
        self.received: list[bytes] = []
        self.destroyed = 0
        self._greeting = greeting
        self._dial: asyncio.Task[None] | None = None
        self._spoke = self._listened = False
        self._tasks = Tasks()

    def dial(self, other: UdxPlace) -> None:
        if not (self._dial or self.connection):
            self._dial = self._tasks.start(self._call(other), "a dial")

    async def close(self) -> None:
        await self._tasks.cancel()
        self.place.close()

    async def _call(self, other: UdxPlace) -> None:
        try:
            connection = await self.place.call(other)
        finally:
            self._dial = None
        self._keep(connection)

    def _arrived(self, connection: Connection) -> None:
        if not (self._dial or self.connection):
            self._keep(connection)
            return
        outdated = self._spoke and self._listened
        if not outdated and self.key > self._caller(connection):
            self.destroyed += 1
            self.place.destroy(connection)
            return
        if self._dial:
            self._dial.cancel()
            self._dial = None
        if self.connection:
            self.destroyed += 1
            self.place.destroy(self.connection)
        self._keep(connection)

    def _caller(self, connection: Connection) -> bytes:
        return self.place.callers[connection]

    def _keep(self, connection: Connection) -> None:
        self.connection = connection
        self._spoke = self._listened = False
        self._tasks.start(self._talk(connection), "talking")

    async def _talk(self, connection: Connection) -> None:
        with suppress(LinkupError):
            await connection.established()
            connection.confirm()
            await connection.opened()
            await connection.write(self._greeting)
            self._spoke = True
            async for message in connection:
                self._listened = True
                self.received.append(message)
        if self.connection is connection:
            self.connection = None
