"""A bare UDP socket that sends nodes of the DHT whatever it likes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, decode, node_id
from tests.hyperdht.network import PATIENCE

Packet = TypeVar("Packet", DhtRequest, DhtReply)


class Stranger(asyncio.DatagramProtocol):
    """What comes is in `received`; `on_request(request, sender)`, if set, sees requests instead."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        self.on_request: Callable[[DhtRequest, Address], object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.address: Address = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self.on_request and data[:1] == b"\x03":
            packet = decode(data)
            assert isinstance(packet, DhtRequest)
            self.on_request(packet, addr)
        else:
            self.received.put_nowait((data, addr))

    @property
    def id(self) -> bytes:
        return node_id(self.address)

    def send(self, datagram: object, to: Address) -> None:
        self.transport.sendto(bytes(cast(bytes, datagram)), to)

    def request(self, to: Address, command: int, tid: int = 7, **fields: Any) -> int:
        """Send a request; returns how many bytes that took."""
        request = DhtRequest(tid, to, command, **fields)
        self.send(request, to)
        return len(bytes(request))

    async def next(self, kind: type[Packet]) -> tuple[Packet, int]:
        """The next reply or request that comes, and how many bytes it has."""
        async with asyncio.timeout(PATIENCE):
            while True:
                data, _ = await self.received.get()
                if isinstance(packet := decode(data), kind):
                    return packet, len(data)

    async def exchange(self, to: Address, command: int, tid: int = 7, **fields: Any) -> DhtReply:
        self.request(to, command, tid, **fields)
        while True:
            reply, _ = await self.next(DhtReply)
            if reply.tid == tid:
                return reply

    def reply(self, request: DhtRequest, to: Address, **fields: Any) -> None:
        self.send(DhtReply(request.tid, to, **fields), to)

    def answer_pings(self) -> None:
        """From now on show that what is sent here arrives."""
        self.on_request = lambda request, sender: self.reply(request, sender)


@asynccontextmanager
async def stranger(host: str = "127.0.0.1") -> AsyncIterator[Stranger]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Stranger, local_addr=(host, 0))
    try:
        yield protocol
    finally:
        transport.close()
