"""One node of a Kademlia network: the requests that it sends and answers, and the announcements that it keeps."""

import asyncio
import secrets
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from linkup_nb.connection.addresses import is_loopback, may_dial
from linkup_nb.discovery.view import KnownNode, NetworkView
from linkup_nb.errors import DecodeError
from linkup_nb.kademlia.announcements import (
    Address,
    Announcement,
    AnnouncementStore,
    Tokens,
    pack_addresses,
    source_of,
    unpack_addresses,
)
from linkup_nb.kademlia.rpc import (
    MAX_NAMED,
    NODES_OVERHEAD,
    Announce,
    Call,
    Lookup,
    NodesFound,
    Ping,
    Pong,
    Reply,
    RpcEndpoint,
    Stored,
)
from linkup_nb.kademlia.search import LookUp, search
from linkup_nb.kademlia.table import ID_SIZE, MAX_CONTACTS, Contacts, node_id
from linkup_nb.wire.dht.rpc import distance
from linkup_nb.wire.keys import KEY_SIZE

MAX_CHECKS = 32  # newcomers and old contacts being pinged at a time
STALE_AFTER = 300.0  # seconds of silence after which a contact is pinged
MAX_SILENT = 1024  # addresses remembered for not having replied
SILENT_FOR = 60.0  # seconds for which a search leaves them out
MAX_FOUND = 256  # peers taken from one look-up
LOOK_TIMEOUT = 1.0  # seconds for all nodes together that are queried once more


@dataclass(slots=True)
class Found:
    """What a look-up brought: a token for each of the closest nodes, closest first, and each key's newest announcement
    with those of its addresses that we may dial.
    """

    tokens: dict[Address, bytes] = field(default_factory=dict)
    announcements: dict[bytes, Announcement] = field(default_factory=dict)


class KademliaNode:
    """Answers `Ping`, `Lookup` and `Announce`; looks up targets and announces there.

    Nodes are known by their addresses alone, and become contacts only once they have answered us: forged datagrams put
    nobody into the table. `clock` gives unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._endpoint = RpcEndpoint(self._answer)
        self._store = AnnouncementStore()
        self._tokens = Tokens()
        self._contacts = Contacts(secrets.token_bytes(ID_SIZE), self._check)
        self._checking: set[Address] = set()
        self._silent: OrderedDict[Address, float] = OrderedDict()
        self._last: LookUp | None = None

    @property
    def address(self) -> Address:
        """Where it listens; port 0 before it is open."""
        return self._endpoint.address

    @property
    def counters(self) -> Counter[str]:
        """How much was dropped, by reason."""
        return self._endpoint.counters

    @property
    def contacts(self) -> list[Address]:
        """The nodes known to answer."""
        return self._contacts.addresses()

    @property
    def kept(self) -> int:
        """How many announcements are kept here."""
        return len(self._store)

    def view(self) -> NetworkView:
        """A picture of this moment."""
        own = self._contacts.own_id
        nodes = []
        for address in self._contacts.closest(own, MAX_CONTACTS):
            id, rtt = node_id(address), self._last.rtts.get(address) if self._last else None
            away = distance(id, own)
            silence = self._contacts.silence(address)
            nodes.append(KnownNode(address, id, away, 8 * ID_SIZE - away.bit_length(), silence, rtt))
        return NetworkView(
            address=self.address,
            id=own,
            nodes=tuple(nodes),
            last_query=self._last.view() if self._last else None,
            stored=MappingProxyType({"announcements": self.kept}),
            counters=MappingProxyType(dict(self.counters)),
        )

    async def open(self, host: str, port: int) -> None:
        """Listen on UDP over IPv4; port 0 takes a free one, see `address`. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self._endpoint, local_addr=(host, port), family=socket.AF_INET)
        if not self._everywhere:
            self._contacts.recentre(node_id(self.address))

    def close(self) -> None:
        """Stop at once, without notifying other nodes."""
        self._endpoint.close()

    async def join(self, addresses: Iterable[Address]) -> bool:
        """Enter the network through any of these nodes; `False` if none of them replies."""
        pending = {self._look(address, self._own_target) for address in addresses}
        entered = False
        while pending and not entered:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            entered = any(future.result() for future in done)
        if entered:
            self._silent.clear()  # whoever did not reply while we were cut off may do so now
            await self.find_neighbours()
        return entered

    async def ping(self, address: Address) -> float | None:
        """The round trip to a node in seconds; `None` if it does not reply."""
        sent_at = time.monotonic()
        return time.monotonic() - sent_at if await self._request(address, Ping()) is not None else None

    async def find_neighbours(self) -> None:
        """Get to know the nodes around our own place, and let them know us."""
        seen_as: Counter[bytes] = Counter()

        def take(named_by: Address, reply: NodesFound) -> list[Address]:
            seen_as[reply.seen_as] += 1
            return self._named(named_by, reply)

        await self._search(self._own_target, take)
        if self._everywhere and seen_as:
            # We listen on all addresses and cannot tell under which one the others know us: believe the majority.
            [own_address] = unpack_addresses(seen_as.most_common(1)[0][0])
            if node_id(own_address) != self._contacts.own_id:
                self._contacts.recentre(node_id(own_address))
                await self._search(self._own_target, self._named)

    async def look_up(self, target: bytes) -> Found:
        """Search for the nodes closest to a 32-byte target, and for all announcements there."""
        tokens: dict[Address, bytes] = {}
        verified: dict[bytes, Announcement] = {}
        found = Found()
        for announcement in self._store.get(target, self._clock()):
            self._collect(announcement, self.address, found)

        def take(named_by: Address, reply: NodesFound) -> list[Address]:
            tokens[named_by] = reply.token
            self._verify(target, named_by, reply, verified, found)
            return self._named(named_by, reply)

        closest = await self._search(target, take)
        found.tokens = {address: tokens[address] for address in closest}
        return found

    async def look_again(self, target: bytes, found: Found) -> None:
        """Query the nodes that a look-up has found once more, and add new announcements to `found`."""
        verified: dict[bytes, Announcement] = {}
        requests = {self._look(address, target): address for address in found.tokens}
        for future in await _within(LOOK_TIMEOUT, requests):
            if isinstance(reply := future.result(), NodesFound):
                self._verify(target, requests[future], reply, verified, found)

    async def announce(
        self, target: bytes, announcement: Announcement, tokens: Mapping[Address, bytes], *, timeout: float
    ) -> int:
        """Have an announcement kept, here and by the nodes that a look-up has found.

        Returns how many others have acknowledged it within `timeout` seconds.
        """
        self._store.add(target, announcement, source_of(self.address), self._clock())
        data = bytes(announcement)
        requests = [self._request(address, Announce(target, token, data)) for address, token in tokens.items()]
        replies = [future.result() for future in await _within(timeout, requests)]
        return sum(isinstance(reply, Stored) and reply.kept for reply in replies)

    def tick(self) -> None:
        """Drop expired announcements and ping contacts that were silent for long; to be called every minute or so."""
        self._store.sweep(self._clock())
        for address in self._contacts.stale(STALE_AFTER):
            self._check(address)

    @property
    def _everywhere(self) -> bool:
        return self.address[0] == "0.0.0.0"

    @property
    def _own_target(self) -> bytes:
        return self._contacts.own_id.ljust(KEY_SIZE, b"\0")

    def _answer(self, call: Call, address: Address, room: int) -> Reply:
        if len(self._checking) < MAX_CHECKS and self._contacts.wants(address):
            self._check(address)
        match call:
            case Ping():
                return Pong()
            case Lookup():
                return self._nodes(call.target, address, room - NODES_OVERHEAD)
            case Announce():
                return Stored(self._keep(call, address))

    def _nodes(self, target: bytes, requester: Address, room: int) -> NodesFound:
        local = is_loopback(requester[0])
        closest = self._contacts.closest(target[:ID_SIZE], MAX_NAMED)
        named = [each for each in closest if each != requester and (local or not is_loopback(each[0]))]
        nodes = pack_addresses(named[: max(0, room) // 6])
        room -= len(nodes)
        announcements = []
        for announcement in map(bytes, self._store.get(target, self._clock())):
            room -= len(announcement) + 2
            if room < 0:
                break
            announcements.append(announcement)
        return NodesFound(
            self._tokens.issue(requester, self._clock()), pack_addresses([requester]), nodes, announcements
        )

    def _keep(self, call: Announce, address: Address) -> bool:
        now = self._clock()
        if not self._tokens.accepts(call.token, address, now):
            self.counters["announcements refused: wrong token"] += 1
            return False
        try:
            announcement = Announcement.decode(call.target, call.announcement, now)
        except DecodeError:
            self.counters["announcements refused: malformed, forged or expired"] += 1
            return False
        kept = self._store.add(call.target, announcement, source_of(address), now)
        if not kept:
            self.counters["announcements refused: no room, or older than what is kept"] += 1
        return kept

    async def _search(self, target: bytes, take: Callable[[Address, NodesFound], Iterable[Address]]) -> list[Address]:
        start = self._contacts.closest(target[:ID_SIZE], MAX_NAMED)
        self._last = LookUp(self._contacts.own_id, target)
        return await search(self._last, start, lambda address: self._look(address, target), take)

    def _named(self, named_by: Address, reply: NodesFound) -> list[Address]:
        usable = [each for each in unpack_addresses(reply.nodes) if self._usable(each, named_by)]
        horizon = time.monotonic() - SILENT_FOR
        return [each for each in usable if each != self.address and self._silent.get(each, horizon) <= horizon]

    def _usable(self, address: Address, named_by: Address) -> bool:
        """What a stranger elsewhere calls loopback is this machine: none of its business."""
        usable = may_dial(*address) and (is_loopback(named_by[0]) or not is_loopback(address[0]))
        if not usable:
            self.counters["addresses ignored: not to be dialled from here"] += 1
        return usable

    def _verify(
        self, target: bytes, named_by: Address, reply: NodesFound, verified: dict[bytes, Announcement], found: Found
    ) -> None:
        for data in reply.announcements:
            if data not in verified:
                try:
                    verified[data] = Announcement.decode(target, data, self._clock())
                except DecodeError:
                    self.counters["announcements dropped: malformed, forged or expired"] += 1
                    return  # a node that passes one such on is not worth verifying more of
            self._collect(verified[data], named_by, found)

    def _collect(self, announcement: Announcement, named_by: Address, found: Found) -> None:
        usable = replace(announcement, addresses=tuple(a for a in announcement.addresses if self._usable(a, named_by)))
        known = found.announcements.get(announcement.public_key)
        if known is None and len(found.announcements) >= MAX_FOUND:
            self.counters["announcements dropped: too many"] += 1
        elif usable.addresses and (known is None or _rank(known) < _rank(usable)):
            found.announcements[announcement.public_key] = usable

    def _look(self, address: Address, target: bytes) -> "asyncio.Future[Reply | None]":
        return self._request(address, Lookup(target))

    def _check(self, address: Address) -> None:
        if address not in self._checking and len(self._checking) < MAX_CHECKS:
            self._checking.add(address)
            self._request(address, Ping()).add_done_callback(lambda _: self._checking.discard(address))

    def _request(self, address: Address, call: Call) -> "asyncio.Future[Reply | None]":
        reply = self._endpoint.request(address, call)
        if not reply.done():
            reply.add_done_callback(lambda _: self._learn(address, reply))
        return reply

    def _learn(self, address: Address, reply: "asyncio.Future[Reply | None]") -> None:
        if reply.cancelled():
            return
        if reply.result() is not None:
            self._silent.pop(address, None)
            self._contacts.replied(address)
            return
        self._contacts.remove(address)
        self._silent[address] = time.monotonic()
        if len(self._silent) > MAX_SILENT:
            self._silent.popitem(last=False)


def _rank(announcement: Announcement) -> tuple[int, int]:
    return announcement.expires, len(announcement.addresses)


async def _within(
    seconds: float, requests: Iterable["asyncio.Future[Reply | None]"]
) -> set["asyncio.Future[Reply | None]"]:
    """Those that are done in time; the others go on without us."""
    pending = set(requests)
    return (await asyncio.wait(pending, timeout=seconds))[0] if pending else pending
