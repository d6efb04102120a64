"""The sending half of a UDX stream: it cuts data into packets and goes on until all of them have arrived.

The last packets of a burst, which none follows, are probed for as in RFC 8985 (TLP); when nothing comes back at all,
the timeout of RFC 6298 remains.
"""

from collections import deque
from math import inf

from linkup_nb.wire.udx.bbr import INITIAL_WINDOW, Bbr
from linkup_nb.wire.udx.flight import Flight, Ranges, SentPacket
from linkup_nb.wire.udx.mtu import MtuSearch
from linkup_nb.wire.udx.packet import DATA, END, HEADER_SIZE, unwrap
from linkup_nb.wire.udx.path import UNPROVEN_BYTES, Path

INITIAL_TIMEOUT = 1.0  # seconds until the first packet is sent again, no round trip having been measured
MIN_TIMEOUT = 1.0  # seconds
MAX_TIMEOUT = 30.0  # seconds
MAX_TIMEOUTS = 6  # in a row, each twice as long as the one before; then the peer is gone
MIN_TAIL_TIMEOUT = 0.01  # seconds; event loops are not more punctual than that
BURST_TIME = 0.004  # seconds of sending that are made up for when a timer comes late
FIRST_BYTES = UNPROVEN_BYTES // (MAX_TIMEOUTS + 3)  # of the first packet, so that it can be sent again each time


class Sender:
    """Numbers data, decides when it goes out, and learns from acknowledgements.

    Call `handle_timer` once `timer` has passed, and send what `packets` returns after every other call.
    `seed` differs from stream to stream, so that they do not probe in step; `path` limits what may go out at all.
    """

    def __init__(self, seed: int, path: Path) -> None:
        self.window = FIRST_BYTES  # bytes the peer would take, by its last packet
        self.timed_out = False  # the peer is gone
        self.heartbeat_due = False  # the peer is to be asked whether it takes data again
        self.flight = Flight(self._probe_ended)
        self._seed = seed
        self._path = path
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._end_queued = False
        self._end_sent = False
        self._last_activity = 0.0  # when we last sent, or learnt that something has arrived
        self._timeouts = 0
        self.mtu = MtuSearch()
        self.reset_path(0.0)

    def reset_path(self, now: float) -> None:
        """Forget what was measured, for packets go another way from now on (RFC 9000, sections 9.4 and 14.2)."""
        self.flight.reset_path(now)
        self.mtu = MtuSearch()
        self.congestion = Bbr(HEADER_SIZE + self.mtu.payload_size, self._seed)
        self._tail_probe_due = False
        self._tail_probed = False
        self._recovery_ends: int | None = None
        self._tokens = float(self.congestion.quantum)  # bytes that may go out now
        self._tokens_at: float | None = None
        self._resume_at: float | None = None

    def probe_path(self) -> None:
        """Send something at once, for the peer has spoken from where nothing has been sent (RFC 9000, section 9.3)."""
        self._timeouts = 0
        self._tail_probed = False
        self._tail_probe_due = True

    @property
    def buffered(self) -> int:
        """Bytes of data that the peer has not acknowledged, sent or not."""
        return self._queued + self.flight.data_bytes

    @property
    def finished(self) -> bool:
        """Whether everything, our END included, is acknowledged."""
        return self._end_sent and self.flight.empty

    @property
    def timeout(self) -> float:
        """Seconds without an answer after which all in flight counts as lost."""
        srtt = self.flight.srtt
        base = INITIAL_TIMEOUT if srtt is None else max(MIN_TIMEOUT, srtt + 4 * self.flight.rttvar)
        return float(min(base * 2**self._timeouts, MAX_TIMEOUT))

    @property
    def timer(self) -> float | None:
        """When `handle_timer` is to be called; `None` if only news change anything."""
        at = inf
        if not self.flight.empty:
            at = self._loss_at
        elif self._window_blocks:
            at = self._last_activity + 2 * self.timeout
        if self._resume_at is not None and self._resume_at < at:
            at = self._resume_at
        if self.flight.reorder_at is not None and self.flight.reorder_at < at:
            at = self.flight.reorder_at
        return at if at < inf else None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue data, which must not be changed any more."""
        if data:
            self._queue.append(memoryview(data))
            self._queued += len(data)

    def end(self) -> None:
        """Queue an END after all data."""
        self._end_queued = True

    def handle_timer(self, now: float) -> bool:
        """Look for losses that only time shows (RFC 8985, section 7, and RFC 6298, section 5).

        True if nothing at all has come back.
        """
        flight = self.flight
        if flight.reorder_at is not None and now >= flight.reorder_at and flight.lose_overtaken(now):
            self._recover(0)
        if not flight.empty and now >= self._loss_at:
            if flight.srtt is None or self._tail_probed or not flight:
                self._time_out(now)
                return True
            self._tail_probed = True
            self._tail_probe_due = True
        elif self._window_blocks and now >= self._last_activity + 2 * self.timeout:
            self.heartbeat_due = True
            self._last_activity = now
        return False

    def packets(self, now: float) -> list[SentPacket]:
        """What is to be sent now, in this order."""
        out: list[SentPacket] = []
        self._resume_at = None
        if self._tail_probe_due:
            self._send_tail_probe(now, out)
        flight, congestion = self.flight, self.congestion
        lossless = flight.lossless
        if not (self._queued or (self._end_queued and not self._end_sent)) and (lossless or not flight.next_lost()):
            return out
        quantum = congestion.quantum
        self._refill(now, quantum)
        if quantum > congestion.window // 2:
            quantum = congestion.window // 2
        burst = quantum if self._queued >= quantum else 1
        if self._tokens >= burst:
            if not flight:
                congestion.on_restart()
            paced = (lossless or self._send_lost(now, out)) and self._send_new(now, out)
        else:
            paced = False
        if not paced:
            self._resume_at = now + max(burst - self._tokens, 1) / congestion.rate
        if out:
            self._last_activity = now
        if not self._path.proven or (not self._queued and (lossless or flight.next_lost() is None)):
            flight.nothing_more_to_send()
        return out

    def receive(self, ack: int, sacks: Ranges, window: int, now: float) -> bool:
        """Take an acknowledgement, numbers as on the wire; false if it speaks of packets that were never sent."""
        ack = unwrap(ack, self.flight.unacked)
        if ack > self.flight.next_seq:
            return False
        if ack < self.flight.unacked:
            return True  # a later one has overtaken it
        self.window = window
        if ack == self.flight.unacked and not sacks:
            return True
        sample = self.flight.acknowledge(ack, sacks, now)
        if sample is None:
            return True
        self._last_activity = now
        self._timeouts = 0
        self._tail_probed = False
        if sample.lost:
            self._recover(sample.acked)
        elif self._recovery_ends is not None and self.flight.unacked >= self._recovery_ends:
            self._recovery_ends = None
            self.congestion.on_recovered()
        self.congestion.on_ack(sample, now)
        return True

    @property
    def _loss_at(self) -> float:
        srtt = self.flight.srtt
        if srtt is None or self._tail_probed:
            return self._last_activity + self.timeout
        return self._last_activity + (2 * srtt if 2 * srtt > MIN_TAIL_TIMEOUT else MIN_TAIL_TIMEOUT)

    @property
    def _window_blocks(self) -> bool:
        return self._queued > 0 and self.window == 0 and self.flight.empty

    def _recover(self, acked: int) -> None:
        if self._recovery_ends is None:
            self._recovery_ends = self.flight.next_seq
            self.congestion.on_loss(self.flight.bytes, acked)

    def _time_out(self, now: float) -> None:
        self._timeouts += 1
        self.timed_out = self._timeouts >= MAX_TIMEOUTS
        self.flight.lose_all()
        self._recovery_ends = self.flight.next_seq
        self.congestion.on_timeout()
        self._last_activity = now

    def _refill(self, now: float, quantum: int) -> None:
        rate = self.congestion.rate
        if self._tokens_at is not None:
            most = max(rate * BURST_TIME, INITIAL_WINDOW * self.congestion.packet_size, quantum)
            self._tokens = min(self._tokens + rate * (now - self._tokens_at), most)
        self._tokens_at = now

    def _send_tail_probe(self, now: float, out: list[SentPacket]) -> None:
        self._tail_probe_due = False
        if self.flight and self._path.may_send((probe := self.flight.tail()).size):
            self._send_again(probe, now, out)
            self._last_activity = now

    def _send_again(self, sent: SentPacket, now: float, out: list[SentPacket]) -> None:
        self.flight.send_again(sent, now)
        self._path.spend(sent.size)
        out.append(sent)

    def _send_lost(self, now: float, out: list[SentPacket]) -> bool:
        """Send lost packets again; false if the pace has to be kept before all of them are sent."""
        flight = self.flight
        while (sent := flight.next_lost()) is not None:
            if self._tokens <= 0:
                return False
            if flight and flight.bytes + sent.size > self.congestion.window:
                break
            if not self._path.may_send(sent.size):
                break
            self._send_again(sent, now, out)
            self._tokens -= sent.size
        return True

    def _send_new(self, now: float, out: list[SentPacket]) -> bool:
        """Send data and END that wait; false if the pace has to be kept before all that might go is sent."""
        flight, path, mtu, limit = self.flight, self._path, self.mtu, self.congestion.window
        while self._queued or (self._end_queued and not self._end_sent):
            if self._tokens <= 0:
                return False
            size = self._queued if self._queued < mtu.payload_size else mtu.payload_size
            room = self.window - flight.data_bytes
            if room < size:
                if room <= 0 or not flight.empty:
                    break  # a small packet now would only make for more of them
                size = room
            if flight and flight.bytes + HEADER_SIZE + size > limit:
                break
            if not path.may_send(HEADER_SIZE + size):
                size = int(path.room) - HEADER_SIZE  # whatever fits, for without an acknowledgement it goes on no more
                if size <= 0:
                    break
            padding = 0
            if size == mtu.payload_size and path.proven:
                padding = mtu.begin_probe() if flight.delivered else 0
                if not padding and (run := self._full_packets(limit)) > 1:
                    self._send_run(run, now, out)
                    continue
            queue = self._queue
            if size and len(queue[0]) == size:
                payload: bytes | memoryview = queue.popleft()
                self._queued -= size
            else:
                payload = self._take(size)
            kinds = DATA if payload else 0
            if self._end_queued and not self._queued:
                kinds |= END
                self._end_sent = True
            sent = flight.add(kinds, payload, padding, now)
            path.spend(sent.size)
            self._tokens -= sent.size
            out.append(sent)
        return True

    def _full_packets(self, limit: int) -> int:
        """How many full packets of the first data in the queue may go out now."""
        if not self._queue:
            return 0
        size = self.mtu.payload_size
        room = min(self.window - self.flight.data_bytes, len(self._queue[0]), self._queued - 1) // size
        return int(min(room, (limit - self.flight.bytes) // (HEADER_SIZE + size), self._tokens // (HEADER_SIZE + size)))

    def _send_run(self, count: int, now: float, out: list[SentPacket]) -> None:
        size, first = self.mtu.payload_size, self._queue[0]
        end = count * size
        out += self.flight.add_run([first[start : start + size] for start in range(0, end, size)], now)
        if end < len(first):
            self._queue[0] = first[end:]
        else:
            self._queue.popleft()
        self._queued -= end
        self._tokens -= count * (HEADER_SIZE + size)

    def _take(self, size: int) -> bytes | memoryview:
        """The next `size` bytes of the queue."""
        if not size:
            return b""
        self._queued -= size
        queue = self._queue
        if len(queue[0]) >= size:
            return self._take_from_first(size)
        parts = []
        while size:
            part = self._take_from_first(min(size, len(queue[0])))
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _take_from_first(self, size: int) -> memoryview:
        first = self._queue[0]
        if len(first) == size:
            return self._queue.popleft()
        self._queue[0] = first[size:]
        return first[:size]

    def _probe_ended(self, padding: int, delivered: bool) -> None:
        self.mtu.probe_ended(padding, delivered)
        self.congestion.packet_size = HEADER_SIZE + self.mtu.payload_size
