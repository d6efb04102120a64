"""Finding and connecting to peers through HyperDHT, the network that Hyperswarm, LinkUp and every Hyperdrive are on."""

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from linkup_nb.connection.addresses import is_loopback, offline
from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.check import Check, Outcome
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.hyperdht.dialer import DhtDialer, is_open
from linkup_nb.hyperdht.doctor import examine
from linkup_nb.hyperdht.holepunch import Punchers
from linkup_nb.hyperdht.listener import DhtListener
from linkup_nb.hyperdht.node import PUBLIC_BOOTSTRAP, DhtNode
from linkup_nb.hyperdht.relayed import Relays
from linkup_nb.hyperdht.view import DhtView
from linkup_nb.loops import Tasks, every
from linkup_nb.wire.dht.records import MAX_RELAYS
from linkup_nb.wire.keys import KEY_SIZE, KeyPair
from linkup_nb.wire.udx.events import Address

MAX_AT_ONCE = 8  # topics that are announced or looked up at a time
LOOK_EVERY = 600.0  # seconds between two rounds of announcing and looking; records are kept for 20 minutes
ENTER_TIMEOUT = 5.0  # seconds for which a first join waits until the network is entered
WITHDRAW_TIMEOUT = 2.0  # seconds for the nodes to forget us when we leave a topic


@dataclass(slots=True)
class _Topic:
    topic: bytes
    server: bool
    client: bool
    found: Callable[[FoundPeer], None]
    keepers: tuple[Address, ...] = ()  # nodes that keep our announcement
    task: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    left: bool = False


class HyperDHT:
    """A `Discovery` through HyperDHT: the public network, or a private one that is entered by `bootstrap`.

    It listens on UDP at `host` and `port` (`None`: 49737 or one near it; with `LINKUP_OFFLINE=1` the host is
    127.0.0.1), and keeps the nodes that it knows in the file `state`. Peers are found, and connected to, in JavaScript
    as well: so it is the topic itself that is announced, with our key, and whoever knows it finds us. A peer that is
    found need not know more than that; what a room tells its members has to be protected by the room.

    Peers that are behind firewalls through which no hole can be punched are connected with through a relay, if they
    name one or we do: `relay_through` is the 32-byte key that `linkup-nb relay` prints. It cannot read what it carries.
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
    ) -> None:
        if relay_through is not None and len(relay_through) != KEY_SIZE:
            raise UsageError(f"relay_through is the key of a relay, {KEY_SIZE} bytes; use bytes.fromhex(…) on its text")
        self.this_machine_only = offline() or (host is not None and is_loopback(host))
        self._bootstrap = tuple(bootstrap)
        self._host = host
        self._port = port
        self._state = state
        self._relay_through = relay_through
        self._node: DhtNode | None = None
        self._announcer: Announcer
        self._dialer: DhtDialer
        self._listener: DhtListener
        self._relays: Relays
        self._listening: asyncio.Task[None] | None = None
        self._topics: dict[bytes, _Topic] = {}
        self._tasks = Tasks()
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        self._entered = asyncio.Event()
        self._trouble = "the search has not started"

    def __repr__(self) -> str:
        return f"HyperDHT({len(self._bootstrap)} bootstrap nodes, {len(self._topics)} topics)"

    @property
    def node(self) -> DhtNode:
        """Our node of the network; raises `UsageError` before `start`."""
        if self._node is None:
            raise UsageError("this discovery has not been started; a swarm starts it when it joins its first topic")
        return self._node

    @property
    def announced(self) -> Mapping[bytes, int]:
        """At how many nodes we are announced, by topic."""
        return {topic.topic: len(topic.keepers) for topic in self._topics.values() if topic.server}

    @property
    def counters(self) -> Mapping[str, int]:
        """What came from strangers and was dropped, by reason."""
        return self.node.counters + self._listener.counters if self._node is not None else {}

    async def start(self, announcer: Announcer) -> None:
        """Listen, and enter the network in the background; raises `UsageError` if the port cannot be had."""
        node = DhtNode(self._bootstrap, host=self._host, port=self._port, state=self._state)
        try:
            await node.open()
        except UsageError as error:
            self._trouble = str(error).rstrip(".")
            raise
        except asyncio.CancelledError:
            await node.close()
            raise
        self._node = node
        self._announcer = announcer
        punchers = Punchers(node)
        anonymous = DhtDialer(node, KeyPair.from_seed(os.urandom(KEY_SIZE)), punchers)
        self._relays = relays = Relays(node, anonymous.reach, self._relay_through)
        self._dialer = DhtDialer(node, announcer.key_pair, punchers, relays)
        self._listener = DhtListener(node, announcer.key_pair, punchers, self._refuses, self._admit, relays)
        node.on("wakeup", self._wake_up)
        self._tasks.start(self._enter(), "hyperdht: entering the network")

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """See `Discovery`; while the network cannot be entered, it returns all the same and announces when it can."""
        joined = self._topics.setdefault(topic, _Topic(topic, server, client, found))
        joined.server, joined.client, joined.found = server, client, found
        with suppress(TimeoutError):
            async with asyncio.timeout(ENTER_TIMEOUT):
                await self._entered.wait()
        if not server:
            await self._withdraw(joined)
        await self._look(joined)
        if joined.task is None and self._topics.get(topic) is joined:
            joined.task = self._tasks.start(self._keep_looking(joined), "hyperdht: looking for peers")

    async def leave(self, topic: bytes) -> None:
        """See `Discovery`."""
        if left := self._topics.pop(topic, None):
            left.left = True
            if left.task:
                left.task.cancel()
            await self._withdraw(left)

    async def refresh(self, topic: bytes) -> None:
        """See `Discovery`."""
        if joined := self._topics.get(topic):
            await self._look(joined)

    async def dial(self, public_key: bytes, relays: Sequence[Address] = ()) -> Connection:
        """Connect to the owner of a key; `relays` are nodes that may pass messages on to it.

        The connection is established; confirm it and wait until it is open. Raises a `PeerError` whose words say why
        there is none: `NotReachable`, `PeerTimeout` or `HandshakeError`.
        """
        return await self._dialer.dial(public_key, relays)

    async def close(self) -> None:
        """See `Discovery`; connections over UDX end with the node."""
        await every([self.leave(topic) for topic in list(self._topics)])
        await self._tasks.cancel()
        if self._node is not None:
            await self._listener.close()
            await self._relays.close()
            await self._node.close()

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
            return f"Peers in HyperDHT cannot be found: {self._trouble}."
        topics = sum(map(bool, self.announced.values()))
        seen = f"as {self._node.public_address[0]}:{self._node.public_address[1]}" if self._node.public_address else ""
        return f"Looking for peers in HyperDHT {seen} (topics announced there: {topics}).".replace("  ", " ")

    def _refuses(self, public_key: bytes) -> str | None:
        return self._announcer.refuses(public_key)

    def _admit(self, connection: Connection) -> None:
        self._announcer.admit(connection)

    async def _enter(self) -> None:
        await self.node.ready()
        early = list(self._topics.values())
        self._entered.set()
        await every([self._look(topic) for topic in early if topic.task is not None])

    def _wake_up(self) -> None:
        self._tasks.start(self._announce_anew(), "hyperdht: announcing after sleep")

    async def _announce_anew(self) -> None:
        if self._listening is not None:
            await self._listener.announcement.announce()
        await every([self._look(topic) for topic in list(self._topics.values())])

    async def _listen(self) -> None:
        """Take calls, once there is a topic on which we are announced."""
        if self._listening is None:
            self._listening = self._tasks.start(self._listener.open(), "hyperdht: listening")
        await asyncio.shield(self._listening)

    async def _keep_looking(self, topic: _Topic) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY * random.uniform(1.0, 1.2))
            await self._look(topic)

    async def _look(self, topic: _Topic) -> None:
        async with topic.turn, self._at_once:
            if topic.left or not self._entered.is_set():
                return
            if not topic.server:
                await self._look_up(topic)
                return
            await asyncio.gather(self._look_up(topic), self._announce(topic))
            # Two who come at once may both have looked before the other announced; now one of them will see.
            await self._look_up(topic)

    async def _look_up(self, topic: _Topic) -> None:
        if not topic.client:
            return
        async for record in self.node.lookup(topic.topic):
            if record.public_key != self._announcer.key_pair.public_key and not topic.left:
                reach = partial(self.dial, record.public_key, record.relays)
                topic.found(FoundPeer(record.public_key, (), self.name, reach))

    async def _announce(self, topic: _Topic) -> None:
        await self._listen()
        relays = self._listener.announcement.addresses
        if is_open(self.node) and self.node.public_address is not None:
            relays = (self.node.public_address, *relays)
        answers = await self.node.announce(topic.topic, self._announcer.key_pair, relays[:MAX_RELAYS])
        topic.keepers = tuple(answer.sender for answer in answers)

    async def _withdraw(self, topic: _Topic) -> None:
        async with topic.turn:
            keepers, topic.keepers = topic.keepers, ()
            if keepers:
                with suppress(TimeoutError, NodeClosed):
                    async with asyncio.timeout(WITHDRAW_TIMEOUT):
                        await self.node.unannounce(topic.topic, self._announcer.key_pair, keepers)
