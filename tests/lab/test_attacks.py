"""Who cheats in a lab does so as real peers would, and what they can and cannot do shows."""

import asyncio

import pytest

import linkup_nb as lu
from linkup_nb.errors import UsageError
from linkup_nb.hypercore.core import Core
from linkup_nb.hyperdht.io import EACH_RATE
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.lab.network import LabNetwork
from linkup_nb.lab.state import PeerState
from linkup_nb.wire.dht.rpc import distance
from tests.lab.waiting import KEY_PAIR, TOPIC, until

BLOCKS = [b"day %d" % number for number in range(10)]
OTHER = lu.KeyPair.from_seed(bytes([1]) * 32)


def board() -> LabNetwork[DhtNode]:
    return lu.lab.testnet(32, seed=1, bits=8, k=3, alpha=1, dht_only=True)


async def found(net: LabNetwork[DhtNode], k: int | None = None) -> set[bytes]:
    return {record.public_key async for record in net.dht(5).lookup(TOPIC, k=k)}


async def test_sybils_hide_what_is_announced_after_them_from_who_asks_too_few() -> None:
    with board() as net:
        await net[18].announce(TOPIC, KEY_PAIR)
        honest = len(net)
        sybils = net.sybils(3, near=TOPIC)
        assert sybils.numbers == (32, 33, 34)
        assert set(net.near(TOPIC)[:3]) == set(sybils.numbers)
        assert len(sybils) == len(sybils.nodes) == 3 <= sybils.tries
        nearest = min(distance(net.dht(number).id or b"", TOPIC) for number in range(honest))
        assert all(distance(node.id or b"", TOPIC) < nearest for node in sybils)
        assert {peer.state for peer in net.state.peers[honest:]} == {PeerState.SYBIL}
        assert await found(net) == {KEY_PAIR.public_key}  # those who keep it are asked on the way
        keepers = await net[18].announce(TOPIC, OTHER)
        assert {answer.sender for answer in keepers} == {node.address for node in sybils}  # they say that they keep it
        assert not any(node.store.counts["announcements"] for node in sybils)
        assert OTHER.public_key not in await found(net)
        await net[18].announce(TOPIC, OTHER, k=8)
        assert OTHER.public_key in await found(net, k=8)


def test_the_same_sybils_come_with_the_same_seed() -> None:
    drawn = []
    for _ in range(2):
        with board() as net:
            sybils = net.sybils(3, near="library")
            drawn.append((sybils.tries, [node.address for node in sybils]))
    assert drawn[0] == drawn[1]


async def test_a_flood_costs_its_host_its_answers_and_others_are_served() -> None:
    with lu.lab.testnet(4, seed=1) as net:
        requests = round(EACH_RATE.burst) + 1000
        answered = net.flood(0, requests=requests)
        dht = net[0].swarm.dht
        assert dht
        assert 0 < answered < requests
        assert dht.counters["requests dropped: too many"] > 0
        before = dht.counters["requests dropped: too many"]
        await net.dht(1).find(net.dht(0).id or b"")
        assert net.dht(0).address in [hop.address for hop in net.lookups[1].hops if hop.rtt is not None]
        assert net.dht(0).counters["requests dropped: too many"] == before
        net.kill(0)
        with pytest.raises(UsageError, match=r"net\.revive\(0\)"):
            net.flood(0)


async def shared(net: LabNetwork[lu.Node], readers: tuple[int, ...]) -> tuple[Core, list[Core]]:
    """A log of peer 0, and open copies of it at others, all of whom are connected."""
    core = await net[0].store.core(name="diary")
    await core.append(BLOCKS)
    await net[0].share(core)
    copies = [await net[number].store.core(key=core.key) for number in readers]
    for number, copy in zip(readers, copies, strict=True):
        await net[number].share(copy)
    return core, copies


async def test_false_proofs_are_seen_the_liar_is_left_and_another_gives_the_block() -> None:
    async with lu.lab.testnet(4, seed=3) as net:
        _, [first] = await shared(net, (1,))
        assert [await first.get(number, timeout=60) for number in range(10)] == BLOCKS
        net.liar(1, how="false proofs")
        assert net.state.peers[1].state is PeerState.LIAR
        copy = await net[2].store.core(key=first.key)
        net.partition({1, 2}, {0, 3})
        await net[2].share(copy)
        getting = asyncio.create_task(copy.get(4, timeout=None))
        await until(lambda: any("hash" in (peer.last_error or "") for peer in net[2].swarm.peers))
        net.heal()
        async with asyncio.timeout(60):
            assert await getting == b"day 4"


async def test_a_liar_lies_on_after_its_death() -> None:
    async with lu.lab.testnet(3, seed=3) as net:
        net.liar(0, how="false proofs")
        net.kill(0)
        states = [net.state.peers[0].state]
        net.revive(0)
        states.append(net.state.peers[0].state)
        assert states == [PeerState.DEAD, PeerState.LIAR]
        _, [copy] = await shared(net, (1,))
        reading = asyncio.create_task(copy.get(4, timeout=None))
        await until(lambda: any(peer.last_error and "hash" in peer.last_error for peer in net[1].swarm.peers))
        reading.cancel()


async def test_a_false_length_is_no_length_and_ends_the_connection() -> None:
    async with lu.lab.testnet(3, seed=3) as net:
        net.liar(0, how="false length")
        _, [copy] = await shared(net, (1,))
        updating = asyncio.create_task(copy.update())
        await until(lambda: any("upgrade" in (peer.last_error or "") for peer in net[1].swarm.peers))
        assert copy.length == 0
        updating.cancel()


async def test_a_silent_peer_answers_nothing_until_another_does() -> None:
    async with lu.lab.testnet(3, seed=3) as net:
        core, [honest] = await shared(net, (1,))
        assert [await honest.get(number, timeout=60) for number in range(10)] == BLOCKS
        net.liar(0, how="silent")
        copy = await net[2].store.core(key=core.key)
        await net[2].share(copy)
        async with asyncio.timeout(90):
            assert await copy.get(4, timeout=None) == b"day 4"


async def test_two_histories_are_both_signed_and_show_when_those_who_were_told_them_meet() -> None:
    async with lu.lab.testnet(3, seed=3) as net:
        core, copies = await shared(net, (1, 2))
        for copy in copies:
            assert await copy.get(9, timeout=60) == b"day 9"
        net.liar(0, how="two histories")
        net.partition({0, 1}, {2})
        await core.append(b"I owe Ann 10")
        assert await copies[0].get(10, timeout=60) == b"I owe Ann 10"
        net.partition({0, 2}, {1})
        told = await copies[1].get(10, timeout=60)
        assert told != b"I owe Ann 10"
        assert len(told) == len(b"I owe Ann 10")
        # Logs of one length are not compared: one of them has to grow while the author tells nobody else.
        net.partition({0, 1}, {2})
        await core.append(b"that is all")
        assert await copies[0].get(11, timeout=60) == b"that is all"
        net.partition({1, 2}, {0})
        await until(lambda: any(copy.conflict for copy in copies))
        [conflict] = [copy.conflict for copy in copies if copy.conflict][:1]
        assert len({evidence.check().hash() for evidence in conflict}) == 2
