import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from linkup_nb.connection import connection as limits
from linkup_nb.connection import server as server_limits
from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import Server, listen
from linkup_nb.errors import (
    ConnectionClosed,
    DecodeError,
    DecryptionError,
    HandshakeError,
    PeerError,
    PeerTimeout,
    UsageError,
)
from linkup_nb.wire.keys import KeyPair, short_key
from linkup_nb.wire.secret_stream import RECEIVE_BUFFER
from tests.connection.raw_peer import RawPeer
from tests.wire.ends import flip

HOST = "127.0.0.1"
PATIENCE = 10.0  # seconds until a test that still waits has failed
CHUNK = bytes(64 * 1024)


@pytest.fixture(autouse=True)
async def nothing_reaches_the_loop() -> AsyncIterator[None]:
    """Whatever a peer does, the loop's exception handler is never called, and no test waits for ever."""
    reports: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, report: reports.append(report))
    over = loop.call_later(PATIENCE, lambda: [task.cancel() for task in asyncio.all_tasks()])
    yield
    over.cancel()
    assert reports == []


class Side:
    """A server and the connections that came to it."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Connection] = asyncio.Queue()
        self.server: Server

    @property
    def port(self) -> int:
        return self.server.port


@asynccontextmanager
async def listening(key_pair: KeyPair | None = None, *, confirm: bool = True) -> AsyncIterator[Side]:
    side = Side()
    async with AsyncExitStack() as stack:
        side.server = await listen(HOST, 0, side.came.put_nowait, key_pair, confirm=confirm)
        stack.push_async_callback(side.server.close)
        yield side
        while not side.came.empty():
            await side.came.get_nowait().close()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Connection, Connection]]:
    async with listening() as side:
        one = await connect(HOST, side.port)
        other = await side.came.get()
        yield one, other
        await asyncio.gather(one.close(), other.close())


@asynccontextmanager
async def raw_pair() -> AsyncIterator[tuple[RawPeer, Connection]]:
    async with listening() as side, RawPeer(side.port) as peer:
        await peer.open()
        ours = await side.came.get()
        yield peer, ours
        peer.reset()
        await ours.close()


async def fill(connection: Connection, message: bytes = CHUNK) -> int:
    """Write until the peer has to be waited for; returns how many messages were sent, the last one being on its way."""
    for number in range(10_000):
        writing = asyncio.ensure_future(connection.write(message))
        await asyncio.wait([writing], timeout=0.3)
        if not writing.done():
            writing.cancel()
            return number + 1
    raise AssertionError("the connection takes without end")


async def test_two_ends_know_each_other_and_talk() -> None:
    server_keys, own_keys = KeyPair.from_seed(b"\1" * 32), KeyPair.from_seed(b"\2" * 32)
    async with listening(server_keys) as side:
        one = await connect(HOST, side.port, own_keys, remote_public_key=server_keys.public_key)
        other = await side.came.get()
        assert (one.public_key, one.remote_public_key) == (own_keys.public_key, server_keys.public_key)
        assert (other.public_key, other.remote_public_key) == (server_keys.public_key, own_keys.public_key)
        assert one.handshake_hash == other.handshake_hash
        assert (one.initiator, other.initiator) == (True, False)
        assert one.address == (HOST, side.port)
        assert abs(one.opened_at - other.opened_at) < PATIENCE
        for connection in (one, other):
            assert connection.rtt is not None
            assert 0 < connection.rtt < 1

        await one.write(b"question")
        assert await other.read() == b"question"
        await other.write(b"answer")
        assert await one.read() == b"answer"
        assert (one.bytes_sent, one.bytes_received) == (other.bytes_received, other.bytes_sent)
        assert one.bytes_sent == 35 + 67 + 59 + 3 + 17 + 8
        await one.close()


async def test_messages_keep_their_order_and_their_ends() -> None:
    async with pair() as (one, other):
        messages = [bytes([number % 256]) * (1 + number * 37 % 9000) for number in range(500)]
        messages.insert(250, bytes(16_777_198))
        writing = asyncio.gather(*(one.write(message) for message in messages))
        assert [await other.read() for _ in messages] == messages
        await writing


async def test_reading_ends_with_the_connection() -> None:
    async with pair() as (one, other):
        await one.write(b"first")
        await one.write(b"last")
        await one.close()
        assert [message async for message in other] == [b"first", b"last"]
        await other.wait_closed()
        assert (one.closed, other.closed, one.close_reason, other.close_reason) == (True, True, None, None)
        with pytest.raises(ConnectionClosed, match="The connection is closed"):
            await other.read()
        with pytest.raises(ConnectionClosed):
            await other.write(b"too late")
        await other.close()


async def test_reading_waits_only_so_long() -> None:
    async with pair() as (one, other):
        with pytest.raises(TimeoutError):
            await other.read(timeout=0.01)
        await one.write(b"late")
        assert await other.read(timeout=PATIENCE) == b"late"


async def test_events_tell_of_opening_and_closing() -> None:
    async with listening(confirm=False) as side:
        one = await connect(HOST, side.port, confirm=False)
        received: list[object] = []
        one.on("open", lambda: received.append("open"))
        one.on("close", received.append)
        one.confirm()
        other = await side.came.get()
        other.confirm()
        await one.opened()
        reason = PeerError("enough")
        await one.close(reason)
        assert received == ["open", reason]
        assert one.close_reason is reason


async def test_a_wrong_key_is_refused_by_the_one_who_dials() -> None:
    async with listening() as side:
        with pytest.raises(HandshakeError, match="another public key than the one that was dialled"):
            await connect(HOST, side.port, remote_public_key=bytes(32))
        await connect(HOST, side.port)
        assert (await side.came.get()).initiator is False
        assert side.came.empty()


async def test_nobody_listens() -> None:
    async with listening() as side:
        port = side.port
    with pytest.raises(ConnectionRefusedError):
        await connect(HOST, port)


async def test_a_connection_opens_when_both_ends_confirm() -> None:
    async with listening(confirm=False) as side:
        one = await connect(HOST, side.port, confirm=False)
        assert one.remote_public_key == side.server.public_key
        assert side.came.empty()
        one.confirm()
        other = await side.came.get()
        assert other.remote_public_key == one.public_key
        with pytest.raises(UsageError, match="once the secret stream is open"):
            await other.write(b"early")
        other.confirm()
        await asyncio.gather(one.opened(), other.opened())
        await other.write(b"now")
        assert await one.read() == b"now"
        await one.close()


async def test_a_peer_that_does_not_confirm_is_told_of_by_name() -> None:
    async with listening(confirm=False) as side:
        one = await connect(HOST, side.port, confirm=False)
        one.confirm()
        await (await side.came.get()).close()
        with pytest.raises(HandshakeError, match="hung up before the connection was open"):
            await one.opened()
        with pytest.raises(HandshakeError):
            one.confirm()


async def test_a_stranger_that_says_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_TIMEOUT", 0.1)
    async with listening() as side, RawPeer(side.port) as peer:
        assert await peer.sees_the_end()
        assert side.came.empty()


async def test_a_server_that_says_nothing_is_left() -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, HOST, 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(PeerTimeout, match=f"{HOST}:{port} did not answer within 0.1 s"):
        await connect(HOST, port, timeout=0.1)
    silent.close()


async def test_there_are_only_so_many_handshakes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_limits, "MAX_HALF_OPEN", 2)
    async with listening() as side, RawPeer(side.port) as first, RawPeer(side.port) as second:
        await first.greet()
        await second.greet()
        async with RawPeer(side.port) as third:
            assert await third.sees_the_end()
        await first.open()
        await side.came.get()
        await connect(HOST, side.port)


@pytest.mark.parametrize("bit", [8 * 40, 8 * 70, 8 * 100], ids=["key", "length", "identity"])
async def test_a_flipped_bit_in_the_handshake_ends_it(bit: int) -> None:
    async with listening() as side, RawPeer(side.port) as peer:
        with pytest.raises((EOFError, ConnectionResetError)):
            await peer.open(lambda data: flip(data, bit))
        assert side.came.empty()


@pytest.mark.parametrize("bit", [8 * 3, 8 * 10, 8 * 24])
async def test_a_flipped_bit_in_the_data_ends_the_connection_by_name(bit: int) -> None:
    async with raw_pair() as (peer, ours):
        peer.writer.write(peer.stream.send(b"whole"))
        assert await ours.read() == b"whole"
        peer.writer.write(flip(peer.stream.send(b"damaged"), bit))
        with pytest.raises(ConnectionClosed, match="A frame was forged or damaged on its way"):
            await ours.read()
        assert isinstance(ours.close_reason, DecryptionError)
        assert await peer.sees_the_end()


async def test_an_end_inside_a_frame_is_named() -> None:
    async with raw_pair() as (peer, ours):
        peer.writer.write(peer.stream.send(b"whole") + peer.stream.send(b"half")[:-1])
        peer.writer.write_eof()
        assert [message async for message in ours] == [b"whole"]
        assert isinstance(ours.close_reason, DecodeError)
        assert str(ours.close_reason) == "The peer hung up in the middle of a frame."


async def test_a_peer_that_crashes_is_named() -> None:
    async with raw_pair() as (peer, ours):
        peer.reset()
        await ours.wait_closed()
        assert isinstance(ours.close_reason, PeerError)
        assert str(ours.close_reason) == "The connection broke: Connection reset by peer."


async def test_memory_stays_bounded_while_nobody_reads() -> None:
    async with pair() as (one, other):
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        writing = [asyncio.ensure_future(one.write(CHUNK)) for _ in range(1000)]
        await asyncio.wait(writing, timeout=1.0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        waiting = sum(not write.done() for write in writing)
        assert waiting > 500
        assert other.bytes_received < limits.RECEIVE_HIGH_WATER + 2 * RECEIVE_BUFFER
        assert peak - before < 3 * 1024 * 1024

        assert [len(await other.read()) for _ in writing] == [len(CHUNK)] * len(writing)
        await asyncio.gather(*writing)


async def test_memory_stays_bounded_while_small_messages_wait() -> None:
    async with raw_pair() as (peer, ours):
        flood = b"".join(peer.stream.send(b"hi") for _ in range(40_000))
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        peer.writer.write(flood)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ours.wait_closed(), 0.5)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert ours.bytes_received < RECEIVE_BUFFER + 64 * 1024
        assert after - before < 2 * limits.RECEIVE_HIGH_WATER + len(flood)
        assert [await ours.read() for _ in range(40_000)] == [b"hi"] * 40_000


async def test_a_write_waits_for_a_slow_peer() -> None:
    async with pair() as (one, other):
        sent = await fill(one)
        late = asyncio.ensure_future(one.write(b"late"))
        assert [len(await other.read()) for _ in range(sent)] == [len(CHUNK)] * sent
        await late
        assert await other.read() == b"late"


async def test_writing_without_end_lets_others_have_their_turn() -> None:
    async with pair() as (one, _):
        turns: list[str] = []
        asyncio.get_running_loop().call_soon(turns.append, "others")
        for _ in range(limits.TURN_SIZE // len(CHUNK) + 2):
            await one.write(CHUNK)
        assert turns == ["others"]


async def test_a_write_that_is_cancelled_in_the_queue_is_not_sent() -> None:
    async with pair() as (one, other):
        sent = await fill(one)
        for _ in range(100):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(one.write(b"given up"), 0.001)
        late = asyncio.ensure_future(one.write(b"late"))
        for _ in range(sent):
            await other.read()
        assert await other.read() == b"late"
        await late


async def test_a_peer_that_takes_nothing_is_disconnected() -> None:
    async with raw_pair() as (_, ours):
        await fill(ours)
        with pytest.raises(ConnectionClosed, match=r"The peer has taken nothing of what was sent for 0\.2 s"):
            await ours.write(b"more", timeout=0.2)
        await ours.wait_closed()
        assert isinstance(ours.close_reason, PeerTimeout)


async def test_a_peer_that_takes_little_is_not() -> None:
    async with raw_pair() as (peer, ours):
        begun = asyncio.get_running_loop().time()
        writing = asyncio.ensure_future(ours.write(bytes(16_000_000), timeout=0.5))
        messages = []
        while not writing.done():
            await asyncio.wait([writing], timeout=0.02)
            messages += await peer.receive(400_000)
        await writing
        assert asyncio.get_running_loop().time() - begun > 0.5
        while not messages:
            messages += await peer.receive(400_000)
        assert messages == [bytes(16_000_000)]


async def test_an_idle_connection_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE", 0.02)
    monkeypatch.setattr(limits, "PEER_TIMEOUT", 0.06)
    async with raw_pair() as (peer, ours):
        while peer.stream.keep_alives_received < 10:
            assert await peer.receive() == []
        assert not ours.closed  # it never sent a keep-alive, so its silence means nothing


async def test_a_peer_whose_keep_alives_stop_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE", 0.02)
    monkeypatch.setattr(limits, "PEER_TIMEOUT", 0.06)
    async with raw_pair() as (peer, ours):
        peer.writer.write(peer.stream.send(b""))
        await ours.wait_closed()
        assert isinstance(ours.close_reason, PeerTimeout)
        assert str(ours.close_reason) == "The peer has been silent for over 0.06 s."


async def test_two_that_keep_alive_stay_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE", 0.05)
    monkeypatch.setattr(limits, "PEER_TIMEOUT", 1.0)
    async with pair() as (one, other):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.wait_closed(), 2 * limits.PEER_TIMEOUT)
        assert not other.closed


async def test_closing_delivers_what_was_written_though_the_peer_talks() -> None:
    async with pair() as (one, other):
        await fill(other)  # all of it lies unread at the end that closes
        for number in range(16):
            await one.write(bytes([number]) * len(CHUNK))
        closing = asyncio.ensure_future(one.close())
        assert [message[0] async for message in other] == list(range(16))
        await closing


async def test_closing_does_not_wait_long_for_a_peer_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FAREWELL", 0.1)
    monkeypatch.setattr(limits, "CLOSE_TIMEOUT", 0.1)
    async with raw_pair() as (_, ours):
        await fill(ours)
        await ours.close()
        assert ours.close_reason is None


async def test_a_connection_is_used_from_another_thread() -> None:
    async with pair() as (one, other):

        async def elsewhere() -> bytes:
            await one.write(b"from afar")
            message = await one.read()
            await one.close()
            return message

        thread = asyncio.ensure_future(asyncio.to_thread(asyncio.run, elsewhere()))
        assert await other.read() == b"from afar"
        await other.write(b"back")
        assert await thread == b"back"


async def test_a_server_that_closes_keeps_what_is_open() -> None:
    async with listening() as side:
        one = await connect(HOST, side.port)
        other = await side.came.get()
        async with RawPeer(side.port) as peer:
            await peer.greet()
            await side.server.close()
            assert await peer.sees_the_end()
        with pytest.raises(ConnectionRefusedError):
            await connect(HOST, side.port)
        await one.write(b"still here")
        assert await other.read() == b"still here"
        await one.close()


async def test_a_handler_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail(connection: Connection) -> None:
        raise ValueError("a mistake in the handler")

    server = await listen(HOST, 0, fail)
    for _ in range(2):
        one = await connect(HOST, server.port)
        await one.close()
    await server.close()
    assert "A handler of 'Server' failed" in caplog.text


async def test_reprs_are_one_line() -> None:
    async with pair() as (one, other):
        assert repr(one) == f"Connection(to {short_key(other.public_key)} at {HOST}:{one.address[1]}, open)"
        await one.close()
        assert repr(one).endswith("closed)")
