"""Staying known at the nodes that pass messages on to us."""

import os

import pytest

from linkup_nb.hyperdht import self_announcement
from linkup_nb.hyperdht.self_announcement import SelfAnnouncement
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import network, start
from tests.hyperdht.peers import until

KEY_PAIR = KeyPair.from_seed(os.urandom(32))


async def test_we_are_known_at_the_nodes_nearest_to_our_key_and_then_no_more() -> None:
    async with network(6) as nodes:
        node = await start([nodes[0].address], ephemeral=True)
        ours = SelfAnnouncement(node, KEY_PAIR)
        await ours.open()
        assert len(ours.addresses) == 3
        assert {relay.peer_address for relay in ours.relays} == {node.address}
        assert ours.is_relay(ours.addresses[0])
        assert not ours.is_relay(node.address)
        known = [answer.sender async for answer, _ in nodes[0].find_peer(KEY_PAIR.public_key)]
        assert set(known) >= set(ours.addresses) - {nodes[0].address}
        await ours.close()
        assert [peer async for peer in nodes[0].find_peer(KEY_PAIR.public_key)] == []
        await node.close()


async def test_a_relay_that_is_gone_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_announcement, "KEEP_ALIVE", 0.02)
    monkeypatch.setattr(self_announcement, "PING_TRIES", 0)
    async with network(6) as nodes:
        node = await start([nodes[0].address], ephemeral=True)
        ours = SelfAnnouncement(node, KEY_PAIR)
        await ours.open()
        gone = next(relay for relay in ours.addresses if relay != nodes[0].address)
        await next(peer for peer in nodes if peer.address == gone).close()
        await until(lambda: gone not in ours.addresses)
        assert len(ours.addresses) == 3
        assert ours.is_relay(gone)  # what it has passed on before still counts
        await ours.close()
        await node.close()


async def test_leaving_does_not_wait_for_nodes_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_announcement, "WITHDRAW_TIMEOUT", 0.05)
    async with network(4) as nodes:
        node = await start([nodes[0].address], ephemeral=True)
        ours = SelfAnnouncement(node, KEY_PAIR)
        await ours.open()
        for peer in nodes:
            await peer.close()
        await ours.close()
        await node.close()
