"""Relaying with the real `hyperdht` and `blind-relay`: theirs and ours, with peers that have no other way."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkup_nb.connection.connection import Connection
from linkup_nb.hyperdht import dialer as dht_dialer
from linkup_nb.hyperdht import listener as dht_listener
from linkup_nb.hyperdht.relay import run_relay
from linkup_nb.wire.keys import KeyPair
from tests.interop.test_hyperdht_connect import (
    HOST,
    PATIENCE,
    JavaScript,
    Ours,
    believe_in_a_firewall,
    javascript_network,
    opened,
    talk,
    their_node,
)

FIREWALLED = {"ephemeral": True, "quickFirewall": False}  # on loopback they find out soon that there is no firewall
CALLED = {"punch": False, "shareLocalAddress": False}  # they can be reached in no other way
CALLING = {"punch": False, "localConnection": False, "fastOpen": False}


@asynccontextmanager
async def their_relay(network: list[int]) -> AsyncIterator[bytes]:
    async with their_node(network, firewalled=False, ephemeral=False) as theirs:
        theirs.command(relay=None)
        yield bytes.fromhex(await theirs.expect("relaying"))


@asynccontextmanager
async def our_relay(network: list[int]) -> AsyncIterator[bytes]:
    running: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    key_pair = KeyPair.from_seed(os.urandom(32))
    relay = asyncio.ensure_future(
        run_relay(key_pair, [(HOST, port) for port in network[1:]], HOST, 0, ready=running.set_result)
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield await running
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


@pytest.fixture(params=[their_relay, our_relay])
async def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[list[int], bytes]]:
    """A network, and the key of a relay there, which our peers use at once."""
    for module in (dht_dialer, dht_listener):
        monkeypatch.setattr(module, "PUNCH_HEAD_START", 0.0)
    async with javascript_network() as network, request.param(network) as relay:
        yield network, relay


@asynccontextmanager
async def our_peer(network: list[int], relay_through: bytes | None = None) -> AsyncIterator[Ours]:
    """A node of ours that can neither be dialled directly nor be reached."""
    ours = Ours(network, relay_through=relay_through)
    try:
        await ours.discovery.start(ours.announcer)
        ours.discovery.node._may_serve = False
        await ours.discovery.node.ready()
        believe_in_a_firewall(ours)
        yield ours
    finally:
        await ours.discovery.close()


async def came(ours: Ours) -> Connection:
    async with asyncio.timeout(PATIENCE):
        return await opened(await ours.came.get())


async def talk_at_the_relay(ours: Connection, theirs: JavaScript) -> None:
    """Both send to one port, so to neither's own."""
    opening = await theirs.expect("open")
    theirs.command(where=None)
    assert await theirs.expect("port") == ours.address[1]
    await talk(ours, theirs, reported=opening)


@pytest.mark.parametrize("naming", ["we", "they"])
async def test_we_call_them_through_a_relay(place: tuple[list[int], bytes], naming: str) -> None:
    network, relay = place
    ours_names = relay if naming == "we" else None
    theirs_names = {"relay": relay.hex()} if naming == "they" else {}
    async with their_node(network, **FIREWALLED) as theirs, our_peer(network, ours_names) as ours:
        theirs.command(listen={**CALLED, **theirs_names})
        key = bytes.fromhex(await theirs.expect("listening"))
        connection = await opened(await ours.discovery.dial(key))
        assert connection.remote_public_key == key
        await talk_at_the_relay(connection, theirs)


@pytest.mark.parametrize("naming", ["we", "they"])
async def test_they_call_us_through_a_relay(place: tuple[list[int], bytes], naming: str) -> None:
    network, relay = place
    ours_names = relay if naming == "we" else None
    theirs_names = {"relay": relay.hex()} if naming == "they" else {}
    async with their_node(network, **FIREWALLED) as theirs, our_peer(network, ours_names) as ours:
        await ours.listen()
        theirs.command(connect={"key": ours.key_pair.public_key.hex(), **CALLING, **theirs_names})
        await talk_at_the_relay(await came(ours), theirs)


async def test_two_of_ours_meet_at_a_relay(place: tuple[list[int], bytes]) -> None:
    network, relay = place
    async with our_peer(network) as called, our_peer(network, relay) as caller:
        await called.listen()
        ours = await caller.discovery.dial(called.key_pair.public_key)
        ours, theirs = await asyncio.gather(opened(ours), came(called))
        assert ours.address == theirs.address
        await ours.write(bytes(1_000_000))
        assert await theirs.read(timeout=PATIENCE) == bytes(1_000_000)


async def test_two_of_theirs_meet_at_our_relay() -> None:
    async with (
        javascript_network() as network,
        our_relay(network) as relay,
        their_node(network, **FIREWALLED) as called,
        their_node(network, **FIREWALLED) as caller,
    ):
        called.command(listen=CALLED)
        key = await called.expect("listening")
        caller.command(connect={"key": key, "relay": relay.hex(), **CALLING})
        for peer in (called, caller):
            await peer.expect("open")
            peer.command(where=None)
        assert await called.expect("port") == await caller.expect("port")
        caller.command(write={"text": "hello"})
        assert (await called.expect("data"))["text"] == "hello"
