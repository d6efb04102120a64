"""What a UDX stream has sent and is not acknowledged: in flight, lost, or arrived out of turn.

Losses are found by time, as in RFC 8985 (RACK): a packet is lost when one sent sufficiently later has arrived. The rate
of delivery is measured as in draft-cheng-iccrg-delivery-rate-estimation-00, round trips as in RFC 6298.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

from linkup_nb.wire.udx.bbr import Sample
from linkup_nb.wire.udx.packet import DATA, HEADER_SIZE, MAX_SACKS, NUMBERS, unwrap

MAX_REORDERING = 8  # quarters of a round trip by which packets may overtake each other before they count as lost

Ranges = tuple[tuple[int, int], ...]


@dataclass(slots=True, eq=False)
class SentPacket:
    """A packet of data or END."""

    seq: int
    kinds: int
    payload: bytes | memoryview
    padding: int
    size: int  # bytes of the datagram
    transmissions: int = 0
    arrived: bool = False
    lost: bool = False
    sent_at: float = 0.0
    # what had happened when it was sent, for the rate of delivery
    prior_delivered: int = 0
    prior_delivered_at: float = 0.0
    first_sent_at: float = 0.0
    app_limited: bool = False


class Flight:
    """The packets that are not acknowledged in turn, from `unacked` up to `next_seq`.

    `probe_ended(padding, delivered)` is called for each padded packet once it has arrived or is lost.
    """

    def __init__(self, probe_ended: Callable[[int, bool], None]) -> None:
        self.unacked = 0
        self.next_seq = 0
        self.bytes = 0  # of datagrams that may still arrive
        self.data_bytes = 0  # of data that is not acknowledged in turn
        self.delivered = 0  # bytes of datagrams, ever
        self.reorder_at: float | None = None  # when more packets may count as lost
        self.retransmissions = 0
        self.srtt: float | None = None  # seconds
        self.rttvar = 0.0
        self.min_rtt: float | None = None
        self.newest_at = -1.0  # when the newest packet that has arrived was sent
        self._probe_ended = probe_ended
        self._packets: dict[int, SentPacket] = {}
        self._in_flight: dict[int, SentPacket] = {}  # in the order they were sent last
        self._lost: list[int] = []  # a heap; entries that are not lost any more are skipped
        self._sacked: dict[int, int] = {}  # the ranges that the last acknowledgement named
        self._reported_to: float = (
            inf  # from this packet on, the last acknowledgement had no room to name what has come
        )
        self._delivered_at = 0.0
        self._first_sent_at = 0.0
        self._app_limited_until = -1
        self._path_since = 0.0  # packets sent before are no measure of the path
        self._newest_seq = -1
        self._newest_rtt = 0.0
        self._reordering = 1  # quarters of a round trip

    def __bool__(self) -> bool:
        return bool(self._in_flight)

    @property
    def lossless(self) -> bool:
        """Whether nothing is known to be lost; `next_lost` looks closer."""
        return not self._lost

    @property
    def empty(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return not self._packets

    def reset_path(self, now: float) -> None:
        """Forget the round trips, and send everything again: packets go another way from now on."""
        self.lose_all()
        self.srtt = self.min_rtt = None
        self._reordering = 1
        self._path_since = now

    def add(self, kinds: int, payload: bytes | memoryview, padding: int, now: float) -> SentPacket:
        """Send a packet for the first time."""
        sent = SentPacket(self.next_seq, kinds, payload, padding, HEADER_SIZE + padding + len(payload))
        self._packets[self.next_seq] = sent
        self.next_seq += 1
        self.data_bytes += len(payload)
        self._transmit(sent, now)
        return sent

    def add_run(self, payloads: list[memoryview], now: float) -> list[SentPacket]:
        """Send full packets of data for the first time."""
        if not self._in_flight:
            self._first_sent_at = self._delivered_at = now
        seq, size = self.next_seq, HEADER_SIZE + len(payloads[0])
        since = (self.delivered, self._delivered_at, self._first_sent_at, self.delivered <= self._app_limited_until)
        run = [
            SentPacket(number, DATA, payload, 0, size, 1, False, False, now, *since)
            for number, payload in enumerate(payloads, seq)
        ]
        sent = dict(enumerate(run, seq))
        self._packets.update(sent)
        self._in_flight.update(sent)
        self.next_seq += len(run)
        self.data_bytes += len(run) * len(payloads[0])
        self.bytes += len(run) * size
        return run

    def next_lost(self) -> SentPacket | None:
        """The first of the lost packets, which `send_again` would send."""
        while self._lost:
            sent = self._packets.get(self._lost[0])
            if sent is not None and sent.lost:
                return sent
            heappop(self._lost)
        return None

    def send_again(self, sent: SentPacket, now: float) -> None:
        """Send a packet once more, be it lost or in flight."""
        if sent.lost:
            sent.lost = False
        else:
            del self._in_flight[sent.seq]
            self.bytes -= sent.size
        self.retransmissions += 1
        self._transmit(sent, now)

    def tail(self) -> SentPacket:
        """The packet that was sent last; something has to be in flight."""
        return next(reversed(self._in_flight.values()))

    def nothing_more_to_send(self) -> None:
        """What arrives until all in flight has arrived is no measure of what the path can carry: it is app-limited."""
        self._app_limited_until = self.delivered + self.bytes

    def acknowledge(self, ack: int, sacks: Ranges, now: float) -> Sample | None:
        """Take an acknowledgement, `ack` unwrapped and up to `next_seq`, numbers of `sacks` as on the wire.

        Returns what is learnt from it, `None` if nothing new has arrived. Ranges that cannot be are ignored.
        """
        all_reported = self._reported_to == inf
        arrived = self._arrived(ack, sacks)
        if not arrived:
            return None
        acked, newest = 0, arrived[0]
        for sent in arrived:
            acked += sent.size
            if sent.lost:
                sent.lost = False
            else:
                del self._in_flight[sent.seq]
                self.bytes -= sent.size
            if sent.sent_at > newest.sent_at or (sent.sent_at == newest.sent_at and sent.seq > newest.seq):
                newest = sent
            if sent.padding:
                self._probe_ended(sent.padding, True)
        self.delivered += acked
        self._delivered_at = now
        rtt = self._measure(newest, now)
        # What had no room in the last acknowledgement had come before this one: that is no rate.
        rate = self._rate(newest, now) if all_reported else None
        self.reorder_at = None
        lost = self.lose_overtaken(now) if self._in_flight else 0
        prior, limited = newest.prior_delivered, newest.app_limited
        return Sample(acked, lost, self.bytes, self.delivered, prior, rate, rtt, limited)

    def lose_overtaken(self, now: float) -> int:
        """Find packets that were sent sufficiently before one that has arrived (RFC 8985, section 6.2, step 5).

        Returns the bytes of them.
        """
        self.reorder_at = None
        wait = self._newest_rtt + (self.min_rtt or 0.0) * self._reordering / 4
        lost: list[SentPacket] = []
        for sent in self._in_flight.values():
            if sent.sent_at > self.newest_at or (sent.sent_at == self.newest_at and sent.seq > self._newest_seq):
                break
            if sent.sent_at + wait > now:
                self.reorder_at = sent.sent_at + wait
                break
            if sent.seq < self._reported_to:
                lost.append(sent)
        return sum(map(self._lose, lost))

    def lose_all(self) -> None:
        """Nothing has come back for so long that all in flight counts as lost."""
        for sent in list(self._in_flight.values()):
            self._lose(sent)
        self.reorder_at = None

    def _transmit(self, sent: SentPacket, now: float) -> None:
        if not self._in_flight:
            self._first_sent_at = self._delivered_at = now
        sent.sent_at = now
        sent.transmissions += 1
        sent.prior_delivered = self.delivered
        sent.prior_delivered_at = self._delivered_at
        sent.first_sent_at = self._first_sent_at
        sent.app_limited = self.delivered <= self._app_limited_until
        self._in_flight[sent.seq] = sent
        self.bytes += sent.size

    def _arrived(self, ack: int, sacks: Ranges) -> list[SentPacket]:
        """The packets that an acknowledgement is the first to speak of."""
        arrived: list[SentPacket] = []
        for seq in range(self.unacked, ack):
            sent = self._packets.pop(seq)
            self.data_bytes -= len(sent.payload)
            if not sent.arrived:
                arrived.append(sent)
        self.unacked = ack
        self._reported_to = inf
        if not sacks:
            self._sacked = {}
            return arrived
        known, self._sacked, past = self._sacked, {}, ack
        for wire_start, wire_end in sacks:
            start = unwrap(wire_start, ack)
            end = start + (wire_end - wire_start) % NUMBERS
            if not past < start < end <= self.next_seq:
                break
            self._sacked[start] = past = end
            for seq in range(known.get(start, start), end):
                sent = self._packets[seq]
                if not sent.arrived:
                    sent.arrived = True
                    arrived.append(sent)
        if len(sacks) == MAX_SACKS:
            self._reported_to = past
        return arrived

    def _measure(self, newest: SentPacket, now: float) -> float | None:
        """Measure the round trip (RFC 6298, section 2) and how far packets overtake each other (RFC 8985, section 6.2).

        Returns the round trip in seconds, if the packet was sent only once.
        """
        rtt = now - newest.sent_at
        if newest.transmissions > 1 and self.min_rtt is not None and rtt < self.min_rtt:
            # Nothing comes back that fast: it had not been lost, only overtaken by far.
            self._reordering = min(self._reordering + 1, MAX_REORDERING)
            return None
        if (newest.sent_at, newest.seq) > (self.newest_at, self._newest_seq):
            self.newest_at, self._newest_seq, self._newest_rtt = newest.sent_at, newest.seq, rtt
        if newest.transmissions > 1 or newest.sent_at < self._path_since:
            return None
        if self.srtt is None:
            self.srtt, self.rttvar = rtt, rtt / 2
        else:
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) / 4
            self.srtt += (rtt - self.srtt) / 8
        self.min_rtt = rtt if self.min_rtt is None else min(rtt, self.min_rtt)
        return rtt

    def _rate(self, newest: SentPacket, now: float) -> float | None:
        """Bytes a second, over the longer of how long sending and how long arriving took (section 3.3 of the draft)."""
        self._first_sent_at = newest.sent_at
        took = max(newest.sent_at - newest.first_sent_at, now - newest.prior_delivered_at)
        if took <= 0 or took < (self.min_rtt or 0.0) or newest.sent_at < self._path_since:
            return None
        return (self.delivered - newest.prior_delivered) / took

    def _lose(self, sent: SentPacket) -> int:
        """Count a packet as lost; returns its bytes, 0 for a probe, whose loss is no sign of congestion."""
        del self._in_flight[sent.seq]
        self.bytes -= sent.size
        sent.lost = True
        heappush(self._lost, sent.seq)
        if not sent.padding:
            return sent.size
        self._probe_ended(sent.padding, False)
        sent.size -= sent.padding
        sent.padding = 0
        return 0
