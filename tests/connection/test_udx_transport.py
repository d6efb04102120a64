"""Connections over UDX: what a user of one sees is what it would see over TCP."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from linkup_nb.connection import connection as limits
from linkup_nb.connection.connection import Connection
from linkup_nb.connection.udx_transport import UdxTransport
from linkup_nb.errors import ConnectionClosed, HandshakeError, PeerError, PeerTimeout, UsageError
from linkup_nb.wire.udx.events import Closing, StreamClosed
from linkup_nb.wire.udx.receiver import RECEIVE_WINDOW
from linkup_nb.wire.udx.stream import HIGH_MARK, LOW_MARK
from tests.connection.udx_pair import HOST, UdxSide, open_both, shaken, udx_pair, udx_sides

PATIENCE = 20.0  # seconds until a test that still waits has failed
CHUNK = bytes(64 * 1024)


@pytest.fixture(autouse=True)
async def no_test_waits_for_ever() -> AsyncIterator[None]:
    over = asyncio.get_running_loop().call_later(PATIENCE, lambda: [task.cancel() for task in asyncio.all_tasks()])
    yield
    over.cancel()


async def fill(connection: Connection) -> int:
    """Write until the peer has to be waited for; returns how many messages were sent, the last one being on its way."""
    for number in range(10_000):
        writing = asyncio.ensure_future(connection.write(CHUNK))
        await asyncio.wait([writing], timeout=0.3)
        if not writing.done():
            writing.cancel()
            return number + 1
    raise AssertionError("the connection takes without end")


async def test_two_ends_know_each_other_and_talk() -> None:
    async with udx_pair() as (one, other):
        assert (one.transport, other.transport) == ("udx", "udx")
        assert (one.initiator, other.initiator) == (True, False)
        assert one.remote_public_key == other.public_key
        assert other.remote_public_key == one.public_key
        assert one.handshake_hash == other.handshake_hash
        assert one.address[0] == HOST
        await one.write(b"question")
        assert await other.read() == b"question"
        await other.write(b"answer")
        assert await one.read() == b"answer"
        for end in (one, other):
            assert end.rtt is not None
            assert 0 < end.rtt < 1
        assert one.bytes_sent == other.bytes_received == 3 + 56 + 3 + 17 + 8


async def test_messages_keep_their_order_and_their_ends() -> None:
    async with udx_pair() as (one, other):
        messages = [bytes([number % 256]) * (1 + number * 37 % 9000) for number in range(500)]
        messages.insert(250, bytes(16_777_198))
        writing = asyncio.gather(*(one.write(message) for message in messages))
        assert [await other.read() for _ in messages] == messages
        await writing


async def test_an_end_is_an_ordinary_end_for_both() -> None:
    async with udx_sides() as sides:
        ends = await opened(sides)
        await ends[0].write(b"last")
        await ends[0].close()
        assert [message async for message in ends[1]] == [b"last"]
        await ends[1].wait_closed()
        assert [end.close_reason for end in ends] == [None, None]
        assert [side.lost for side in sides] == [1, 1]
        with pytest.raises(ConnectionClosed):
            await ends[1].write(b"too late")


async def opened(sides: tuple[UdxSide, UdxSide]) -> tuple[Connection, Connection]:
    calls, answers = shaken()
    ends = sides[0].connect(calls, sides[1]), sides[1].connect(answers, sides[0])
    await open_both(*ends)
    return ends


async def test_nothing_opens_until_both_confirm() -> None:
    async with udx_sides() as (one, other):
        calls, answers = shaken()
        ours, theirs = one.connect(calls, other), other.connect(answers, one)
        await ours.established()
        ours.confirm()
        with pytest.raises(UsageError):
            await ours.write(b"early")
        await theirs.established()
        theirs.confirm()
        await asyncio.gather(ours.opened(), theirs.opened())
        await theirs.write(b"now")
        assert await ours.read() == b"now"


async def test_a_peer_that_does_not_want_us_is_told_of_by_name() -> None:
    async with udx_sides() as (one, other):
        calls, answers = shaken()
        ours, theirs = one.connect(calls, other), other.connect(answers, one)
        ours.confirm()
        await theirs.established()
        await theirs.close()
        with pytest.raises(HandshakeError, match="hung up before the connection was open"):
            await ours.opened()


async def test_a_call_is_known_to_be_live_by_its_first_frame() -> None:
    async with udx_sides() as (one, other):
        calls, answers = shaken()
        ours, theirs = one.connect(calls, other), other.connect(answers, one)
        await ours.established()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(theirs.established(), 0.1)
        assert theirs.remote_public_key == b""
        ours.confirm()
        await theirs.established()
        assert theirs.remote_public_key == ours.public_key


@pytest.mark.parametrize("leave", ["close", "abort"])
async def test_leaving_before_confirming_makes_no_sound(leave: str) -> None:
    async with udx_sides() as (one, other):
        calls, _ = shaken()
        ours = one.connect(calls, other)
        await ours.established()
        if leave == "close":
            await ours.close()
        else:
            one.transport.abort()
        await ours.wait_closed()
        one.socket.send_datagram(b"marker", other.socket.address)
        await other.marker.wait()
        assert other.events == []
        assert one.lost == 1


async def test_a_stream_of_another_handshake_is_refused() -> None:
    async with udx_sides() as (one, other):
        ours, theirs = one.connect(shaken()[0], other), other.connect(shaken()[1], one)
        ours.confirm()
        with pytest.raises(HandshakeError, match="belongs to another handshake"):
            await theirs.established()


async def test_a_peer_that_resets_is_named() -> None:
    async with udx_sides() as (one, other):
        ours, _ = await opened((one, other))
        other.stream.destroy()
        other.socket.transmit_soon()
        await ours.wait_closed()
        assert isinstance(ours.close_reason, PeerError)
        assert str(ours.close_reason) == "The connection broke: Connection reset by peer."


@pytest.mark.parametrize("closing", [Closing.IDLE, Closing.TIMED_OUT])
async def test_a_peer_that_is_gone_is_named(closing: Closing) -> None:
    async with udx_sides() as (one, other):
        ours, _ = await opened((one, other))
        one.transport.on_event(StreamClosed(one.stream.local_id, closing))
        await ours.wait_closed()
        assert isinstance(ours.close_reason, PeerTimeout)
        assert str(ours.close_reason) == "The peer no longer answers."


async def test_memory_stays_bounded_while_nobody_reads() -> None:
    async with udx_pair() as (one, other):
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        writing = [asyncio.ensure_future(one.write(CHUNK)) for _ in range(400)]
        await asyncio.wait(writing, timeout=1.0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sum(not write.done() for write in writing) > 200
        # What may be in memory: unread messages and stream at the one end, what is not acknowledged at the other.
        assert peak - before < 2 * (RECEIVE_WINDOW + HIGH_MARK) + 4 * limits.RECEIVE_HIGH_WATER
        assert [len(await other.read()) for _ in writing] == [len(CHUNK)] * len(writing)
        await asyncio.gather(*writing)


async def test_a_peer_that_takes_nothing_is_disconnected() -> None:
    async with udx_pair() as (one, _):
        await fill(one)
        with pytest.raises(ConnectionClosed, match=r"The peer has taken nothing of what was sent for 0\.2 s"):
            await one.write(b"more", timeout=0.2)
        await one.wait_closed()
        assert isinstance(one.close_reason, PeerTimeout)


async def test_a_write_goes_on_when_there_is_room_again() -> None:
    async with udx_pair() as (one, other):
        sent = await fill(one)
        late = asyncio.ensure_future(one.write(b"late"))
        assert [len(await other.read()) for _ in range(sent)] == [len(CHUNK)] * sent
        await late
        assert await other.read() == b"late"
        assert LOW_MARK < HIGH_MARK < sent * len(CHUNK)


async def test_closing_delivers_what_was_written_though_the_peer_talks() -> None:
    async with udx_pair() as (one, other):
        await fill(other)
        for number in range(16):
            await one.write(bytes([number]) * len(CHUNK))
        closing = asyncio.ensure_future(one.close())
        assert [message[0] async for message in other] == list(range(16))
        await closing


async def test_closing_does_not_wait_long_for_a_peer_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UDX_FAREWELL", 0.1)
    async with udx_sides() as (one, other):
        ours, theirs = await opened((one, other))
        monkeypatch.setattr(other.transport, "close", lambda: None)  # as JavaScript's, which does not end by itself
        await ours.close()
        assert ours.close_reason is None
        await theirs.wait_closed()


async def test_closing_does_not_wait_for_a_peer_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLOSE_TIMEOUT", 10 * PATIENCE)
    async with udx_sides() as (one, other):
        ours, _ = await opened((one, other))
        other.die()
        await ours.write(b"last")
        await ours.close()
        assert ours.close_reason is None


async def test_a_stream_that_is_not_connected_carries_nothing() -> None:
    async with udx_sides() as (one, _):
        with pytest.raises(UsageError, match="once it is connected"):
            UdxTransport(one.socket, one.stream, lambda: None)
