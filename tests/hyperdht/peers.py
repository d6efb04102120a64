"""Peers on a network of DHT nodes in one process: each calls and can be called."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from linkup_nb.connection.connection import Connection
from linkup_nb.hyperdht.dialer import DhtDialer
from linkup_nb.hyperdht.holepunch import Punchers
from linkup_nb.hyperdht.listener import DhtListener
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.relayed import Relays
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import network, start

PATIENCE = 20.0  # seconds until a test that still waits has failed


class Peer:
    """A key on a node of its own, which the network does not count on. It names the relay `through` to others.

    A second one on the same node shares the `punchers` of the first.
    """

    def __init__(self, node: DhtNode, through: bytes | None = None, punchers: Punchers | None = None) -> None:
        self.node = node
        self.key_pair = KeyPair.from_seed(os.urandom(32))
        self.key = self.key_pair.public_key
        self.came: asyncio.Queue[Connection] = asyncio.Queue()
        self.refused: set[bytes] = set()
        self.punchers = punchers or Punchers(node)
        anonymous = DhtDialer(node, KeyPair.from_seed(os.urandom(32)), self.punchers)
        self.relays = Relays(node, anonymous.reach, through)
        self.dialer = DhtDialer(node, self.key_pair, self.punchers, self.relays)
        self.listener = DhtListener(
            node, self.key_pair, self.punchers, self._refuses, self.came.put_nowait, self.relays
        )

    def _refuses(self, public_key: bytes) -> str | None:
        return "not you" if public_key in self.refused else None

    def hide(self) -> None:
        """Let its node think what it would behind a NAT that shows it to all at one address."""
        self.node._nat.open = False

    async def close(self) -> None:
        await self.listener.close()
        await self.relays.close()
        await self.node.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that no event reports."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.wait_for(asyncio.sleep(0.002), PATIENCE)


async def opened(calls: Connection, answers: Peer) -> Connection:
    """The other end of a connection, which both confirm."""
    calls.confirm()
    async with asyncio.timeout(PATIENCE):
        came = await answers.came.get()
        came.confirm()
        await asyncio.gather(calls.opened(), came.opened())
    return came


@asynccontextmanager
async def peers(count: int = 2, *, nodes: int = 4) -> AsyncIterator[list[Peer]]:
    """So many peers, the first of which can be called."""
    async with network(nodes) as net, AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            peer = Peer(await start([net[1].address], ephemeral=True))
            stack.push_async_callback(peer.close)
            made.append(peer)
        await made[0].listener.open()
        yield made
