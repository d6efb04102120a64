"""A network of the lab: real peers in one process, and the faults that its user makes."""

import asyncio
import random
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Self, TypeVar, cast

from linkup_nb.discovery.view import QueryView
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.hyperdht.network import Network
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.lab.flood import MAX_FLOOD, flood
from linkup_nb.lab.folder import LabFolder
from linkup_nb.lab.hosts import Hosts
from linkup_nb.lab.liar import LIARS
from linkup_nb.lab.observing import observe
from linkup_nb.lab.peer import LabPeer
from linkup_nb.lab.rates import parse_rate
from linkup_nb.lab.settling import settle
from linkup_nb.lab.state import NetState, PeerState
from linkup_nb.lab.switch import Switch, SwitchedUdpSocket, SwitchSocket
from linkup_nb.lab.sybils import ForgetfulStore, Sybils
from linkup_nb.lab.topics import as_topic
from linkup_nb.loops import Events, LoopThread, Tasks, every
from linkup_nb.node import Node
from linkup_nb.wire.dht.rpc import distance

R = TypeVar("R")
P = TypeVar("P", bound=Node | DhtNode)

ENTER_TIMEOUT = 5.0  # seconds for a peer to enter the network, if one that it names can be reached
MAX_SYBILS = 64
MAX_DELAY = 60.0  # seconds, of a link
CLOSE_TIMEOUT = 60.0  # seconds for all peers to close; 500 of them take a while
AT_ONCE = 16  # profiles that are made at a time
LOOK_EVERY = 0.2  # seconds between two looks at whether there is something new to draw


class LabNetwork(Events, Generic[P]):
    """The peers of `testnet`, by number: `net[3]` is a `Node`, or a `DhtNode` in a network of those alone.

    What the lab does (`kill`, `partition`, …) are plain calls, which return when it is so; what a peer does is awaited,
    on any loop. Emits "update" with a `NetState` when that has changed.
    """

    def __init__(self, *, seed: int, bits: int, k: int, alpha: int, dht_only: bool, sockets: bool) -> None:
        self._thread = LoopThread(f"linkup_nb lab, seed {seed}")
        super().__init__(self._thread.loop)
        self.seed = seed
        self.bits = bits
        self._switch = Switch(seed, self._loop)
        self._open_socket = partial(SwitchedUdpSocket if sockets else SwitchSocket, self._switch)
        self._network = Network(k=k, alpha=alpha, open_socket=self._open_socket)
        self._hosts = Hosts(seed, bits)
        self._chance = random.Random(f"{seed} tables")
        self._folder = None if dht_only else LabFolder()
        self._peers: list[LabPeer] = []
        self._changing = asyncio.Lock()
        self._tasks = Tasks()
        self._seen: NetState | None = None
        self._ended = threading.Event()

    def __len__(self) -> int:
        return len(self._peers)

    def __getitem__(self, number: int) -> P:
        """The peer of a number, the present one if it came back; -1 is the last. Raises `UsageError`."""
        return self._object(self._peer(number))

    def __iter__(self) -> Iterator[P]:
        return iter([self._object(peer) for peer in self._peers])

    def __repr__(self) -> str:
        if self._ended.is_set():
            return "<LabNetwork, closed>"
        dead = len(self) - len(self.alive)
        return f"<LabNetwork of {len(self)} peers{f', {dead} of them dead' if dead else ''}: seed {self.seed}>"

    def _repr_mimebundle_(self, **_: object) -> Any:
        from linkup_nb.lab.widget import bundle  # the widgets take a while to load, and a test needs none

        return bundle(self)

    def dht(self, number: int) -> DhtNode:
        """The DHT node of a peer: `find`, `table`, `announce`, `lookup`. Raises `UsageError`."""
        found = self._peer(number).dht
        assert found
        return found

    @property
    def alive(self) -> tuple[int, ...]:
        """The numbers of the peers that run."""
        return tuple(peer.number for peer in self._peers if peer.is_alive)

    @property
    def ids(self) -> tuple[int, ...]:
        """The id of each peer, by number: the first byte with 8 `bits`, else all 256 bits."""
        return tuple(int.from_bytes(peer.id[: self.bits // 8], "big") for peer in self._peers)

    @property
    def lookups(self) -> Mapping[int, QueryView]:
        """The last look-up of each peer that has made one."""
        views = ((peer.number, peer.dht.last_query) for peer in self._peers if peer.dht)
        return {number: view for number, view in views if view}

    @property
    def state(self) -> NetState:
        """All peers and what is between them at this moment, for a picture."""
        if asyncio._get_running_loop() is self._loop:
            return observe(self._peers, self._switch, self.bits)
        return self._call(lambda: observe(self._peers, self._switch, self.bits))

    def near(self, target: bytes | str) -> tuple[int, ...]:
        """The numbers of the peers that run, those first whose ids are nearest to a topic: 32 bytes, or its name."""
        goal = as_topic(target)
        return tuple(sorted(self.alive, key=lambda number: distance(self._peers[number].id, goal)))

    def kill(self, number: int) -> None:
        """Let a peer die without a word to anybody; what it has stored stays. Raises `UsageError`."""
        self._do(self._kill(self._peer(number)))

    def revive(self, number: int) -> None:
        """Let a dead peer come back, with its keys, its store and its address; `net[number]` is a new object then.

        It enters the network by the nodes that it knew. Raises `UsageError`.
        """
        self._do(self._revive(self._peer(number)))

    def add(self, names: Sequence[int] = (0,)) -> P:
        """A newcomer, who knows just the peers of these numbers; it is `net[-1]` then. Raises `UsageError`.

        If none of them can be reached it stands alone, and goes on trying.
        """
        if isinstance(names, int):
            raise UsageError("A newcomer names peers in a list: net.add(names=[0]).")
        return self._object(self._do(self._add([self._peer(name) for name in names])))

    def partition(self, *groups: Collection[int]) -> None:
        """Let no datagram through between these groups of peers: net.partition({0, 1}, {2, 3}).

        Who is in none is alone. What has been sent may still arrive. Raises `UsageError`.
        """
        if any(isinstance(group, int) for group in groups):
            raise UsageError("A partition is made of groups: net.partition({0, 1}, {2, 3}).")
        numbers = [{self._peer(number).number for number in group} for group in groups]
        if sum(map(len, numbers)) > len(set().union(*numbers)):
            raise UsageError("A peer can be in one group of a partition only.")
        self._call(partial(self._switch.partition, numbers))

    def heal(self) -> None:
        """End the partition; links stay as they are.

        Peers dial each other again by themselves. Nodes that had no answer for long have forgotten each other, as
        everywhere, and find each other again by one that both know.
        """
        self._call(self._switch.heal)

    def link(self, a: int, b: int, *, delay: float = 0.0, loss: float = 0.0, rate: str | float | None = None) -> None:
        """Set the faults between two peers, both ways: net.link(0, 1, delay=0.2, loss=0.05, rate="1MB/s").

        `delay` is in seconds, added each way; `loss` the part of all datagrams that is lost, 0 to 1, which of them
        being drawn from the seed; `rate` in bytes a second. Without any the link is as new. Raises `UsageError`.
        """
        one, other = self._peer(a).number, self._peer(b).number
        if one == other:
            raise UsageError("A link is between two peers: nobody reaches itself over the network.")
        if not 0 <= delay <= MAX_DELAY:
            raise UsageError(f"The delay of a link is 0 to {MAX_DELAY:g} seconds, not {delay!r}.")
        if not 0 <= loss <= 1:
            raise UsageError(f"The loss of a link is 0 to 1, the part of all datagrams, not {loss!r}.")
        limit = None if rate is None else parse_rate(rate)
        self._call(partial(self._switch.link, one, other, delay=float(delay), loss=float(loss), rate=limit))

    def clock(self, number: int, offset: float) -> None:
        """Set the wall clock of a peer wrong by so many seconds, less than 0 for late; its rooms with memory use it.

        Raises `UsageError` in a network of DHT nodes alone, which have none.
        """
        peer = self._peer(number)
        if peer.folder is None:
            raise UsageError("A node of the DHT alone has no rooms and so no clock: make the network without dht_only.")
        peer.offset = offset

    def sybils(self, count: int, near: bytes | str) -> Sybils:
        """So many nodes whose addresses were chosen to be nearer to a topic than every honest peer.

        They answer as all nodes do, and keep nothing; `tries` of what is returned says how many addresses it took.
        Raises `UsageError`.
        """
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_SYBILS:
            raise UsageError(f"A network takes 1 to {MAX_SYBILS} sybils at a time, not {count!r}.")
        return self._do(self._infiltrate(count, as_topic(near)))

    def liar(self, number: int, how: str = "false proofs") -> None:
        """Let a peer lie about the logs that it gives to others, in each that it gives from now on.

        `how` is "false proofs" (other blocks than those that were signed), "false length" (logs longer than they are),
        "silent" (requests are not answered), or "two histories" (its own logs are told differently to every second
        peer, from the next block on). Raises `UsageError`.
        """
        peer = self._peer(number)
        if how not in LIARS:
            raise UsageError(f"A peer lies by {', '.join(map(repr, LIARS))}, not by {how!r}.")
        if peer.node is None:
            raise UsageError("A node of the DHT alone has no logs to lie about: make the network without dht_only.")
        self._check_alive(peer)
        self._call(partial(peer.lie, peer.node, how))

    def flood(self, number: int, requests: int = 5000) -> int:
        """Send a peer so many requests at once, from one host; returns how many it has answered.

        The `counters` of its DHT node say what became of the others. Raises `UsageError`.
        """
        peer = self._peer(number)
        if isinstance(requests, bool) or not isinstance(requests, int) or not 1 <= requests <= MAX_FLOOD:
            raise UsageError(f"A flood is 1 to {MAX_FLOOD:,} requests, not {requests!r}.")
        self._check_alive(peer)
        return self._do(flood(self.dht(number), self._hosts.draw_stranger(), self._open_socket, requests))

    def close(self) -> None:
        """Close all peers, and leave nothing behind: no thread, socket or file. Does nothing a second time."""
        if self._ended.is_set():
            return
        self._ended.set()
        try:
            self._thread.call(self._end()).result(CLOSE_TIMEOUT)
        finally:
            self._thread.stop()
            self._thread.join(CLOSE_TIMEOUT)
            if self._folder:
                self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def populate(self, count: int) -> None:
        """Let so many peers join, one after the other, until all tables are as full as they can be; for `testnet`."""
        self._do(self._populate(count))

    async def _populate(self, count: int) -> None:
        peers = [self._grow(self._peers[:1]) for _ in range(count)]
        for first in range(0, count, AT_ONCE):
            await asyncio.gather(*(peer.start() for peer in peers[first : first + AT_ONCE]))
        for peer in peers:  # one after the other, so that the tables repeat
            await self._enter(peer)
        await self._settle()
        self._tasks.start(self._watch(), "the lab: looking for what is new")

    def _grow(self, names: Sequence[LabPeer]) -> LabPeer:
        """One more peer, which is not open yet."""
        number = len(self._peers)
        folder = self._folder.path / str(number) if self._folder else None
        addresses = [peer.address for peer in names]
        peer = LabPeer(number, self._hosts.draw(), self._network, addresses, self.seed, folder)
        self._peers.append(peer)
        return peer

    async def _open(self, peer: LabPeer) -> None:
        try:
            await peer.start()
            await self._enter(peer)
        except BaseException:
            await peer.die()
            raise

    async def _enter(self, peer: LabPeer) -> None:
        """Wait until a peer is in the network, if anybody whom it names can be reached."""
        self._switch.attach(peer.host, peer.number)
        await peer.enter()
        reachable = [other for other in self._peers if other.is_alive and other.address in peer.names]
        if peer.dht and any(not self._switch.is_cut(peer.number, other.number) for other in reachable):
            with suppress(TimeoutError):
                async with asyncio.timeout(ENTER_TIMEOUT):
                    await peer.dht.ready()

    async def _settle(self) -> None:
        living = [peer.dht for peer in self._peers if peer.dht and peer.is_alive]
        await settle(living, living, self._chance)

    async def _add(self, names: Sequence[LabPeer]) -> LabPeer:
        async with self._changing:
            peer = self._grow(names)
            await self._open(peer)
        self._look()
        return peer

    async def _infiltrate(self, count: int, target: bytes) -> Sybils:
        honest = [peer for peer in self._peers if peer.role is not PeerState.SYBIL]
        names = [peer.address for peer in honest if peer.is_alive]
        hosts, tries = self._hosts.draw_near(target, [peer.address for peer in honest], count)
        peers = []
        async with self._changing:
            for host in hosts:
                peer = LabPeer(
                    len(self._peers), host, self._network, names, self.seed, None, ForgetfulStore(), PeerState.SYBIL
                )
                self._peers.append(peer)
                peers.append(peer)
                await self._open(peer)
        self._look()
        nodes = tuple(peer.dht for peer in peers if peer.dht)
        return Sybils(nodes, tuple(peer.number for peer in peers), tries)

    async def _kill(self, peer: LabPeer) -> None:
        async with self._changing:
            if peer.is_alive:
                self._switch.silence(peer.number)
                await peer.die()
        self._look()

    async def _revive(self, peer: LabPeer) -> None:
        async with self._changing:
            if not peer.is_alive:
                await self._open(peer)
        self._look()

    async def _end(self) -> None:
        async with self._changing:
            await self._tasks.cancel()
            for peer in self._peers:
                self._switch.silence(peer.number)
            await every([peer.die() for peer in self._peers])
            self._switch.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _watch(self) -> None:
        carried = -1
        while True:
            if carried != self._switch.carried:
                carried = self._switch.carried
                self._look()
            await asyncio.sleep(LOOK_EVERY)

    def _look(self) -> None:
        if self.listeners("update"):
            state = observe(self._peers, self._switch, self.bits)
            if state != self._seen:
                self._seen = state
                self.emit("update", state)

    def _peer(self, number: int) -> LabPeer:
        self._check_open()
        count = len(self._peers)
        if isinstance(number, bool) or not isinstance(number, int) or not -count <= number < count:
            raise UsageError(f"There is no peer {number!r}: this network has 0 to {count - 1}.")
        return self._peers[number]

    def _check_alive(self, peer: LabPeer) -> None:
        if not peer.is_alive:
            raise UsageError(f"Peer {peer.number} is dead: net.revive({peer.number}) first.")

    def _object(self, peer: LabPeer) -> P:
        return cast(P, peer.node or peer.dht)

    def _check_open(self) -> None:
        if self._ended.is_set():
            raise NodeClosed("This network has ended: lu.lab.testnet(n) makes another one.")

    def _do(self, work: Coroutine[Any, Any, R]) -> R:
        """Wait for what is done on the network's loop."""
        try:
            self._check_open()
            if asyncio._get_running_loop() is self._loop:
                raise UsageError(
                    "A handler of an event cannot change the network that it waits for: do it in a cell,"
                    " or with asyncio.to_thread."
                )
        except BaseException:
            work.close()
            raise
        running = self._thread.call(work)
        try:
            return running.result()
        except BaseException:
            running.cancel()  # an interrupted cell waits no more, and neither does what it began
            raise

    def _call(self, action: Callable[[], R]) -> R:
        async def call() -> R:
            result = action()
            self._look()
            return result

        return self._do(call())
