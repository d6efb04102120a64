"""A node of the DHT: it enters the network, sends requests, and once it is shown to be reachable serves others."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from secrets import token_bytes
from time import monotonic, time
from types import MappingProxyType

from linkup_nb.connection.addresses import offline, resolve
from linkup_nb.connection.udx_socket import UdxSocket
from linkup_nb.discovery.view import KnownNode, QueryView, TableView
from linkup_nb.errors import NodeClosed, PeerTimeout, UsageError
from linkup_nb.hyperdht.client import DhtClient
from linkup_nb.hyperdht.io import PING_SIZE, RETRIES, DhtAnswer, DhtIo
from linkup_nb.hyperdht.network import USUAL, Network
from linkup_nb.hyperdht.query import Query
from linkup_nb.hyperdht.reach import is_reachable
from linkup_nb.hyperdht.server import DhtServer, Identity
from linkup_nb.hyperdht.state import load_nodes, save_nodes
from linkup_nb.hyperdht.upkeep import Upkeep
from linkup_nb.hyperdht.view import DhtView
from linkup_nb.loops import Events, Tasks, from_any_loop
from linkup_nb.wire.dht.nat import MIN_SAMPLES, NatSample, NatSampler
from linkup_nb.wire.dht.records import DhtCommand
from linkup_nb.wire.dht.rpc import ID_SIZE, Address, DhtReply, DhtRequest, Internal, distance, node_id
from linkup_nb.wire.dht.scope import scope
from linkup_nb.wire.dht.store import DhtStore
from linkup_nb.wire.dht.table import Table
from linkup_nb.wire.udx.events import Event, StreamClosed

DEFAULT_PORT = 49737  # and the four after it, then any
PUBLIC_BOOTSTRAP: tuple[Address, ...] = (
    ("88.99.3.86", 49737),
    ("142.93.90.113", 49737),
    ("138.68.147.8", 49737),
    ("node1.hyperdht.org", 49737),  # names are looked up only when no address replies
    ("node2.hyperdht.org", 49737),
    ("node3.hyperdht.org", 49737),
)
FIRST_RETRY, MAX_RETRY = 1.0, 60.0  # seconds between attempts to enter the network, doubling from first to max
TICK = 5.0  # seconds between two rounds of upkeep
REFRESH_EVERY = 300.0  # seconds between two searches for nodes at a random place
SWEEP_EVERY = 60.0  # seconds between two rounds of forgetting what has expired
SAVE_EVERY = 300.0  # seconds between two times that the known nodes are written to the state file
REVIEW_PATIENCE = 0.3  # seconds for which entering the network waits until we know whether we can be reached
STABLE_AFTER = 20 * 60.0  # seconds that a reachable node is there before it keeps things for others
RECHECK_AFTER = 10 * 60.0  # seconds until a node that could not be reached looks whether it can be now
ASLEEP = 3 * TICK  # seconds; a tick that is later shows that this machine has slept

log = logging.getLogger("linkup_nb")


class DhtNode(Events, DhtClient):
    """One node, on one UDP socket, which carries UDX streams as well.

    `bootstrap` are the nodes by which it enters the network; none for the first node of a network. It listens on `host`
    (all addresses; 127.0.0.1 with `LINKUP_OFFLINE=1`) and `port` (`None`: the usual one or one near it). Nodes that
    live long at an address of their own keep things for others, in `store`: with `ephemeral=False` this one will, with
    `True` it will not, and else it finds out. `state` is a file for the nodes known last time. Call `open`, and in the
    end `close`; it fires "ready", "persistent", "ephemeral" and "wakeup".
    """

    def __init__(
        self,
        bootstrap: Sequence[Address] = PUBLIC_BOOTSTRAP,
        *,
        host: str | None = None,
        port: int | None = None,
        ephemeral: bool | None = None,
        state: Path | None = None,
        network: Network = USUAL,
        store: DhtStore | None = None,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.network = network
        self.store = store or DhtStore()
        self.streams: dict[int, Callable[[Event], object]] = {}  # callbacks for a stream's events, by local id
        self.bootstrap = tuple(bootstrap)
        self._host = host or ("127.0.0.1" if offline() else "0.0.0.0")
        self._port = port
        self._may_serve = ephemeral is not True
        self._declared = ephemeral is False
        self._state = state
        self._entries = [(host, port) for host, port in self.bootstrap if scope(host)]
        self._resolved = asyncio.Event()
        self._ready = asyncio.Event()
        self._tasks = Tasks()
        self._nat = NatSampler()
        self._io = DhtIo(network.open_socket)
        self._io.on_request = self._on_request
        self._io.on_answer = self._on_answer
        self._io.on_event = self._on_event
        self._table = Table(token_bytes(ID_SIZE), network.k)
        self._upkeep = Upkeep(self._io, self._table)
        self._io.on_late = self._upkeep.late
        self._io.on_silence = self._upkeep.silent
        self._server = DhtServer(self._io, self._table, self.store, self._upkeep.suspect)
        self._entering: asyncio.Task[None] | None = None
        self._closed = False
        self._reviewed_at = 0.0
        self._reviewed_as: Address | None = None
        self._reachable_since: float | None = None
        self._last_query: tuple[DhtCommand | Internal, Query] | None = None

    @property
    def socket(self) -> UdxSocket:
        """The socket of the node and its streams."""
        return self._io.socket

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self._io.address

    @property
    def id(self) -> bytes | None:
        """The id by which others know this node, if it serves them."""
        return self._io.id

    @property
    def table(self) -> TableView:
        """Its routing table at this moment; while it serves nobody, around an id that nobody knows it by."""
        return TableView(self._table.own_id, tuple(self._known(monotonic())))

    @property
    def contacts(self) -> tuple[Address, ...]:
        """The addresses of those in its routing table, in no particular order."""
        return tuple(contact.address for contact in self._table)

    @property
    def last_query(self) -> QueryView | None:
        """The way of its last query, but for those that keep the table; see `find`."""
        return _view_query(*self._last_query) if self._last_query else None

    @property
    def nat(self) -> NatSample:
        """Where others see us, and the kind of firewall before us."""
        return self._nat.sample

    @property
    def public_address(self) -> Address | None:
        """Where others see us, if they agree."""
        sample = self._nat.sample
        if self._declared and self._host != "0.0.0.0" and (sample.address is None or sample.seen_by < MIN_SAMPLES):
            return self.address
        return sample.address

    @property
    def counters(self) -> Counter[str]:
        """How much was dropped or refused, by reason."""
        return self._io.counters

    @property
    def passed_on(self) -> Counter[DhtCommand]:
        """How many handshakes and messages of hole punching went to a peer through us."""
        return self._server.passed_on

    @property
    def identities(self) -> dict[bytes, Identity]:
        """The identities that take calls here, by the hashes of their keys; see `DhtServer`."""
        return self._server.identities

    @property
    def on_probe(self) -> Callable[[Address], object]:
        """Called with the sender of each datagram of one byte, which opens a firewall."""
        return self._io.on_probe

    @on_probe.setter
    def on_probe(self, callback: Callable[[Address], object]) -> None:
        self._io.on_probe = callback

    @from_any_loop
    async def open(self) -> None:
        """Listen, and enter the network in the background (see `ready`); raises `UsageError` without a port."""
        self._bind()
        if self._declared:
            self._nat.open = True
            self._settle()
        if self._state is not None:
            saved = await asyncio.to_thread(load_nodes, self._state, self.bootstrap)
            self._entries = list(dict.fromkeys([*self._entries, *saved]))
        self._enter()
        self._tasks.start(self._keep(), "DHT: upkeep")

    @from_any_loop
    async def ready(self) -> None:
        """Wait until the network is entered; the first node of a network is ready at once.

        Raises `NodeClosed` if the node is closed meanwhile; while no bootstrap node replies, it waits.
        """
        await self._ready.wait()
        if self._closed:
            raise NodeClosed("This node of the DHT has been closed; make a new one.")

    @from_any_loop
    async def rejoin(self) -> None:
        """Enter the network anew, because this machine has slept or is in another network."""
        self._upkeep.forgive()
        self._nat.clear()
        self._nat.open = self._declared
        self._ready.clear()
        self._enter()
        await self._ready.wait()

    @from_any_loop
    async def close(self) -> None:
        """Give the port back at once; what was announced is forgotten by others in time, unless it is taken back."""
        self._closed = True
        await self._tasks.cancel()
        self._io.close()
        self._ready.set()
        self._resolved.set()
        await self._save()

    def send_request(
        self,
        to: Address,
        command: int,
        *,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = RETRIES,
    ) -> "asyncio.Future[DhtAnswer | None]":
        """Send a request to one node; the future gets its answer, or `None` when none came in time."""
        future: asyncio.Future[DhtAnswer | None] = asyncio.get_running_loop().create_future()

        def on_answer(answer: DhtAnswer | None) -> None:
            if not future.done():
                future.set_result(answer)

        self._io.request(
            to, command, on_answer, internal=internal, target=target, value=value, token=token, retries=retries
        )
        return future

    @from_any_loop
    async def request(
        self,
        to: Address,
        command: int,
        *,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = RETRIES,
    ) -> DhtAnswer:
        """Send a request and wait for the answer; raises `PeerTimeout`. Look at `reply.error` of the answer."""
        answer = await self.send_request(
            to, command, internal=internal, target=target, value=value, token=token, retries=retries
        )
        if answer is None:
            raise PeerTimeout(f"No reply from the node at {to[0]}:{to[1]}.")
        return answer

    def send(self, packet: DhtRequest | DhtReply, to: Address) -> None:
        """Send a datagram as it is, such as a request that is passed on with its number."""
        self._io.send(packet, to)

    def query(
        self,
        command: int,
        target: bytes,
        value: bytes | None = None,
        *,
        internal: bool = False,
        k: int | None = None,
    ) -> Query:
        """Query the `k` nodes nearest to a target (`None`: as many as keep a record); see `Query`."""
        k = k or self.network.k
        query = Query(
            target,
            start=partial(self._start, target, k),
            request=lambda to, done: self._io.request(to, command, done, internal=internal, target=target, value=value),
            usable=self._usable,
            dead=self._upkeep.hint,
            k=k,
            alpha=self.network.alpha,
        )
        if not internal:
            self._last_query = DhtCommand(command), query
        return query

    @from_any_loop
    async def find(self, target: bytes) -> QueryView:
        """Look for the nodes nearest to a 32-byte target; returns the way there, and whom it found."""
        query = self.query(Internal.FIND_NODE, target, internal=True)
        self._last_query = Internal.FIND_NODE, query
        await query.finished()
        return _view_query(Internal.FIND_NODE, query)

    def view(self) -> DhtView:
        """A picture of this moment."""
        now = monotonic()
        return DhtView(
            address=self.address,
            public_address=self.public_address,
            nat=self.nat,
            id=self.id,
            nodes=tuple(self._known(now)),
            last_query=self.last_query,
            stored=MappingProxyType(self.store.counts),
            passed_on=MappingProxyType({command.name: count for command, count in dict(self.passed_on).items()}),
            counters=MappingProxyType(dict(self.counters)),
        )

    def _known(self, now: float) -> Iterator[KnownNode]:
        for address in self._table.closest(self._table.own_id, len(self._table)):
            if contact := self._table.get(address):
                away = distance(contact.id, self._table.own_id)
                shared = 8 * ID_SIZE - away.bit_length()
                yield KnownNode(address, contact.id, away, shared, now - contact.seen, contact.rtt)

    def _bind(self) -> None:
        ports = [self._port] if self._port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + 5), 0]
        for port in ports:
            try:
                self._io.open(self._host, port)
            except OSError as error:
                failed = error
            else:
                return
        raise UsageError(
            f"UDP port {ports[-1]} of {self._host} cannot be had ({failed.strerror or failed}); choose another."
        ) from failed

    def _on_request(self, request: DhtRequest, sender: Address, room: int) -> None:
        if request.id is not None:
            pinged = self._upkeep.requested_by(sender)
        else:
            lost = self._declared and self.id is None  # the reply will show us our address
            pinged = lost and self._io.prove(sender)
        self._server.serve(request, sender, room - PING_SIZE if pinged else room)

    def _on_answer(self, answer: DhtAnswer) -> None:
        host, port = answer.reply.to
        if port and scope(host) is scope(answer.sender[0]):  # else it lies, or sees us by a way that no other node has
            self._nat.add(answer.sender, (host, port))
        self._upkeep.answered(answer)
        if self._declared and self.id is None:
            self._settle()

    def _on_event(self, event: Event) -> None:
        if callback := self.streams.get(event.stream_id):
            callback(event)
        if isinstance(event, StreamClosed):
            self.streams.pop(event.stream_id, None)

    def _usable(self, named: Address, named_by: Address) -> bool:
        is_ours = named == self.address or node_id(named) == self._table.own_id
        return not is_ours and self._upkeep.usable(named, named_by)

    async def _start(self, target: bytes, k: int) -> list[Address]:
        """Where a query begins: with the nearest nodes that we know, and with bootstrap nodes if they are few."""
        if not self._entries and not len(self._table) and self.bootstrap:
            await self._resolved.wait()
        nearest = self._table.closest(target, k)
        if len(nearest) >= k:
            return nearest
        entries = [node for node in self._entries if not self._upkeep.is_silent(node)]
        return [*nearest, *entries] or self._entries

    def _enter(self) -> None:
        if self._entering is None or self._entering.done():
            self._entering = self._tasks.start(self._enter_network(), "DHT: entering the network")

    async def _enter_network(self) -> None:
        retry = FIRST_RETRY
        while not await self._find_way() and self.bootstrap:
            await asyncio.sleep(retry * random.uniform(0.8, 1.2))
            retry = min(2 * retry, MAX_RETRY)
        review = self._tasks.start(self._review(), "DHT: are we reachable?")
        await asyncio.wait({review}, timeout=REVIEW_PATIENCE)
        if not self._ready.is_set():
            self._ready.set()
            self.emit("ready")

    async def _find_way(self) -> bool:
        """Get to know our neighbours; false if nobody replies."""
        if self._entries and await self._find_neighbours():
            return True
        await self._resolve()
        return await self._find_neighbours()

    async def _find_neighbours(self) -> bool:
        replied, place = False, None
        while place != self._table.own_id:  # which may become another on the way
            place = self._table.own_id
            async for _ in self.query(Internal.FIND_NODE, place, internal=True):
                replied = True
        return replied

    async def _resolve(self) -> None:
        """Look up the names among the bootstrap nodes."""
        named = [(host, port) for host, port in self.bootstrap if not scope(host)]
        found = await asyncio.gather(*(resolve(host, port) for host, port in named))
        self._entries = list(dict.fromkeys([*self._entries, *chain.from_iterable(found)]))
        self._resolved.set()

    def _settle(self) -> bool:
        """Take the place in the network that belongs to our address, to serve others; false if it is ours already."""
        address = self.public_address
        if address is None or self.id == node_id(address):
            return False
        self._io.id = node_id(address)
        self._table.recentre(self._io.id)
        self.emit("persistent")
        return True

    async def _review(self) -> None:
        """See where others see us, and whether we can serve them."""
        self._reviewed_at, before = monotonic(), self._reviewed_as
        self._reviewed_as = self._nat.sample.address
        if self._declared:
            if self._settle():
                await self._find_neighbours()
            return
        nodes = [contact.address for contact in self._table.oldest()[::-1]] or self._entries
        self._nat.open = self._reviewed_as is not None and await is_reachable(self._io, nodes)
        if not self._nat.open or not self._may_serve:
            self._reachable_since = None
            if self._io.id is not None:
                self._io.id = None
                self.emit("ephemeral")
        elif self._reachable_since is None or self._reviewed_as != before:
            self._reachable_since = monotonic()
        stable = self._reachable_since is not None and monotonic() - self._reachable_since >= STABLE_AFTER
        if stable and self._settle():
            await self._find_neighbours()

    async def _keep(self) -> None:
        """Look after the table, what is stored, and our own place."""
        saved_at = swept_at = refreshed_at = monotonic()
        woken_at = time()
        while True:
            await asyncio.sleep(TICK * random.uniform(0.9, 1.1))
            now, slept = monotonic(), time() - woken_at > ASLEEP
            woken_at = time()
            if slept:
                self._tasks.start(self._wake_up(), "DHT: after a sleep")
            elif self._ready.is_set() and not len(self._table):
                self._enter()
            elif now - self._reviewed_at > RECHECK_AFTER or self._reviewed_as != self._nat.sample.address:
                await self._review()
            self._upkeep.tick()
            if now - swept_at > SWEEP_EVERY:
                swept_at = now
                self.store.sweep(now)
            if now - refreshed_at > REFRESH_EVERY:
                refreshed_at = now
                await self.query(Internal.FIND_NODE, token_bytes(ID_SIZE), internal=True).finished()
            if now - saved_at > SAVE_EVERY:
                saved_at = now
                await self._save()

    async def _wake_up(self) -> None:
        await self.rejoin()
        self.emit("wakeup")

    async def _save(self) -> None:
        nodes = [contact.address for contact in sorted(self._table, key=lambda contact: -contact.seen)]
        if self._state is not None and nodes:
            try:
                await asyncio.to_thread(save_nodes, self._state, self.bootstrap, nodes)
            except OSError as error:
                log.warning("The nodes of the DHT cannot be kept in %s: %s.", self._state, error)


def _view_query(command: DhtCommand | Internal, query: Query) -> QueryView:
    return QueryView(command.name, query.target, query.hops, tuple(answer.sender for answer in query.closest))
