"""Finding peers on the local network: multicast DNS (RFC 6762) and DNS-SD (RFC 6763), through the `zeroconf` package.

Each topic and peer is one instance of `_linkup._tcp`, named by the beginnings of the discovery key and the public key;
its TXT record holds both in full, as `d` and `k`, and as `p` the proof that the peer knows the topic. With
`LINKUP_OFFLINE` set, nothing is sent on or announced for any interface but 127.0.0.1.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from ipaddress import ip_address
from typing import TYPE_CHECKING

from linkup_nb.connection.addresses import MAX_ADDRESSES, lan_addresses, may_dial, offline
from linkup_nb.discovery.check import Check, Outcome, count
from linkup_nb.discovery.protocol import Announcer, FoundPeer, membership_proof
from linkup_nb.loops import Tasks
from linkup_nb.wire.keys import KEY_SIZE, discovery_key

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICE = "_linkup._tcp.local."
START_DELAY = 0.25  # seconds left to the peers on this machine, before the import of `zeroconf` wants the interpreter
TTL = 120  # seconds that others may believe our records; what a killed peer leaves behind is gone after it
REPORT_INTERVAL = 15.0  # seconds between reports of all that is known, and between looks at our own network addresses
RESOLVE_TIMEOUT = 3.0  # seconds
CLOSE_TIMEOUT = 2.0  # seconds to say goodbye in
MAX_INSTANCES = 256  # instances remembered of one topic
MAX_QUESTIONS = 16  # instances whose records are queried at one time


@dataclass(eq=False, slots=True)
class _MdnsTopic:
    topic: bytes
    topic_key: bytes
    own_key: bytes
    server: bool
    client: bool
    found: Callable[[FoundPeer], None]
    service: "AsyncServiceInfo | None" = None
    peers: dict[str, FoundPeer | None] = field(default_factory=dict)  # by instance; None while its records are unknown

    @property
    def own_name(self) -> str:
        return f"{self.prefix}{self.own_key[:15].hex()}.{SERVICE}"

    @property
    def prefix(self) -> str:
        return self.topic_key[:16].hex() + "-"


class Mdns:
    """The discovery for the local network; without one, `describe` reports that and nothing is raised."""

    name = "mdns"
    this_machine_only = False

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._topics: dict[bytes, _MdnsTopic] = {}
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._network: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._asking: set[str] = set()
        self._problem: str | None = None

    def share(self) -> "Mdns":
        return Mdns()

    async def start(self, announcer: Announcer) -> None:
        """Begin to start in the background: importing and announcing take longer than a node may."""
        self._announcer = announcer
        self._tasks.start(self._run(), "mDNS")

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """Announce and look from now on; returns at once, for on a network nobody knows when all have answered."""
        await self.leave(topic)
        self._topics[topic] = joined = _MdnsTopic(
            topic, discovery_key(topic), self._announcer.key_pair.public_key, server, client, found
        )
        if self._browser:
            self._announce(joined)
            await self._browse()

    async def leave(self, topic: bytes) -> None:
        joined = self._topics.pop(topic, None)
        if joined and joined.service and self._zeroconf:
            self._tasks.start(_unregister(self._zeroconf, joined.service), "an mDNS goodbye")

    async def refresh(self, topic: bytes) -> None:
        if joined := self._topics.get(topic):
            self._report(joined)

    async def close(self) -> None:
        self._topics.clear()
        await self._tasks.cancel()
        await self._shut()

    async def examine(self) -> Check:
        """Whether the network takes part, and how many announcements were received."""
        if self._problem:
            advice = "Connect to a network; a firewall must let multicast pass (UDP, port 5353)."
            seen = "Peers on the local network cannot be found."
            return Check(self.name, Outcome.WARNING, seen, f"{self._problem}.", advice)
        if offline() or not self._browser:
            return Check(self.name, Outcome.OFF if offline() else Outcome.OK, self.describe())
        received = sum(len(joined.peers) for joined in self._topics.values())
        return Check(
            self.name, Outcome.OK, f"On {', '.join(self._network[0])}: {count(received, 'announcement')} received."
        )

    def describe(self) -> str:
        if self._problem:
            return f"Peers on the local network cannot be found: {self._problem}."
        where = "this machine's loopback interface alone" if offline() else "the local network"
        return f"Looking for peers on {where}." if self._browser else f"About to look for peers on {where}."

    async def _run(self) -> None:
        await asyncio.sleep(START_DELAY)
        await asyncio.to_thread(import_module, "zeroconf.asyncio")
        while True:
            interfaces = ("127.0.0.1",) if offline() else lan_addresses()
            hosts = tuple(host for host in self._announcer.hosts if offline() or not ip_address(host).is_loopback)
            if self._network != (interfaces, hosts) or self._problem:
                await self._open(interfaces, hosts)
            for joined in self._topics.values():
                self._report(joined)
            await asyncio.sleep(REPORT_INTERVAL)

    async def _open(self, interfaces: tuple[str, ...], hosts: tuple[str, ...]) -> None:
        from zeroconf import Error
        from zeroconf.asyncio import AsyncZeroconf

        await self._shut()
        self._network = (interfaces, hosts)
        try:
            if not interfaces:
                raise OSError("this machine has no network address")
            self._zeroconf = AsyncZeroconf(interfaces=list(interfaces))
            await self._zeroconf.zeroconf.async_wait_for_start()
        except (OSError, Error) as error:
            self._problem = str(error) or type(error).__name__
            return
        self._problem = None
        for joined in self._topics.values():
            joined.peers.clear()
            self._announce(joined)
        await self._browse()

    async def _shut(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        browser, self._browser = self._browser, None
        if browser:
            await browser.async_cancel()
        if zeroconf:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await zeroconf.async_close()

    async def _browse(self) -> None:
        """Look for instances anew: a browser begins with all that is known already, so a new topic misses none."""
        from zeroconf.asyncio import AsyncServiceBrowser

        if self._browser:
            await self._browser.async_cancel()
        if self._zeroconf:
            self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._changed])

    def _announce(self, joined: _MdnsTopic) -> None:
        _, hosts = self._network
        if not (joined.server and hosts and self._zeroconf):
            return
        from zeroconf.asyncio import AsyncServiceInfo

        joined.service = AsyncServiceInfo(
            SERVICE,
            joined.own_name,
            port=self._announcer.port,
            properties={
                "d": joined.topic_key,
                "k": joined.own_key,
                "p": membership_proof(joined.topic, joined.own_key),
            },
            server=f"{joined.own_key[:16].hex()}.local.",
            parsed_addresses=list(hosts),
            host_ttl=TTL,
            other_ttl=TTL,
        )
        self._tasks.start(_register(self._zeroconf, joined.service), "an mDNS announcement")

    def _changed(self, zeroconf: "Zeroconf", service_type: str, name: str, state_change: "ServiceStateChange") -> None:
        for joined in self._topics.values():
            if not joined.client or not name.startswith(joined.prefix) or name == joined.own_name:
                continue
            if state_change.name == "Removed":
                joined.peers.pop(name, None)
            elif name in joined.peers or (state_change.name == "Added" and len(joined.peers) < MAX_INSTANCES):
                joined.peers[name] = None
                self._query(name, joined)

    def _report(self, joined: _MdnsTopic) -> None:
        """Report the known peers of a topic, and query the records that are missing."""
        for name, peer in list(joined.peers.items()):
            if peer:
                joined.found(peer)
            else:
                self._query(name, joined)

    def _query(self, name: str, joined: _MdnsTopic) -> None:
        if name not in self._asking and len(self._asking) < MAX_QUESTIONS and self._zeroconf:
            self._asking.add(name)
            self._tasks.start(self._resolve(self._zeroconf.zeroconf, name, joined), "an mDNS question")

    async def _resolve(self, zeroconf: "Zeroconf", name: str, joined: _MdnsTopic) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        service = AsyncServiceInfo(SERVICE, name)
        try:
            answered = await service.async_request(zeroconf, RESOLVE_TIMEOUT * 1000)
        finally:
            self._asking.discard(name)
        peer = self._peer(service, joined) if answered else None
        if peer and name in joined.peers and joined in self._topics.values():
            joined.peers[name] = peer
            joined.found(peer)

    def _peer(self, service: "AsyncServiceInfo", joined: _MdnsTopic) -> FoundPeer | None:
        key = service.properties.get(b"k")
        if service.properties.get(b"d") != joined.topic_key or not key or len(key) != KEY_SIZE:
            return None
        if service.properties.get(b"p") != membership_proof(joined.topic, key):
            return None
        # Loopback is this machine for whoever reads it: a neighbour could make us dial our own services.
        hosts = [host for host in service.parsed_addresses() if offline() or not ip_address(host).is_loopback]
        addresses = tuple((host, service.port) for host in hosts if service.port and may_dial(host, service.port))
        return FoundPeer(key, addresses[:MAX_ADDRESSES], self.name) if addresses else None


async def _register(zeroconf: "AsyncZeroconf", service: "AsyncServiceInfo") -> None:
    # Our key is in the name, so nobody else has a right to it: there is no need to probe for it (RFC 6762, 8.1).
    sending = await zeroconf.async_register_service(service, cooperating_responders=True)
    await sending


async def _unregister(zeroconf: "AsyncZeroconf", service: "AsyncServiceInfo") -> None:
    sending = await zeroconf.async_unregister_service(service)
    await sending
