"""Our UDX against the real `udx-native`, on loopback."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from linkup_nb.wire.udx.events import Address, Closing, EndReceived, Event, MessageReceived, StreamClosed
from linkup_nb.wire.udx.receiver import RECEIVE_WINDOW
from linkup_nb.wire.udx.stream import Stream
from tests.connection.test_udp_socket import HOST, PATIENCE, End

PEER = Path(__file__).with_name("udx_peer.js")
MB = 1_000_000


class JavaScriptPeer:
    """The process of `udx_peer.js`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def command(self, **commands: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(commands).encode() + b"\n")

    async def expect(self, event: str) -> Any:
        """The contents of its next line, which has to be of this event."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE):
            reported = json.loads(await self._process.stdout.readline())
        assert list(reported) == [event], reported
        return reported[event]


class Bad:
    """A way between two sockets that loses and delays datagrams."""

    def __init__(self, loss: float, delay: float) -> None:
        self._loss, self._delay = loss, delay
        self._random = Random(7)
        self._transports: list[asyncio.DatagramTransport] = []

    async def side(self) -> "BadSide":
        _, side = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: BadSide(self._carry), local_addr=(HOST, 0)
        )
        self._transports.append(side.transport)
        return side

    def _carry(self, data: bytes, out: asyncio.DatagramTransport, target: Address) -> None:
        if self._random.random() >= self._loss:
            delay = self._delay * (1 + self._random.random() / 10)
            asyncio.get_running_loop().call_later(delay, out.sendto, data, target)

    def close(self) -> None:
        for transport in self._transports:
            transport.abort()


class BadSide(asyncio.DatagramProtocol):
    """Where one of the two sockets sends to; what it sends comes out of the other side."""

    transport: asyncio.DatagramTransport
    peer: Address  # whose datagrams come in here
    other: "BadSide"

    def __init__(self, carry: Any) -> None:
        self._carry = carry

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    @property
    def address(self) -> Address:
        host, port = self.transport.get_extra_info("sockname")
        return host, port

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._carry(data, self.other.transport, self.other.peer)


@asynccontextmanager
async def peers(way: Bad | None = None) -> AsyncIterator[tuple[End, JavaScriptPeer]]:
    """A stream of ours and one of theirs, connected to each other."""
    process = await asyncio.create_subprocess_exec("node", str(PEER), stdin=PIPE, stdout=PIPE)
    theirs = JavaScriptPeer(process)
    ours = End()
    try:
        reported = await theirs.expect("listening")
        target, source = (HOST, reported["port"]), ours.socket.address
        if way is not None:
            left, right = await way.side(), await way.side()
            left.other, right.other = right, left
            left.peer, right.peer = source, target
            source, target = right.address, left.address
        theirs.command(connect={"port": source[1], "id": ours.stream.local_id})
        ours.socket.connect_stream(ours.stream, reported["id"], target)
        yield ours, theirs
    finally:
        ours.socket.close()
        if way is not None:
            way.close()
        assert process.stdin
        process.stdin.close()
        await process.wait()


def has(end: End, event: Event) -> Any:
    return lambda: event in end.events


def closed(stream: Stream, closing: Closing) -> StreamClosed:
    return StreamClosed(stream.local_id, closing)


@pytest.mark.parametrize("size", [1, 1152, 1153, 20 * MB])
async def test_our_data_arrives(size: int) -> None:
    data = Random(size).randbytes(size)
    async with peers() as (ours, theirs):
        ours.write(data)
        received = await theirs.expect("end")
        assert (received["size"], received["hash"]) == (size, sha256(data).hexdigest())
        theirs.command(end=True)
        await ours.until(has(ours, closed(ours.stream, Closing.ENDED)))
        await theirs.expect("close")


async def test_their_data_arrives() -> None:
    async with peers() as (ours, theirs):
        theirs.command(write={"size": 65_536, "fill": "j", "times": 300})
        theirs.command(end=True)
        assert await ours.receive() == b"j" * 65_536 * 300
        ours.stream.end()
        ours.socket.transmit_soon()
        await theirs.expect("end")
        await theirs.expect("close")
        await ours.until(has(ours, closed(ours.stream, Closing.ENDED)))
        assert not ours.socket.endpoint.dropped


async def test_both_send_over_a_bad_link() -> None:
    data = Random(5).randbytes(4 * MB)
    async with peers(Bad(loss=0.02, delay=0.01)) as (ours, theirs):
        theirs.command(write={"size": 65_536, "fill": "j", "times": 60}, end=True)
        ours.write(data)
        received = await ours.receive()
        assert received == b"j" * 65_536 * 60
        assert (await theirs.expect("end"))["hash"] == sha256(data).hexdigest()
        await theirs.expect("close")


async def test_a_destroyed_stream_resets_the_other() -> None:
    async with peers() as (ours, theirs):
        theirs.command(destroy=True)
        await ours.until(has(ours, closed(ours.stream, Closing.RESET)))
    async with peers() as (ours, theirs):
        theirs.command(send="connected")
        await ours.until(has(ours, MessageReceived(ours.stream.local_id, b"connected")))
        ours.stream.destroy()
        ours.socket.transmit_soon()
        assert await theirs.expect("error") == "ECONNRESET"
        await theirs.expect("close")


async def test_messages_go_both_ways() -> None:
    async with peers() as (ours, theirs):
        theirs.command(send="from JavaScript")
        await ours.until(has(ours, MessageReceived(ours.stream.local_id, b"from JavaScript")))
        ours.stream.send_message(b"from Python")
        ours.socket.transmit_soon()
        assert await theirs.expect("message") == "from Python"


async def test_their_end_leaves_our_side_open() -> None:
    async with peers() as (ours, theirs):
        theirs.command(end=True)
        await ours.until(has(ours, EndReceived(ours.stream.local_id)))
        ours.write(b"more")
        assert (await theirs.expect("end"))["size"] == 4
        await theirs.expect("close")


async def test_a_reader_that_pauses_stops_the_other() -> None:
    async with peers() as (ours, theirs):
        theirs.command(write={"size": 65_536, "fill": "j", "times": 160})
        theirs.command(end=True)
        questions = 0
        while ours.stream.receiver.window > 65_536:
            questions += 1
            theirs.command(send=f"{questions}")
            await ours.until(has(ours, MessageReceived(ours.stream.local_id, b"%d" % questions)))
        received = await ours.receive()
        assert len(received) == 65_536 * 160 > 2 * RECEIVE_WINDOW
        assert not ours.socket.endpoint.dropped


async def test_a_peer_that_moves_is_followed() -> None:
    way = Bad(loss=0.0, delay=0.0)
    async with peers(way) as (ours, theirs):
        theirs.command(send="from afar")
        await ours.until(has(ours, MessageReceived(ours.stream.local_id, b"from afar")))
        before = ours.stream.remote
        theirs.command(change={"port": ours.socket.address[1], "id": ours.stream.local_id})
        theirs.command(send="directly")
        await ours.until(has(ours, MessageReceived(ours.stream.local_id, b"directly")))
        assert ours.stream.remote != before
        way.close()
        ours.write(b"x" * MB)
        assert (await theirs.expect("end"))["size"] == MB
