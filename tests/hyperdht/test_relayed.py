"""Connecting through a relay, from both ends, where no hole is punched in time."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkup_nb.errors import NotReachable
from linkup_nb.hyperdht import dialer as dht_dialer
from linkup_nb.hyperdht import listener as dht_listener
from linkup_nb.hyperdht import relayed
from linkup_nb.hyperdht.blind_relay import BlindRelay
from linkup_nb.hyperdht.relayed import Agreement, agree
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.peers import PATIENCE, Peer, opened, peers, until

OURS, THEIRS = (b"o" * 32, b"1" * 32), (b"t" * 32, b"2" * 32)


@pytest.fixture(autouse=True)
def no_hole_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dht_dialer, dht_listener):
        monkeypatch.setattr(module, "PUNCH_HEAD_START", 0.0)


@asynccontextmanager
async def at_a_relay(naming: str = "caller") -> AsyncIterator[tuple[BlindRelay, Peer, Peer]]:
    """A relay, and two peers behind firewalls of whom one names it; the first can be called."""
    async with peers(3) as (place, *nodes):
        relay = BlindRelay(place.node)
        place.listener._admit, place.listener._refuses = relay.admit, relay.refuses
        called, caller = (
            Peer(peer.node, place.key if naming == role else None)
            for peer, role in zip(nodes, ("called", "caller"), strict=True)
        )
        for peer in (called, caller):
            peer.hide()
        await called.listener.open()
        try:
            yield relay, called, caller
        finally:
            await called.listener.close()
            for peer in (called, caller):
                await peer.relays.close()
            await relay.close()


def test_the_relay_of_the_called_peer_is_taken_before_the_callers() -> None:
    assert agree(OURS, THEIRS, dialling=True) == Agreement(*THEIRS, initiator=False)
    assert agree(THEIRS, OURS, dialling=False) == Agreement(*THEIRS, initiator=True)
    assert agree(OURS, None, dialling=True) == agree(OURS, None, dialling=False) == Agreement(*OURS, initiator=True)
    assert agree(None, THEIRS, dialling=True) == agree(None, THEIRS, dialling=False)
    assert agree(None, None, dialling=True) is None


@pytest.mark.parametrize("naming", ["called", "caller"])
async def test_two_peers_talk_through_the_relay_that_one_of_them_names(naming: str) -> None:
    async with at_a_relay(naming) as (relay, called, caller):
        ours = await caller.dialer.dial(called.key)
        theirs = await opened(ours, called)
        assert ours.address == theirs.address
        assert (ours.remote_public_key, theirs.remote_public_key) == (called.key, caller.key)
        await ours.write(bytes(500_000))
        assert await theirs.read(timeout=PATIENCE) == bytes(500_000)
        (joint,) = relay.joints.values()
        assert joint.carried > 500_000
        await theirs.write(b"the last")
        await theirs.close()
        assert await ours.read(timeout=PATIENCE) == b"the last"
        await asyncio.wait_for(ours.wait_closed(), PATIENCE)
        await until(lambda: not relay.joints)


async def test_the_relay_does_not_learn_who_the_peers_are() -> None:
    async with at_a_relay() as (relay, called, caller):
        await opened(await caller.dialer.dial(called.key), called)
        seen = {session.connection.remote_public_key for session in relay._sessions}
        assert len(seen) == 2
        assert not seen & {called.key, caller.key}


async def test_the_connection_ends_with_its_relay() -> None:
    async with at_a_relay() as (relay, called, caller):
        ours = await caller.dialer.dial(called.key)
        theirs = await opened(ours, called)
        await relay.close()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(ours.wait_closed(), theirs.wait_closed())
        assert "The relay between us hung up" in f"{ours.close_reason} {theirs.close_reason}"


async def test_a_relay_that_is_not_there_is_named() -> None:
    async with at_a_relay() as (_, called, caller):
        caller.relays._through = KeyPair.from_seed(os.urandom(32)).public_key
        with pytest.raises(NotReachable, match="A relay did not help either: No node of the network knows this peer"):
            await caller.dialer.dial(called.key)


async def test_a_peer_that_does_not_come_to_the_relay_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "RELAY_TIMEOUT", 1.0)
    monkeypatch.setattr(dht_listener, "PUNCH_HEAD_START", 10 * PATIENCE)
    async with at_a_relay() as (_, called, caller):
        with pytest.raises(NotReachable, match="The peer did not come to the relay within 1 s"):
            await caller.dialer.dial(called.key)
        await until(lambda: not caller.relays._pairing)


async def test_relays_are_asked_for_so_many_calls_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "MAX_PAIRING", 0)
    async with at_a_relay() as (_, called, caller):
        with pytest.raises(NotReachable, match="0 other calls are waiting for a relay"):
            await caller.dialer.dial(called.key)
        await until(lambda: called.listener.counters["calls that a relay did not bring"])
