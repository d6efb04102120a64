"""What a node does for others, seen by a bare socket; the formats are shown in tests/wire, the rest by real nodes."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic, time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkup_nb.hyperdht import server as dht_server
from linkup_nb.hyperdht.io import AMPLIFICATION
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.server import Identity
from linkup_nb.wire.dht.connect import Mode, PeerHandshake, PeerHolepunch
from linkup_nb.wire.dht.records import (
    MAX_RECORDS,
    DhtAnnouncement,
    DhtCommand,
    MutableValue,
    PeerRecord,
    decode_records,
    encode_least_seq,
    encode_records,
)
from linkup_nb.wire.dht.rpc import (
    TOKEN_ROTATION,
    DhtReply,
    DhtRequest,
    Failure,
    Internal,
    encode_delay,
    encode_port,
    node_id,
)
from linkup_nb.wire.keys import KeyPair, blake2b_256
from tests.hyperdht.network import PATIENCE, network, start
from tests.hyperdht.stranger import Stranger, stranger

TOPIC = b"\x42" * 32
KEYS = KeyPair.from_seed(b"\x07" * 32)
TARGET = blake2b_256(KEYS.public_key)
RELAY = ("127.0.0.1", 4242)


@pytest.fixture
async def node() -> AsyncIterator[DhtNode]:
    made = await start()
    yield made
    await made.close()


@pytest.fixture
async def other() -> AsyncIterator[Stranger]:
    async with stranger() as made:
        made.answer_pings()
        yield made


async def token(node: DhtNode, other: Stranger, target: bytes = TOPIC) -> bytes:
    given = (await other.exchange(node.address, DhtCommand.LOOKUP, target=target)).token
    assert given is not None
    return given


async def announce(
    node: DhtNode,
    other: Stranger,
    keys: KeyPair = KEYS,
    target: bytes = TOPIC,
    refresh: bytes | None = None,
    bump: int | None = None,
) -> DhtReply:
    given = await token(node, other, target)
    signed = DhtAnnouncement.sign(
        DhtCommand.ANNOUNCE, keys, target, node.id or b"", given, (RELAY,), refresh=refresh, bump=bump
    )
    return await other.exchange(node.address, DhtCommand.ANNOUNCE, target=target, token=given, value=bytes(signed))


async def counted(node: DhtNode, reason: str, count: int = 1) -> None:
    """Until the node has dropped so much for this reason."""
    async with asyncio.timeout(PATIENCE):
        while node.counters[reason] < count:
            await node.request(node.address, Internal.PING, internal=True)  # what was sent before has come by then


async def test_a_ping_and_a_search_are_answered_with_who_and_where(other: Stranger) -> None:
    async with network(5) as nodes:
        pong = await other.exchange(nodes[0].address, Internal.PING, internal=True)
        assert pong == DhtReply(7, other.address, nodes[0].id)
        found = await other.exchange(nodes[0].address, Internal.FIND_NODE, internal=True, target=TOPIC)
        assert set(found.closer_nodes) == {node.address for node in nodes[1:]}
        assert found.token is None


async def test_a_ping_is_answered_to_another_port_or_later(node: DhtNode, other: Stranger) -> None:
    async with stranger() as third:
        value = encode_port(third.address[1])
        other.request(node.address, Internal.PING_NAT, internal=True, value=value)
        assert (await third.next(DhtReply))[0] == DhtReply(7, third.address, node.id)
    later = await other.exchange(node.address, Internal.DELAYED_PING, internal=True, value=encode_delay(0.01))
    assert later == DhtReply(7, other.address, node.id)


async def test_long_delays_and_too_many_are_not_waited_for(
    node: DhtNode, other: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_server, "MAX_DELAYED", 2)
    other.request(node.address, Internal.DELAYED_PING, internal=True, value=encode_delay(10.1))
    for _ in range(3):
        other.request(node.address, Internal.DELAYED_PING, internal=True, value=encode_delay(5))
    await counted(node, "requests dropped: too many or too long delays", 2)


@pytest.mark.parametrize("internal", [True, False])
async def test_what_nobody_knows_is_refused(node: DhtNode, other: Stranger, internal: bool) -> None:
    reply = await other.exchange(node.address, 99, internal=internal)
    assert reply.error == Failure.UNKNOWN_COMMAND


async def test_an_announcement_is_kept_and_withdrawn(node: DhtNode, other: Stranger) -> None:
    assert (await announce(node, other)).error == Failure.NONE
    value = (await other.exchange(node.address, DhtCommand.LOOKUP, target=TOPIC)).value
    assert value is not None
    assert decode_records(value) == [PeerRecord(KEYS.public_key, (RELAY,))]
    given = await token(node, other)
    signed = DhtAnnouncement.sign(DhtCommand.UNANNOUNCE, KEYS, TOPIC, node.id or b"", given, ())
    await other.exchange(node.address, DhtCommand.UNANNOUNCE, target=TOPIC, token=given, value=bytes(signed))
    assert (await other.exchange(node.address, DhtCommand.LOOKUP, target=TOPIC)).value is None


async def test_a_lookup_tells_the_bump_of_the_topic(node: DhtNode, other: Stranger) -> None:
    now = int(time() * 1000)
    for bump, kept in [(None, 0), (2, 2), (1, 2), (now + 24 * 3600 * 1000, 2), (now, now)]:
        await announce(node, other, bump=bump)
        value = (await other.exchange(node.address, DhtCommand.LOOKUP, target=TOPIC)).value
        assert value == encode_records([PeerRecord(KEYS.public_key, (RELAY,))], kept)


async def test_an_announcement_is_renewed_by_the_preimage_of_its_hash(node: DhtNode, other: Stranger) -> None:
    preimage = b"\5" * 32
    await announce(node, other, refresh=blake2b_256(preimage))
    node.store.unannounce(TOPIC, KEYS.public_key)
    given = await token(node, other)
    value = bytes(DhtAnnouncement(refresh=preimage))
    assert (await other.exchange(node.address, DhtCommand.ANNOUNCE, target=TOPIC, token=given, value=value)).error == 0
    assert node.store.records(TOPIC, monotonic()) == [PeerRecord(KEYS.public_key, (RELAY,))]
    other.request(node.address, DhtCommand.ANNOUNCE, target=TOPIC, token=given, value=value)
    await counted(node, "announcements refused: nothing to refresh")


async def test_of_many_on_a_topic_each_has_a_chance(node: DhtNode, other: Stranger) -> None:
    everyone = [KeyPair.from_seed(bytes([number]) * 32) for number in range(MAX_RECORDS + 5)]
    for keys in everyone:
        await announce(node, other, keys)
    seen: set[bytes] = set()
    async with asyncio.timeout(PATIENCE):
        while len(seen) < len(everyone):
            value = (await other.exchange(node.address, DhtCommand.LOOKUP, target=TOPIC)).value
            assert value is not None
            records = decode_records(value)
            assert len(records) == MAX_RECORDS
            seen |= {record.public_key for record in records}


@pytest.mark.parametrize(
    "change",
    [
        {"command": DhtCommand.UNANNOUNCE},
        {"key_pair": KeyPair.from_seed(bytes(32))},
        {"target": bytes(32)},
        {"node_id": bytes(32)},
        {"token": bytes(32)},
        {"relays": ()},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_an_announcement_signed_for_something_else_is_refused(
    node: DhtNode, other: Stranger, change: dict[str, Any]
) -> None:
    given = await token(node, other)
    right: dict[str, Any] = {
        "command": DhtCommand.ANNOUNCE,
        "key_pair": KEYS,
        "target": TOPIC,
        "node_id": node.id,
        "token": given,
        "relays": (RELAY,),
    }
    signed = DhtAnnouncement.sign(**right | change)
    forged = DhtAnnouncement(PeerRecord(KEYS.public_key, (RELAY,)), signature=signed.signature)
    other.request(node.address, DhtCommand.ANNOUNCE, target=TOPIC, token=given, value=bytes(forged))
    await counted(node, "announcements refused: wrong signature")
    assert (await other.exchange(node.address, DhtCommand.LOOKUP, target=TOPIC)).value is None


async def test_an_announcement_without_token_or_with_one_of_another_host_is_refused(
    node: DhtNode, other: Stranger
) -> None:
    async with stranger("127.0.0.2") as elsewhere:
        elsewhere.answer_pings()
        given = await token(node, elsewhere)
    for shown, reason in ((None, "announcements refused: no token"), (given, "requests refused: wrong token")):
        signed = DhtAnnouncement.sign(DhtCommand.ANNOUNCE, KEYS, TOPIC, node.id or b"", shown or bytes(32), ())
        other.request(node.address, DhtCommand.ANNOUNCE, target=TOPIC, token=shown, value=bytes(signed))
        await counted(node, reason)
    refused, _ = await other.next(DhtReply)
    assert refused.error == Failure.INVALID_TOKEN
    assert refused.token == await token(node, other)
    assert (await other.exchange(node.address, DhtCommand.LOOKUP, target=TOPIC)).value is None


async def test_a_token_is_good_for_a_while(node: DhtNode, other: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    given, now = await token(node, other), monotonic()
    for later, error in ((TOKEN_ROTATION, Failure.NONE), (3 * TOKEN_ROTATION, Failure.INVALID_TOKEN)):
        monkeypatch.setattr(dht_server, "monotonic", lambda later=later: now + later)
        reply = await other.exchange(
            node.address, DhtCommand.IMMUTABLE_PUT, target=blake2b_256(b"x"), token=given, value=b"x"
        )
        assert reply.error == error


async def test_values_are_kept_by_the_rules_for_their_number(node: DhtNode, other: Stranger) -> None:
    given = await token(node, other)

    async def put(seq: int, value: bytes) -> int:
        put = MutableValue.sign(KEYS, seq, value).encode_put()
        return (await other.exchange(node.address, DhtCommand.MUTABLE_PUT, target=TARGET, token=given, value=put)).error

    assert await put(5, b"five") == Failure.NONE
    assert await put(5, b"five") == Failure.NONE
    assert await put(5, b"another") == Failure.SEQ_REUSED
    assert await put(4, b"four") == Failure.SEQ_TOO_LOW
    for least, found in ((0, True), (5, True), (6, False)):
        got = await other.exchange(node.address, DhtCommand.MUTABLE_GET, target=TARGET, value=encode_least_seq(least))
        assert (got.value is not None) == found


async def test_values_that_are_not_signed_or_hashed_as_they_say_are_refused(node: DhtNode, other: Stranger) -> None:
    given = await token(node, other)
    good = MutableValue.sign(KEYS, 1, b"value")
    forged = MutableValue(good.public_key, 2, good.value, good.signature)
    unsigned: list[tuple[DhtCommand, bytes, bytes | None, bytes]] = [
        (DhtCommand.MUTABLE_PUT, TARGET, given, forged.encode_put()),
        (DhtCommand.MUTABLE_PUT, TOPIC, given, good.encode_put()),
        (DhtCommand.MUTABLE_PUT, TARGET, None, good.encode_put()),
        (DhtCommand.MUTABLE_PUT, TARGET, given, MutableValue(KEYS.public_key, 1, b"", bytes(64)).encode_put()),
        (DhtCommand.IMMUTABLE_PUT, TOPIC, given, b"value"),
        (DhtCommand.IMMUTABLE_PUT, blake2b_256(b"value"), None, b"value"),
        (DhtCommand.IMMUTABLE_PUT, blake2b_256(bytes(1001)), given, bytes(1001)),
    ]
    for command, target, shown, value in unsigned:
        other.request(node.address, command, target=target, token=shown, value=value)
    await counted(node, "values refused: no token, or wrong signature or target", 4)
    await counted(node, "values refused: no token, too long, or wrong target", 3)
    assert node.view().stored["mutable values"] == node.view().stored["immutable values"] == 0


async def test_a_handshake_goes_through_us_to_the_server_and_its_answer_back(node: DhtNode, other: Stranger) -> None:
    async with stranger() as server:
        server.answer_pings()
        await announce(node, server, target=TARGET)
        server.on_request = None
        other.request(
            node.address,
            DhtCommand.PEER_HANDSHAKE,
            1234,
            target=TARGET,
            value=bytes(PeerHandshake(Mode.FROM_CLIENT, b"hi")),
        )
        request, _ = await server.next(DhtRequest)
        assert request.value is not None
        assert (request.tid, request.command, request.target) == (1234, DhtCommand.PEER_HANDSHAKE, TARGET)
        assert PeerHandshake.decode(request.value) == PeerHandshake(Mode.FROM_RELAY, b"hi", other.address)

        answer = PeerHandshake(Mode.FROM_SERVER, b"hello", other.address)
        server.request(node.address, DhtCommand.PEER_HANDSHAKE, 1234, target=TARGET, value=bytes(answer))
        reply, _ = await other.next(DhtReply)
        assert reply.value is not None
        assert (reply.tid, reply.id) == (1234, node.id)
        assert PeerHandshake.decode(reply.value) == PeerHandshake(Mode.REPLY, b"hello", server.address)
    assert node.passed_on == {DhtCommand.PEER_HANDSHAKE: 1}


async def test_a_handshake_can_go_through_two_of_us(node: DhtNode, other: Stranger) -> None:
    second = await start([node.address])
    async with stranger() as server:
        server.answer_pings()
        await announce(second, server, target=TARGET)
        server.on_request = None
        first_leg = PeerHandshake(Mode.FROM_CLIENT, b"hi", relay_address=second.address)
        other.request(node.address, DhtCommand.PEER_HANDSHAKE, 1234, target=TARGET, value=bytes(first_leg))
        request, _ = await server.next(DhtRequest)
        assert request.value is not None
        assert request.tid == 1234
        assert PeerHandshake.decode(request.value) == PeerHandshake(
            Mode.FROM_SECOND_RELAY, b"hi", other.address, relay_address=node.address
        )
    await second.close()


async def test_a_round_of_hole_punching_goes_through_us_as_well(node: DhtNode, other: Stranger) -> None:
    async with stranger() as server:
        server.answer_pings()
        await announce(node, server, target=TARGET)
        server.on_request = None
        first = PeerHolepunch(Mode.FROM_CLIENT, 3, b"sealed", server.address)
        other.request(node.address, DhtCommand.PEER_HOLEPUNCH, 1234, target=TARGET, value=bytes(first))
        request, _ = await server.next(DhtRequest)
        assert request.value is not None
        assert PeerHolepunch.decode(request.value) == PeerHolepunch(Mode.FROM_RELAY, 3, b"sealed", other.address)
        answer = PeerHolepunch(Mode.FROM_SERVER, 0, b"sealed too", other.address)
        server.request(node.address, DhtCommand.PEER_HOLEPUNCH, 1234, target=TARGET, value=bytes(answer))
        reply, _ = await other.next(DhtReply)
        assert reply.value is not None
        assert PeerHolepunch.decode(reply.value) == PeerHolepunch(Mode.REPLY, 0, b"sealed too", server.address)


async def test_who_asks_for_a_peer_that_we_do_not_know_is_sent_to_nearer_nodes(other: Stranger) -> None:
    async with network(3) as nodes:
        hello = bytes(PeerHandshake(Mode.FROM_CLIENT, b"hi"))
        reply = await other.exchange(nodes[0].address, DhtCommand.PEER_HANDSHAKE, target=TARGET, value=hello)
        assert reply.value is None
        assert set(reply.closer_nodes) == {node.address for node in nodes[1:]}


@pytest.mark.parametrize(
    "message",
    [
        PeerHandshake(Mode.FROM_SERVER, b"x", ("127.0.0.1", 0)),
        PeerHandshake(Mode.FROM_SERVER, b"x", ("224.0.0.1", 53)),
        PeerHandshake(Mode.FROM_CLIENT, b"x", relay_address=("255.255.255.255", 53)),
        PeerHolepunch(Mode.FROM_CLIENT, 1, b"x", ("0.0.0.0", 53)),
        PeerHolepunch(Mode.FROM_SERVER, 1, b"x", ("127.0.0.1", 0)),
    ],
)
async def test_nothing_is_passed_on_to_what_is_no_address(
    node: DhtNode, other: Stranger, message: PeerHandshake | PeerHolepunch
) -> None:
    command = DhtCommand.PEER_HANDSHAKE if isinstance(message, PeerHandshake) else DhtCommand.PEER_HOLEPUNCH
    other.request(node.address, command, target=TARGET, value=bytes(message))
    await counted(node, "messages not passed on: address not allowed")


@pytest.mark.parametrize("mode", [Mode.FROM_RELAY, Mode.FROM_SECOND_RELAY, Mode.FROM_SERVER, Mode.REPLY, 99])
async def test_a_message_with_no_way_on_is_dropped(node: DhtNode, other: Stranger, mode: int) -> None:
    other.request(node.address, DhtCommand.PEER_HANDSHAKE, target=TARGET, value=bytes(PeerHandshake(mode, b"x")))
    other.request(node.address, DhtCommand.PEER_HOLEPUNCH, target=TARGET, value=bytes(PeerHolepunch(mode, 1, b"x")))
    await counted(node, "messages not passed on: no way to the peer", 2)


async def test_what_is_meant_for_us_goes_to_our_own_handler(node: DhtNode, other: Stranger) -> None:
    taken: asyncio.Queue[tuple[str, DhtRequest, Any]] = asyncio.Queue()
    record = PeerRecord(KEYS.public_key)
    node.identities[TARGET] = Identity(
        record,
        lambda request, sender: taken.put_nowait(("handshake", request, sender)),
        lambda request, sender: taken.put_nowait(("holepunch", request, sender)),
    )
    hello = bytes(PeerHandshake(Mode.FROM_CLIENT, b"hi"))
    other.request(node.address, DhtCommand.PEER_HANDSHAKE, target=TARGET, value=hello)
    kind, request, sender = await asyncio.wait_for(taken.get(), PATIENCE)
    assert (kind, request.value, sender) == ("handshake", hello, other.address)
    other.request(node.address, DhtCommand.PEER_HOLEPUNCH, target=TARGET, value=hello)
    assert (await asyncio.wait_for(taken.get(), PATIENCE))[0] == "holepunch"
    reply = await other.exchange(node.address, DhtCommand.PEER_HANDSHAKE, target=TOPIC, value=hello)
    assert reply.value is None
    assert taken.empty()
    found = await other.exchange(node.address, DhtCommand.FIND_PEER, target=TARGET)
    assert found.value == bytes(record)


@pytest.mark.parametrize("command", list(DhtCommand))
async def test_a_forged_sender_gets_at_most_three_times_what_was_sent_in_his_name(command: DhtCommand) -> None:
    async with network(25) as nodes, stranger() as author:
        author.answer_pings()
        for number in range(20):
            await announce(nodes[0], author, KeyPair.from_seed(bytes([number]) * 32))
        hello = bytes(PeerHandshake(Mode.FROM_CLIENT, b""))
        for more in ("", "id", "value", "token"):
            async with stranger() as victim:
                fields: dict[str, Any] = {"id": victim.id, "value": hello, "token": bytes(32)}
                more_fields = {"target": TOPIC} | {name: value for name, value in fields.items() if name == more}
                sent = victim.request(nodes[0].address, command, **more_fields)
                await author.exchange(nodes[0].address, Internal.PING, internal=True)
                await author.exchange(nodes[0].address, Internal.DELAYED_PING, internal=True, value=encode_delay(0.05))
                got = sum(len(victim.received.get_nowait()[0]) for _ in range(victim.received.qsize()))
                assert got <= AMPLIFICATION * sent


REQUESTS = st.builds(
    DhtRequest,
    tid=st.integers(0, 65535),
    to=st.just(RELAY),
    command=st.integers(0, 12),
    internal=st.booleans(),
    token=st.none() | st.just(bytes(32)),
    target=st.none() | st.sampled_from([TOPIC, TARGET]),
    value=st.none() | st.binary(max_size=200),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=REQUESTS)
async def test_requests_of_the_right_form_do_no_harm_whatever_they_contain(node: DhtNode, request: DhtRequest) -> None:
    node._server.serve(request, ("127.0.0.1", 9), 10_000)
    assert node.id == node_id(node.address)
