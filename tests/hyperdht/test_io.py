"""Requests and replies on one socket: what comes back, what does not, and whatever strangers send."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.hyperdht import io as dht_io
from linkup_nb.hyperdht.io import AMPLIFICATION, MAX_HELD_EACH, DhtAnswer, DhtIo
from linkup_nb.wire.dht.rpc import MAX_DATAGRAM, Address, DhtReply, DhtRequest, Internal, node_id
from linkup_nb.wire.rate_limit import Rate
from tests.hyperdht.network import PATIENCE, until
from tests.hyperdht.stranger import Stranger, stranger

TARGET = b"\1" * 32


class Requester(DhtIo):
    """Notes the requests that come; `reply_to` sends one, whose reply is awaited."""

    def __init__(self) -> None:
        super().__init__(UdpSocket)
        self.requests: asyncio.Queue[tuple[DhtRequest, Address, int]] = asyncio.Queue()
        self.silent: list[Address] = []
        self.probed: asyncio.Queue[Address] = asyncio.Queue()
        self.on_request = lambda *arguments: self.requests.put_nowait(arguments)
        self.on_silence = self.silent.append
        self.on_probe = self.probed.put_nowait
        self.open("127.0.0.1", 0)

    def reply_to(
        self, to: Address, command: int = Internal.PING, **fields: bytes | int | None
    ) -> "asyncio.Future[DhtAnswer | None]":
        answer: asyncio.Future[DhtAnswer | None] = asyncio.get_running_loop().create_future()
        self.request(to, command, answer.set_result, internal=True, **fields)  # type: ignore[arg-type]
        return answer

    async def until_counted(self, reason: str, count: int = 1) -> None:
        await until(lambda: self.counters[reason] >= count)


@pytest.fixture
async def io() -> AsyncIterator[Requester]:
    made = Requester()
    yield made
    made.close()


@pytest.fixture
async def other() -> AsyncIterator[Stranger]:
    async with stranger() as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_io, "FIRST_TIMEOUT", 0.02)
    monkeypatch.setattr(dht_io, "TIMEOUT", 0.02)


async def test_a_request_gets_its_reply(io: Requester, other: Stranger) -> None:
    io.id = node_id(io.address)
    first, second = io.reply_to(other.address, 2, target=TARGET), io.reply_to(other.address, 2, target=b"\2" * 32)
    requests = [(await other.next(DhtRequest))[0] for _ in range(2)]
    assert {request.target for request in requests} == {TARGET, b"\2" * 32}
    assert all((request.id, request.to) == (io.id, other.address) for request in requests)
    for request in requests:
        other.reply(request, io.address, id=other.id, value=request.target)
    for future, target in ((first, TARGET), (second, b"\2" * 32)):
        answer = await asyncio.wait_for(future, PATIENCE)
        assert answer is not None
        assert (answer.sender, answer.reply.id, answer.reply.value) == (other.address, other.id, target)
        assert answer.rtt > 0
    assert not io.counters


async def test_a_request_that_is_lost_is_sent_again(io: Requester, other: Stranger, impatient: None) -> None:
    future = io.reply_to(other.address)
    first, _ = await other.next(DhtRequest)
    again, _ = await other.next(DhtRequest)
    assert first == again
    other.reply(again, io.address)
    assert await asyncio.wait_for(future, PATIENCE)
    assert io.silent == []


async def test_one_lost_datagram_does_not_make_a_node_silent(io: Requester, other: Stranger, impatient: None) -> None:
    assert await asyncio.wait_for(io.reply_to(other.address, retries=0), PATIENCE) is None
    assert io.silent == []


async def test_who_never_replies_is_given_up(io: Requester, other: Stranger, impatient: None) -> None:
    assert await asyncio.wait_for(io.reply_to(other.address), PATIENCE) is None
    assert other.received.qsize() == 1 + dht_io.RETRIES
    assert io.silent == [other.address]
    assert io.in_flight == 0


async def test_a_reply_counts_only_from_the_requested_node_and_once(io: Requester, other: Stranger) -> None:
    future = io.reply_to(other.address)
    request, _ = await other.next(DhtRequest)
    async with stranger() as third, stranger("127.0.0.2") as fourth:
        for liar in (third, fourth):
            liar.reply(request, io.address, value=b"lie")
        await io.until_counted("replies dropped: not requested", 2)
    other.send(DhtReply((request.tid + 1) % 65536, io.address, value=b"another number"), io.address)
    await io.until_counted("replies dropped: not requested", 3)
    for _ in range(2):
        other.reply(request, io.address, value=b"truth")
    answer = await asyncio.wait_for(future, PATIENCE)
    assert answer is not None
    assert answer.reply.value == b"truth"
    await io.until_counted("replies dropped: not requested", 4)


async def test_an_id_that_does_not_belong_to_the_sender_is_ignored(io: Requester, other: Stranger) -> None:
    future = io.reply_to(other.address)
    request, _ = await other.next(DhtRequest)
    other.reply(request, io.address, id=TARGET)
    answer = await asyncio.wait_for(future, PATIENCE)
    assert answer is not None
    assert answer.reply.id is None
    other.request(io.address, Internal.PING, internal=True, id=TARGET)
    request, _, _ = await asyncio.wait_for(io.requests.get(), PATIENCE)
    assert request.id is None
    assert io.counters == {"ids ignored: forged": 2}


async def test_a_single_byte_is_a_probe(io: Requester, other: Stranger) -> None:
    other.send(b"\0", io.address)
    assert await asyncio.wait_for(io.probed.get(), PATIENCE) == other.address


async def test_so_many_requests_are_under_way_and_no_more(
    io: Requester, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_io, "MAX_IN_FLIGHT", 5)
    futures = [io.reply_to(other.address) for _ in range(6)]
    assert await asyncio.wait_for(futures[5], PATIENCE) is None
    assert io.counters == {"requests not sent: too many in flight": 1}
    assert io.in_flight == 5


async def test_requests_wait_for_their_turn(io: Requester, other: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_io, "MAX_WINDOW", 3)
    futures = [io.reply_to(other.address) for _ in range(9)]
    for _ in range(3):
        requests = [(await other.next(DhtRequest))[0] for _ in range(3)]
        assert other.received.empty()
        for request in requests:
            other.reply(request, io.address)
    assert all(await asyncio.wait_for(asyncio.gather(*futures), PATIENCE))


async def test_the_silent_do_not_hold_up_the_others(
    io: Requester, other: Stranger, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_io, "MAX_WINDOW", 2)
    other.answer_pings()
    async with stranger() as silent:
        futures = [io.reply_to(silent.address) for _ in range(4)] + [io.reply_to(other.address) for _ in range(4)]
        answers = await asyncio.wait_for(asyncio.gather(*futures), PATIENCE)
    assert [bool(answer) for answer in answers] == [False] * 4 + [True] * 4


@pytest.mark.parametrize(
    "to", [("8.8.8.8", 53), ("192.168.1.1", 53), ("224.0.0.251", 5353), ("127.0.0.1", 0), ("host.example", 80)]
)
async def test_offline_nothing_is_sent_beyond_loopback_and_never_to_what_is_no_address(
    io: Requester, to: Address
) -> None:
    assert await asyncio.wait_for(io.reply_to(to), PATIENCE) is None
    io.answer(DhtReply(1, ("127.0.0.1", 1)), to, 1000)
    assert io.counters == {"datagrams not sent: address not allowed": 2}


async def test_a_flood_of_one_host_is_dropped_and_another_is_still_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_io, "EACH_RATE", Rate(per_second=1, burst=20))
    io = Requester()
    async with stranger() as flood, stranger("127.0.0.2") as other:
        for _ in range(50):
            flood.request(io.address, Internal.PING, internal=True)
        await io.until_counted("requests dropped: too many", 25)
        other.request(io.address, Internal.PING, tid=99, internal=True)
        async with asyncio.timeout(PATIENCE):
            while (await io.requests.get())[0].tid != 99:
                pass
    io.close()


async def test_a_flood_from_forged_hosts_has_its_bound_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_io, "TOTAL_RATE", Rate(per_second=1, burst=20))
    io = Requester()
    async with stranger("127.0.0.2") as one, stranger("127.0.0.3") as two:
        for _ in range(30):
            one.request(io.address, Internal.PING, internal=True)
            two.request(io.address, Internal.PING, internal=True)
        await io.until_counted("requests dropped: too many", 35)
    io.close()


async def test_a_long_reply_waits_until_the_requester_is_shown_to_be_there(io: Requester, other: Stranger) -> None:
    long = DhtReply(7, other.address, value=bytes(1000))
    io.answer(long, other.address, 129)
    ping, size = await other.next(DhtRequest)
    assert (ping.command, ping.internal) == (Internal.PING, True)
    assert size <= 129
    assert other.received.empty()
    other.reply(ping, io.address)
    assert (await other.next(DhtReply))[0] == long
    io.answer(long, other.address, 129)  # now it is known
    assert (await other.next(DhtReply))[0] == long


async def test_who_does_not_answer_the_ping_gets_nothing_else(io: Requester, other: Stranger, impatient: None) -> None:
    for _ in range(MAX_HELD_EACH + 3):
        io.answer(DhtReply(7, other.address, value=bytes(1000)), other.address, 129)
    await io.until_counted("replies dropped: the requester's address was not proven", MAX_HELD_EACH)
    assert other.received.qsize() == 1
    assert io.counters["replies dropped: too many wait for a proof of the requester's address"] == 3


async def test_so_many_replies_wait_for_all_addresses_together(io: Requester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_io, "MAX_HELD", 4)
    for port in range(1, 10):
        io.answer(DhtReply(7, ("127.0.0.9", port), value=bytes(1000)), ("127.0.0.9", port), 129)
    assert io.counters == {"replies dropped: too many wait for a proof of the requester's address": 5}


async def test_so_many_addresses_are_being_proven_and_no_more(io: Requester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_io, "MAX_PROVING", 4)
    for port in range(1, 10):
        io.answer(DhtReply(7, ("127.0.0.9", port), value=bytes(1000)), ("127.0.0.9", port), 129)
    assert io.counters == {"replies dropped: too many wait for a proof of the requester's address": 5}


async def test_so_many_addresses_are_remembered_as_proven(
    io: Requester, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_io, "MAX_PROVEN", 1)
    other.answer_pings()
    async with stranger() as later:
        later.answer_pings()
        assert await asyncio.wait_for(io.reply_to(other.address), PATIENCE)
        assert await asyncio.wait_for(io.reply_to(later.address), PATIENCE)
        io.answer(DhtReply(7, later.address, value=bytes(1000)), later.address, 0)
        await later.next(DhtReply)
        other.on_request = None
        io.answer(DhtReply(7, other.address, value=bytes(1000)), other.address, 0)
        await other.next(DhtRequest)  # it has to prove itself anew


async def test_a_request_says_how_much_may_be_sent_for_it(io: Requester, other: Stranger) -> None:
    size = other.request(io.address, 2, internal=True, target=TARGET)
    _, sender, room = await asyncio.wait_for(io.requests.get(), PATIENCE)
    assert (sender, room) == (other.address, AMPLIFICATION * size)


async def test_closing_gives_up_what_is_under_way(io: Requester, other: Stranger) -> None:
    future = io.reply_to(other.address)
    io.close()
    assert await asyncio.wait_for(future, PATIENCE) is None
    assert await asyncio.wait_for(io.reply_to(other.address), PATIENCE) is None


HERE = ("127.0.0.1", 9)
PACKETS = [
    bytes(DhtRequest(7, HERE, 4, False, TARGET, TARGET, TARGET, b"value")),
    bytes(DhtReply(7, HERE, TARGET, TARGET, (HERE,) * 20, 1, b"value")),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=2 * MAX_DATAGRAM), start=st.sampled_from([b"", b"\x03", b"\x13", b"\x03\x1f", b"\x13\x1f"])
)
async def test_any_bytes_at_all_are_survived(io: Requester, data: bytes, start: bytes) -> None:
    before = io.counters.total() + io.requests.qsize() + io.probed.qsize()
    io.receive(start + data, HERE)
    if start + data:
        assert io.counters.total() + io.requests.qsize() + io.probed.qsize() > before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packet=st.sampled_from(PACKETS), at=st.integers(0, 200), byte=st.integers(0, 255), cut=st.integers(0, 300))
async def test_damaged_packets_are_survived(io: Requester, packet: bytes, at: int, byte: int, cut: int) -> None:
    damaged = bytearray(packet)
    damaged[at % len(packet)] = byte
    io.receive(bytes(damaged[: len(packet) - cut % len(packet)]), HERE)


async def test_what_is_too_long_is_dropped(io: Requester) -> None:
    io.receive(PACKETS[0] + bytes(MAX_DATAGRAM), HERE)
    assert io.counters == {"datagrams dropped: malformed": 1}


async def test_nobody_sends_from_port_0(io: Requester) -> None:
    io.receive(PACKETS[0], ("127.0.0.1", 0))
    assert io.counters == {"datagrams dropped: from port 0": 1}
