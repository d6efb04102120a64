"""Two identities on one node: each has its own calls, announcements and relays."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.hyperdht import dialer as dht_dialer
from linkup_nb.hyperdht import listener as dht_listener
from linkup_nb.hyperdht.blind_relay import BlindRelay
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.listener import DhtListener
from linkup_nb.swarm.swarm import Swarm
from tests.hyperdht.network import HOST, network
from tests.hyperdht.peers import PATIENCE, Peer, opened, peers, until

TOPIC, OTHER = os.urandom(32), os.urandom(32)


@asynccontextmanager
async def identities() -> AsyncIterator[tuple[Peer, Peer, Peer]]:
    """Two that take calls at one node, and a caller elsewhere."""
    async with peers() as (first, caller):
        second = Peer(first.node, punchers=first.punchers)
        await second.listener.open()
        try:
            yield first, second, caller
        finally:
            await second.listener.close()
            await second.relays.close()


@pytest.mark.parametrize("hidden", [(), (0,), (0, 2)], ids=["open", "the node is firewalled", "both are"])
async def test_each_takes_its_own_calls(hidden: tuple[int, ...]) -> None:
    async with identities() as everyone:
        first, second, caller = everyone
        for index in hidden:
            everyone[index].hide()
        to_first, to_second = await asyncio.gather(caller.dialer.dial(first.key), caller.dialer.dial(second.key))
        for ours, peer in ((to_first, first), (to_second, second)):
            theirs = await opened(ours, peer)
            assert (ours.remote_public_key, theirs.public_key) == (peer.key, peer.key)
            await theirs.write(peer.key)
            assert await ours.read(timeout=PATIENCE) == peer.key
        assert first.came.empty()
        assert second.came.empty()


async def test_one_that_leaves_takes_nothing_from_the_other() -> None:
    async with identities() as (first, second, caller):
        await first.listener.close()
        await opened(await caller.dialer.dial(second.key), second)
        assert set(second.node.identities) == {second.listener.announcement.target}


async def test_one_key_takes_calls_once() -> None:
    async with peers() as (server, _):
        again = DhtListener(server.node, server.key_pair, server.punchers, lambda key: None, lambda connection: None)
        with pytest.raises(UsageError, match="give each swarm its own key pair"):
            await again.open()
        await again.close()
        assert server.listener.announcement.target in server.node.identities


async def test_each_is_reached_through_a_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dht_dialer, dht_listener):
        monkeypatch.setattr(module, "PUNCH_HEAD_START", 0.0)
    async with peers(3) as (place, first, caller):
        relay = BlindRelay(place.node)
        place.listener._admit, place.listener._refuses = relay.admit, relay.refuses
        named = Peer(first.node, place.key, first.punchers), Peer(first.node, place.key, first.punchers)
        for peer in (first, caller):
            peer.hide()
        for count, peer in enumerate(named, 1):
            await peer.listener.open()
            ours = await caller.dialer.dial(peer.key)
            theirs = await opened(ours, peer)
            assert (ours.remote_public_key, len(relay.joints)) == (peer.key, count)
            await theirs.write(peer.key)
            assert await ours.read(timeout=PATIENCE) == peer.key
        for peer in named:
            await peer.listener.close()
            await peer.relays.close()
        await relay.close()


async def test_two_swarms_on_one_node_are_both_found_and_reached() -> None:
    async with network(4) as net:
        bootstrap = [net[0].address]
        shared = HyperDHT(bootstrap, host=HOST, port=0)
        swarms = [
            Swarm(discovery=[shared], host=HOST),
            Swarm(discovery=[shared.share()], host=HOST),
            Swarm(discovery=[HyperDHT(bootstrap, host=HOST, port=0)], host=HOST),
        ]
        for swarm in swarms:
            await (await swarm.join(TOPIC)).flushed()
        keys = {swarm.public_key for swarm in swarms}
        await until(lambda: all(connected(swarm) == keys - {swarm.public_key} for swarm in swarms))
        assert len({view.address for swarm in swarms if (view := swarm.dht)}) == 2
        await swarms[0].close()  # the node stays for the other
        await (await swarms[1].join(OTHER)).flushed()
        await (await swarms[2].join(OTHER)).flushed()
        await until(lambda: connected(swarms[2]) == {swarms[1].public_key})
        for swarm in swarms[1:]:
            await swarm.close()


def connected(swarm: Swarm) -> set[bytes]:
    return {connection.remote_public_key for connection in swarm.connections}
