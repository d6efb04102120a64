"""The switch of a network in one process: every datagram between its peers goes through it, with the faults set there.

A datagram is handed over in a later turn of the loop, in the order in which all were sent, and so are those that are
sent in reply, until none is left: with no fault set, what the nodes do depends on no clock.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import monotonic

from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.connection.udx_socket import PROBE, UdxSocket
from linkup_nb.wire.udx.events import Address, Datagrams, Event

MAX_AT_ONCE = 1000  # datagrams handed over in one turn of the loop, so that all else has its turn too
MAX_QUEUE = 0.5  # seconds that a datagram may wait where a link has a rate; like a router's, the queue is short
FIRST_FREE_PORT = 50_000  # given to sockets that ask for any

STRANGER = -1  # the number of a host that is no peer's

Arrive = Callable[[bytes, int], None]
"""Called with the bytes of datagrams, and how many each of them but the last has."""


@dataclass(slots=True)
class Link:
    """The faults of one direction: seconds of delay, the part of all datagrams that is lost, and bytes a second."""

    delay: float = 0.0
    loss: float = 0.0
    rate: float | None = None
    chance: random.Random = field(default_factory=random.Random)
    free_at: float = 0.0  # when the last datagram has left, of those that wait because of the rate

    def passes(self, size: int, now: float) -> float | None:
        """In how many seconds a datagram of so many bytes is there; `None` for never."""
        if self.chance.random() < self.loss:
            return None
        if self.rate is None:
            return self.delay
        waits = max(0.0, self.free_at - now)
        if waits > MAX_QUEUE:
            return None
        self.free_at = now + waits + size / self.rate
        return self.free_at - now + self.delay


class Switch:
    """What lies between the peers of one network; a peer is known by its host.

    Their sockets are a `SwitchSocket` or a `SwitchedUdpSocket` each, which `partial` makes an `OpenSocket`.
    """

    def __init__(self, seed: int, loop: asyncio.AbstractEventLoop) -> None:
        self.carried = 0
        """How many times something was sent."""
        self._seed = seed
        self._loop = loop
        self._numbers: dict[str, int] = {}  # peers, by host
        self._sockets: dict[Address, SwitchSocket] = {}
        self._silenced: set[int] = set()
        self._groups: dict[int, int] | None = None
        self._links: dict[tuple[int, int], Link] = {}
        self._ahead: deque[Callable[[], None]] = deque()
        self._delivering = False
        self._late: set[asyncio.TimerHandle] = set()

    @property
    def links(self) -> dict[tuple[int, int], Link]:
        """The faults of each pair of peers that has any, from the first to the second."""
        return self._links

    def attach(self, host: str, number: int) -> None:
        """Let the peer of this number speak, from this host."""
        self._numbers[host] = number
        self._silenced.discard(number)

    def silence(self, number: int) -> None:
        """Carry nothing more from this peer, or to it."""
        self._silenced.add(number)

    def partition(self, groups: Iterable[Collection[int]]) -> None:
        """Carry datagrams within each of these groups only; a peer that is in none is alone."""
        self._groups = {number: group for group, numbers in enumerate(groups) for number in numbers}

    def heal(self) -> None:
        """Carry datagrams between all, as before `partition`; the links keep their faults."""
        self._groups = None

    def is_cut(self, a: int, b: int) -> bool:
        """Whether a partition lies between two peers."""
        if self._groups is None:
            return False
        group = self._groups.get(a)
        return group is None or group != self._groups.get(b)

    def link(self, a: int, b: int, *, delay: float, loss: float, rate: float | None) -> None:
        """Set the faults between two peers, both ways; with none of them it is as if never set."""
        for pair in ((a, b), (b, a)):
            if delay or loss or rate is not None:
                chance = random.Random(f"{self._seed} link {pair[0]} {pair[1]}")
                self._links[pair] = Link(delay, loss, rate, chance)
            else:
                self._links.pop(pair, None)

    def close(self) -> None:
        """Carry nothing more."""
        for timer in self._late:
            timer.cancel()
        self._late.clear()
        self._ahead.clear()

    @property
    def is_clear(self) -> bool:
        """Whether every datagram arrives, at once."""
        return not (self._silenced or self._links) and self._groups is None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do for it: nothing waits, and all would arrive at once."""
        return self.is_clear and not self._ahead

    def carry(self, batch: Datagrams, source: Address, arrive: Arrive) -> None:
        """Have datagrams arrive, in the order in which they were sent; with faults each may be lost, or late."""
        self.carried += 1
        if self.is_clear:
            self._enqueue(partial(arrive, batch.data, batch.segment_size))
            return
        for start in range(0, len(batch.data), batch.segment_size):
            data = batch.data[start : start + batch.segment_size]
            late = self._lateness(len(data), source[0], batch.address[0])
            if late is not None:
                self._enqueue_later(late, partial(arrive, data, len(data)))

    def find(self, address: Address) -> "SwitchSocket | None":
        """The socket that has an address."""
        return self._sockets.get(address)

    def bind(self, socket: "SwitchSocket", host: str, port: int) -> Address:
        """Give an address to a socket, with a free port for port 0; raises `OSError` if another has it."""
        if port == 0:
            port = next(free for free in count(FIRST_FREE_PORT) if (host, free) not in self._sockets)
        if (host, port) in self._sockets:
            raise OSError(f"another socket of this network has {host}:{port}")
        self._sockets[host, port] = socket
        return host, port

    def release(self, address: Address) -> None:
        """Take an address back."""
        del self._sockets[address]

    def _lateness(self, size: int, source: str, to: str) -> float | None:
        """In how many seconds a datagram arrives; `None` if it never does."""
        a, b = self._numbers.get(source, STRANGER), self._numbers.get(to, STRANGER)
        if a in self._silenced or b in self._silenced or (source != to and self.is_cut(a, b)):
            return None
        link = self._links.get((a, b))
        return 0.0 if link is None else link.passes(size, monotonic())

    def _enqueue_later(self, seconds: float, arrival: Callable[[], None]) -> None:
        if not seconds:
            self._enqueue(arrival)
            return

        def arrive() -> None:
            self._late.discard(timer)
            self._enqueue(arrival)

        timer = self._loop.call_later(seconds, arrive)
        self._late.add(timer)

    def _enqueue(self, arrival: Callable[[], None]) -> None:
        self._ahead.append(arrival)
        if not self._delivering:
            self._delivering = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        for _ in range(MAX_AT_ONCE):
            if not self._ahead:
                self._delivering = False
                return
            self._ahead.popleft()()
        self._loop.call_soon(self._deliver)


class SwitchSocket(UdxSocket):
    """A `UdxSocket` on a switch, without any socket of the system."""

    def __init__(
        self,
        switch: Switch,
        host: str,
        port: int,
        *,
        on_event: Callable[[Event], None],
        on_datagram: Callable[[bytes, Address], None],
    ) -> None:
        super().__init__(on_event, on_datagram)
        self._switch = switch
        self._address = switch.bind(self, host, port)

    @property
    def address(self) -> Address:
        return self._address

    def send_datagram(self, data: bytes, address: Address) -> None:
        if not self._closed:
            self._carry(Datagrams(address, data, len(data)))

    def send_probe(self, address: Address, *, ttl: int | None = None) -> None:
        if ttl is None:  # else it would be dropped at a router, of which there is none here
            self.send_datagram(PROBE, address)

    def _send(self, batches: deque[Datagrams]) -> None:
        for batch in batches:
            self._carry(batch)

    def _release(self) -> None:
        self._switch.release(self._address)

    def _carry(self, batch: Datagrams) -> None:
        self._switch.carry(batch, self._address, partial(self._arrive, batch.address))

    def _arrive(self, to: Address, data: bytes, segment: int) -> None:
        if socket := self._switch.find(to):
            socket.take(memoryview(data), segment, self._address, monotonic())
            socket.taken()


class SwitchedUdpSocket(UdpSocket):
    """A `UdpSocket` whose datagrams go through a switch first: real sockets, with the same faults."""

    def __init__(
        self,
        switch: Switch,
        host: str,
        port: int,
        *,
        on_event: Callable[[Event], None],
        on_datagram: Callable[[bytes, Address], None],
    ) -> None:
        super().__init__(host, port, on_event=on_event, on_datagram=on_datagram)
        self._switch = switch

    def send_datagram(self, data: bytes, address: Address) -> None:
        if self._switch.is_idle:
            super().send_datagram(data, address)
        else:
            self._carry(Datagrams(address, data, len(data)))

    def _send(self, batches: deque[Datagrams]) -> None:
        if self._switch.is_idle:
            super()._send(batches)
            return
        for batch in batches:
            self._carry(batch)

    def _carry(self, batch: Datagrams) -> None:
        self._switch.carry(batch, self.address, lambda data, _: self._let_go(data, batch.address))

    def _let_go(self, data: bytes, address: Address) -> None:
        super().send_datagram(data, address)
