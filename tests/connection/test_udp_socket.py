"""UDX over real sockets, on loopback."""

import asyncio
import socket
from collections.abc import Callable
from itertools import pairwise
from random import Random
from time import monotonic
from typing import Any

import pytest

from linkup_nb.connection import udp_socket
from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.wire.udx.events import Address, Closing, Event, StreamClosed
from linkup_nb.wire.udx.stream import Stream, StreamState

HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds until a test that still waits has failed


class End:
    """A socket, the events that it fired, and one stream on it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.datagrams: list[tuple[bytes, Address]] = []
        self._news = asyncio.Event()
        self.socket = UdpSocket(HOST, 0, on_event=self._on_event, on_datagram=self._on_datagram)
        self.stream: Stream = self.socket.open_stream()

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def _on_datagram(self, data: bytes, address: Address) -> None:
        self.datagrams.append((data, address))
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def receive(self) -> bytes:
        """All that comes until the peer's END."""
        parts: list[bytes] = []

        def ended() -> bool:
            parts.append(self.stream.read())
            self.socket.transmit_soon()
            return self.stream.receiver.ended

        await self.until(ended)
        return b"".join(parts)

    def write(self, data: bytes) -> None:
        self.stream.write(data)
        self.stream.end()
        self.socket.transmit_soon()


def connect(one: End, other: End) -> None:
    one.socket.connect_stream(one.stream, other.stream.local_id, other.socket.address)
    other.socket.connect_stream(other.stream, one.stream.local_id, one.socket.address)


@pytest.fixture
async def ends() -> Any:
    made = End(), End()
    connect(*made)
    yield made
    for end in made:
        end.socket.close()


@pytest.fixture(params=["in batches", "one by one"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one by one":
        monkeypatch.setattr(udp_socket, "_LINUX", False)


@pytest.mark.usefixtures("system")
async def test_data_goes_both_ways(ends: tuple[End, End]) -> None:
    one, other = ends
    there, back = Random(1).randbytes(10_000_000), Random(2).randbytes(3_000_000)
    one.write(there)
    other.write(back)
    assert tuple(await asyncio.gather(other.receive(), one.receive())) == (there, back)
    await one.until(lambda: one.stream.state is StreamState.LINGERING)
    assert one.events[-1] == StreamClosed(one.stream.local_id, Closing.ENDED)


async def test_datagrams_that_are_not_udx_are_handed_on(ends: tuple[End, End]) -> None:
    one, other = ends
    one.socket.send_datagram(b"a request", other.socket.address)
    one.socket.send_datagram(b"", other.socket.address)
    one.socket.send_datagram(b"\0", other.socket.address)
    await other.until(lambda: len(other.datagrams) == 2)
    assert other.datagrams == [(b"a request", one.socket.address), (b"\0", one.socket.address)]


async def test_a_lost_packet_is_sent_again_when_its_time_has_come(ends: tuple[End, End]) -> None:
    one, other = ends
    one.write(b"hello")
    await other.receive()
    other.stream.write(b"lost")
    assert other.socket.endpoint.datagrams_to_send(monotonic())  # taken, and never sent
    other.stream.end()
    other.socket.transmit_soon()
    assert await one.receive() == b"lost"


async def test_closing_a_socket_resets_its_streams(ends: tuple[End, End]) -> None:
    one, other = ends
    one.write(b"hello")
    await other.receive()
    one.socket.close()
    one.socket.close()
    await other.until(lambda: StreamClosed(other.stream.local_id, Closing.RESET) in other.events)
    assert one.events[-1] == StreamClosed(one.stream.local_id, Closing.DESTROYED)
    with pytest.raises(NodeClosed):
        one.socket.open_stream()
    one.socket.send_datagram(b"x", other.socket.address)
    one.socket.transmit_soon()


async def test_a_failing_callback_stops_nothing_else(
    ends: tuple[End, End], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = ends

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(other.socket, "_on_datagram", fail)
    monkeypatch.setattr(one.socket, "_on_event", fail)
    one.socket.send_datagram(b"a request", other.socket.address)
    one.write(b"hello")
    assert await other.receive() == b"hello"
    other.write(b"answer")
    await other.until(lambda: other.stream.state is StreamState.LINGERING)
    assert one.stream.read() == b"answer"
    assert "a fault of ours" in caplog.text


class Reluctant:
    """A system's socket that now and then fails to send."""

    def __init__(self, real: socket.socket, errors: list[OSError | None]) -> None:
        self._real = real
        self._errors = errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sendmsg(self, *arguments: Any) -> int:
        self._fail()
        return self._real.sendmsg(*arguments)

    def sendto(self, *arguments: Any) -> int:
        self._fail()
        return self._real.sendto(*arguments)

    def _fail(self) -> None:
        error = self._errors.pop() if self._errors else None
        if error:
            raise error


@pytest.mark.parametrize("error", [BlockingIOError(), OSError(5, "input/output error"), PermissionError()])
async def test_a_system_that_cannot_send_now_delays_nothing_else(ends: tuple[End, End], error: OSError) -> None:
    one, other = ends
    data = Random(3).randbytes(2_000_000)
    reluctant: Any = Reluctant(one.socket._socket, [None, error, None, None, error, error, None, error, None] * 3)
    one.socket._socket = reluctant
    one.write(data)
    assert await other.receive() == data


async def test_a_port_that_is_taken_is_an_error(ends: tuple[End, End]) -> None:
    port = ends[0].socket.address[1]
    with pytest.raises(OSError, match="in use"):
        UdpSocket(HOST, port, on_event=lambda event: None, on_datagram=lambda data, address: None)


async def test_offline_only_loopback_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKUP_OFFLINE", "1")
    with pytest.raises(UsageError, match="use an address 127"):
        UdpSocket("0.0.0.0", 0, on_event=lambda event: None, on_datagram=lambda data, address: None)


async def test_a_flood_is_taken_so_much_at_a_time(ends: tuple[End, End], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_socket, "MAX_READS", 2)
    one, _ = ends
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(7)]
    for sender in senders:  # one each, as the system hands on together what one has sent
        sender.sendto(b"hello", one.socket.address)
        sender.close()
    seen = [0]
    async with asyncio.timeout(PATIENCE):
        while seen[-1] < len(senders):
            await asyncio.sleep(0)
            seen.append(len(one.datagrams))
    assert all(later - earlier <= 2 for earlier, later in pairwise(seen))


async def test_datagrams_that_come_together_are_all_received(ends: tuple[End, End]) -> None:
    one, other = ends
    sent = [bytes([number]) * 30 for number in range(1, 6)]
    for data in sent:
        one.socket.send_datagram(data, other.socket.address)
    await other.until(lambda: len(other.datagrams) == len(sent))
    assert [data for data, _ in other.datagrams] == sent


async def test_a_reader_is_called_when_there_is_something_to_read(ends: tuple[End, End]) -> None:
    one, other = ends
    read: list[bytes] = []
    other.socket.readers[other.stream.local_id] = lambda: read.append(other.stream.read())
    one.write(b"hello")
    await other.until(lambda: other.stream.receiver.ended)
    assert read == [b"hello"]
    other.stream.end()
    other.socket.transmit_soon()
    closed = StreamClosed(other.stream.local_id, Closing.ENDED)
    await other.until(lambda: other.events[-1:] == [closed])
    assert not other.socket.readers
