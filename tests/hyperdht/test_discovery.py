"""Finding and connecting to peers through HyperDHT, as a swarm does."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.errors import UsageError
from linkup_nb.hyperdht import discovery as hyperdht
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.dht.records import PeerRecord
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.udx.events import Address
from tests.hyperdht.network import HOST, network
from tests.hyperdht.peers import until

PATIENCE = 20.0  # seconds until a test that still waits has failed
TOPIC, OTHER = os.urandom(32), os.urandom(32)


class Member:
    """A discovery, whom it has found, and who has called."""

    def __init__(self, bootstrap: Sequence[Address], port: int = 0) -> None:
        self.key_pair = KeyPair.from_seed(os.urandom(32))
        self.key = self.key_pair.public_key
        self.found: list[FoundPeer] = []
        self.came: asyncio.Queue[Connection] = asyncio.Queue()
        self.discovery = HyperDHT(bootstrap, host=HOST, port=port)
        self._announcer = Announcer(self.key_pair, admit=self.came.put_nowait, refuses=lambda key: None)

    async def start(self) -> "Member":
        await self.discovery.start(self._announcer)
        return self

    async def join(self, topic: bytes = TOPIC, *, server: bool = True, client: bool = True) -> None:
        await self.discovery.join(topic, server=server, client=client, found=self.found.append)

    @property
    def keys(self) -> set[bytes]:
        return {peer.public_key for peer in self.found}


@asynccontextmanager
async def members(count: int, nodes: int = 4) -> AsyncIterator[list[Member]]:
    async with network(nodes) as net:
        made = [await Member([net[0].address]).start() for _ in range(count)]
        try:
            yield made
        finally:
            await asyncio.gather(*(member.discovery.close() for member in made))


async def test_one_is_found_and_connected_to() -> None:
    async with members(2) as (server, client):
        await server.join(client=False)
        await client.join(server=False)
        assert (server.keys, client.keys) == (set(), {server.key})
        peer = client.found[0]
        assert (peer.addresses, peer.source) == ((), "hyperdht")
        assert peer.reach is not None
        ours = await peer.reach()
        ours.confirm()
        async with asyncio.timeout(PATIENCE):
            theirs = await server.came.get()
            theirs.confirm()
            await ours.opened()
        await ours.write(b"here I am")
        assert await theirs.read(timeout=PATIENCE) == b"here I am"
        await ours.close()
        await theirs.wait_closed()


async def test_of_two_who_come_at_once_one_sees_the_other() -> None:
    async with members(2) as (one, other):
        await asyncio.gather(one.join(), other.join())
        assert one.keys | other.keys >= {one.key} or one.keys | other.keys >= {other.key}
        assert one.key not in one.keys
        assert other.key not in other.keys
        await asyncio.gather(one.discovery.refresh(TOPIC), other.discovery.refresh(TOPIC))
        assert (one.keys, other.keys) == ({other.key}, {one.key})


async def test_one_who_only_looks_is_not_found() -> None:
    async with members(2) as (one, other):
        await one.join(server=False)
        await other.join()
        assert other.keys == set()
        assert one.discovery.announced == {}
        assert other.discovery.announced == {TOPIC: 4}


async def test_one_who_leaves_is_found_no_more() -> None:
    async with members(3) as (one, other, late):
        await one.join()
        await one.join(OTHER)
        await one.discovery.leave(TOPIC)
        await one.discovery.leave(bytes(32))
        await other.join(server=False)
        assert other.keys == set()
        await other.join(OTHER, server=False)
        assert other.keys == {one.key}
        await one.discovery.close()
        await late.join(OTHER, server=False)
        assert late.keys == set()


async def test_joining_again_replaces_what_was_agreed() -> None:
    async with members(2) as (one, other):
        await one.join()
        await one.join(server=False)
        assert one.discovery.announced == {}
        await other.join()
        assert other.keys == set()
        assert one.keys == set()
        await one.discovery.refresh(TOPIC)
        assert one.keys == {other.key}


async def test_joining_returns_though_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyperdht, "ENTER_TIMEOUT", 0.05)
    async with network(1) as (gone,):
        address = gone.address
    member = await Member([address]).start()
    joining = asyncio.ensure_future(member.join())
    async with asyncio.timeout(PATIENCE):
        await joining
    assert member.discovery.announced == {TOPIC: 0}
    await member.discovery.close()


async def test_one_who_comes_before_the_network_is_announced_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyperdht, "ENTER_TIMEOUT", 0.05)
    async with network(1) as (gone,):
        address = gone.address
    early = await Member([address]).start()
    await early.join()
    boot = DhtNode([], host=HOST, port=address[1], ephemeral=False)
    await boot.open()
    await until(lambda: early.discovery.announced[TOPIC])
    assert [record.public_key async for record in boot.lookup(TOPIC)] == [early.key]
    await early.discovery.close()
    await boot.close()


async def test_a_few_topics_are_looked_up_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyperdht, "MAX_AT_ONCE", 2)
    async with members(1) as (member,):
        busy = most = 0
        lookup = member.discovery.node.lookup

        async def watched(topic: bytes) -> AsyncIterator[PeerRecord]:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            async for record in lookup(topic):
                yield record
            busy -= 1

        monkeypatch.setattr(member.discovery.node, "lookup", watched)
        await asyncio.gather(*(member.join(os.urandom(32), server=False) for _ in range(6)))
        assert most == 2


async def test_a_port_that_is_taken_is_named() -> None:
    async with network(1) as (node,):
        taken = Member([], port=node.address[1])
        with pytest.raises(UsageError, match="cannot be had"):
            await taken.start()
        assert "cannot be had" in taken.discovery.describe()
        await taken.discovery.close()


async def test_it_says_how_it_goes() -> None:
    waiting = HyperDHT([(HOST, 49737)])
    assert waiting.describe() == "Peers in HyperDHT cannot be found: the search has not started."
    assert repr(waiting) == "HyperDHT(1 bootstrap nodes, 0 topics)"
    with pytest.raises(UsageError, match="has not been started"):
        _ = waiting.node
    await waiting.close()
    async with members(1) as (member,):
        await member.join()
        described = member.discovery.describe()
        port = member.discovery.node.address[1]
        assert described == f"Looking for peers in HyperDHT as {HOST}:{port} (topics announced there: 1)."
        assert member.discovery.this_machine_only
        assert dict(member.discovery.counters) == {}


async def test_the_key_of_a_relay_has_32_bytes() -> None:
    with pytest.raises(UsageError, match=r"relay_through is the key of a relay, 32 bytes; use bytes\.fromhex on"):
        HyperDHT([(HOST, 49737)], relay_through=b"short")


async def test_a_key_is_dialled_without_any_topic() -> None:
    async with members(1) as (server,):
        await server.join(client=False)
        caller = HyperDHT(server.discovery.node.bootstrap, host=HOST, port=0)
        ours = await caller.dial(server.key)
        ours.confirm()
        async with asyncio.timeout(PATIENCE):
            theirs = await server.came.get()
            theirs.confirm()
            await ours.opened()
        assert ours.remote_public_key == server.key
        assert theirs.remote_public_key not in {server.key, b""}
        await ours.close()
        await caller.close()


async def test_a_swarm_dials_a_key_as_itself_before_it_has_joined_anything() -> None:
    async with members(1) as (server,):
        await server.join(client=False)
        discovery = HyperDHT(server.discovery.node.bootstrap, host=HOST, port=0)
        swarm = Swarm(discovery=[discovery], host=HOST)
        ours = await asyncio.to_thread(asyncio.run, discovery.dial(server.key))  # from any thread and loop
        ours.confirm()
        async with asyncio.timeout(PATIENCE):
            theirs = await server.came.get()
        assert theirs.remote_public_key == swarm.public_key
        await swarm.close()


async def test_a_swarm_has_a_discovery_for_itself() -> None:
    discovery = HyperDHT([], host=HOST, port=0)
    Swarm(discovery=[discovery], host=HOST)
    with pytest.raises(UsageError, match="belongs to another swarm; give each swarm its own"):
        Swarm(discovery=[discovery], host=HOST)
