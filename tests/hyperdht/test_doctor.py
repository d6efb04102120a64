"""What keeps a node of HyperDHT from its network, and whether others can find us there."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from linkup_nb.discovery.check import Bootstrap, Check, Outcome
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.doctor import _public_address, examine
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.dht.nat import NatSample
from tests.hyperdht.network import HOST, network, start
from tests.swarm.test_doctor import silent_port

TOPIC = bytes(range(32))
PATIENCE = 20.0  # seconds


@pytest.fixture
async def nodes() -> AsyncIterator[list[DhtNode]]:
    async with network(5) as nodes:
        yield nodes


def named(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


async def test_a_node_in_its_network(nodes: list[DhtNode]) -> None:
    bootstrap, gone = nodes[0].address, (HOST, silent_port())
    node = await start([bootstrap, gone], ephemeral=True)
    checks = await asyncio.wait_for(examine(node, {TOPIC: 5, bytes(32): 4}), PATIENCE)
    await node.close()
    good, bad = checks[:2]
    assert isinstance(good, Bootstrap)
    assert (good.name, good.outcome, bad.outcome) == (f"bootstrap {HOST}:{bootstrap[1]}", Outcome.OK, Outcome.FAILED)
    assert good.rtt is not None
    assert named(checks, "hyperdht").seen.startswith("5 nodes known; ours only sends requests, at port ")
    assert str(named(checks, "announced")) == "2 topics, each at 4 nodes at least."


async def test_a_network_that_nobody_is_in() -> None:
    node = DhtNode([(HOST, silent_port())], host=HOST, port=0)
    await node.open()
    checks = await asyncio.wait_for(examine(node, {TOPIC: 0}), PATIENCE)
    await node.close()
    assert [check.outcome for check in checks[:2]] == [Outcome.FAILED, Outcome.OFF]
    assert "No node of HyperDHT is known." in checks[1].seen
    assert (named(checks, "announced").outcome, named(checks, "public address").outcome) == (
        Outcome.WARNING,
        Outcome.OFF,
    )


@pytest.mark.parametrize(
    ("nat", "outcome", "text"),
    [
        (
            NatSample("203.0.113.5", 49737, Firewall.OPEN, 4),
            Outcome.OK,
            "4 hosts see us at 203.0.113.5:49737. A datagram of anybody",
        ),
        (NatSample("203.0.113.5", 49737, Firewall.CONSISTENT, 4), Outcome.OK, "holes can be punched"),
        (NatSample("203.0.113.5", 0, Firewall.RANDOM, 4), Outcome.WARNING, "4 hosts see us at 203.0.113.5. Each sees"),
        (NatSample("203.0.113.5", 1, Firewall.UNKNOWN, 1), Outcome.WARNING, "1 host sees us at 203.0.113.5:1."),
    ],
)
def test_what_our_nat_means(nat: NatSample, outcome: Outcome, text: str) -> None:
    check = _public_address(nat)
    assert check.outcome is outcome
    assert text in check.seen


async def test_a_swarm_shows_its_node_and_examines_it(nodes: list[DhtNode]) -> None:
    swarm = Swarm(discovery=[HyperDHT([nodes[0].address], host=HOST, port=0)])
    assert swarm.dht is None
    joined = await swarm.join(TOPIC)
    await asyncio.wait_for(joined.flushed(), PATIENCE)
    view = swarm.dht
    assert view is not None
    assert {node.address for node in view.nodes} == {node.address for node in nodes}
    assert view.last_query
    assert {hop.address for hop in view.last_query.hops} <= {node.address for node in nodes}
    (dht,) = swarm.discovery
    assert isinstance(dht, HyperDHT)
    checks = await asyncio.wait_for(dht.examine(), PATIENCE)
    assert named(checks, "announced").outcome is Outcome.OK
    assert TOPIC.hex() not in repr(view) + repr(view.last_query) + "".join(map(str, checks))
    await swarm.close()
    assert Swarm(discovery=[]).dht is None


async def test_before_it_is_started() -> None:
    (check,) = await HyperDHT([(HOST, 1)]).examine()
    assert (check.name, check.outcome) == ("hyperdht", Outcome.WARNING)
