"""Finding peers in a private Kademlia network: a class or a company runs a node that everybody names."""

import asyncio
import itertools
import random
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from linkup_nb.connection.addresses import MAX_ADDRESSES, is_loopback, lan_addresses, offline, resolve
from linkup_nb.discovery.check import Bootstrap, Check, Outcome, knock
from linkup_nb.discovery.protocol import Announcer, FoundPeer, membership_proof
from linkup_nb.discovery.topics import JoinedTopic, Topics
from linkup_nb.discovery.view import NetworkView
from linkup_nb.errors import PeerTimeout, UsageError
from linkup_nb.kademlia.announcements import ANNOUNCEMENT_TTL, Address, Announcement
from linkup_nb.kademlia.node import Found, KademliaNode
from linkup_nb.kademlia.rpc import Ping, RpcEndpoint
from linkup_nb.loops import Tasks
from linkup_nb.wire.keys import KEY_SIZE, KeyPair, discovery_key

BOOTSTRAP_PORT = 8468  # as in the examples of the package `kademlia`
LOOK_EVERY = 60.0  # seconds between two look-ups of a topic
ANNOUNCE_EVERY = 300.0  # seconds; announcements last ANNOUNCEMENT_TTL, four times as long
ANNOUNCE_TIMEOUT = 1.0  # seconds for all nodes together to acknowledge an announcement
CLOSE_TIMEOUT = 2.0  # seconds for them to forget us on all topics
WITHDRAW_TIMEOUT = 0.3  # seconds for them to acknowledge its end; closing takes as long if one is dead
MAX_AT_ONCE = 16  # topics that look up, announce or withdraw at a time; the others wait for their turn
TIDY_EVERY = 60.0  # seconds between two rounds of forgetting the expired and pinging the silent
NEIGHBOURS_EVERY = 10  # rounds of tidying between two searches for our own neighbours
FIRST_RETRY, MAX_RETRY = 1.0, 60.0  # seconds between attempts to reach a bootstrap peer, doubling from first to max
ENTER_TIMEOUT = 3.0  # seconds for which a join waits until the bootstrap peers have been tried


def parse_peer(peer: str) -> Address:
    """The bootstrap peer that is written `host:port`; raises `UsageError` for other text."""
    host, colon, port = peer.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        raise UsageError(
            f"A bootstrap peer is written host:port, such as 192.168.1.5:{BOOTSTRAP_PORT}, or hyperdht:host:port if it "
            f"is a node of HyperDHT, not {peer!r}."
        )
    return _check_peer(host, int(port))


def _check_peer(host: str, port: int) -> Address:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", host):
        raise UsageError(f"A bootstrap peer is named by an IPv4 address or a host name, not by {host!r}.")
    if not 0 < port < 65536:
        raise UsageError(f"The port of a bootstrap peer is 1 to 65535, not {port}; {host} prints it when it starts.")
    return host, port


@dataclass(slots=True, eq=False)
class _KademliaTopic(JoinedTopic):
    target: bytes = b""
    addresses: tuple[Address, ...] = ()  # where we are, as last announced
    announce_at: float = 0.0  # monotonic seconds, when to announce again; 0 while no other node keeps it
    keepers: Mapping[Address, bytes] = field(default_factory=dict)  # a token for each node that has it


class Kademlia:
    """A `Discovery` through a Kademlia network that is entered through any of its nodes: the bootstrap peers.

    Every peer is a node as well, on UDP at `host` and `port` (0 takes a free one; with `LINKUP_OFFLINE=1` the host is
    127.0.0.1). When no bootstrap peer replies, it goes on trying. Raises `UsageError` for a peer that cannot be one.
    """

    name = "kademlia"

    def __init__(self, bootstrap: Sequence[Address] = (), *, host: str = "0.0.0.0", port: int = 0) -> None:
        self.this_machine_only = offline() or is_loopback(host)
        self._bootstrap = [_check_peer(*peer) for peer in bootstrap]
        self._listen_on = ("127.0.0.1" if offline() else host, port)
        self._announcer: Announcer | None = None
        self._node = KademliaNode()
        self._topics = Topics(
            lambda topic: _KademliaTopic(topic, target=discovery_key(topic)),
            self._look,
            self._withdraw,
            pause=lambda topic: LOOK_EVERY if topic.client else ANNOUNCE_EVERY,
            patience=ENTER_TIMEOUT,
            at_once=MAX_AT_ONCE,
        )
        self._tasks = Tasks()
        self._cut_off = asyncio.Event()
        self._expires = 0  # unix milliseconds, of the last announcement; the next one expires later
        self._trouble = "the search has not started"

    def share(self) -> "Kademlia":
        """A node of its own in the same network, for another swarm."""
        return Kademlia(self._bootstrap, host=self._listen_on[0])

    @property
    def address(self) -> Address:
        """Where this node listens; port 0 before it is started."""
        return self._node.address

    @property
    def counters(self) -> Mapping[str, int]:
        """How much that other nodes sent was dropped, by reason."""
        return MappingProxyType(dict(self._node.counters))

    def view(self) -> NetworkView | None:
        """The node at this moment; `None` before it is started."""
        return self._node.view() if self._announcer else None

    async def start(self, announcer: Announcer) -> None:
        """Listen, and enter the network in the background; raises `UsageError` if the port cannot be had."""
        self._announcer = announcer
        host, port = self._listen_on
        try:
            await self._node.open(host, port)
        except OSError as error:
            self._trouble = f"UDP port {port} of {host} cannot be had ({error.strerror or error}); choose another"
            raise UsageError(f"{self._trouble}.") from error
        self._tasks.start(self._enter(), "kademlia: entering the network")
        self._tasks.start(self._tidy(), "kademlia: tidying")

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """See `Discovery`; while no bootstrap peer replies, it returns all the same and announces when one does."""
        await self._topics.join(topic, server=server, client=client, found=found)

    async def leave(self, topic: bytes) -> None:
        """See `Discovery`."""
        await self._topics.leave(topic)

    async def refresh(self, topic: bytes) -> None:
        """See `Discovery`."""
        self._announce_again(topic)
        await self._topics.refresh(topic)

    async def close(self) -> None:
        """See `Discovery`."""
        await self._topics.close(CLOSE_TIMEOUT)
        await self._tasks.cancel()
        self._node.close()

    async def examine(self) -> list[Check]:
        """Whether each bootstrap peer replies, and how many nodes are in reach."""
        knocks = await _knock(self._bootstrap, self._node.ping)
        outcome = Outcome.OK if self._node.contacts else Outcome.FAILED
        return [*knocks, Check(self.name, outcome, self.describe())]

    def describe(self) -> str:
        """One sentence for the user."""
        if self._trouble and not self._node.contacts:
            return f"Peers in a Kademlia network cannot be found: {self._trouble}."
        known = len(self._node.contacts)
        nodes = "1 other node" if known == 1 else f"{known} other nodes"
        announced = sum(bool(topic.addresses and topic.announce_at) for topic in self._topics)
        return f"Looking for peers in a Kademlia network with {nodes} in reach (topics announced there: {announced})."

    def __repr__(self) -> str:
        return f"Kademlia({self._bootstrap}, host={self._listen_on[0]!r}, port={self._listen_on[1]})"

    async def _enter(self) -> None:
        if not self._bootstrap:
            host, port = self._node.address
            self._trouble = f"no bootstrap peer is named, and no other node has come to {host}:{port}"
            self._topics.entered.set()
            return
        names = ", ".join(f"{host}:{port}" for host, port in self._bootstrap)
        self._trouble = f"no reply yet from {names}"
        retry = FIRST_RETRY
        while True:
            addresses = await self._resolve()
            if await self._node.join(addresses):
                retry = FIRST_RETRY
                self._topics.entered.set()
                self._cut_off.clear()
                self._announce_again()
                self._topics.hurry()
                await self._cut_off.wait()
            elif addresses or not offline():
                self._trouble = f"no reply from {names}, which is pinged again and again"
            else:
                self._trouble = f"LINKUP_OFFLINE=1 keeps this node from {names}"
            self._topics.entered.set()
            await asyncio.sleep(retry * random.uniform(0.8, 1.2))
            retry = min(2 * retry, MAX_RETRY)

    async def _resolve(self) -> list[Address]:
        found = await asyncio.gather(*(resolve(host, port) for host, port in self._bootstrap))
        return list(dict.fromkeys(address for addresses in found for address in addresses))

    async def _tidy(self) -> None:
        for turn in itertools.count(1):
            await asyncio.sleep(TIDY_EVERY * random.uniform(0.8, 1.2))
            self._node.tick()
            if turn % NEIGHBOURS_EVERY == 0:
                await self._node.find_neighbours()
            if not self._node.contacts:
                self._cut_off.set()

    def _announce_again(self, only: bytes | None = None) -> None:
        """Announce at the next look, whenever the last time was."""
        for topic in self._topics:
            if only in (None, topic.topic):
                topic.announce_at = 0.0

    async def _look(self, topic: _KademliaTopic) -> None:
        found = await self._node.look_up(topic.target)
        if not found.tokens:
            self._cut_off.set()
        self._report(topic, found)
        addresses = self._addresses()
        due = addresses != topic.addresses or time.monotonic() >= topic.announce_at
        if topic.server and addresses and due and not topic.left:
            await self._announce(topic, addresses, found.tokens)
            # Two peers that join at once may both have looked before the other announced; now one finds the other.
            await self._node.look_again(topic.target, found)
            self._report(topic, found)

    def _report(self, topic: _KademliaTopic, found: Found) -> None:
        if not topic.client or topic.left:
            return
        for announcement in found.announcements.values():
            if not self._announcer or announcement.public_key == self._announcer.key_pair.public_key:
                continue
            if announcement.proof != membership_proof(topic.topic, announcement.public_key):
                self._node.counters["announcements ignored: no proof of knowing the topic"] += 1
            else:
                topic.found(FoundPeer(announcement.public_key, announcement.addresses, self.name))

    def _addresses(self) -> tuple[Address, ...]:
        if not self._announcer or not self._announcer.port:
            return ()
        ipv4 = [host for host in self._announcer.hosts if ":" not in host]
        return tuple((host, self._announcer.port) for host in ipv4[:MAX_ADDRESSES])

    async def _announce(
        self, topic: _KademliaTopic, addresses: tuple[Address, ...], keepers: Mapping[Address, bytes]
    ) -> None:
        # Noted before it is sent, so that leaving in between withdraws it.
        topic.addresses, topic.keepers = addresses, keepers
        topic.announce_at = time.monotonic() + ANNOUNCE_EVERY
        if not await self._send(topic, addresses, ANNOUNCE_TIMEOUT):
            topic.announce_at = 0.0

    async def _withdraw(self, topic: _KademliaTopic) -> None:
        if topic.addresses:
            topic.addresses = ()
            await self._send(topic, (), WITHDRAW_TIMEOUT)

    async def _send(self, topic: _KademliaTopic, addresses: tuple[Address, ...], timeout: float) -> int:
        assert self._announcer is not None, "joined before it was started"
        self._expires = max(self._expires + 1, int((time.time() + ANNOUNCEMENT_TTL) * 1000))
        key_pair = self._announcer.key_pair
        proof = membership_proof(topic.topic, key_pair.public_key)
        announcement = Announcement.sign(key_pair, topic.target, proof, addresses, self._expires)
        return await self._node.announce(topic.target, announcement, topic.keepers, timeout=timeout)


async def knock_on(peers: Sequence[Address]) -> list[Bootstrap]:
    """Whether each of these bootstrap peers replies. Whoever knocks is no node: nobody keeps it as a contact."""
    endpoint = RpcEndpoint()
    listen_on = ("127.0.0.1" if offline() else "0.0.0.0", 0)
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: endpoint, local_addr=listen_on, family=socket.AF_INET
    )

    async def ping(address: Address) -> float | None:
        sent_at = time.monotonic()
        return time.monotonic() - sent_at if await endpoint.request(address, Ping()) is not None else None

    try:
        return await _knock(peers, ping)
    finally:
        endpoint.close()


async def _knock(peers: Sequence[Address], ping: Callable[[Address], Awaitable[float | None]]) -> list[Bootstrap]:
    async def of(host: str, port: int) -> float:
        for address in await resolve(host, port):
            rtt = await ping(address)
            if rtt is not None:
                return rtt
            raise PeerTimeout(f"{address[0]}:{address[1]} does not reply.")
        raise PeerTimeout(f"No host is called {host}: check the name.")

    return list(await asyncio.gather(*(knock(host, port, partial(of, host, port)) for host, port in peers)))


async def run_bootstrap(
    host: str = "0.0.0.0", port: int = BOOTSTRAP_PORT, *, ready: Callable[[str, int], object]
) -> None:
    """Run a node that others can name, until cancelled; raises `UsageError` if the port cannot be had.

    `ready(host, port)` is called once it listens, with an address for others to name: this machine's on the LAN, if it
    listens on all.
    """
    node = Kademlia(host=host, port=port)
    try:
        await node.start(Announcer(KeyPair.from_seed(secrets.token_bytes(KEY_SIZE))))
        host, port = node.address
        ready(next(iter(lan_addresses()), "127.0.0.1") if host == "0.0.0.0" else host, port)
        await asyncio.get_running_loop().create_future()
    finally:
        await node.close()
