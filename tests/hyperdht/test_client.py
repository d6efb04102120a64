"""The requests of a node, where the network of test_dht_node.py is not what one would wish."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from linkup_nb.errors import NotAvailable, UsageError
from linkup_nb.hyperdht import client as dht_client
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.records import MAX_RECORDS, DhtCommand, MutableValue, PeerRecord, encode_records
from linkup_nb.wire.dht.rpc import DhtRequest, Failure
from linkup_nb.wire.keys import KeyPair, blake2b_256
from linkup_nb.wire.udx.events import Address
from tests.hyperdht.network import network, start
from tests.hyperdht.stranger import Stranger, stranger

TOPIC = b"\x42" * 32
KEYS = KeyPair.from_seed(b"\x07" * 32)
OTHERS = KeyPair.from_seed(b"\x08" * 32)


@pytest.fixture
async def liar() -> AsyncIterator[Stranger]:
    """The only node of a network."""
    async with stranger() as made:
        made.on_request = lambda request, sender: made.reply(request, sender, id=made.id, token=bytes(32))
        yield made


@pytest.fixture
async def requester(liar: Stranger) -> AsyncIterator[DhtNode]:
    node = await start([liar.address], ephemeral=True)
    yield node
    await node.close()


def answer(liar: Stranger, command: DhtCommand, **fields: object) -> None:
    """From now on it answers this command so, and all others without a value."""

    def on_request(request: DhtRequest, sender: Address) -> None:
        mine = fields if not request.internal and request.command == command else {}
        liar.reply(request, sender, id=liar.id, token=bytes(32), **mine)

    liar.on_request = on_request


async def test_a_lookup_brings_each_record_once_and_only_so_many(
    liar: Stranger, requester: DhtNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [PeerRecord(bytes([number]) * 32) for number in range(MAX_RECORDS)]
    answer(liar, DhtCommand.LOOKUP, value=encode_records([*records[:5], *records[:5]]))
    assert [record async for record in requester.lookup(TOPIC)] == records[:5]
    monkeypatch.setattr(dht_client, "MAX_FOUND", 7)
    answer(liar, DhtCommand.LOOKUP, value=encode_records(records))
    assert [record async for record in requester.lookup(TOPIC)] == records[:7]


@pytest.mark.parametrize("value", [b"", b"\xff", b"\1" + bytes(20), bytes(1000)])
async def test_what_cannot_be_read_is_nothing(liar: Stranger, requester: DhtNode, value: bytes) -> None:
    answer(liar, DhtCommand.LOOKUP, value=value)
    assert [record async for record in requester.lookup(TOPIC)] == []
    answer(liar, DhtCommand.FIND_PEER, value=value)
    assert [found async for found in requester.find_peer(KEYS.public_key)] == []
    answer(liar, DhtCommand.MUTABLE_GET, value=value)
    assert await requester.mutable_get(KEYS.public_key) is None
    answer(liar, DhtCommand.IMMUTABLE_GET, value=value)
    assert await requester.immutable_get(TOPIC) is None


async def test_another_peer_and_values_that_are_not_signed_are_not_believed(liar: Stranger, requester: DhtNode) -> None:
    answer(liar, DhtCommand.FIND_PEER, value=bytes(PeerRecord(OTHERS.public_key)))
    assert [found async for found in requester.find_peer(KEYS.public_key)] == []
    for value in (
        MutableValue.sign(OTHERS, 9, b"another's"),
        MutableValue(KEYS.public_key, 9, b"x", MutableValue.sign(KEYS, 8, b"x").signature),
    ):
        answer(liar, DhtCommand.MUTABLE_GET, value=value.encode_reply())
        assert await requester.mutable_get(KEYS.public_key) is None
    old = MutableValue.sign(KEYS, 3, b"old")
    answer(liar, DhtCommand.MUTABLE_GET, value=old.encode_reply())
    assert await requester.mutable_get(KEYS.public_key) == old
    assert await requester.mutable_get(KEYS.public_key, min_seq=4) is None


@pytest.mark.parametrize("error", [Failure.SEQ_TOO_LOW, Failure.SEQ_REUSED])
async def test_a_number_that_is_used_up_is_said_in_words(liar: Stranger, requester: DhtNode, error: Failure) -> None:
    answer(liar, DhtCommand.MUTABLE_PUT, error=error)
    with pytest.raises(UsageError, match="seq 3 or a larger one; take a larger one"):
        await requester.mutable_put(KEYS, b"value", 3)


async def test_a_value_that_nobody_keeps_is_said_in_words(liar: Stranger, requester: DhtNode) -> None:
    for command in (DhtCommand.MUTABLE_PUT, DhtCommand.IMMUTABLE_PUT):
        answer(liar, command, error=Failure.INVALID_TOKEN)
    with pytest.raises(NotAvailable, match="No node of the network keeps"):
        await requester.immutable_put(b"value")
    answer(liar, DhtCommand.MUTABLE_PUT, error=Failure.INVALID_TOKEN)
    with pytest.raises(NotAvailable, match="No node of the network keeps"):
        await requester.mutable_put(KEYS, b"value", 1)


@pytest.mark.parametrize("value", [b"", bytes(1001)])
async def test_only_values_of_1_to_1000_bytes_can_be_stored(requester: DhtNode, value: bytes) -> None:
    with pytest.raises(UsageError, match="1 to 1000 bytes"):
        await requester.immutable_put(value)
    with pytest.raises(UsageError, match="1 to 1000 bytes"):
        await requester.mutable_put(KEYS, value, 1)


async def test_who_refuses_an_announcement_is_not_counted(liar: Stranger, requester: DhtNode) -> None:
    answer(liar, DhtCommand.ANNOUNCE, error=Failure.INVALID_TOKEN)
    assert await requester.announce(TOPIC, KEYS) == ()
    answer(liar, DhtCommand.ANNOUNCE)
    assert [each.sender for each in await requester.announce(TOPIC, KEYS)] == [liar.address]
    assert [each.reply.to for each in await requester.announce_self(KEYS)] == [requester.address]


async def test_a_lone_node_finds_what_it_has_announced_itself() -> None:
    node = await start()
    assert await node.announce(TOPIC, KEYS, [node.address]) == ()
    assert [record async for record in node.lookup(TOPIC)] == [PeerRecord(KEYS.public_key, (node.address,))]
    peer = await start([node.address], ephemeral=True)
    assert [record.public_key async for record in peer.lookup(TOPIC)] == [KEYS.public_key]
    await node.unannounce(TOPIC, KEYS)
    assert [record async for record in peer.lookup(TOPIC)] == []
    await peer.close()
    await node.close()


async def test_the_newest_of_several_values_wins() -> None:
    async with network(3) as nodes:
        for node, seq in zip(nodes, (4, 6, 5), strict=True):
            value = MutableValue.sign(KEYS, seq, b"value")
            node.store.mutable.put(value.target, value, "127.0.0.1", asyncio.get_running_loop().time())
        peer = await start([nodes[0].address], ephemeral=True)
        newest = await peer.mutable_get(KEYS.public_key)
        assert newest is not None
        assert newest.seq == 6
        await peer.close()


async def test_what_was_announced_is_taken_back_where_it_is_kept() -> None:
    async with network(4) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        await peer.announce(TOPIC, KEYS)
        await peer.announce(TOPIC, OTHERS)
        await peer.unannounce(TOPIC, KEYS)
        assert [record.public_key async for record in peer.lookup(TOPIC)] == [OTHERS.public_key]
        await peer.announce_self(KEYS)
        await peer.unannounce(blake2b_256(KEYS.public_key), KEYS)
        assert [found async for found in peer.find_peer(KEYS.public_key)] == []
        await peer.close()
