"""Two UDX endpoints and a wire between them that loses, delays, reorders and duplicates, all in a time of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Protocol

from linkup_nb.wire.udx.endpoint import Endpoint
from linkup_nb.wire.udx.events import Address, Datagrams, Event
from linkup_nb.wire.udx.stream import IDLE_TIMEOUT, Stream

ONE = ("10.0.0.1", 1)
OTHER = ("10.0.0.2", 2)


@dataclass
class Conditions:
    """What the wire does to datagrams; times in seconds."""

    delay: float = 0.01  # one way
    jitter: float = 0.0  # at most this much more
    loss: float = 0.0  # of all datagrams
    duplicates: float = 0.0
    rate: float = 0.0  # bytes a second from each host, 0 for no limit
    queue: int = 256 * 1024  # bytes that wait for the rate; more are lost
    mtu: int = 1500  # bytes, headers included


class End(Protocol):
    """What a wire needs of an endpoint."""

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool: ...
    def datagrams_to_send(self, now: float) -> list[Datagrams]: ...
    def get_timer(self) -> float | None: ...
    def next_event(self) -> Event | None: ...


class Wire:
    """Carries datagrams between endpoints, each at an address."""

    def __init__(self, conditions: Conditions | None = None, seed: int = 1) -> None:
        self.conditions = conditions or Conditions()
        self.now = 1000.0
        self.sent = 0  # datagrams
        self.bytes_to: dict[Address, int] = {}
        self.muted: set[Address] = set()  # what comes from there is lost
        self.events: dict[Address, list[Event]] = {}
        self._random = Random(seed)
        self._ends: dict[Address, End] = {}
        self._flying: list[tuple[float, int, Address, Address, bytes]] = []
        self._free_at: dict[str, float] = {}  # by host
        self._doors: dict[Address, Address] = {}  # where an endpoint is found besides the address it sends from

    def add(self, address: Address) -> Endpoint:
        """A new endpoint on the wire."""
        endpoint = Endpoint()
        self.put(address, endpoint)
        return endpoint

    def put(self, address: Address, end: End) -> None:
        """Put something else on the wire."""
        self._ends[address] = end
        self.events[address] = []

    def endpoint(self, stream: Stream) -> Endpoint:
        """The endpoint of a stream."""
        return next(end for end in self._ends.values() if isinstance(end, Endpoint) and stream in end.streams)

    def move(self, old: Address, new: Address) -> None:
        """Let an endpoint send from, and be found at, another address."""
        self._ends[new] = self._ends.pop(old)
        self.events[new] = self.events.pop(old)

    def speak_from(self, old: Address, new: Address) -> None:
        """Let an endpoint send from another address, and be found at both, as one with two sockets."""
        self.move(old, new)
        self._doors[old] = new

    def inject(self, data: bytes, source: Address, target: Address) -> None:
        """Let a datagram arrive now that nobody sent."""
        self.bytes_to[target] = self.bytes_to.get(target, 0) + len(data)
        self._ends[target].receive_datagram(data, source, self.now)

    def run(self, until: Callable[[], bool] = lambda: False, seconds: float = 600.0) -> None:
        """Let time pass until something is the case, nothing happens any more, or this many seconds have gone."""
        end = self.now + seconds
        self._exchange()
        while not until():
            times = [timer for endpoint in self._ends.values() if (timer := endpoint.get_timer()) is not None]
            if self._flying:
                times.append(self._flying[0][0])
            if not times or min(times) > end:
                self.now = end
                return
            self.now = max(self.now, min(times))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, source, target, data = heappop(self._flying)
                target = self._doors.get(target, target)
                if target in self._ends:
                    self._ends[target].receive_datagram(data, source, self.now)
            self._exchange()

    def _exchange(self) -> None:
        for address, endpoint in list(self._ends.items()):
            for datagrams in endpoint.datagrams_to_send(self.now):
                for data in cut(datagrams):
                    self._carry(address, datagrams.address, data)
            while event := endpoint.next_event():
                self.events[address].append(event)

    def _carry(self, source: Address, target: Address, data: bytes) -> None:
        conditions, random = self.conditions, self._random
        self.sent += 1
        self.bytes_to[target] = self.bytes_to.get(target, 0) + len(data)
        start = max(self.now, self._free_at.get(source[0], 0.0))
        if conditions.rate:
            if (start - self.now) * conditions.rate > conditions.queue:
                return
            self._free_at[source[0]] = start = start + len(data) / conditions.rate
        if source in self.muted or len(data) + 28 > conditions.mtu or random.random() < conditions.loss:
            return
        for _ in range(1 + (random.random() < conditions.duplicates)):
            at = start + conditions.delay + random.random() * conditions.jitter
            heappush(self._flying, (at, self.sent, source, target, data))


def cut(datagrams: Datagrams) -> list[bytes]:
    """The single datagrams of a batch."""
    data, size = datagrams.data, datagrams.segment_size
    return [data[start : start + size] for start in range(0, len(data), size)]


def pair(wire: Wire, idle_timeout: float | None = IDLE_TIMEOUT) -> tuple[Stream, Stream]:
    """Two streams that are connected to each other, at `ONE` and `OTHER`."""
    one = wire.add(ONE).open_stream(1, wire.now, idle_timeout=idle_timeout)
    other = wire.add(OTHER).open_stream(2, wire.now, idle_timeout=idle_timeout)
    one.connect(2, OTHER, wire.now)
    other.connect(1, ONE, wire.now)
    return one, other


def transfer(wire: Wire, sender: Stream, receiver: Stream, data: bytes) -> bytes:
    """Write data and an END; returns what has been read when the END has come, or nothing more comes."""
    received: list[bytes] = []

    def ended() -> bool:
        received.append(receiver.read())
        return receiver.receiver.ended

    sender.write(data)
    sender.end()
    wire.run(ended)
    return b"".join(received)
