"""Peers that die and come back, networks that are cut and heal: at every step of what peers do together."""

import asyncio
from collections.abc import Callable

import pytest

import linkup_nb as lu
from linkup_nb.errors import LinkupError
from linkup_nb.lab.network import LabNetwork
from linkup_nb.rooms.member import MemberStatus
from linkup_nb.rooms.memory.message import RoomTextMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.lab.waiting import KEY_PAIR, TOPIC, join, knows, until

Net = LabNetwork[lu.Node]


async def test_a_dead_peer_says_no_goodbye_and_is_missed() -> None:
    async with lu.lab.testnet(6, seed=2, k=3) as net:
        await join(net[1])
        await join(net[3])
        await until(lambda: knows(net[3], net[1]))
        gone = net[1].swarm.public_key
        net.kill(1)
        assert net.alive == (0, 2, 3, 4, 5)
        [connection] = net[3].swarm.connections  # nobody has told it
        assert connection.remote_public_key == gone
        # What it announced is still kept, as nothing was taken back.
        assert [record.public_key async for record in net.dht(4).lookup(TOPIC)].count(gone) == 1
        net.kill(1)  # a cell that runs twice
        with pytest.raises(LinkupError):
            await net[1].swarm.join(TOPIC)


async def test_a_peer_comes_back_with_its_keys_its_store_and_its_address() -> None:
    async with lu.lab.testnet(4, seed=2) as net:
        node = net[2]
        core = await node.store.core(name="diary")
        await core.append(b"day 0")
        await node.set_name("Cy")
        before = node.public_key, node.swarm.public_key, net.dht(2).address, core.key
        net.kill(2)
        net.revive(2)
        net.revive(2)
        again = net[2]
        assert again is not node
        core = await again.store.core(name="diary")
        assert (again.public_key, again.swarm.public_key, net.dht(2).address, core.key) == before
        assert await core.get(0) == b"day 0"
        assert again.name == "Cy"
        assert again.swarm.dht
        assert len(again.swarm.dht.nodes) == 3


async def test_a_peer_that_dies_before_it_has_entered_the_network_fails_at_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with lu.lab.testnet(2, seed=2) as net:
        net.kill(0)
        newcomer = net.add(names=[0])
        await newcomer.swarm.join(TOPIC)
        net.kill(2)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_the_first_node_is_a_door_and_no_centre() -> None:
    async with lu.lab.testnet(10, seed=2, k=3) as net:
        for number in (1, 7):
            await join(net[number])
        await until(lambda: knows(net[1], net[7]))
        net.kill(0)
        await join(net[9])
        await until(lambda: knows(net[9], net[1]) and knows(net[9], net[7]))
        assert knows(net[1], net[7])
        lone, other = net.add(names=[0]), net.add(names=[0, 4])
        assert len(net) == 12
        assert net[-1] is other
        await lone.swarm.join(TOPIC)
        await join(other)
        await until(lambda: knows(other, net[1]))
        assert not lone.swarm.connections
        net.revive(0)  # the old door; the newcomer has gone on knocking
        await until(lambda: knows(lone, net[1]))


async def test_a_look_up_goes_around_the_dead() -> None:
    async with lu.lab.testnet(32, seed=1, bits=8, k=3, alpha=1, dht_only=True) as net:
        await net[18].announce(TOPIC, KEY_PAIR, k=4)
        for number in net.near(TOPIC)[:3]:
            if number != 5:
                net.kill(number)
        assert [record.public_key async for record in net[5].lookup(TOPIC, k=4)] == [KEY_PAIR.public_key]
        silent = [hop.address for hop in net.lookups[5].hops if hop.rtt is None]
        assert set(silent) <= {net.dht(number).address for number in range(32) if number not in net.alive}


async def test_a_partition_keeps_apart_who_has_not_met_and_healing_lets_them_meet() -> None:
    async with lu.lab.testnet(6, seed=4) as net:
        await join(net[1])
        net.partition({0, 1, 2}, {3, 4, 5})
        alone = await net[4].swarm.join(TOPIC)
        await join(net[2])
        await until(lambda: knows(net[1], net[2]))
        await alone.flushed()
        assert not net[4].swarm.connections
        net.heal()
        await join(net[4])
        await until(lambda: knows(net[4], net[1]) and knows(net[4], net[2]))


async def test_a_connection_lives_on_a_slow_and_lossy_link() -> None:
    async with lu.lab.testnet(3, seed=4) as net:
        net.link(0, 1, delay=0.02, loss=0.05, rate="2MB/s")
        core = await net[0].store.core(name="photos")
        await core.append([bytes([number]) * 4096 for number in range(50)])
        copied = await net[1].store.core(key=core.key)
        for node, log in ((net[0], core), (net[1], copied)):
            await node.share(log)
        async with asyncio.timeout(60):
            assert [await copied.get(number, timeout=None) for number in range(50)] == [
                bytes([number]) * 4096 for number in range(50)
            ]


STEPS = ["before", "joining", "announced", "met", "copied in part"]


async def reach(net: Net, step: str) -> lu.Core:
    """Two peers share a log, as far as a step; returns the reader's."""
    core = await net[0].store.core(name="diary")
    if not core.length:
        await core.append([b"day %d" % number for number in range(20)])
    copied = await net[1].store.core(key=core.key)
    if step == "before":
        return copied
    await net[0].share(core)
    await net[1].share(copied)
    if step != "joining":
        await join(net[0], core.discovery_key)
    if step in ("met", "copied in part"):
        await until(lambda: knows(net[0], net[1]))
    if step == "copied in part":
        assert await copied.get(3, timeout=60) == b"day 3"
    return copied


def cut_and_heal(net: Net) -> None:
    net.partition({0}, {1, 2})
    net.heal()


def die_and_come_back(number: int) -> Callable[[Net], None]:
    def act(net: Net) -> None:
        net.kill(number)
        net.revive(number)

    return act


FAULTS = {
    "a cut": cut_and_heal,
    "the death of the author": die_and_come_back(0),
    "the death of the reader": die_and_come_back(1),
    "the death of a third": die_and_come_back(2),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
async def test_a_log_is_copied_whatever_has_failed_at_whichever_step(step: str, fault: str) -> None:
    async with lu.lab.testnet(3, seed=5) as net:
        await reach(net, step)
        FAULTS[fault](net)
        copied = await reach(net, "joining")
        async with asyncio.timeout(60):
            assert [await copied.get(number, timeout=None) for number in range(20)] == [
                b"day %d" % number for number in range(20)
            ]


async def room_of_three(net: Net) -> list[MemoryRoom]:
    room = await net[0].create_room("cake")
    others = [await net[number].join(room.invite) for number in (1, 2)]
    rooms = [room, *(other for other in others if isinstance(other, MemoryRoom))]
    assert len(rooms) == 3
    await until(lambda: all([peer.status for peer in one.peers] == [MemberStatus.HERE] * 2 for one in rooms))
    return rooms


def texts(room: MemoryRoom) -> list[str]:
    return [message.text for message in room.messages if isinstance(message, RoomTextMessage)]


async def test_both_sides_of_a_cut_write_and_after_it_all_have_one_order() -> None:
    async with lu.lab.testnet(3, seed=7) as net:
        net.clock(1, -3600)
        ann, bob, cy = rooms = await room_of_three(net)
        await ann.send("who brings cake?")
        await until(lambda: all(texts(room) == ["who brings cake?"] for room in rooms))
        net.partition({0}, {1, 2})
        await ann.send("I will, then")
        await bob.send("not me")
        await until(lambda: texts(cy) == ["who brings cake?", "not me"])
        await cy.send("I will")
        await until(lambda: len(texts(bob)) == 3)
        assert texts(ann) == ["who brings cake?", "I will, then"]
        net.heal()
        await until(lambda: all(len(room.messages) == 4 for room in rooms))
        assert texts(ann) == texts(bob) == texts(cy) == ["who brings cake?", "not me", "I will, then", "I will"]


async def test_the_clock_of_a_peer_is_wrong_by_what_was_set() -> None:
    async with lu.lab.testnet(2, seed=7) as net:
        rooms = [await net[number].create_room("alone") for number in (0, 1)]
        net.clock(1, 3600)
        sent = [await room.send("now") for room in rooms]
        ahead = sent[1].timestamp - sent[0].timestamp
        assert 3500 < ahead.total_seconds() < 4000
