"""Two connections over UDX in one process, with no DHT: the handshake is made by hand."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from linkup_nb.connection.connection import Connection, adopt
from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.connection.udx_transport import UdxTransport
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.udx.events import Address, AddressSeen, Event
from linkup_nb.wire.udx.stream import Stream

HOST = "127.0.0.1"


def shaken() -> tuple[NoiseHandshake, NoiseHandshake]:
    """A caller and a callee whose handshake is over."""
    one, other, *ephemerals = (KeyPair.from_seed(os.urandom(32)) for _ in range(4))
    calls = NoiseHandshake(True, one, ephemerals[0], pattern=IK, remote_public_key=other.public_key)
    answers = NoiseHandshake(False, other, ephemerals[1], pattern=IK)
    answers.receive(calls.send())
    calls.receive(answers.send())
    return calls, answers


class UdxSide:
    """A socket and one stream, which becomes a connection."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.lost = 0
        self.marker = asyncio.Event()
        self.transport: UdxTransport
        self._on_event: Callable[[Event], None] = self.events.append
        self.socket = UdpSocket(HOST, 0, on_event=lambda event: self._on_event(event), on_datagram=self._on_datagram)
        self.stream: Stream = self.socket.open_stream()

    def connect(self, handshake: NoiseHandshake, other: "UdxSide") -> Connection:
        self.socket.connect_stream(self.stream, other.stream.local_id, other.socket.address)
        self.transport = UdxTransport(self.socket, self.stream, self._lose)
        self._on_event = self._pass_on
        return adopt(self.transport, handshake)

    def die(self) -> None:
        """Be gone without a word, as a process that was killed."""
        asyncio.get_running_loop().remove_reader(self.socket._socket)
        self.socket._socket.close()
        self.socket._closed = True

    def _pass_on(self, event: Event) -> None:
        if not isinstance(event, AddressSeen):
            self.transport.on_event(event)

    def _lose(self) -> None:
        self.lost += 1

    def _on_datagram(self, data: bytes, address: Address) -> None:
        self.marker.set()


@asynccontextmanager
async def udx_sides() -> AsyncIterator[tuple[UdxSide, UdxSide]]:
    sides = UdxSide(), UdxSide()
    yield sides
    for side in sides:
        side.socket.close()


@asynccontextmanager
async def udx_pair() -> AsyncIterator[tuple[Connection, Connection]]:
    """Two open connections; the first has called."""
    async with udx_sides() as (one, other):
        calls, answers = shaken()
        ends = one.connect(calls, other), other.connect(answers, one)
        await open_both(*ends)
        yield ends


async def open_both(calls: Connection, answers: Connection) -> None:
    """Confirm at both ends, as far as they may."""
    calls.confirm()
    await answers.established()
    answers.confirm()
    await calls.opened()
    await answers.opened()
