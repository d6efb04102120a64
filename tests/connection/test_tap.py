"""Watching a connection."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from linkup_nb import Connection, connect, listen
from linkup_nb.channels import Channels
from linkup_nb.connection.frames import MAX_PARTS
from linkup_nb.connection.tap import MAX_FRAMES, Direction, Frame, Tap
from linkup_nb.errors import ConnectionClosed, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.wire.secret_stream import FrameKind
from tests.connection.udx_pair import open_both, shaken, udx_pair, udx_sides
from tests.test_channels import opens

PATIENCE = 10.0  # seconds

Pair = tuple[Connection, Connection]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Both ends of a connection: the one that dialled, and the one that was dialled."""
    arrived: asyncio.Queue[Connection] = asyncio.Queue()
    server = await listen("127.0.0.1", 0, arrived.put_nowait)
    dialled = await connect("127.0.0.1", server.port)
    accepted = await arrived.get()
    yield dialled, accepted
    await dialled.close()
    await accepted.close()
    await server.close()


async def until(tap: Tap, text: str) -> Frame:
    """The first frame of which a part is described like this."""
    async with asyncio.timeout(PATIENCE):
        async for frame in tap:
            if any(text in f"{part.type} {part.text}" for part in frame.parts):
                return frame
    raise AssertionError(tap.frames)


async def test_both_directions_are_seen_in_their_order(pair: Pair) -> None:
    ours, theirs = pair
    tap = ours.tap()
    await ours.write(b"to")
    await theirs.read()
    await theirs.write(b"and fro")
    await ours.read()
    to, fro = tap.frames
    assert (to.number, to.direction, to.kind, to.size) == (0, Direction.SENT, FrameKind.MESSAGE, 22)
    assert (fro.number, fro.direction, fro.kind, fro.size) == (1, Direction.RECEIVED, FrameKind.MESSAGE, 27)
    assert to.parts == fro.parts == ()
    assert to.time <= fro.time
    assert repr(to) == "<Frame 0: message sent, 22 bytes>"


async def test_the_end_of_a_handshake_is_seen() -> None:
    server = await listen("127.0.0.1", 0, lambda connection: None)
    connection = await connect("127.0.0.1", server.port, confirm=False)
    tap = connection.tap()
    connection.confirm()
    await connection.opened()
    sent = [frame.kind for frame in tap.frames if frame.direction is Direction.SENT]
    received = [frame.kind for frame in tap.frames if frame.direction is Direction.RECEIVED]
    assert (sent, received) == ([FrameKind.HANDSHAKE, FrameKind.ID], [FrameKind.ID])
    await connection.close()
    await server.close()


async def test_over_udx_where_the_handshake_was_elsewhere() -> None:
    async with udx_sides() as (one, other):
        calls, answers = shaken()
        ours, theirs = one.connect(calls, other), other.connect(answers, one)
        tap = ours.tap()
        await open_both(ours, theirs)
        await ours.write(b"hello")
        assert [frame.kind for frame in tap.frames if frame.direction is Direction.SENT] == [
            FrameKind.ID,
            FrameKind.MESSAGE,
        ]
        assert [frame.kind for frame in tap.frames if frame.direction is Direction.RECEIVED] == [FrameKind.ID]


async def test_an_empty_message_is_a_keep_alive(pair: Pair) -> None:
    ours, theirs = pair
    tap, other = ours.tap(), theirs.tap()
    await ours.write(b"")
    async with asyncio.timeout(PATIENCE):
        assert (await anext(aiter(other))).kind is FrameKind.KEEP_ALIVE
    assert tap.frames[0].kind is FrameKind.KEEP_ALIVE


async def test_a_linkup_message_shows_its_type_and_not_what_it_says(pair: Pair) -> None:
    ours, _ = pair
    tap = ours.tap()
    await ours.write(b'{"type":"message","name":"kestrel","message":"a secret"}')
    (part,) = tap.frames[0].parts
    assert (part.protocol, part.type, part.channel) == ("linkup", "message", None)
    assert "secret" not in repr([frame.parts for frame in tap.frames])


async def test_channels_are_called_by_their_protocols(pair: Pair) -> None:
    ours, theirs = map(Channels.of, pair)
    early = pair[0].tap()
    theirs.accept("chat", lambda id: opens(theirs, "chat", id) is not None)
    chat = opens(ours, "chat")
    assert (await until(early, "open channel 1: chat")).parts[0].channel == 0
    await chat.next()
    late = pair[0].tap()
    ours.send(chat.channel, 7, b"something")
    frame = await until(late, "7")
    assert [(part.protocol, part.channel, part.type) for part in frame.parts] == [("chat", 1, "7")]


async def test_the_messages_of_a_log_are_read(pair: Pair, tmp_path: Path) -> None:
    tap = pair[0].tap()
    async with Corestore(tmp_path / "one") as one, Corestore(tmp_path / "two") as two:
        core = await one.core(name="log")
        await core.append(b"a secret block")
        one.replicate(pair[0])
        two.replicate(pair[1])
        copy = await two.core(key=core.key)
        assert await copy.get(0, timeout=PATIENCE) == b"a secret block"
        request = await until(tap, "Request")
        assert request.direction is Direction.RECEIVED
        assert "block=(index=0" in (await until(tap, "14 bytes")).parts[0].text
        table = tap.to_pandas()
    assert {"Sync", "DataRequest", "Data"} <= set(table[table.protocol == "hypercore/alpha"].type)
    assert "a secret block" not in repr([frame.parts for frame in tap.frames])


async def test_the_oldest_frames_make_room(pair: Pair) -> None:
    ours, theirs = pair
    tap = ours.tap()
    for _ in range(MAX_FRAMES + 5):
        await ours.write(b"x")
        await theirs.read()
    assert len(tap.frames) == MAX_FRAMES
    assert tap.dropped == 5
    assert tap.frames[0].number == 5
    async with asyncio.timeout(PATIENCE):
        assert (await anext(aiter(tap))).number == 5


async def test_a_batch_of_many_is_described_in_part(pair: Pair) -> None:
    ours, theirs = map(Channels.of, pair)
    theirs.accept("chat", lambda id: opens(theirs, "chat", id) is not None)
    chat = opens(ours, "chat")
    await chat.next()
    tap = pair[0].tap()
    for _ in range(100):
        ours.send(chat.channel, 0, b"x")
    async with asyncio.timeout(PATIENCE):
        frame = await anext(aiter(tap))
    assert (len(frame.parts), frame.omitted) == (MAX_PARTS, 100 - MAX_PARTS)


async def test_a_closed_tap_sees_no_more(pair: Pair) -> None:
    ours, _ = pair
    tap, other = ours.tap(), ours.tap()
    await ours.write(b"seen")
    tap.close()
    await ours.write(b"unseen")
    assert (len(tap.frames), len(other.frames)) == (1, 2)
    assert [frame.number async for frame in tap] == [0]
    assert tap.closed


async def test_a_tap_ends_with_its_connection(pair: Pair) -> None:
    ours, theirs = pair
    tap = theirs.tap()
    await ours.write(b"last words")
    await ours.close()
    async with asyncio.timeout(PATIENCE):
        assert len([frame async for frame in tap]) == 1
    assert tap.closed
    assert theirs.tap().closed


@pytest.fixture
def elsewhere() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop on another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_it_works_from_another_loop(pair: Pair, elsewhere: asyncio.AbstractEventLoop) -> None:
    ours, theirs = pair
    tapped = asyncio.Event()
    here = asyncio.get_running_loop()

    async def watch() -> list[int]:
        tap = ours.tap()
        here.call_soon_threadsafe(tapped.set)
        sizes = []
        async for frame in tap:
            sizes.append(frame.size)
            if len(sizes) == 2:
                tap.close()
        return sizes

    watching = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(watch(), elsewhere))
    await tapped.wait()
    await ours.write(b"one")
    await theirs.write(b"three")
    assert await asyncio.wait_for(watching, PATIENCE) == [23, 25]


async def test_what_cannot_be_read_ends_nothing(pair: Pair) -> None:
    ours, theirs = pair
    tap = theirs.tap()
    nonsense = [b"\x00\x01\x05", b"\xff", b"{", b'{"type":5}', b"\x00\x00\xfd", b"\x00\x09\x01"]
    for message in nonsense:
        await ours.write(message)
        assert await theirs.read() == message
    assert [frame.parts for frame in tap.frames] == [()] * len(nonsense)


async def test_a_table_needs_pandas(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        pair[0].tap().to_pandas()


async def test_a_table_has_a_row_for_each_frame_without_messages(pair: Pair) -> None:
    tap = pair[0].tap()
    assert tap.to_pandas().empty
    await pair[0].write(b"x")
    (row,) = tap.to_pandas().to_dict("records")
    assert (row["direction"], row["kind"], row["size"], row["protocol"]) == ("sent", "message", 21, "")


async def test_the_repr_is_one_line(pair: Pair) -> None:
    tap = pair[0].tap()
    assert repr(tap).startswith("<Tap on Connection(")
    assert repr(tap).endswith("0 frames>")
    await pair[0].close()
    with pytest.raises(ConnectionClosed):
        await pair[0].write(b"x")


async def test_a_udx_stream_is_measured_while_it_is_tapped_and_not_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.connection.tap.MAX_MEASURES", 3)
    async with udx_pair() as (one, other):
        tap = one.tap()
        reading = asyncio.create_task(read_all(other))
        for _ in range(20):
            await one.write(bytes(400_000))
        assert one.congestion
        assert tap.measures[-1].window > 0
        assert len(tap.measures) == 3
        assert [measure.time for measure in tap.measures] == sorted(measure.time for measure in tap.measures)
        tap.close()
        before = tap.measures
        await one.write(bytes(400_000))
        assert tap.measures == before
        reading.cancel()


async def read_all(connection: Connection) -> None:
    while True:
        await connection.read()


async def test_over_tcp_there_is_nothing_to_measure(pair: Pair) -> None:
    tap = pair[0].tap()
    await pair[0].write(b"x")
    assert tap.measures == ()
    assert pair[0].congestion is None
