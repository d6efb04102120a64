"""Our way to connect through the DHT against the real `hyperdht`, each as caller and as the one who is called."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.errors import NotReachable, PeerTimeout
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.wire.keys import KeyPair

HOST = "127.0.0.1"
PATIENCE = 40.0  # seconds until a test that still waits has failed
PEER = Path(__file__).with_name("hyperdht_peer.js")
BIG = 1_000_000  # bytes


class JavaScript:
    """The process of `hyperdht_peer.js`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def command(self, **commands: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(commands).encode() + b"\n")

    async def expect(self, event: str) -> Any:
        """The contents of its next line, which has to be of this event."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE):
            reported = json.loads(await self._process.stdout.readline())
        assert list(reported) == [event], reported
        return reported[event]


@asynccontextmanager
async def javascript() -> AsyncIterator[JavaScript]:
    process = await asyncio.create_subprocess_exec("node", PEER, stdin=PIPE, stdout=PIPE)
    try:
        yield JavaScript(process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def javascript_network() -> AsyncIterator[list[int]]:
    """The ports of the nodes of a network in JavaScript."""
    async with javascript() as nodes:
        nodes.command(testnet=4)
        yield await nodes.expect("nodes")


@asynccontextmanager
async def their_node(network: list[int], **options: object) -> AsyncIterator[JavaScript]:
    async with javascript() as peer:
        peer.command(node={"bootstrap": network, **options})
        await peer.expect("node")
        yield peer


class Ours:
    """Our discovery on a network, and the connections that came to it."""

    def __init__(self, network: list[int], refuses: bytes = b"", relay_through: bytes | None = None) -> None:
        self.key_pair = KeyPair.from_seed(os.urandom(32))
        self.came: asyncio.Queue[Connection] = asyncio.Queue()
        bootstrap = [(HOST, port) for port in network[1:]]
        self.discovery = HyperDHT(bootstrap, host=HOST, port=0, relay_through=relay_through)
        reason = "not you"
        self.announcer = Announcer(
            self.key_pair, admit=self.came.put_nowait, refuses=lambda key: reason if key == refuses else None
        )

    async def start(self) -> None:
        await self.discovery.start(self.announcer)
        await self.discovery.node.ready()

    async def listen(self) -> bytes:
        """Be announced on a topic; returns it."""
        topic = os.urandom(32)
        await self.discovery.join(topic, server=True, client=False, found=lambda peer: None)
        return topic


@asynccontextmanager
async def our_node(network: list[int], **options: Any) -> AsyncIterator[Ours]:
    ours = Ours(network, **options)
    try:
        await ours.start()
        yield ours
    finally:
        await ours.discovery.close()


def believe_in_a_firewall(ours: Ours) -> None:
    """Let our node think what it would behind a NAT that shows it to all at one address."""
    ours.discovery.node._nat.open = False


async def opened(connection: Connection) -> Connection:
    connection.confirm()
    async with asyncio.timeout(PATIENCE):
        await connection.opened()
    return connection


async def talk(ours: Connection, theirs: JavaScript, *, reported: object = None) -> None:
    """Data both ways, and an end; `reported` is the event of its opening, if that was taken already."""
    assert (reported or await theirs.expect("open")) == {
        "publicKey": ours.remote_public_key.hex(),
        "remotePublicKey": ours.public_key.hex(),
        "handshakeHash": ours.handshake_hash.hex(),
    }
    assert ours.transport == "udx"
    theirs.command(write={"text": "hello from JavaScript"})
    assert await ours.read(timeout=PATIENCE) == b"hello from JavaScript"
    await ours.write(b"hello from Python")
    assert (await theirs.expect("data"))["text"] == "hello from Python"
    theirs.command(write={"size": BIG})
    assert await ours.read(timeout=PATIENCE) == bytes(BIG)
    await ours.write(bytes(BIG))
    assert (await theirs.expect("data"))["size"] == BIG
    await ours.close()
    assert await theirs.expect("end")
    assert await theirs.expect("close")
    assert ours.close_reason is None


@pytest.mark.parametrize(
    ("node", "server"),
    [
        ({"firewalled": False, "ephemeral": False}, {}),
        ({}, {}),
        ({}, {"shareLocalAddress": False}),
    ],
    ids=["open", "on the LAN", "behind a firewall"],
)
async def test_we_call_them(node: dict[str, Any], server: dict[str, Any]) -> None:
    async with javascript_network() as network, their_node(network, **node) as theirs, our_node(network) as ours:
        believe_in_a_firewall(ours)
        theirs.command(listen=server)
        key = bytes.fromhex(await theirs.expect("listening"))
        connection = await opened(await ours.discovery.dial(key))
        assert connection.remote_public_key == key
        await talk(connection, theirs)


async def test_we_call_them_and_they_send_first() -> None:
    async with javascript_network() as network, their_node(network) as theirs, our_node(network) as ours:
        theirs.command(listen={"shareLocalAddress": False})
        key = bytes.fromhex(await theirs.expect("listening"))
        await talk(await opened(await ours.discovery.dial(key)), theirs)


@pytest.mark.parametrize(
    ("firewalled", "options"),
    [
        (False, {}),
        (True, {}),
        (True, {"localConnection": False}),
        (True, {"localConnection": False, "fastOpen": False}),
    ],
    ids=["open", "on the LAN", "behind a firewall", "behind a firewall, in two rounds"],
)
async def test_they_call_us(firewalled: bool, options: dict[str, Any]) -> None:
    async with javascript_network() as network, their_node(network) as theirs, our_node(network) as ours:
        if firewalled:
            believe_in_a_firewall(ours)
        await ours.listen()
        theirs.command(connect={"key": ours.key_pair.public_key.hex(), **options})
        async with asyncio.timeout(PATIENCE):
            connection = await opened(await ours.came.get())
        await talk(connection, theirs)


async def test_an_open_caller_is_sent_to_first() -> None:
    async with (
        javascript_network() as network,
        their_node(network, firewalled=False, ephemeral=False) as theirs,
        our_node(network) as ours,
    ):
        believe_in_a_firewall(ours)
        await ours.listen()
        theirs.command(connect={"key": ours.key_pair.public_key.hex()})
        async with asyncio.timeout(PATIENCE):
            connection = await opened(await ours.came.get())
        await talk(connection, theirs)


async def test_a_peer_that_is_not_there_is_named() -> None:
    async with javascript_network() as network, our_node(network) as ours:
        with pytest.raises(NotReachable, match="No node of the network knows this peer"):
            await ours.discovery.dial(KeyPair.from_seed(os.urandom(32)).public_key)


async def test_they_refuse_us() -> None:
    async with javascript_network() as network, their_node(network) as theirs, our_node(network) as ours:
        theirs.command(listen={"refuse": ours.key_pair.public_key.hex()})
        key = bytes.fromhex(await theirs.expect("listening"))
        with pytest.raises(PeerTimeout, match="is known and does not answer"):
            await ours.discovery.dial(key)


async def test_each_finds_the_other_by_its_topic() -> None:
    async with javascript_network() as network, their_node(network) as theirs, our_node(network) as ours:
        topic = await ours.listen()
        theirs.command(lookup=topic.hex())
        assert await theirs.expect("found") == [ours.key_pair.public_key.hex()]
        theirs.command(listen={})
        key = bytes.fromhex(await theirs.expect("listening"))
        theirs.command(announce=topic.hex())
        await theirs.expect("announced")
        found: asyncio.Queue[FoundPeer] = asyncio.Queue()
        await ours.discovery.join(topic, server=False, client=True, found=found.put_nowait)
        peer = found.get_nowait()
        assert (peer.public_key, peer.addresses, peer.source) == (key, (), "hyperdht")
        assert peer.reach is not None
        await talk(await opened(await peer.reach()), theirs)
        theirs.command(lookup=topic.hex())
        assert await theirs.expect("found") == [key.hex()]
