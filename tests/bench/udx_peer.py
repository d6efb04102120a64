"""One Python peer of the UDX bench, which takes and tells what `tests/interop/udx_peer.js` does."""

import asyncio
import json
import resource
import sys
import time
from typing import Any

import uvloop

from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.wire.udx.events import DataReceived, EndReceived, Event, RoomToWrite
from linkup_nb.wire.udx.stream import HIGH_MARK

HOST = "127.0.0.1"


def tell(**event: object) -> None:
    print(json.dumps(event), flush=True)  # noqa: T201


class Peer:
    """One stream, and how much came on it in how long."""

    def __init__(self) -> None:
        self._socket = UdpSocket(HOST, 0, on_event=self._on_event, on_datagram=lambda data, address: None)
        self._stream = self._socket.open_stream()
        self._room = asyncio.Event()
        self._size = 0
        self._started = 0.0
        tell(listening={"port": self._socket.address[1], "id": self._stream.local_id})

    async def obey(self, line: bytes) -> None:
        for name, argument in json.loads(line).items():
            await getattr(self, name)(argument)

    async def connect(self, peer: dict[str, int]) -> None:
        self._socket.connect_stream(self._stream, peer["id"], (HOST, peer["port"]))

    async def write(self, what: dict[str, Any]) -> None:
        block = what["fill"].encode() * what["size"]
        for _ in range(what["times"]):
            self._stream.write(block)
            self._socket.transmit_soon()
            if self._stream.buffered > HIGH_MARK:
                self._room.clear()
                await self._room.wait()

    async def end(self, _: bool) -> None:
        self._stream.end()
        self._socket.transmit_soon()

    async def cpu(self, _: bool) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        tell(cpu=used.ru_utime + used.ru_stime)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._started = self._started or time.perf_counter()
            self._size += len(self._stream.read())
            self._socket.transmit_soon()
        elif isinstance(event, EndReceived):
            tell(end={"size": self._size, "seconds": time.perf_counter() - self._started})
        elif isinstance(event, RoomToWrite):
            self._room.set()


async def main() -> None:
    peer = Peer()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        await peer.obey(line)


if __name__ == "__main__":
    uvloop.run(main())
