"""One peer of a lab: what outlives its deaths, and the node while it lives."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from linkup_nb.errors import NodeClosed
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.network import Network
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.lab.hosts import PORT
from linkup_nb.lab.liar import LIARS, Liar
from linkup_nb.lab.state import PeerState
from linkup_nb.node import Node
from linkup_nb.rooms.files import write_private
from linkup_nb.rooms.memory.device import write_device
from linkup_nb.wire.dht.rpc import Address, node_id
from linkup_nb.wire.dht.store import DhtStore
from linkup_nb.wire.keys import blake2b_256

MAX_REMEMBERED = 64  # nodes by which a peer tries to enter the network that has been in it


@dataclass(slots=True, eq=False)
class LabPeer:
    """The peer of a number, which enters the network by the nodes in `names`; none for the first.

    With a `folder` it is a `Node` whose profile is there, its keys made from `seed`; else a `DhtNode` alone. What it
    keeps for others is kept in `store`, if that is given.
    """

    number: int
    host: str
    network: Network
    names: Sequence[Address]
    seed: int
    folder: Path | None
    store: DhtStore | None = None
    role: PeerState = PeerState.ALIVE  # while it lives
    is_alive: bool = False
    liar: Liar | None = None  # what its store tells others
    offset: float = 0.0  # seconds by which its wall clock is ahead
    node: Node | None = None  # stays when it dies, closed
    dht: DhtNode | None = None
    keys: frozenset[bytes] = frozenset()  # public keys by which others are connected with it
    name: str = ""  # what it called itself last

    @property
    def address(self) -> Address:
        """Where its node of the DHT listens."""
        return self.host, PORT

    @property
    def id(self) -> bytes:
        """The id of its node of the DHT."""
        return node_id(self.address)

    @property
    def state(self) -> PeerState:
        """What it is at the moment."""
        return self.role if self.is_alive else PeerState.DEAD

    def note_name(self) -> None:
        """See what it calls itself."""
        if self.node:
            with suppress(NodeClosed):
                self.name = self.node.name

    def clock(self) -> float:
        """Its wall clock, in seconds since 1970."""
        return time.time() + self.offset

    async def start(self) -> None:
        """Start its node, which is in no network yet; call `die` also if this fails."""
        if self.folder is None:
            self.name = f"node {self.number}"
            return
        is_new = await asyncio.to_thread(self._prepare, self.folder)
        discovery = HyperDHT(self.names, host=self.host, port=PORT, ephemeral=False, network=self.network)
        name = f"peer {self.number}" if is_new else None
        self.node = node = Node(self.folder, name=name, discovery=[discovery], clock=self.clock)
        await node.open()
        if self.liar:
            node.store.tell = self.liar
        self.name = node.name
        self.keys = frozenset((node.swarm.public_key, node.linkup_swarm.public_key))

    async def enter(self) -> None:
        """Let it be in the network from now on, which it enters in the background; call `die` also if this fails."""
        self.is_alive = True
        if self.node:
            [discovery] = self.node.swarm.discovery
            assert isinstance(discovery, HyperDHT)
            self.dht = await discovery.open()
        else:
            self.dht = DhtNode(
                self.names, host=self.host, port=PORT, ephemeral=False, network=self.network, store=self.store
            )
            await self.dht.open()

    async def die(self) -> None:
        """Free all that it has; with its host silenced before, nobody hears of it."""
        if self.is_alive and self.dht:
            self.names = self.dht.contacts[:MAX_REMEMBERED] or self.names  # as from its state file
        self.is_alive = False
        if self.dht:
            await self.dht.close()  # first, so that nothing else waits for replies
        if self.node:
            self.note_name()
            await self.node.close()

    def lie(self, node: Node, how: str) -> None:
        """Lie from now on about the logs in the store of its node, in one of the ways of `LIARS`."""
        self.liar, self.role = LIARS[how](node.store), PeerState.LIAR
        node.store.tell = self.liar

    def _prepare(self, folder: Path) -> bool:
        """Make its profile, with keys that repeat; false if it has one."""
        if folder.exists():
            return False
        folder.mkdir()
        write_private(folder / "seed", self._secret("identity"))
        write_device(folder / "device", self._secret("device"))
        return True

    def _secret(self, what: str) -> bytes:
        return blake2b_256(f"linkup_nb lab: {what} of peer {self.number}, seed {self.seed}".encode())
