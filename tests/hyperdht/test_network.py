"""Networks with other numbers than the usual ones, of nodes that serve from the first moment."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from linkup_nb.discovery.local import Local
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.network import Network
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.dht.rpc import ID_SIZE, distance
from linkup_nb.wire.dht.search import MIN_PATIENCE
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import HOST, by_distance, network, start

SMALL = Network(k=3, alpha=1)
COUNT = 24  # nodes
TARGET = b"\x5a" * ID_SIZE
KEY_PAIR = KeyPair.from_seed(bytes(32))


@asynccontextmanager
async def small_network() -> AsyncIterator[list[DhtNode]]:
    nodes: list[DhtNode] = []
    try:
        for _ in range(COUNT):
            node = DhtNode([nodes[0].address] if nodes else (), host=HOST, port=0, ephemeral=False, network=SMALL)
            nodes.append(node)
            await node.open()
            await node.ready()
        yield nodes
    finally:
        await asyncio.gather(*(node.close() for node in nodes))


def keepers(nodes: list[DhtNode]) -> int:
    return sum(node.store.counts["announcements"] for node in nodes)


async def test_as_many_as_the_network_says_are_in_a_bucket_and_keep_a_record() -> None:
    async with small_network() as nodes:
        for node in nodes:
            shared = Counter(known.shared_bits for known in node.view().nodes)
            assert max(shared.values()) <= SMALL.k
        asker = DhtNode([nodes[0].address], host=HOST, port=0, ephemeral=True, network=SMALL)
        await asker.open()
        try:
            await asker.ready()
            assert len(await asker.announce(TARGET, KEY_PAIR)) == keepers(nodes) == SMALL.k
            assert [record.public_key async for record in asker.lookup(TARGET)] == [KEY_PAIR.public_key]
        finally:
            await asker.close()


async def test_one_announcement_can_be_kept_by_fewer_and_looked_for_at_fewer() -> None:
    async with network(10) as nodes:
        asker = await start([nodes[0].address], ephemeral=True)
        try:
            nearest = by_distance([node.address for node in nodes], TARGET)[:3]
            assert [answer.sender for answer in await asker.announce(TARGET, KEY_PAIR, k=3)] == nearest
            assert [node.address for node in nodes if node.store.counts["announcements"]] == [
                node.address for node in nodes if node.address in nearest
            ]
            assert [record.public_key async for record in asker.lookup(TARGET, k=3)] == [KEY_PAIR.public_key]
            last = asker.view().last_query
            assert last
            assert list(last.closest) == nearest
        finally:
            await asker.close()


async def test_nodes_are_asked_one_at_a_time_and_the_search_stays_to_be_seen() -> None:
    async with small_network() as nodes:
        found = await nodes[7].find(TARGET)
        assert nodes[7].view().last_query == found
        assert len(found.closest) == SMALL.k
        assert list(found.closest) == by_distance(found.closest, TARGET)
        for one, next_one in zip(found.hops, found.hops[1:], strict=False):
            waited = MIN_PATIENCE if one.rtt is None else min(one.rtt, MIN_PATIENCE)  # the slow hold up nobody
            assert next_one.at >= one.at + waited


async def test_a_discovery_that_is_opened_serves_others_before_its_first_topic() -> None:
    async with network(3) as nodes:
        discovery = HyperDHT([nodes[0].address], host=HOST, port=0, ephemeral=False)
        assert discovery.view() is None
        opened = await discovery.open()
        try:
            await opened.ready()
            view = discovery.view()
            assert view
            assert not view.ephemeral
            await nodes[1].announce(TARGET, KEY_PAIR)
            assert opened.store.counts["announcements"] == 1
        finally:
            await discovery.close()


async def test_the_table_shows_contacts_by_the_bits_that_they_share_with_us() -> None:
    async with small_network() as nodes:
        table = nodes[7].table
        assert table.id == nodes[7].id
        assert len(table) == len(nodes[7].contacts)
        assert {known.address for known in table} == set(nodes[7].contacts)
        groups = table.by_shared_bits
        assert list(groups) == sorted(groups, reverse=True)
        for shared, known in groups.items():
            assert {(distance(node.id, table.id)).bit_length() for node in known} == {8 * ID_SIZE - shared}
        assert [node.distance for node in table] == sorted(node.distance for node in table)


async def test_a_swarm_whose_discoveries_all_dial_by_key_listens_on_no_tcp_port() -> None:
    async with network(3) as nodes:
        swarm = Swarm(discovery=[HyperDHT([nodes[0].address], host=HOST, port=0)])
        try:
            await swarm.join(TARGET)
            before = swarm.addresses
            await swarm.add_discovery(Local(mdns=False))  # by which others come over TCP
            assert (len(before), [host for host, _ in swarm.addresses]) == (0, [HOST])
        finally:
            await swarm.close()
