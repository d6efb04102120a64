"""The DHT's datagrams on one UDP socket: requests that find their replies, are sent again, and do not flood anyone."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from secrets import randbits
from time import monotonic

from linkup_nb.connection.addresses import offline
from linkup_nb.connection.udx_socket import OpenSocket, UdxSocket
from linkup_nb.errors import DecodeError
from linkup_nb.wire.dht.rpc import Address, DhtReply, DhtRequest, Internal, decode, node_id
from linkup_nb.wire.dht.scope import Scope, scope
from linkup_nb.wire.rate_limit import Rate, RateLimit
from linkup_nb.wire.udx.events import Event

RETRIES = 3  # times that a request is sent again
FIRST_TIMEOUT = 0.5  # seconds until it is sent again for the first time
TIMEOUT = 1.0  # seconds between the times after that, and after the last until the node counts as silent
LATE = 0.1  # seconds by which our own loop may be late before nobody is blamed for it
MAX_WINDOW = 80  # requests sent that may still be answered any moment; others wait for their turn
MAX_IN_FLIGHT = 1024  # requests that wait for a reply, or for their turn
AMPLIFICATION = 3  # bytes sent to an unproven address for each byte from it, at most, as in QUIC (RFC 9000, 8.1)
PROVEN_FOR = 600.0  # seconds after its last reply for which an address is known to get what we send there
MAX_PROVEN = 8192  # addresses
MAX_HELD = 512  # replies that wait until an address is proven
MAX_HELD_EACH = 8  # of them for one address
MAX_PROVING = 256  # addresses that are being proven
PING_SIZE = 43  # bytes, at most

MAX_SOURCES = 4096  # hosts whose rate is remembered
EACH_RATE = Rate(per_second=500, burst=2000)  # requests of one host that are answered; it may be a class of many peers
TOTAL_RATE = Rate(per_second=2000, burst=8000)  # requests of all; a flood takes a fifth of one core

_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class DhtAnswer:
    """A reply, its sender, and how many seconds after the request it came; an id in it is the sender's."""

    reply: DhtReply
    sender: Address
    rtt: float


Done = Callable[[DhtAnswer | None], object]


@dataclass(slots=True, eq=False)
class _PendingRequest:
    tid: int
    to: Address
    datagram: bytes
    retries: int
    done: Done
    sent: int = 0
    sent_at: float = 0.0
    in_window: bool = False
    timer: asyncio.TimerHandle | None = None


class DhtIo:
    """Requests and replies on a socket; every datagram that is dropped is counted in `counters`, by reason.

    Set `on_request(request, sender, room)`, which gets the well-formed requests that are within the limits and how many
    bytes may be sent to a sender that is not proven, and if it matters `on_answer`, `on_late` for each time that an
    answer has not come in time, `on_silence` for when it has not come at all, `on_probe` and `on_event`.
    `id` goes into every datagram, if it is not `None`. Its sockets are made by `open_socket`.
    """

    def __init__(self, open_socket: OpenSocket) -> None:
        self.open_socket = open_socket
        self.id: bytes | None = None
        self.counters: Counter[str] = Counter()
        self.on_request: Callable[[DhtRequest, Address, int], object]
        self.on_answer: Callable[[DhtAnswer], object] = lambda answer: None
        self.on_late: Callable[[Address], object] = lambda address: None
        self.on_silence: Callable[[Address], object] = lambda address: None
        self.on_probe: Callable[[Address], object] = lambda address: None
        self.on_event: Callable[[Event], None] = lambda event: None
        self.socket: UdxSocket
        self.address: Address
        self._loop = asyncio.get_running_loop()
        self._offline = offline()
        self._opened = self._closed = False
        self._pending: dict[int, _PendingRequest] = {}
        self._window = 0
        self._waiting: deque[_PendingRequest] = deque()
        self._proven: OrderedDict[Address, float] = OrderedDict()
        self._held: dict[Address, list[bytes]] = {}
        self._proving: set[Address] = set()
        self._limit = RateLimit(EACH_RATE, TOTAL_RATE, MAX_SOURCES, monotonic())

    @property
    def in_flight(self) -> int:
        """Requests that wait for a reply, or for their turn."""
        return len(self._pending)

    def open(self, host: str, port: int) -> None:
        """Bind the socket; port 0 takes a free one. Raises `OSError`."""
        self.socket = self.open_socket(
            host, port, on_event=lambda event: self.on_event(event), on_datagram=self.receive
        )
        self.address = self.socket.address
        self._opened = True

    def close(self) -> None:
        """Close the socket; requests that still wait are given up."""
        if self._opened and not self._closed:
            self.socket.close()
        self._closed = True
        self._waiting.clear()
        for pending in list(self._pending.values()):
            self._settle(pending, None)

    def request(
        self,
        to: Address,
        command: int,
        done: Done,
        *,
        internal: bool = False,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = RETRIES,
    ) -> None:
        """Send a request; `done` is called with the answer, or with `None` when none came in time."""
        full = len(self._pending) >= MAX_IN_FLIGHT
        if full or self._closed or not self._may_send(to):
            if full:
                self.counters["requests not sent: too many in flight"] += 1
            self._loop.call_soon(done, None)
            return
        tid = randbits(16)
        while tid in self._pending:
            tid = randbits(16)
        request = DhtRequest(tid, to, command, internal, self.id, token, target, value)
        pending = self._pending[tid] = _PendingRequest(tid, to, bytes(request), retries, done)
        self._send_in_turn(pending)

    def send(self, packet: DhtRequest | DhtReply, to: Address) -> None:
        """Send a datagram as it is; if it is a request, what comes back with its number is not taken for a reply."""
        if self._may_send(to):
            self.socket.send_datagram(bytes(packet), to)

    def answer(self, reply: DhtReply, to: Address, room: int) -> None:
        """Reply; with more than `room` bytes only once the address `to` is proven."""
        data = bytes(reply)
        if len(data) <= room or self._is_proven(to):
            if self._may_send(to):
                self.socket.send_datagram(data, to)
            return
        held = self._held.get(to, [])
        if len(held) >= MAX_HELD_EACH or sum(map(len, self._held.values())) >= MAX_HELD or not self.prove(to):
            self.counters["replies dropped: too many wait for a proof of the requester's address"] += 1
            return
        self._held.setdefault(to, held).append(data)

    def prove(self, address: Address) -> bool:
        """Ping an address, to know whether what we send there arrives. False if too many are being proven."""
        if address in self._proving:
            return True
        if len(self._proving) >= MAX_PROVING:
            return False
        self._proving.add(address)
        self.request(address, Internal.PING, lambda answer: self._on_proof(address, answer), internal=True, retries=0)
        return True

    def _on_proof(self, address: Address, answer: DhtAnswer | None) -> None:
        self._proving.discard(address)
        held = self._held.pop(address, [])
        for data in held:
            if answer is not None:
                self.socket.send_datagram(data, address)
            else:
                self.counters["replies dropped: the requester's address was not proven"] += 1

    def _is_proven(self, address: Address) -> bool:
        return self._proven.get(address, 0.0) > monotonic() - PROVEN_FOR

    def _may_send(self, to: Address) -> bool:
        reaches = scope(to[0])
        if to[1] in _PORTS and reaches and (reaches is Scope.MACHINE or not self._offline):
            return True
        self.counters["datagrams not sent: address not allowed"] += 1
        return False

    def receive(self, data: bytes, sender: Address) -> None:
        """Take a datagram that is not UDX."""
        if len(data) == 1:
            self.on_probe(sender)
            return
        if not sender[1]:
            self.counters["datagrams dropped: from port 0"] += 1
            return
        now = monotonic()
        is_request = data[:1] == b"\x03"
        if is_request and not self._limit.allows(sender[0], now):
            self.counters["requests dropped: too many"] += 1
            return
        try:
            packet = decode(data)
        except DecodeError:
            self.counters["datagrams dropped: malformed"] += 1
            return
        if packet.id is not None and packet.id != node_id(sender):
            self.counters["ids ignored: forged"] += 1
            packet = packet._replace(id=None)
        if isinstance(packet, DhtRequest):
            self.on_request(packet, sender, AMPLIFICATION * len(data))
        else:
            self._on_reply(packet, sender, now)

    def _on_reply(self, reply: DhtReply, sender: Address, now: float) -> None:
        pending = self._pending.get(reply.tid)
        if pending is None or not pending.sent or pending.to != sender:
            self.counters["replies dropped: not requested"] += 1
            return
        self._proven[sender] = now
        self._proven.move_to_end(sender)
        if len(self._proven) > MAX_PROVEN:
            self._proven.popitem(last=False)
        answer = DhtAnswer(reply, sender, now - pending.sent_at)
        self.on_answer(answer)
        self._settle(pending, answer)

    def _send_in_turn(self, pending: _PendingRequest) -> None:
        if self._window >= MAX_WINDOW:
            self._waiting.append(pending)
            return
        self._window += 1
        pending.in_window = True
        patience = TIMEOUT if pending.sent else FIRST_TIMEOUT
        due = self._loop.time() + patience
        pending.timer = self._loop.call_later(patience, self._on_timeout, pending, due)
        pending.sent += 1
        pending.sent_at = monotonic()
        self.socket.send_datagram(pending.datagram, pending.to)

    def _on_timeout(self, pending: _PendingRequest, due: float) -> None:
        self._leave_window(pending)
        if self._loop.time() - due < LATE:  # else it is we who are late, and answers may wait to be read
            self.on_late(pending.to)
        if pending.sent > pending.retries:
            self._settle(pending, None)
            if pending.retries:  # a single datagram may have been lost
                self.on_silence(pending.to)
        else:
            self._send_in_turn(pending)

    def _leave_window(self, pending: _PendingRequest) -> None:
        if not pending.in_window:
            return
        pending.in_window = False
        self._window -= 1
        while self._waiting and self._window < MAX_WINDOW:
            waiting = self._waiting.popleft()
            if waiting.tid in self._pending:
                self._send_in_turn(waiting)

    def _settle(self, pending: _PendingRequest, answer: DhtAnswer | None) -> None:
        del self._pending[pending.tid]
        if pending.timer:
            pending.timer.cancel()
        self._leave_window(pending)
        pending.done(answer)
