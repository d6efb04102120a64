"""Kademlia nodes on loopback, strangers who may send them anything, and what they all sent."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import msgspec

from linkup_nb.kademlia.announcements import Address
from linkup_nb.kademlia.node import KademliaNode
from linkup_nb.kademlia.table import node_id

TIMEOUT = 10.0  # seconds for what should take milliseconds


class Stranger(asyncio.DatagramProtocol):
    """A bare UDP socket; `received` gets (datagram, address), or `on_datagram` is called instead."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.on_datagram: Callable[[bytes, Address], None] = lambda data, addr: self.received.put_nowait((data, addr))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.address: Address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.on_datagram(data, addr)

    def send(self, datagram: bytes, address: Address) -> None:
        self.transport.sendto(datagram, address)

    def request(self, address: Address, name: str, *arguments: object, message_id: bytes = b"i" * 20) -> None:
        self.send(request(name, *arguments, message_id=message_id), address)

    async def next(self) -> tuple[bytes, Address]:
        return await asyncio.wait_for(self.received.get(), TIMEOUT)

    async def next_request(self, name: str) -> tuple[bytes, Address]:
        """Id and sender of the next request by this name."""
        while True:
            data, address = await self.next()
            if data[0] == 0 and msgspec.msgpack.decode(data[21:])[0] == name:
                return data[1:21], address

    async def next_reply(self) -> list[Any]:
        """The fields of the next reply."""
        data = b""
        while data[:1] != b"\1":
            data, _ = await self.next()
        return msgspec.msgpack.decode(data[21:], type=list)

    def reply_to_all(self, value: Callable[[str, list[bytes], Address], object]) -> None:
        """From now on answer every request with `value(name, arguments, asker)`."""

        def answer(data: bytes, addr: Address) -> None:
            if data[0] == 0:
                name, arguments = msgspec.msgpack.decode(data[21:])
                self.send(reply(data[1:21], value(name, arguments, addr)), addr)

        self.on_datagram = answer


def request(name: str, *arguments: object, message_id: bytes = b"i" * 20) -> bytes:
    return b"\0" + message_id + msgspec.msgpack.encode([name, arguments])


def reply(message_id: bytes, value: object) -> bytes:
    return b"\1" + message_id + msgspec.msgpack.encode(value)


@asynccontextmanager
async def stranger() -> AsyncIterator[Stranger]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Stranger, local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol
    finally:
        transport.close()


@asynccontextmanager
async def network(count: int, clock: Callable[[], float] | None = None) -> AsyncIterator[list[KademliaNode]]:
    """So many nodes that have all joined through the first."""
    nodes = [KademliaNode(clock) if clock else KademliaNode() for _ in range(count)]
    try:
        for node in nodes:
            await node.open("127.0.0.1", 0)
        for first in range(1, count, 5):
            joined = await asyncio.gather(*(node.join([nodes[0].address]) for node in nodes[first : first + 5]))
            assert all(joined)
        yield nodes
    finally:
        for node in nodes:
            node.close()


def by_distance(addresses: list[Address], target: bytes) -> list[Address]:
    """All of them sorted by their distance to a target, worked out the long way."""
    goal = int.from_bytes(target[:20], "big")
    return sorted(addresses, key=lambda address: int.from_bytes(node_id(address), "big") ^ goal)


_watching: list[set[str]] = []


def _note_datagram(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.sendto":
        for hosts in _watching:
            hosts.add(cast(Address, arguments[1])[0])


sys.addaudithook(_note_datagram)


@contextmanager
def watch_datagrams() -> Iterator[set[str]]:
    """The hosts to which any socket of this process sends a datagram meanwhile."""
    hosts: set[str] = set()
    _watching.append(hosts)
    try:
        yield hosts
    finally:
        _watching.remove(hosts)
