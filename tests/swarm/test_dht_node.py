"""Nodes of the DHT, among each other on loopback."""

import asyncio

from linkup_nb.wire.dht_connect import Firewall
from linkup_nb.wire.dht_records import PeerRecord
from linkup_nb.wire.dht_rpc import Failure, Internal, node_id
from linkup_nb.wire.keys import KeyPair, blake2b_256
from tests.swarm.dht_network import by_distance, network, start

TOPIC = b"\x42" * 32
KEYS = KeyPair.from_seed(b"\x07" * 32)
PATIENCE = 20.0  # seconds until a test that still waits has failed


async def test_a_newcomer_is_known_and_a_lookup_is_exact() -> None:
    async with network(30) as nodes:
        newcomer = await start([nodes[0].address])
        query = nodes[-1].query(Internal.FIND_NODE, newcomer.id or b"", internal=True)
        closest = [answer.sender for answer in await query.finished()]
        others = [node.address for node in [*nodes[:-1], newcomer]]
        assert closest == by_distance(others, query.target)[:20]
        await newcomer.close()


async def test_who_is_announced_is_found_until_he_withdraws() -> None:
    async with network(5) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        relays = [answer.sender for answer in await peer.announce_self(KEYS)]
        assert len(relays) == 3
        assert len(await peer.announce(TOPIC, KEYS, relays)) == 5
        assert [record async for record in nodes[3].lookup(TOPIC)] == [PeerRecord(KEYS.public_key, tuple(relays))]
        found = [answer.sender async for answer, _ in nodes[3].find_peer(KEYS.public_key)]
        assert set(found) == set(relays) - {nodes[3].address}
        await peer.unannounce(TOPIC, KEYS)
        await peer.unannounce(blake2b_256(KEYS.public_key), KEYS, relays)
        assert [record async for record in nodes[3].lookup(TOPIC)] == []
        assert [record async for _, record in nodes[3].find_peer(KEYS.public_key)] == []
        await peer.close()


async def test_on_loopback_everyone_is_reachable_and_knows_it() -> None:
    async with network(2) as nodes:
        peer = await start([nodes[0].address], ephemeral=None)
        assert (peer.public_address, peer.nat.firewall, peer.id) == (peer.address, Firewall.OPEN, None)
        await peer.close()


async def test_values_are_stored_and_found() -> None:
    async with network(4) as nodes:
        target = await nodes[1].immutable_put(b"never to change")
        assert await nodes[2].immutable_get(target) == b"never to change"
        assert await nodes[1].mutable_put(KEYS, b"one", 1) == 3
        assert await nodes[1].mutable_put(KEYS, b"two", 2) == 3
        value = await nodes[2].mutable_get(KEYS.public_key)
        assert value is not None
        assert (value.seq, value.value) == (2, b"two")
        assert await nodes[2].mutable_get(KEYS.public_key, min_seq=3) is None


async def test_only_nodes_that_keep_their_address_keep_things() -> None:
    async with network(2) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        answer = await nodes[1].request(peer.address, 3, target=TOPIC)
        assert (answer.reply.error, answer.reply.id) == (Failure.UNKNOWN_COMMAND, None)
        pong = await nodes[1].request(nodes[0].address, Internal.PING, internal=True)
        assert pong.reply.id == node_id(nodes[0].address)
        await peer.close()


async def test_closing_with_requests_under_way_is_quick() -> None:
    async with network(2) as nodes:
        peer = await start([nodes[0].address])
        await nodes[0].close()
        asked = asyncio.create_task(peer.query(Internal.FIND_NODE, TOPIC, internal=True).finished())
        await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await peer.close()
            await asked


async def test_a_view_shows_the_table_by_distance_and_the_last_lookup_hop_by_hop() -> None:
    async with network(12) as nodes:
        peer = await start([nodes[0].address], ephemeral=True)
        await peer.announce(TOPIC, KEYS)
        assert [record async for record in peer.lookup(TOPIC)] == [PeerRecord(KEYS.public_key)]
        view = peer.view()
        assert (view.ephemeral, view.address, view.public_address) == (True, peer.address, peer.address)
        assert sorted(node.address for node in view.nodes) == sorted(node.address for node in nodes)
        assert [node.distance for node in view.nodes] == sorted(node.distance for node in view.nodes)
        assert view.last_query is not None
        assert (view.last_query.command, view.last_query.target) == ("LOOKUP", TOPIC)
        assert list(view.last_query.closest) == by_distance([node.address for node in nodes], TOPIC)
        assert {hop.address for hop in view.last_query.hops} == {node.address for node in nodes}
        assert all(hop.rtt is not None for hop in view.last_query.hops)
        assert nodes[0].view().stored["announcements"] == 1
        await peer.close()
