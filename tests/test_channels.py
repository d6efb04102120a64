"""Many protocols on one real connection."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from linkup_nb.channels import MAX_UNSENT, MAX_UNSENT_FRAMES, MIN_TURN, TURN, Channels, protocols_on
from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import ProtocolError
from linkup_nb.wire.protomux import SEND_HIGH_WATER, Channel


class Recorder:
    """A handler that keeps what it hears."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
        self.channel: Channel

    def opened(self, handshake: bytes) -> None:
        self.calls.put_nowait(("opened", handshake))

    def received(self, type: int, payload: bytes) -> None:
        if type == 99:
            raise ProtocolError("no message 99 here")
        self.calls.put_nowait((str(type), payload))

    def drained(self) -> None:
        self.calls.put_nowait(("drained", None))

    def ended(self) -> None:
        self.calls.put_nowait(("ended", None))

    async def next(self) -> tuple[str, object]:
        return await asyncio.wait_for(self.calls.get(), 5)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Channels, Channels]]:
    arrived: asyncio.Queue[Connection] = asyncio.Queue()
    server = await listen("127.0.0.1", 0, arrived.put_nowait)
    dialled = await connect("127.0.0.1", server.port)
    yield Channels.of(dialled), Channels.of(await arrived.get())
    await dialled.close()
    await server.close()


def opens(channels: Channels, protocol: str, id: bytes = b"", handshake: bytes = b"") -> Recorder:
    recorder = Recorder()
    recorder.channel = channels.open(protocol, id, handshake, recorder)
    return recorder


async def test_both_ends_talk_once_both_have_opened(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    accepted: list[Recorder] = []

    def accept(id: bytes) -> bool:
        accepted.append(opens(b, "chat", id, b"welcome"))
        return True

    b.accept("chat", accept)
    here = opens(a, "chat", b"room", b"hello")

    assert await here.next() == ("opened", b"welcome")
    assert await accepted[0].next() == ("opened", b"hello")
    a.send(here.channel, 5, b"hi")
    assert await accepted[0].next() == ("5", b"hi")
    a.close(here.channel)
    assert await accepted[0].next() == ("ended", None)


async def test_what_was_opened_here_since_it_was_offered_is_not_accepted_again(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    accepted: list[bytes] = []
    there: list[Recorder] = []

    def accept(id: bytes) -> bool:
        accepted.append(id)
        there.extend(opens(b, "chat", other) for other in (b"one", b"two"))  # both have been offered by now
        return True

    b.accept("chat", accept)
    one, two = opens(a, "chat", b"one"), opens(a, "chat", b"two")

    assert [await one.next(), await two.next()] == [("opened", b""), ("opened", b"")]
    a.send(two.channel, 5, b"hi")
    assert [await there[1].next(), await there[1].next()] == [("opened", b""), ("5", b"hi")]
    assert accepted == [b"one"]


async def test_what_nobody_accepts_is_refused_and_the_rest_goes_on(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    unknown = opens(a, "unknown")
    here, there = opens(a, "known"), opens(b, "known")

    assert await unknown.next() == ("ended", None)
    assert (await here.next())[0] == (await there.next())[0] == "opened"


async def test_a_fault_of_the_peer_closes_the_connection_with_the_reason(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    here, there = opens(a, "p"), opens(b, "p")
    ended = asyncio.Event()
    b.on_end(ended.set)

    a.send(here.channel, 99, b"")

    await asyncio.wait_for(ended.wait(), 5)
    connection = b.connection
    assert isinstance(connection, Connection)
    await asyncio.wait_for(connection.wait_closed(), 5)
    assert str(connection.close_reason) == "no message 99 here"
    assert [await there.next(), await there.next()] == [("opened", b""), ("ended", None)]
    assert [await here.next(), await here.next()] == [("opened", b""), ("ended", None)]


async def test_a_full_channel_drains(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    here, there = opens(a, "p"), opens(b, "p")
    await here.next()

    assert not a.send(here.channel, 0, bytes(SEND_HIGH_WATER + 1))

    assert await here.next() == ("drained", None)
    assert [(await there.next())[0], (await there.next())[0]] == ["opened", "0"]


async def test_a_paused_channel_waits_and_loses_nothing(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    here, there = opens(a, "p"), opens(b, "p")
    other, other_there = opens(a, "q"), opens(b, "q")
    await there.next()
    there.channel.pause()
    for index in range(3 * TURN):
        a.send(here.channel, index % 90, b"x")
    a.send(other.channel, 7, b"y")

    assert [await other_there.next(), await other_there.next()] == [("opened", b""), ("7", b"y")]
    assert there.calls.empty()
    b.resume(there.channel)
    assert [await there.next() for _ in range(3 * TURN)] == [(str(index % 90), b"x") for index in range(3 * TURN)]


async def test_a_connection_has_its_channels_once(ends: tuple[Channels, Channels]) -> None:
    assert Channels.of(ends[0].connection) is ends[0]


class Answerer(Recorder):
    """A handler that answers each message with the same."""

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        self._channels = channels

    def received(self, type: int, payload: bytes) -> None:
        self._channels.send(self.channel, type, payload)
        super().received(type, payload)


async def test_the_first_answers_leave_before_the_last_message_is_handled(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    here, there = opens(a, "p"), Answerer(b)
    there.channel = b.open("p", b"", b"", there)
    await here.next()
    await there.next()

    for number in range(20_000):  # they come together
        a.send(here.channel, number % 90, b"")
    assert await here.next() == ("0", b"")

    assert there.calls.qsize() < 20_000
    assert [(await here.next())[0] for _ in range(19_999)] == [str(number % 90) for number in range(1, 20_000)]


async def test_an_answer_to_who_has_closed_the_channel_already_goes_nowhere(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    here, there, other, elsewhere = opens(a, "echo"), Answerer(b), opens(a, "other"), opens(b, "other")
    there.channel = b.open("echo", b"", b"", there)
    assert (await here.next())[0] == (await there.next())[0] == "opened"

    a.send(here.channel, 1, b"last words")
    a.close(here.channel)

    assert [await there.next() for _ in range(2)] == [("1", b"last words"), ("ended", None)]
    assert (await other.next())[0] == (await elsewhere.next())[0] == "opened"
    a.send(other.channel, 2, b"goes on")
    assert await elsewhere.next() == ("2", b"goes on")


@pytest.mark.parametrize(("size", "count"), [(1024 * 1024, MAX_UNSENT // 1024 // 1024 + 1), (0, MAX_UNSENT_FRAMES + 1)])
async def test_a_peer_that_takes_nothing_is_left(ends: tuple[Channels, Channels], size: int, count: int) -> None:
    a, b = ends
    here, _ = opens(a, "chat"), opens(b, "chat")
    assert await here.next() == ("opened", b"")
    piece = bytes(size)

    for _ in range(count):  # without a pause in which it could take any
        a.send(here.channel, 1, piece)

    assert await here.next() == ("ended", None)
    await asyncio.wait_for(a.connection.wait_closed(), 10)  # type: ignore[attr-defined]
    assert "does not read" in str(a.connection.close_reason)  # type: ignore[attr-defined]


class Faulty(Recorder):
    """A handler with a mistake in it."""

    def received(self, type: int, payload: bytes) -> None:
        raise ZeroDivisionError("a mistake of ours")

    def ended(self) -> None:
        super().ended()
        raise ZeroDivisionError("another")


async def test_a_mistake_in_a_handler_ends_the_connection_and_everybody_on_it_is_notified(
    ends: tuple[Channels, Channels], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = ends
    here, faulty, other = opens(a, "p"), Faulty(), opens(b, "q")
    faulty.channel = b.open("p", b"", b"", faulty)
    opens(a, "q")
    ended = asyncio.Event()
    b.on_end(lambda: 1 // 0)
    b.on_end(ended.set)
    assert [(await faulty.next())[0], (await other.next())[0]] == ["opened", "opened"]

    a.send(here.channel, 1, b"")

    assert [await faulty.next(), await other.next()] == [("ended", None), ("ended", None)]
    await asyncio.wait_for(ended.wait(), 5)
    assert isinstance(b.connection, Connection)
    await asyncio.wait_for(b.connection.wait_closed(), 5)
    assert str(b.connection.close_reason) == "a mistake of ours"
    assert "a handler of its channels failed" in caplog.text


async def test_a_mistake_in_an_acceptor_ends_the_connection(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    b.accept("p", lambda id: bool(1 // 0))
    here = opens(a, "p")

    assert await here.next() == ("ended", None)
    assert isinstance(b.connection, Connection)
    await asyncio.wait_for(b.connection.wait_closed(), 5)
    assert isinstance(b.connection.close_reason, ZeroDivisionError)


async def test_a_channel_opened_after_the_end_ends_at_once(ends: tuple[Channels, Channels]) -> None:
    a, _ = ends
    ended = asyncio.Event()
    a.on_end(ended.set)
    await a.connection.close()
    await asyncio.wait_for(ended.wait(), 5)

    assert await opens(a, "late").next() == ("ended", None)
    assert await opens(Channels.of(a.connection), "later").next() == ("ended", None)


async def test_a_connection_that_has_ended_is_not_kept(ends: tuple[Channels, Channels]) -> None:
    a, b = ends
    ended = asyncio.Event()
    a.on_end(ended.set)
    b.on_end(ended.set)
    await a.connection.close()
    await asyncio.wait_for(ended.wait(), 5)

    assert protocols_on(a.connection) is None


class Counter(Recorder):
    """A handler that counts its messages between two turns of everybody else."""

    def __init__(self) -> None:
        super().__init__()
        self.in_turn = self.most = self.all = 0

    def received(self, type: int, payload: bytes) -> None:
        self.in_turn += 1
        self.all += 1
        self.most = max(self.most, self.in_turn)


async def test_a_flood_on_one_of_many_connections_leaves_the_others_their_turns(
    ends: tuple[Channels, Channels],
) -> None:
    a, b = ends
    server = await listen("127.0.0.1", 0, lambda connection: None)
    kept = [Channels.of(await connect("127.0.0.1", server.port)) for _ in range(TURN // MIN_TURN)]
    here, there = opens(a, "p"), Counter()
    there.channel = b.open("p", b"", b"", there)
    assert await here.next() == ("opened", b"")
    for _ in range(4 * TURN):
        a.send(here.channel, 0, b"x")

    async with asyncio.timeout(5):
        while there.all < 4 * TURN:
            there.in_turn = 0
            await asyncio.sleep(0)

    assert there.most == MIN_TURN
    for one in kept:
        await one.connection.close()
    await server.close()
