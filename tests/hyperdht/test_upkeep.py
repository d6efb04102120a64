"""Which nodes are in the table, which are pinged, and which are believed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from linkup_nb.hyperdht import io as dht_io
from linkup_nb.hyperdht import upkeep as dht_upkeep
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, Internal
from linkup_nb.wire.dht.table import K
from tests.hyperdht.network import PATIENCE, network, start, until
from tests.hyperdht.stranger import Stranger, stranger

TARGET = b"\x42" * 32


@pytest.fixture
async def node() -> AsyncIterator[DhtNode]:
    made = await start()
    yield made
    await made.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_io, "FIRST_TIMEOUT", 0.02)
    monkeypatch.setattr(dht_io, "TIMEOUT", 0.02)


def known(node: DhtNode) -> set[Address]:
    return {each.address for each in node.view().nodes}


def hint(dead: Address) -> bytes:
    return bytes(Encoder().ipv4_address(*dead))


def answers(made: Stranger, **fields: object) -> None:
    """From now on it is a node that answers everything the same way."""
    made.on_request = lambda request, sender: made.reply(request, sender, id=made.id, **fields)


async def test_who_asks_and_then_answers_a_ping_is_known(node: DhtNode) -> None:
    async with stranger() as newcomer:
        answers(newcomer)
        newcomer.request(node.address, Internal.PING, internal=True, id=newcomer.id)
        await until(lambda: known(node) == {newcomer.address})


async def test_a_forged_sender_who_answers_nothing_is_not_known(node: DhtNode) -> None:
    async with stranger() as forged:
        forged.request(node.address, Internal.PING, internal=True, id=forged.id)
        ping, _ = await forged.next(DhtRequest)
        assert ping.command == Internal.PING
        await forged.next(DhtReply)
        assert known(node) == set()


async def test_who_gives_no_id_or_another_is_not_known(node: DhtNode) -> None:
    async with stranger() as ephemeral, stranger() as liar:
        ephemeral.answer_pings()
        liar.on_request = lambda request, sender: liar.reply(request, sender, id=bytes(32))
        for each in (ephemeral, liar):
            await node.request(each.address, Internal.PING, internal=True)
        assert known(node) == set()
        assert node.counters["ids ignored: forged"] == 1


async def test_a_node_that_died_is_forgotten_once_it_is_asked_in_vain(impatient: None) -> None:
    async with network(3) as nodes:
        await until(lambda: nodes[2].address in known(nodes[0]))
        await nodes[2].close()
        await nodes[0].query(Internal.FIND_NODE, TARGET, internal=True).finished()
        await until(lambda: nodes[2].address not in known(nodes[0]))


async def test_a_hint_is_checked_before_it_is_believed(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_upkeep, "HINT_PAUSE", 0.0)
    async with network(3) as nodes, stranger() as other:
        alive, dead = nodes[1].address, nodes[2].address
        await until(lambda: known(nodes[0]) == {alive, dead})
        await nodes[2].close()
        for accused in (alive, dead, ("127.0.0.1", 9)):
            reply = await other.exchange(nodes[0].address, Internal.DOWN_HINT, internal=True, value=hint(accused))
            assert reply.error == 0
        await until(lambda: dead not in known(nodes[0]))
        assert known(nodes[0]) == {alive}


async def test_who_was_heard_of_just_now_is_not_asked_because_of_a_hint(node: DhtNode) -> None:
    async with stranger() as contact, stranger() as other:
        answers(contact)
        await node.request(contact.address, Internal.PING, internal=True)
        contact.on_request = None
        await other.exchange(node.address, Internal.DOWN_HINT, internal=True, value=hint(contact.address))
        assert contact.received.empty()


async def test_who_names_the_dead_is_given_a_hint(impatient: None) -> None:
    async with stranger() as gossip, stranger() as dead:
        hints: asyncio.Queue[bytes | None] = asyncio.Queue()

        def answer(request: DhtRequest, sender: Address) -> None:
            if request.command == Internal.DOWN_HINT:
                hints.put_nowait(request.value)
            gossip.reply(request, sender, id=gossip.id, closer_nodes=(dead.address,))

        gossip.on_request = answer
        requester = await start([gossip.address])
        assert await asyncio.wait_for(hints.get(), PATIENCE) == hint(dead.address)
        await requester.close()


async def test_of_an_old_and_a_new_node_in_a_full_bucket_the_living_stays(
    impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_upkeep, "RECENT", 0.0)
    node = await start()
    assert node.id is not None
    half = node.id[0] >> 7
    made: list[Stranger] = []
    managers = []
    while len(made) < K + 2:
        manager = stranger()
        each = await manager.__aenter__()
        managers.append(manager)
        if each.id[0] >> 7 != half:
            answers(each)
            made.append(each)
    contacts, late, later = made[:K], made[K], made[K + 1]
    for each in contacts:
        await node.request(each.address, Internal.PING, internal=True)
    assert known(node) == {each.address for each in contacts}

    await node.request(late.address, Internal.PING, internal=True)  # all are alive
    await node.request(contacts[0].address, Internal.PING, internal=True)
    assert late.address not in known(node)

    contacts[1].on_request = None  # the one that was silent for longest stays silent
    await node.request(later.address, Internal.PING, internal=True)
    await until(lambda: later.address in known(node))
    assert contacts[1].address not in known(node)
    for manager in managers:
        await manager.__aexit__(None, None, None)
    await node.close()


async def test_contacts_not_heard_of_for_long_are_pinged(
    node: DhtNode, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_upkeep, "SERVING_STALE", 0.0)
    async with stranger() as alive, stranger() as dead:
        for each in (alive, dead):
            answers(each)
            await node.request(each.address, Internal.PING, internal=True)
        dead.on_request = None
        node._upkeep.tick()
        await until(lambda: known(node) == {alive.address})


async def test_the_silent_are_not_asked_again_just_because_somebody_names_them(impatient: None) -> None:
    async with stranger() as gossip, stranger() as dead:
        answers(gossip, closer_nodes=(dead.address,))
        requester = await start([gossip.address], ephemeral=True)
        await until(lambda: dead.received.qsize() == 1 + dht_io.RETRIES)
        await requester.query(Internal.FIND_NODE, TARGET, internal=True).finished()
        assert dead.received.qsize() == 1 + dht_io.RETRIES
        await requester.rejoin()  # elsewhere he may be there
        await until(lambda: dead.received.qsize() > 1 + dht_io.RETRIES)
        await requester.close()


async def test_so_many_hints_are_given_and_so_many_silent_remembered(
    node: DhtNode, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dht_upkeep, "MAX_HINTS", 2)
    monkeypatch.setattr(dht_upkeep, "MAX_SILENT", 2)
    async with stranger() as gossip:
        upkeep = node._upkeep
        for port in range(1, 6):
            upkeep.silent(("127.0.0.9", port))
            upkeep.hint(("127.0.0.9", port), gossip.address)
        assert [upkeep.is_silent(("127.0.0.9", port)) for port in range(1, 6)] == [False] * 3 + [True] * 2
        for _ in range(2):
            assert (await gossip.next(DhtRequest))[0].command == Internal.DOWN_HINT


async def test_addresses_that_are_none_or_ours_alone_are_not_followed() -> None:
    unusable = (("127.0.0.1", 0), ("224.0.0.1", 5000), ("0.0.0.0", 5000), ("255.255.255.255", 1))
    async with stranger() as gossip:
        answers(gossip, closer_nodes=unusable)
        requester = await start([gossip.address], ephemeral=True)
        assert requester.counters["addresses ignored: not to be sent to from here"] >= len(unusable)
        assert not requester.counters["datagrams not sent: address not allowed"]
        assert not requester._upkeep.usable(("127.0.0.1", 5000), ("8.8.8.8", 49737))
        assert not requester._upkeep.usable(("192.168.1.1", 5000), ("8.8.8.8", 49737))
        assert not requester._upkeep.usable(("127.0.0.1", 5000), ("192.168.1.2", 49737))
        await requester.close()


async def test_who_misses_one_answer_is_named_to_nobody_until_it_answers() -> None:
    async with network(3) as nodes, stranger() as other:
        await until(lambda: len(known(nodes[0])) == 2)
        doubted = nodes[2].address

        async def named() -> tuple[Address, ...]:
            return (
                await other.exchange(nodes[0].address, Internal.FIND_NODE, internal=True, target=TARGET)
            ).closer_nodes

        assert set(await named()) == {nodes[1].address, doubted}
        await nodes[2].close()
        nodes[0].send_request(doubted, Internal.PING, internal=True)
        await until(lambda: nodes[0]._table.closest(TARGET) == [nodes[1].address])
        assert await named() == (nodes[1].address,)
        again = DhtNode([nodes[0].address], host=doubted[0], port=doubted[1], ephemeral=False)
        await again.open()
        await until(lambda: doubted in nodes[0]._table.closest(TARGET))
        await again.close()


async def test_when_one_has_died_those_around_are_asked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_upkeep, "SPREAD_PAUSE", 0.0)
    for timeout in ("FIRST_TIMEOUT", "TIMEOUT"):
        monkeypatch.setattr(dht_io, timeout, 0.1)
    async with network(8) as nodes:
        await until(lambda: len(known(nodes[0])) == 7)
        dead = {node.address for node in nodes[5:]}
        await asyncio.gather(*(node.close() for node in nodes[5:]))
        nodes[0].send_request(nodes[5].address, Internal.PING, internal=True)
        await until(lambda: not known(nodes[0]) & dead)  # though it has requested only one of them
