"""Whatever arrives on the socket: answered when it is a call of ours, dropped and counted when it is not."""

import asyncio
import os
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rpcudp.protocol import RPCProtocol

from linkup_nb.kademlia import rpc as kademlia_rpc
from linkup_nb.kademlia.announcements import MAX_ANNOUNCEMENT_BYTES, MAX_PER_TARGET, Address
from linkup_nb.kademlia.rpc import (
    MAX_DATAGRAM,
    MAX_NAMED,
    MAX_OUTSTANDING,
    MAX_SOURCES,
    REQUEST_BURST,
    REQUESTS_PER_SECOND,
    TOTAL_BURST,
    Announce,
    Call,
    Lookup,
    NodesFound,
    Ping,
    Pong,
    Reply,
    RpcEndpoint,
    Stored,
    request_limit,
)
from tests.kademlia.network import TIMEOUT, Stranger, reply, request, stranger

HERE = ("127.0.0.1", 9)
NODES = NodesFound(b"token...", b"seenas", b"", [])
ARGUMENTS = {"ping": [], "lookup": [b"t" * 32, bytes(346)], "announce": [b"t" * 32, b"token...", b"a" * 150]}

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(max_size=200),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text() | st.binary(), inner, max_size=3),
    max_leaves=10,
)


def answer(call: Call, address: Address, room: int) -> Reply:
    match call:
        case Ping():
            return Pong()
        case Lookup():
            return NODES
        case Announce():
            return Stored(True)


@pytest.fixture
async def endpoint() -> AsyncIterator[RpcEndpoint]:
    loop = asyncio.get_running_loop()
    _, endpoint = await loop.create_datagram_endpoint(lambda: RpcEndpoint(answer), local_addr=("127.0.0.1", 0))
    yield endpoint
    endpoint.close()


@pytest.fixture
async def other() -> AsyncIterator[Stranger]:
    async with stranger() as other:
        yield other


@pytest.fixture
def no_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia_rpc, "REQUEST_BURST", TOTAL_BURST)


def dropped(endpoint: RpcEndpoint) -> int:
    return sum(count for reason, count in endpoint.counters.items() if "dropped" in reason)


async def test_calls_are_answered(endpoint: RpcEndpoint, other: Stranger) -> None:
    for name, expected in [("ping", []), ("lookup", [b"token...", b"seenas", b"", []]), ("announce", [True])]:
        other.request(endpoint.address, name, *ARGUMENTS[name])
        assert await other.next_reply() == expected


async def test_the_framing_is_that_of_rpcudp(endpoint: RpcEndpoint) -> None:
    loop = asyncio.get_running_loop()
    transport, stock = await loop.create_datagram_endpoint(
        lambda: RPCProtocol(wait_timeout=0.2), local_addr=("127.0.0.1", 0)
    )
    assert await stock.ping(endpoint.address) == (True, [])
    assert await stock.store(endpoint.address, b"i" * 20, b"key", b"value") == (False, None)
    transport.close()


@pytest.mark.parametrize(
    "name", ["store", "find_value", "find_node", "stun", "", "__init__", "close", "request", "datagram_received"]
)
async def test_no_other_call_is_reachable(endpoint: RpcEndpoint, name: str) -> None:
    endpoint.datagram_received(request(name, b"i" * 20, b"k" * 20, b"value"), HERE)
    assert endpoint.counters == {"requests dropped: unknown call": 1}


@pytest.mark.usefixtures("no_rate_limit")
async def test_any_bytes_at_all_are_dropped_and_counted(endpoint: RpcEndpoint, other: Stranger) -> None:
    future = endpoint.request(other.address, Lookup(b"t" * 32))
    message_id, _ = await other.next_request("lookup")

    @settings(max_examples=400)
    @given(st.sampled_from([b"", b"\0", b"\1", b"\2"]), st.booleans(), st.binary(max_size=MAX_DATAGRAM + 100))
    def receive(kind: bytes, expected: bool, body: bytes) -> None:
        before = dropped(endpoint)
        endpoint.datagram_received(kind + (message_id if expected else os.urandom(20)) + body, other.address)
        assert dropped(endpoint) == before + 1

    receive()
    assert not future.done()


@pytest.mark.usefixtures("no_rate_limit")
@pytest.mark.parametrize("name", ARGUMENTS)
async def test_arguments_of_other_kinds_are_dropped_and_counted(endpoint: RpcEndpoint, name: str) -> None:
    @settings(max_examples=150)
    @given(anything | st.lists(anything, max_size=4))
    def receive(arguments: object) -> None:
        before = dropped(endpoint)
        endpoint.datagram_received(b"\0" + bytes(20) + msgspec.msgpack.encode([name, arguments]), HERE)
        assert dropped(endpoint) == before + (arguments != [] or name != "ping")

    receive()


@pytest.mark.usefixtures("no_rate_limit")
@pytest.mark.parametrize("name", ARGUMENTS)
async def test_damaged_requests_do_no_harm(endpoint: RpcEndpoint, other: Stranger, name: str) -> None:
    whole = request(name, *ARGUMENTS[name])

    @settings(max_examples=300)
    @given(st.integers(0, len(whole) - 1), st.integers(0, 255), st.integers(0, len(whole)))
    def receive(at: int, byte: int, length: int) -> None:
        damaged = bytearray(whole)
        damaged[at] = byte
        endpoint.datagram_received(bytes(damaged[:length]), other.address)

    receive()
    other.request(endpoint.address, "ping", message_id=b"afterwards, as usual")
    async with asyncio.timeout(TIMEOUT):
        while (await other.next())[0][1:21] != b"afterwards, as usual":
            pass


@pytest.mark.parametrize(
    "body",
    [
        b"\x91" * 1000,  # nested deeper than Python recurses
        b"\xdd\xff\xff\xff\xff",  # says that 4 billion items follow
        b"\xc6\xff\xff\xff\xff",
        b"\x92\xa4\xff\xff\xff\xff\x90",  # a name that is not UTF-8
        b"\x92\xa4ping" + b"\x91" * 1000,
        b"\x92\xa4ping\xc7\x0c\xff" + b"\xff" * 12,  # a timestamp that cannot be
        b"\x92\xa4ping\x90\x00",  # one byte too many
    ],
)
async def test_hostile_messagepack_is_dropped_and_counted(endpoint: RpcEndpoint, body: bytes) -> None:
    endpoint.datagram_received(b"\0" + bytes(20) + body, HERE)
    assert endpoint.counters == {"datagrams dropped: malformed": 1}


async def test_a_datagram_over_the_limit_is_dropped(endpoint: RpcEndpoint) -> None:
    endpoint.datagram_received(request("lookup", b"t" * 32, bytes(MAX_DATAGRAM)), HERE)
    assert endpoint.counters == {"datagrams dropped: too long": 1}


async def test_a_reply_counts_only_from_the_address_that_was_asked(endpoint: RpcEndpoint, other: Stranger) -> None:
    future = endpoint.request(other.address, Ping())
    message_id, address = await other.next_request("ping")
    async with stranger() as third:
        third.send(reply(message_id, []), address)
        third.request(address, "ping")
        await third.next_reply()  # so the forged reply has been seen
    assert not future.done()
    assert endpoint.counters["replies dropped: not requested"] == 1
    other.send(reply(message_id, []), address)
    assert await asyncio.wait_for(future, TIMEOUT) == Pong()


async def test_a_reply_that_comes_twice_counts_once(endpoint: RpcEndpoint, other: Stranger) -> None:
    future = endpoint.request(other.address, Ping())
    message_id, _ = await other.next_request("ping")
    for _ in range(2):
        endpoint.datagram_received(reply(message_id, []), other.address)
    assert await future == Pong()
    assert endpoint.counters == {"replies dropped: not requested": 1}


@pytest.mark.parametrize(
    "malformed",
    [
        [],
        [b"token", b"seenas", b"", []],
        [b"token...", b"seen", b"", []],
        [b"token...", b"seenas", b"12345", []],
        [b"token...", b"seenas", bytes(6 * (MAX_NAMED + 1)), []],
        [b"token...", b"seenas", b"", [b""] * (MAX_PER_TARGET + 1)],
        [b"token...", b"seenas", b"", [bytes(MAX_ANNOUNCEMENT_BYTES + 1)]],
        [b"token...", b"seenas", b"", [1]],
        [b"token...", b"seenas", b"", None],
        [b"token...", b"seenas", b"", [], b"one more"],
        {"token": b"token..."},
        True,
    ],
)
async def test_a_malformed_reply_does_not_end_the_wait_for_a_good_one(
    endpoint: RpcEndpoint, other: Stranger, malformed: object
) -> None:
    future = endpoint.request(other.address, Lookup(b"t" * 32))
    message_id, _ = await other.next_request("lookup")
    endpoint.datagram_received(reply(message_id, malformed), other.address)
    assert endpoint.counters == {"datagrams dropped: malformed": 1}
    endpoint.datagram_received(reply(message_id, [b"token...", b"seenas", b"", []]), other.address)
    assert await future == NODES


async def test_a_silent_node_is_asked_twice_and_then_given_up(
    endpoint: RpcEndpoint, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kademlia_rpc, "RESEND_AFTER", 0.05)
    monkeypatch.setattr(kademlia_rpc, "REPLY_TIMEOUT", 0.1)
    assert await asyncio.wait_for(endpoint.request(other.address, Ping()), TIMEOUT) is None
    first, _ = await other.next()
    second, _ = await other.next()
    assert first == second
    assert other.received.empty()
    endpoint.datagram_received(reply(first[1:21], []), other.address)
    assert endpoint.counters == {"replies dropped: not requested": 1}


async def test_a_reply_to_a_caller_who_has_gone_is_harmless(endpoint: RpcEndpoint, other: Stranger) -> None:
    future = endpoint.request(other.address, Ping())
    message_id, _ = await other.next_request("ping")
    future.cancel()
    endpoint.datagram_received(reply(message_id, []), other.address)
    assert future.cancelled()


async def test_so_many_requests_are_outstanding_and_no_more(endpoint: RpcEndpoint, other: Stranger) -> None:
    futures = [endpoint.request(other.address, Ping()) for _ in range(MAX_OUTSTANDING + 1)]
    assert [future.done() for future in futures] == [False] * MAX_OUTSTANDING + [True]
    assert endpoint.counters == {"requests not sent: too many outstanding": 1}
    endpoint.close()
    assert all(future.result() is None for future in futures)


@pytest.mark.parametrize("host", ["203.0.113.9", "8.8.8.8", "224.0.0.251", "255.255.255.255", "0.0.0.0", "localhost"])
async def test_offline_nothing_is_sent_beyond_loopback(endpoint: RpcEndpoint, host: str) -> None:
    assert endpoint.request((host, 9), Ping()).result() is None
    endpoint.datagram_received(request("ping"), (host, 9))
    assert endpoint.counters == {"datagrams not sent: address not allowed": 2}


async def test_our_own_request_is_not_answered(endpoint: RpcEndpoint) -> None:
    future = endpoint.request(endpoint.address, Ping())
    async with stranger() as other:
        other.request(endpoint.address, "ping")
        await other.next_reply()
    assert not future.done()
    assert endpoint.counters == {"requests dropped: our own": 1}


async def test_a_flood_is_dropped_and_others_are_still_answered(endpoint: RpcEndpoint, other: Stranger) -> None:
    for _ in range(REQUEST_BURST + 50):
        endpoint.datagram_received(request("ping"), HERE)
    assert endpoint.counters["requests dropped: too many"] >= 40
    other.request(endpoint.address, "ping")
    assert await other.next_reply() == []


def test_each_source_has_its_rate() -> None:
    limit = request_limit(0.0)
    assert sum(limit.allows("a", 0.0) for _ in range(2 * REQUEST_BURST)) == REQUEST_BURST
    assert limit.allows("b", 0.0)
    assert sum(limit.allows("a", 1.0) for _ in range(2 * REQUEST_BURST)) == REQUESTS_PER_SECOND


def test_all_sources_together_have_their_rate() -> None:
    limit = request_limit(0.0)
    assert sum(limit.allows(f"forged {source}", 0.0) for source in range(3 * TOTAL_BURST)) == TOTAL_BURST


def test_so_many_sources_are_remembered_and_no_more() -> None:
    limit = request_limit(0.0)
    while limit.allows("a", 0.0):
        pass
    for source in range(MAX_SOURCES):
        limit.allows(f"forged {source}", 0.0)
    assert limit.allows("a", 0.0)
