"""Finding and connecting to peers through HyperDHT, the network that Hyperswarm, LinkUp and every Hyperdrive are on."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from linkup_nb.connection.addresses import is_loopback, offline
from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.check import Check, Outcome
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.discovery.topics import JoinedTopic, Topics
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.hyperdht.dialer import DhtDialer
from linkup_nb.hyperdht.doctor import examine
from linkup_nb.hyperdht.keepers import Keepers, KeeperWatch
from linkup_nb.hyperdht.listener import DhtListener
from linkup_nb.hyperdht.network import USUAL, Network
from linkup_nb.hyperdht.node import PUBLIC_BOOTSTRAP, DhtNode
from linkup_nb.hyperdht.own_addresses import is_open
from linkup_nb.hyperdht.relayed import Relays
from linkup_nb.hyperdht.shared_node import SharedNode
from linkup_nb.hyperdht.view import DhtView
from linkup_nb.loops import Tasks, every, from_any_loop
from linkup_nb.wire.dht.records import MAX_RELAYS
from linkup_nb.wire.keys import KEY_SIZE, KeyPair
from linkup_nb.wire.udx.events import Address

MAX_AT_ONCE = 8  # topics that are announced, looked up or withdrawn at a time
LOOK_EVERY = 600.0  # seconds between two rounds of announcing and looking; records are kept for 20 minutes
ENTER_TIMEOUT = 5.0  # seconds for which a first join or dial waits until the network is entered
WITHDRAW_TIMEOUT = 2.0  # seconds for the nodes to forget us when we leave a topic
CLOSE_TIMEOUT = 4.0  # seconds for them to forget us on all topics


@dataclass(slots=True, eq=False)
class _HyperDhtTopic(JoinedTopic):
    keepers: tuple[Address, ...] = ()  # nodes that keep our announcement


class HyperDHT:
    """A `Discovery` through HyperDHT: the public network, or a private one that is entered by `bootstrap`.

    It listens on UDP at `host` and `port` (`None`: 49737 or one near it; with `LINKUP_OFFLINE=1` the host is
    127.0.0.1), and keeps the nodes that it knows in the file `state`. Peers are found, and connected to, in JavaScript
    as well: so it is the topic itself that is announced, with our key, and whoever knows it finds us. A peer that is
    found need not know more than that; what a room sends to its members has to be protected by the room.

    It belongs to one swarm, which gives it an identity; `share` makes one for another swarm on the same node.

    Peers that are behind firewalls through which no hole can be punched are connected with through a relay, if they
    name one or we do: `relay_through` is the 32-byte key that `linkup-nb relay` prints. It cannot read what it carries.

    Our node keeps things for others with `ephemeral=False`, does not with `True`, and else finds out whether it can.
    """

    name = "hyperdht"

    def __init__(
        self,
        bootstrap: Sequence[Address] = PUBLIC_BOOTSTRAP,
        *,
        host: str | None = None,
        port: int | None = None,
        state: Path | None = None,
        relay_through: bytes | None = None,
        ephemeral: bool | None = None,
        network: Network = USUAL,
        _shared: SharedNode | None = None,
    ) -> None:
        if relay_through is not None and len(relay_through) != KEY_SIZE:
            raise UsageError(f"relay_through is the key of a relay, {KEY_SIZE} bytes; use bytes.fromhex on its text.")
        self.this_machine_only = offline() or (host is not None and is_loopback(host))
        self._shared = _shared or SharedNode(
            bootstrap, host=host, port=port, state=state, ephemeral=ephemeral, network=network
        )
        self._host = host
        self._relay_through = relay_through
        self._loop: asyncio.AbstractEventLoop  # of our swarm; without one, where we were first used
        self._has_loop = False
        self._node: DhtNode | None = None
        self._relays: Relays
        self._dialer: DhtDialer
        self._announcer: Announcer | None = None
        self._listener: DhtListener | None = None
        self._listening: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._tasks = Tasks()
        self._topics = Topics(
            _HyperDhtTopic,
            self._look,
            self._withdraw,
            pause=lambda topic: LOOK_EVERY,
            patience=ENTER_TIMEOUT,
            at_once=MAX_AT_ONCE,
        )

    def __repr__(self) -> str:
        return f"HyperDHT({len(self._shared.bootstrap)} bootstrap nodes, {len(self._topics)} topics)"

    def share(self) -> "HyperDHT":
        """A discovery on the same node for another swarm: with a key pair, topics and relay offers of its own."""
        return HyperDHT(
            self._shared.bootstrap, host=self._host, relay_through=self._relay_through, _shared=self._shared
        )

    async def open(self) -> DhtNode:
        """Our node of the network, which serves others and can be looked at before our first topic; enters it.

        Raises `UsageError` if the port cannot be had.
        """
        self._take_loop()
        return await self._open()

    @property
    def node(self) -> DhtNode:
        """Our node of the network; raises `UsageError` before the first topic or dial."""
        if self._node is None:
            raise UsageError("This discovery has not been started; a swarm starts it when it joins its first topic.")
        return self._node

    @property
    def announced(self) -> Mapping[bytes, int]:
        """At how many nodes we are announced, by topic."""
        return {topic.topic: len(topic.keepers) for topic in self._topics if topic.server}

    @property
    def counters(self) -> Mapping[str, int]:
        """What came from strangers and was dropped, by reason."""
        if self._node is None:
            return {}
        return self._node.counters + (self._listener.counters if self._listener is not None else Counter())

    def belong_to(self, announcer: Announcer) -> None:
        """Have the identity of a swarm, on whose loop this is called; `start` follows with its first topic.

        Raises `UsageError` if it belongs to another swarm: that one needs a `share` of its own.
        """
        if self._announcer is not None and self._announcer is not announcer:
            raise UsageError("This discovery belongs to another swarm; give each swarm its own, by its share().")
        self._announcer = announcer
        self._take_loop()

    async def start(self, announcer: Announcer) -> None:
        """Listen, and enter the network in the background; raises `UsageError` if the port cannot be had."""
        self.belong_to(announcer)
        node = await self._open()
        punchers = self._shared.punchers
        self._listener = DhtListener(node, announcer.key_pair, punchers, self._refuses, self._admit, self._relays)
        node.on("wakeup", self._wake_up)
        self._tasks.start(self._enter(node), "hyperdht: entering the network")
        watch = KeeperWatch(node, lambda: [topic.keepers for topic in self._topics], self._renew)
        self._tasks.start(watch.run(), "hyperdht: watching the keepers of our announcements")

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """See `Discovery`; while the network cannot be entered, it returns all the same and announces when it can."""
        await self._topics.join(topic, server=server, client=client, found=found)

    async def leave(self, topic: bytes) -> None:
        """See `Discovery`."""
        await self._topics.leave(topic)

    async def refresh(self, topic: bytes) -> None:
        """See `Discovery`."""
        await self._topics.refresh(topic)

    async def dial(self, public_key: bytes, relays: Sequence[Address] = ()) -> Connection:
        """Connect to the owner of a key, whether or not a topic has been joined; `relays` may know the peer.

        It dials with the key pair of its swarm; without a swarm with one that nobody knows, then `close` it in the end.
        The connection is established; confirm it and wait until it is open. Raises a `PeerError` with the reason why
        there is none: `NotReachable`, `PeerTimeout` or `HandshakeError`.
        """
        self._take_loop()
        return await self._dial(public_key, relays)

    async def close(self) -> None:
        """See `Discovery`; connections over UDX end with the node."""
        await self._topics.close(CLOSE_TIMEOUT)
        await self._tasks.cancel()
        node, self._node = self._node, None
        if node is not None:
            if self._listener is not None:
                node.remove_listener("wakeup", self._wake_up)
                await self._listener.close()
            await self._dialer.close()
            await self._relays.close()
            await self._shared.release()

    def view(self) -> DhtView | None:
        """Our node at this moment; `None` before `start`."""
        return self._node.view() if self._node is not None else None

    async def examine(self) -> list[Check]:
        """What keeps us from the network, or others from finding us there."""
        if self._node is None:
            return [Check(self.name, Outcome.WARNING, self.describe())]
        return await examine(self._node, self.announced)

    def describe(self) -> str:
        """One sentence for the user."""
        if self._node is None:
            return f"Peers in HyperDHT cannot be found: {self._shared.trouble}."
        topics = sum(map(bool, self.announced.values()))
        seen = f"as {self._node.public_address[0]}:{self._node.public_address[1]}" if self._node.public_address else ""
        return f"Looking for peers in HyperDHT {seen} (topics announced there: {topics}).".replace("  ", " ")

    def _take_loop(self) -> None:
        if not self._has_loop:
            self._loop, self._has_loop = asyncio.get_running_loop(), True

    @from_any_loop
    async def _dial(self, public_key: bytes, relays: Sequence[Address]) -> Connection:
        node = await self._open()
        with suppress(TimeoutError):
            async with asyncio.timeout(ENTER_TIMEOUT):
                await node.ready()
        return await self._dialer.dial(public_key, relays)

    def _refuses(self, public_key: bytes) -> str | None:
        assert self._announcer is not None
        return self._announcer.refuses(public_key)

    def _admit(self, connection: Connection) -> None:
        assert self._announcer is not None
        self._announcer.admit(connection)

    async def _open(self) -> DhtNode:
        """Open the node, and a dialer on it."""
        async with self._opening:
            if self._node is None:
                node, punchers = await self._shared.acquire(), self._shared.punchers
                nobody = KeyPair.from_seed(os.urandom(KEY_SIZE))  # relays, and peers without a swarm, need not know us
                self._relays = Relays(node, DhtDialer(node, nobody, punchers).reach, self._relay_through)
                own = self._announcer.key_pair if self._announcer is not None else nobody
                self._dialer = DhtDialer(node, own, punchers, self._relays)
                self._node = node
            return self._node

    async def _enter(self, node: DhtNode) -> None:
        try:
            await node.ready()
        except NodeClosed:  # before it had entered
            return
        self._topics.entered.set()
        self._topics.hurry()

    def _renew(self, keepers: Keepers) -> None:
        for topic in self._topics:
            if topic.keepers == keepers:
                topic.due.set()

    def _wake_up(self) -> None:
        self._tasks.start(self._announce_anew(), "hyperdht: announcing after sleep")

    async def _announce_anew(self) -> None:
        if self._listener is not None and self._listening is not None:
            await self._listener.announcement.announce()
        await every([self._topics.refresh(topic.topic) for topic in self._topics])

    async def _listen(self) -> DhtListener:
        """Take calls, once there is a topic on which we are announced."""
        assert self._listener is not None, "joined before it was started"
        if self._listening is None:
            self._listening = self._tasks.start(self._listener.open(), "hyperdht: listening")
        await asyncio.shield(self._listening)
        return self._listener

    async def _look(self, topic: _HyperDhtTopic) -> None:
        if not self._topics.entered.is_set():
            return
        if not topic.server:
            await self._look_up(topic)
            return
        await asyncio.gather(self._look_up(topic), self._announce(topic))
        # Two peers that join at once may both have looked before the other announced; now one of them finds the other.
        await self._look_up(topic)

    async def _look_up(self, topic: _HyperDhtTopic) -> None:
        if not topic.client or self._announcer is None:
            return
        async for record in self.node.lookup(topic.topic):
            if record.public_key != self._announcer.key_pair.public_key and not topic.left:
                reach = partial(self._dialer.dial, record.public_key, record.relays)
                topic.found(FoundPeer(record.public_key, (), self.name, reach))

    async def _announce(self, topic: _HyperDhtTopic) -> None:
        assert self._announcer is not None, "joined before it was started"
        listener = await self._listen()
        relays = listener.announcement.addresses
        if is_open(self.node) and self.node.public_address is not None:
            relays = (self.node.public_address, *relays)
        answers = await self.node.announce(topic.topic, self._announcer.key_pair, relays[:MAX_RELAYS])
        topic.keepers = tuple(answer.sender for answer in answers)

    async def _withdraw(self, topic: _HyperDhtTopic) -> None:
        keepers, topic.keepers = topic.keepers, ()
        if keepers and self._announcer is not None:
            with suppress(TimeoutError, NodeClosed):
                async with asyncio.timeout(WITHDRAW_TIMEOUT):
                    await self.node.unannounce(topic.topic, self._announcer.key_pair, keepers)
