"""Finding peers on the local network: multicast DNS (RFC 6762) and DNS-SD (RFC 6763), through the `zeroconf` package.

Each topic and peer is one instance of `_linkup._tcp`, named by the beginnings of the discovery key and the public key;
its TXT record holds both in full, as `d` and `k`. With `LINKUP_OFFLINE` set, nothing is sent on or announced for any
interface but 127.0.0.1.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from typing import TYPE_CHECKING

from linkup_nb.loops import Tasks
from linkup_nb.swarm.addresses import MAX_ADDRESSES, lan_addresses, may_dial, offline
from linkup_nb.swarm.discovery import Announcer, FoundPeer
from linkup_nb.wire.keys import KEY_SIZE, discovery_key

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICE = "_linkup._tcp.local."
TTL = 120  # seconds that others may believe our records; what a killed peer leaves behind is gone after it
REPORT_INTERVAL = 15.0  # seconds between reports of all that is known, and between looks at our own network addresses
RESOLVE_TIMEOUT = 3.0  # seconds
CLOSE_TIMEOUT = 2.0  # seconds to say goodbye in
MAX_NAMES = 1024  # instances remembered, of all topics together
MAX_RESOLVING = 16  # instances asked for at one time


@dataclass(frozen=True, slots=True)
class _Joined:
    topic_key: bytes
    server: bool
    client: bool
    found: Callable[[FoundPeer], None]

    @property
    def prefix(self) -> str:
        return self.topic_key[:16].hex() + "-"


class Mdns:
    """The discovery for the local network; where there is none to be had, `describe` says so and nothing is raised."""

    name = "mdns"
    this_machine_only = False

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._topics: dict[bytes, _Joined] = {}
        self._services: dict[bytes, AsyncServiceInfo] = {}
        self._peers: dict[str, FoundPeer | None] = {}  # by instance name; None while its records are unknown
        self._resolving: set[str] = set()
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._network: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._problem: str | None = None

    async def start(self, announcer: Announcer) -> None:
        """Begin to start in the background: importing and announcing take longer than a node may."""
        self._announcer = announcer
        self._tasks.start(self._run(), "mDNS")

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """Announce and look from now on; returns at once, for on a network nobody knows when all have answered."""
        await self.leave(topic)
        self._topics[topic] = joined = _Joined(discovery_key(topic), server, client, found)
        if self._zeroconf:
            self._announce(topic, joined)
            self._report(joined)

    async def leave(self, topic: bytes) -> None:
        self._topics.pop(topic, None)
        service = self._services.pop(topic, None)
        if service and self._zeroconf:
            self._tasks.start(_unregister(self._zeroconf, service), "an mDNS goodbye")

    async def refresh(self, topic: bytes) -> None:
        if joined := self._topics.get(topic):
            self._report(joined)

    async def close(self) -> None:
        self._topics.clear()
        await self._tasks.cancel()
        await self._shut()

    def describe(self) -> str:
        if self._problem:
            return f"Peers on the local network cannot be found: {self._problem}."
        where = "this machine's loopback interface alone" if offline() else "the local network"
        return f"Looking for peers on {where}." if self._zeroconf else f"About to look for peers on {where}."

    async def _run(self) -> None:
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
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

        await self._shut()
        self._network = (interfaces, hosts)
        try:
            if not interfaces:
                raise OSError("this machine has no network address")
            self._zeroconf = AsyncZeroconf(interfaces=list(interfaces))
            await self._zeroconf.zeroconf.async_wait_for_start()
            self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._changed])
        except (OSError, Error) as error:
            self._problem = str(error) or type(error).__name__
            return
        self._problem = None
        for topic, joined in self._topics.items():
            self._announce(topic, joined)

    async def _shut(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        browser, self._browser = self._browser, None
        self._services.clear()
        self._peers.clear()
        if browser:
            await browser.async_cancel()
        if zeroconf:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await zeroconf.async_close()

    def _announce(self, topic: bytes, joined: _Joined) -> None:
        _, hosts = self._network
        if not (joined.server and hosts and self._zeroconf):
            return
        from zeroconf.asyncio import AsyncServiceInfo

        key = self._announcer.key_pair.public_key
        self._services[topic] = service = AsyncServiceInfo(
            SERVICE,
            self._own_name(joined),
            port=self._announcer.port,
            properties={"d": joined.topic_key, "k": key},
            server=f"{key[:16].hex()}.local.",
            parsed_addresses=list(hosts),
            host_ttl=TTL,
            other_ttl=TTL,
        )
        self._tasks.start(_register(self._zeroconf, service), "an mDNS announcement")

    def _own_name(self, joined: _Joined) -> str:
        return f"{joined.prefix}{self._announcer.key_pair.public_key[:15].hex()}.{SERVICE}"

    def _changed(self, zeroconf: "Zeroconf", service_type: str, name: str, state_change: "ServiceStateChange") -> None:
        if state_change.name == "Removed":
            self._peers.pop(name, None)
        elif name in self._peers or (state_change.name == "Added" and len(self._peers) < MAX_NAMES):
            self._peers[name] = None
            for joined in self._topics.values():
                self._consider(name, joined)

    def _report(self, joined: _Joined) -> None:
        for name in list(self._peers):
            self._consider(name, joined)

    def _consider(self, name: str, joined: _Joined) -> None:
        """Pass on what is known of an instance, or ask for it."""
        if not joined.client or not name.startswith(joined.prefix) or name == self._own_name(joined):
            return
        if peer := self._peers[name]:
            joined.found(peer)
        elif name not in self._resolving and len(self._resolving) < MAX_RESOLVING:
            self._resolving.add(name)
            self._tasks.start(self._resolve(name, joined), "an mDNS question")

    async def _resolve(self, name: str, joined: _Joined) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        assert self._zeroconf
        service = AsyncServiceInfo(SERVICE, name)
        try:
            answered = await service.async_request(self._zeroconf.zeroconf, RESOLVE_TIMEOUT * 1000)
        finally:
            self._resolving.discard(name)
        peer = self._peer(service, joined) if answered else None
        if peer and name in self._peers and joined in self._topics.values():
            self._peers[name] = peer
            joined.found(peer)

    def _peer(self, service: "AsyncServiceInfo", joined: _Joined) -> FoundPeer | None:
        key = service.properties.get(b"k")
        if service.properties.get(b"d") != joined.topic_key or not key or len(key) != KEY_SIZE:
            return None
        # Loopback is this machine for whoever reads it: a neighbour could make us dial our own services.
        hosts = [host for host in service.parsed_addresses() if offline() or not ip_address(host).is_loopback]
        addresses = tuple((host, service.port) for host in hosts if service.port and may_dial(host, service.port))
        return FoundPeer(key, addresses[:MAX_ADDRESSES], self.name) if addresses else None


async def _register(zeroconf: "AsyncZeroconf", service: "AsyncServiceInfo") -> None:
    # Our key is in the name, so nobody else has a right to it: there is no need to ask around first.
    sending = await zeroconf.async_register_service(service, cooperating_responders=True)
    await sending


async def _unregister(zeroconf: "AsyncZeroconf", service: "AsyncServiceInfo") -> None:
    sending = await zeroconf.async_unregister_service(service)
    await sending
