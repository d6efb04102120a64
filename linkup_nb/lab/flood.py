"""Many requests at once from one host, as fast as a peer takes them."""

import asyncio

from linkup_nb.connection.udx_socket import OpenSocket
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, Internal, decode

MAX_FLOOD = 100_000  # requests
AT_ONCE = 200  # requests between two turns of the loop, so that others have theirs, too
PATIENCE = 1.0  # seconds without a reply after which no more come


class _Flood:
    """The socket of a host that sends much, and shows that it gets what is sent there, as replies need."""

    def __init__(self, host: str, open_socket: OpenSocket) -> None:
        self.answered = 0
        self.news = asyncio.Event()
        self.socket = open_socket(host, 0, on_event=lambda event: None, on_datagram=self._on_datagram)

    def _on_datagram(self, data: bytes, sender: Address) -> None:
        packet = decode(data)
        if isinstance(packet, DhtReply):
            self.answered += 1
            self.news.set()
        else:
            self.socket.send_datagram(bytes(DhtReply(packet.tid, sender)), sender)


async def flood(node: DhtNode, host: str, open_socket: OpenSocket, requests: int) -> int:
    """Send a node so many requests from this host; returns how many it answered."""
    flood = _Flood(host, open_socket)
    dropped = node.counters.total()
    try:
        for number in range(requests):
            request = DhtRequest(number % 65536, node.address, Internal.PING, internal=True)
            flood.socket.send_datagram(bytes(request), node.address)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        while flood.answered + node.counters.total() - dropped < requests:
            flood.news.clear()
            try:
                await asyncio.wait_for(flood.news.wait(), PATIENCE)
            except TimeoutError:
                break
    finally:
        flood.socket.close()
    return flood.answered
