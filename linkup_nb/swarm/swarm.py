"""Who else is on our topics: found, dialled, and held by exactly one connection each."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

from linkup_nb.connection.addresses import MAX_ADDRESSES, lan_addresses, may_dial, offline
from linkup_nb.connection.connection import Connection
from linkup_nb.connection.server import Server, listen
from linkup_nb.discovery.local import Local
from linkup_nb.discovery.protocol import Announcer, Dials, Discovery, FoundPeer, PeerInfo
from linkup_nb.discovery.view import NetworkView, OnDht
from linkup_nb.errors import InvalidTopic, NodeClosed, PeerRefused, PeerTimeout, UsageError
from linkup_nb.loops import Events, Tasks, every, from_any_loop, on_own_loop
from linkup_nb.swarm.choice import Choice
from linkup_nb.swarm.dialer import Dialer
from linkup_nb.swarm.peer import SwarmPeer
from linkup_nb.swarm.search import TopicSearch
from linkup_nb.swarm.sleep import wakings
from linkup_nb.swarm.topic import SwarmTopic
from linkup_nb.wire.keys import KEY_SIZE, KeyPair, short_key

MAX_PEERS = 64  # connections
MAX_KNOWN_PEERS = 256  # peers kept on one topic
MAX_FOUND_ADDRESSES = 32  # addresses that are looked at each time a peer is found
LASTING = 15.0  # seconds of connection after which earlier failures are forgiven
PARTED = 120.0  # seconds for which peers that we left are not let in again without a topic; their retries end sooner
FORGET_AFTER = 60.0  # seconds for which a peer is kept that is neither connected nor found
HOUSEKEEPING = 15.0  # seconds between looks at what to forget and at our own network addresses


class Swarm(Events):
    """Connections to the peers on the topics that were joined.

    Emits `connection` and `disconnection` (the Connection, a PeerInfo), `topic` (a public key, a topic) when a peer
    becomes known on a topic, and `update` when `peers` has changed. `discovery` is by default `[Local()]`. `firewall`
    is called with a peer's key before a connection costs anything, and refuses it by `True`.
    """

    def __init__(
        self,
        key_pair: KeyPair | None = None,
        *,
        discovery: Sequence[Discovery] | None = None,
        host: str | None = None,
        firewall: Callable[[bytes], bool] = lambda public_key: False,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.key_pair = key_pair or KeyPair.from_seed(os.urandom(32))
        self.public_key = self.key_pair.public_key
        self.discovery: tuple[Discovery, ...] = (Local(),) if discovery is None else tuple(discovery)
        self._firewall = firewall
        self._host = host or self._default_host()
        self._announcer = Announcer(self.key_pair, admit=self._admit, refuses=self._refuses)
        for one in self.discovery:
            if isinstance(one, Dials):
                one.belong_to(self._announcer)
        self._server: Server | None = None
        self._listening = asyncio.Lock()
        self._started: dict[Discovery, asyncio.Task[None]] = {}
        self._topics: dict[bytes, SwarmTopic] = {}
        self._peers: dict[bytes, SwarmPeer] = {}
        self._left: dict[bytes, float] = {}  # loop time of leaving the last topic shared with a peer
        self._counters: Counter[str] = Counter()
        self._tasks = Tasks()
        self._dialer = Dialer(self.key_pair, self._admit, self._wants, self._touch, self._dial_failed)
        self._choice = Choice(
            self.public_key, chosen=self._dialer.stop, opened=self._opened, ended=self._ended, lost=self._lost
        )
        self._update_due = False
        self._suspended = False
        self._closed = False

    @property
    def peers(self) -> tuple[PeerInfo, ...]:
        """Everyone known at this moment, connected or not, and why not."""
        return tuple(peer.info() for peer in list(self._peers.values()))

    def peer(self, public_key: bytes | str) -> PeerInfo:
        """What is known at this moment of the peer with this key: 32 bytes, or 64 hexadecimal digits.

        Raises `UsageError` for one that is not among `peers`.
        """
        peer = self._peers.get(_key(public_key))
        if not peer:
            raise UsageError("This swarm knows no peer with this key: `peers` are those that it knows.")
        return peer.info()

    def connection(self, public_key: bytes | str) -> Connection:
        """The open connection to the peer with this key, as for `peer`; `connection.tap()` shows what goes over it.

        Raises `UsageError` where there is none.
        """
        peer = self._peers.get(_key(public_key))
        if not (peer and peer.open and peer.connection):
            raise UsageError("No peer with this key is connected: `connections` are the open ones.")
        return peer.connection

    @property
    def topics(self) -> tuple[SwarmTopic, ...]:
        """The topics that are joined."""
        return tuple(self._topics.values())

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The open connections, one a peer."""
        return tuple(peer.connection for peer in list(self._peers.values()) if peer.connection and peer.open)

    @property
    def dht(self) -> NetworkView | None:
        """Our node of the DHT at this moment; `None` where there is none, or before the first topic is joined."""
        return next((one.view() for one in self.discovery if isinstance(one, OnDht)), None)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where peers can dial us over TCP; none if no discovery uses it, or before we are to be found on a topic."""
        return tuple((host, self._announcer.port) for host in self._announcer.hosts)

    @property
    def counters(self) -> Mapping[str, int]:
        """How often something was dropped or refused, by reason."""
        return dict(self._counters)

    def __repr__(self) -> str:
        return f"Swarm({short_key(self.public_key)}, {len(self._topics)} topics, {len(self.connections)} connections)"

    @from_any_loop
    async def join(self, topic: bytes, *, server: bool = True, client: bool = True) -> SwarmTopic:
        """Be found on a 32-byte topic (`server`), look for peers there (`client`), or both.

        Returns at once; `await topic.flushed()` waits until we are announced and have looked. Joining again changes
        `server` and `client`. Raises `OSError` when we cannot listen.
        """
        if len(topic) != KEY_SIZE:
            raise InvalidTopic(f"A topic is {KEY_SIZE} bytes, not {len(topic)}.")
        if not (server or client):
            raise UsageError("Join a topic as server, as client, or as both.")
        if server:
            await self._listen()
        if self._closed:
            raise NodeClosed("This swarm has been closed: make a new one.")
        if not self._started:
            self._tasks.start(self._keep_house(), "the swarm's housekeeping")
            self._tasks.start(self._watch_the_clock(), "noticing that the machine has slept")
            self._started = {one: self._tasks.start(one.start(self._announcer), f"{one!r}") for one in self.discovery}
        self._left.clear()
        await self._stop_search(self._topics.get(topic))
        joined = self._topics[topic] = SwarmTopic(topic, server, client, self._peers)
        if not self._suspended:
            self._start_search(joined)
        self._touch()
        return joined

    @from_any_loop
    async def add_discovery(self, discovery: Discovery) -> None:
        """Be found and look for peers through one more discovery, on every topic; it is closed with this swarm."""
        self.discovery = (*self.discovery, discovery)
        if isinstance(discovery, Dials):
            discovery.belong_to(self._announcer)
        if any(topic.server for topic in self._topics.values()):
            await self._listen()
        if self._started:
            started = self._tasks.start(discovery.start(self._announcer), f"{discovery!r}")
            self._started[discovery] = started
            for joined in self._topics.values():
                if joined.search:
                    joined.search.add(discovery, started)
        self._touch()

    @from_any_loop
    async def leave(self, topic: bytes) -> None:
        """Be found on this topic no more, and close the connections to peers that share no other with us."""
        joined = self._topics.pop(topic, None)
        if not joined:
            return
        left = [peer for peer in self._peers.values() if topic in peer.topics]
        for peer in left:
            peer.topics.discard(topic)
        alone = [peer for peer in (left if self._topics else self._peers.values()) if not peer.topics]
        for peer in alone:
            self._dialer.stop(peer)
            self._left[peer.public_key] = self._loop.time()
        await self._stop_search(joined)
        await every(
            [discovery.leave(topic) for discovery in self.discovery]
            + [connection.close() for peer in alone for connection in _connections(peer)]
        )
        self._forget(alone)
        self._touch()

    @from_any_loop
    async def suspend(self) -> None:
        """Withdraw from every topic and end every connection, as before this machine sleeps, until `resume`."""
        if self._suspended or self._closed:
            return
        self._suspended = True
        for peer in self._peers.values():
            self._dialer.stop(peer)
        await self._withdraw()

    @from_any_loop
    async def resume(self) -> None:
        """Join every topic again, and dial every known peer.

        A machine that wakes without having been suspended does as much by itself: no peer waits as long as it sleeps.
        """
        if not self._suspended or self._closed:
            return
        self._suspended = False
        for joined in self._topics.values():
            self._start_search(joined)
        self._seek_everybody()

    @on_own_loop
    def learn_topic(self, public_key: bytes, topic: bytes) -> None:
        """Take note that a connected peer has shown to be on a topic; nothing happens if we have not joined it."""
        peer = self._peers.get(public_key)
        if peer and peer.open and topic in self._topics:
            self._add_topic(peer, topic)

    @on_own_loop
    def count(self, reason: str, public_key: bytes | None = None) -> None:
        """Count something that was dropped, for `counters`, and for the peer that sent it."""
        self._counters[reason] += 1
        if peer := self._peers.get(public_key or b""):
            peer.dropped += 1
        self._touch()

    @from_any_loop
    async def close(self) -> None:
        """Withdraw all announcements, stop listening, and close every connection once what was written is sent."""
        if self._closed:
            return
        self._closed = True
        for peer in self._peers.values():
            self._dialer.stop(peer)
        await self._dialer.close()
        await self._tasks.cancel()
        await self._withdraw()
        self._topics.clear()
        await self._choice.finished()
        # Only now, for they may carry connections on which last words were still to be sent.
        await every(
            [discovery.close() for discovery in self.discovery] + ([self._server.close()] if self._server else [])
        )
        self._peers.clear()

    def _default_host(self) -> str:
        here = offline() or all(discovery.this_machine_only for discovery in self.discovery)
        return "127.0.0.1" if here else "0.0.0.0"

    def _announce_address(self, server: Server) -> None:
        self._announcer.port = server.port
        everywhere = ip_address(server.host).is_unspecified
        self._announcer.hosts = ("127.0.0.1", *lan_addresses()) if everywhere else (server.host,)

    async def _listen(self) -> None:
        if all(isinstance(one, Dials) for one in self.discovery):
            return  # those find us by our key, and take the connections themselves
        async with self._listening:
            if not self._server and not self._closed:
                self._server = await listen(self._host, 0, self._admit, self.key_pair, confirm=False)
                self._announce_address(self._server)

    def _start_search(self, joined: SwarmTopic) -> None:
        joined.search = TopicSearch(
            joined.topic,
            server=joined.server,
            client=joined.client,
            discoveries=self._started,
            found=partial(self._found, joined),
            misses=partial(self._misses, joined.topic),
        )

    async def _stop_search(self, joined: SwarmTopic | None) -> None:
        if joined and joined.search:
            search, joined.search = joined.search, None
            await search.stop()

    async def _withdraw(self) -> None:
        """Leave every topic in every discovery, and end every connection once what was written is sent."""
        await every([self._stop_search(joined) for joined in self._topics.values()])
        await every(
            [discovery.leave(topic) for discovery in self._started for topic in self._topics]
            + [connection.close() for peer in self._peers.values() for connection in _connections(peer)]
        )

    def _misses(self, topic: bytes) -> bool:
        """Whether no peer on a topic is connected, or one whose topics are not known."""
        topics = [peer.topics for peer in self._peers.values() if peer.open]
        return not any(topic in known for known in topics) or not all(topics)

    def _found(self, joined: SwarmTopic, found: FoundPeer) -> None:
        if self._topics.get(joined.topic) is not joined or found.public_key == self.public_key:
            return
        addresses = tuple(address for address in found.addresses[:MAX_FOUND_ADDRESSES] if may_dial(*address))
        peer = self._peers.get(found.public_key)
        if len(found.public_key) != KEY_SIZE or not (peer or addresses or found.reach):
            self.count("found peers ignored: no key, or no address to dial")
        elif (not peer or joined.topic not in peer.topics) and len(joined.peers) >= MAX_KNOWN_PEERS:
            self.count("found peers ignored: too many on one topic")
        else:
            peer = self._peers.setdefault(found.public_key, SwarmPeer(found.public_key))
            new_address = peer.found(replace(found, addresses=addresses[:MAX_ADDRESSES]))
            peer.found_at = self._loop.time()
            self._add_topic(peer, joined.topic)
            self._dialer.found(peer, new_address)

    def _add_topic(self, peer: SwarmPeer, topic: bytes) -> None:
        if topic not in peer.topics:
            peer.topics.add(topic)
            self._touch()
            self.emit("topic", peer.public_key, topic)

    def _wants(self, peer: SwarmPeer) -> bool:
        """Whether to dial a peer."""
        if self._closed or self._suspended or peer.connection or peer.pending or not (peer.addresses or peer.reaches):
            return False
        if self._is_full() or self._firewall(peer.public_key):
            return False
        return any(self._topics[topic].client for topic in peer.topics)

    def _busy(self) -> int:
        return sum(1 for peer in self._peers.values() if peer.connection or peer.pending)

    def _is_full(self) -> bool:
        return self._busy() >= MAX_PEERS

    def _admit(self, connection: Connection) -> None:
        """A peer has proven its key, on a connection that we made or accepted: confirm it, hold it, or close it."""
        if connection.closed:
            return
        if refusal := self._refuses(connection.remote_public_key):
            self.count(f"connections refused: {refusal}")
            self._choice.end(connection, PeerRefused(f"The connection is refused: {refusal}."))
            return
        peer = self._peers.setdefault(connection.remote_public_key, SwarmPeer(connection.remote_public_key))
        if self._is_full() and not (peer.connection or peer.pending) and (stranger := self._stranger()):
            self._choice.drop(stranger, PeerRefused("The connection made room for a peer on one of our topics."))
        self._choice.add(peer, connection)
        self._touch()

    def _refuses(self, public_key: bytes) -> str | None:
        """Why this peer would not be let in at this moment, if so."""
        peer = self._peers.get(public_key)
        if public_key == self.public_key:
            return "our own key"
        if self._firewall(public_key):
            return "the firewall does not let this peer pass"
        if self._closed or self._suspended:
            return "the swarm is closing" if self._closed else "the swarm is suspended"
        if not (peer and peer.topics) and self._loop.time() - self._left.get(public_key, float("-inf")) < PARTED:
            return "we have left the topics that we shared"
        if (peer and (peer.connection or peer.pending)) or not self._is_full():
            return None
        return None if peer and peer.topics and self._stranger() else f"{MAX_PEERS} peers are connected"

    def _stranger(self) -> SwarmPeer | None:
        return next((peer for peer in self._peers.values() if peer.connection and not peer.topics), None)

    def _dial_failed(self, peer: SwarmPeer) -> None:
        if not self._choice.confirm_next(peer):
            self._dialer.lost(peer)
        self._touch()

    def _opened(self, peer: SwarmPeer, connection: Connection) -> None:
        if not peer.topics:
            self._hurry(self._topics)  # whoever comes has found us on one of them, and can soon be found there too
        peer.last_error = None
        self.emit("connection", connection, peer.info())
        self._touch()

    def _ended(self, peer: SwarmPeer, connection: Connection, reason: Exception | None) -> None:
        if time.time() - connection.opened_at >= LASTING:
            peer.attempts = 0
        peer.last_error = str(reason) if reason else None
        self._hurry(topic for topic in peer.topics if self._misses(topic))
        self.emit("disconnection", connection, peer.info())

    def _lost(self, peer: SwarmPeer) -> None:
        if not peer.pending and not peer.connection:
            self._dialer.lost(peer)
            if self._busy() == MAX_PEERS - 1:  # there is room for another again
                for other in list(self._peers.values()):
                    self._dialer.found(other, new_address=False)
        self._forget([peer])
        self._touch()

    def _hurry(self, topics: Iterable[bytes]) -> None:
        for topic in topics:
            joined = self._topics.get(topic)
            if joined and joined.search:
                joined.search.hurry()

    def _forget(self, peers: Iterable[SwarmPeer]) -> None:
        """Drop those of these peers that are neither connected, nor about to be, nor announced any more."""
        for peer in list(peers):
            busy = peer.connection or peer.pending or peer.dial or (peer.topics and peer.retry)
            if not busy and (not peer.topics or self._loop.time() - peer.found_at > FORGET_AFTER):
                self._dialer.stop(peer)
                self._peers.pop(peer.public_key, None)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            if self._server:
                self._announce_address(self._server)
            known = len(self._peers)
            self._forget(self._peers.values())
            if len(self._peers) < known:
                self._touch()

    async def _watch_the_clock(self) -> None:
        async for missed in wakings():
            if self._server:
                self._announce_address(self._server)
            slept = PeerTimeout(f"This machine has slept for {missed:.0f} s, and its peers have given it up.")
            for peer in list(self._peers.values()):
                self._choice.drop(peer, slept)
            self._seek_everybody()

    def _seek_everybody(self) -> None:
        """Look for all at once, the known ones and others: the network may be another, or we were away for long."""
        self._hurry(self._topics)
        for peer in self._peers.values():
            self._dialer.found(peer, new_address=True)

    def _touch(self) -> None:
        """Emit `update` once, however much changes in this turn of the loop."""
        if not self._update_due:
            self._update_due = True
            self._loop.call_soon(self._emit_update)

    def _emit_update(self) -> None:
        self._update_due = False
        self.emit("update")


def _key(key: bytes | str) -> bytes:
    try:
        return bytes.fromhex(key) if isinstance(key, str) else key
    except ValueError:
        raise UsageError("A peer's key is 32 bytes, or their 64 hexadecimal digits.") from None


def _connections(peer: SwarmPeer) -> list[Connection]:
    return [connection for connection in (peer.connection, *peer.pending) if connection]
