"""Our nodes and the nodes of the real `hyperdht` in one network, on loopback."""

from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.dht.records import DhtCommand, PeerRecord
from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.keys import KeyPair, blake2b_256
from tests.hyperdht.network import network, start
from tests.interop.test_udx import JavaScriptPeer

PEER = Path(__file__).with_name("hyperdht_network.js")
SEED = b"\x07" * 32
KEYS = KeyPair.from_seed(SEED)
TOPIC = b"\x42" * 32


def named(addresses: Sequence[Address]) -> list[dict[str, object]]:
    return [{"host": host, "port": port} for host, port in addresses]


@asynccontextmanager
async def javascript() -> AsyncIterator[JavaScriptPeer]:
    process = await create_subprocess_exec("node", str(PEER), stdin=PIPE, stdout=PIPE)
    try:
        yield JavaScriptPeer(process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def mixed(python: int, theirs: int, *, python_first: bool) -> AsyncIterator[tuple[list[DhtNode], JavaScriptPeer]]:
    """A network of so many nodes of ours, and theirs, with another one of theirs that sends requests."""
    async with javascript() as peer:
        if python_first:
            async with network(python) as nodes:
                bootstrap = named([nodes[0].address])
                peer.command(nodes={"count": theirs, "bootstrap": bootstrap})
                await peer.expect("nodes")
                peer.command(requester={"bootstrap": bootstrap})
                await peer.expect("requester")
                yield nodes, peer
        else:
            peer.command(nodes={"count": theirs, "bootstrap": []})
            bootstrap = await peer.expect("nodes")
            entry = [(bootstrap[0]["host"], bootstrap[0]["port"])]
            nodes = [await start(entry) for _ in range(python)]
            peer.command(requester={"bootstrap": bootstrap[:1]})
            await peer.expect("requester")
            yield nodes, peer
            for node in nodes:
                await node.close()


async def test_each_side_learns_from_the_other_where_it_is_and_that_it_can_be_reached() -> None:
    async with javascript() as peer:
        async with network(30) as nodes:  # in a small one theirs may be done with its search before it knows
            peer.command(requester={"bootstrap": named([nodes[0].address])})
            seen = await peer.expect("requester")
            assert (seen["firewalled"], seen["host"], bool(seen["port"])) == (False, "127.0.0.1", True)
        peer.command(nodes={"count": 3, "bootstrap": []})
        theirs = await peer.expect("nodes")
        ours = await start([(theirs[0]["host"], theirs[0]["port"])], ephemeral=None)
        assert (ours.nat.firewall, ours.public_address, ours.id) == (Firewall.OPEN, ours.address, None)
        await ours.close()


NETWORKS = pytest.mark.parametrize(
    ("ours", "theirs", "python_first"),
    [
        pytest.param(1, 4, False, id="one of ours among theirs"),
        pytest.param(5, 0, True, id="all are ours"),
        pytest.param(10, 10, True, id="mixed"),
        pytest.param(10, 10, False, id="mixed, theirs first"),
    ],
)


@NETWORKS
async def test_announcements_go_both_ways(ours: int, theirs: int, python_first: bool) -> None:
    async with mixed(ours, theirs, python_first=python_first) as (nodes, peer):
        relays = [nodes[0].address]
        kept = await nodes[-1].announce(TOPIC, KEYS, relays)
        assert len(kept) == ours + theirs - (1 if python_first else 2)  # theirs has no id if it began alone
        peer.command(lookup=TOPIC.hex())
        assert await peer.expect("found") == {KEYS.public_key.hex(): named(relays)}
        await nodes[-1].unannounce(TOPIC, KEYS)
        peer.command(lookup=TOPIC.hex())
        assert await peer.expect("found") == {}

        peer.command(announce={"topic": TOPIC.hex(), "seed": SEED.hex(), "relays": named(relays)})
        assert await peer.expect("announced") >= len(kept)
        assert [record async for record in nodes[0].lookup(TOPIC)] == [PeerRecord(KEYS.public_key, tuple(relays))]
        peer.command(unannounce={"topic": TOPIC.hex(), "seed": SEED.hex()})
        await peer.expect("unannounced")
        assert [record async for record in nodes[0].lookup(TOPIC)] == []


async def test_a_topic_is_bumped_by_theirs_and_only_forwards() -> None:
    async with mixed(8, 0, python_first=True) as (_, peer):
        for bump, kept in [(7, 7), (5, 7), (9, 9)]:
            peer.command(announce={"topic": TOPIC.hex(), "seed": SEED.hex(), "relays": [], "bump": bump})
            await peer.expect("announced")
            peer.command(bumps=TOPIC.hex())
            assert await peer.expect("bumps") == [kept]


@NETWORKS
async def test_values_go_both_ways(ours: int, theirs: int, python_first: bool) -> None:
    async with mixed(ours, theirs, python_first=python_first) as (nodes, peer):
        await nodes[-1].mutable_put(KEYS, b"from Python", 1)
        peer.command(mutableGet=KEYS.public_key.hex())
        assert await peer.expect("got") == {"seq": 1, "value": b"from Python".hex()}
        peer.command(mutablePut={"seed": SEED.hex(), "value": b"from JavaScript".hex(), "seq": 2})
        await peer.expect("put")
        value = await nodes[-1].mutable_get(KEYS.public_key)
        assert value is not None
        assert (value.seq, value.value) == (2, b"from JavaScript")

        target = await nodes[-1].immutable_put(b"from Python")
        peer.command(immutableGet=target.hex())
        assert await peer.expect("got") == b"from Python".hex()
        peer.command(immutablePut=b"from JavaScript".hex())
        assert await peer.expect("put") == blake2b_256(b"from JavaScript").hex()
        assert await nodes[-1].immutable_get(blake2b_256(b"from JavaScript")) == b"from JavaScript"


@pytest.mark.parametrize("firewalled", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("theirs", [0, 10])
async def test_two_hyperswarms_meet_in_a_network_that_is_entered_through_us(
    theirs: int, firewalled: tuple[bool, bool]
) -> None:
    async with network(4) as nodes, javascript() as peer:
        bootstrap = named([node.address for node in nodes[:3]])
        peer.command(nodes={"count": theirs, "bootstrap": bootstrap})
        await peer.expect("nodes")
        peer.command(meet={"bootstrap": bootstrap, "firewalled": firewalled, "topic": TOPIC.hex()})
        assert await peer.expect("met") == ["hello from 1", "hello from 0"]
        if theirs == 0:
            passed_on = Counter[DhtCommand]()
            for node in nodes:
                passed_on.update(node.passed_on)
            assert passed_on[DhtCommand.PEER_HANDSHAKE] or not firewalled[0]
            assert bool(passed_on[DhtCommand.PEER_HOLEPUNCH]) == all(firewalled)
