"""How fast a stream may send: BBR, which models the path by its bandwidth and its shortest round trip.

Specification: draft-cardwell-iccrg-bbr-congestion-control-00 (version 1, which libudx runs too), and for the samples
draft-cheng-iccrg-delivery-rate-estimation-00. As in Linux, the window has room for acknowledgements that come bunched
because a receiver waited for its turn on the processor; else that wait would limit the rate. Version 1 does not slow
down for losses that are not its own doing: a link that loses 5 % of everything still gives what it can carry, where
CUBIC would fall to a few packets a round trip.
"""

from collections import deque
from enum import Enum
from typing import NamedTuple

INITIAL_WINDOW = 10  # packets
MIN_WINDOW = 4  # packets
MAX_WINDOW = 16 * 1024 * 1024  # bytes in flight, whatever the peer's acknowledgements suggest
MIN_RTT_LIFETIME = 10.0  # seconds after which the shortest round trip is measured anew
PROBE_RTT_DURATION = 0.2  # seconds
BANDWIDTH_LIFETIME = 10  # round trips for which a measured bandwidth counts
INITIAL_RTT = 0.001  # seconds, until one is measured: what paces the first packets
STARTUP_GAIN = 2.885  # 2 / ln 2: doubles the rate each round trip
CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)  # probe for more, drain what that queued, cruise
WINDOW_GAIN = 2.0
FULL_PIPE_GROWTH = 1.25  # less growth than this for three round trips: the pipe is full
FULL_PIPE_ROUNDS = 3
BUNCH_ROUNDS = 5  # round trips after which an older bunch of acknowledgements counts no more, or twice as many
MAX_BUNCH_TIME = 0.1  # seconds of sending that a bunch may add to the window
QUANTUM_TIME = 0.001  # seconds of sending that one burst may hold
MAX_QUANTUM = 64 * 1024  # bytes


class BbrMode(Enum):
    """What BBR is doing."""

    STARTUP = "startup"
    DRAIN = "drain"
    PROBE_BANDWIDTH = "probe bandwidth"
    PROBE_RTT = "probe round trip"


class Sample(NamedTuple):
    """What one acknowledgement yields (delivery-rate-estimation, section 3.3); sizes in bytes, times in seconds."""

    acked: int  # newly delivered
    lost: int  # newly found lost
    in_flight: int  # now
    delivered: int  # in all, ever
    prior_delivered: int  # had been delivered when the newest of the acknowledged packets was sent
    rate: float | None  # bytes a second at which data arrived, if the acknowledgement allows a measurement
    rtt: float | None  # `None` when only packets were acknowledged that had been sent more than once
    app_limited: bool  # the rate is what we had to send rather than what the path can carry


class Bbr:
    """The congestion control of one stream: `window` bytes may be in flight, `rate` bytes a second be sent.

    `seed` differs from stream to stream, so that they do not probe in step. Call `on_ack` for each acknowledgement, and
    the others when what they are named after happens.
    """

    def __init__(self, packet_size: int, seed: int) -> None:
        self.mode = BbrMode.STARTUP
        self.packet_size = packet_size
        self.window = INITIAL_WINDOW * packet_size
        self.min_rtt: float | None = None
        self.bandwidth = 0.0  # bytes a second, the most measured lately; 0 before any was
        self.rate = STARTUP_GAIN * self.window / INITIAL_RTT
        self._seed = seed
        self._min_rtt_at = 0.0
        self._bandwidths: deque[tuple[int, float]] = deque()  # round and bytes a second, falling
        self._round = 0
        self._round_ends = 0  # when a packet sent after this much was delivered is acknowledged
        self._round_started = False
        self._full_bandwidth = 0.0
        self._full_rounds = 0
        self._pipe_filled = False
        self._cycle = 0
        self._cycle_at = 0.0
        self._gain = STARTUP_GAIN
        self._window_gain = STARTUP_GAIN
        self._bunch_at = 0.0  # since when acknowledgements are counted together
        self._bunch = 0  # bytes acknowledged since then
        self._bunch_excess = [0, 0]  # most bytes over what the bandwidth explains, lately and before
        self._bunch_round = 0
        self._probe_rtt_until: float | None = None
        self._saved_window = 0
        self._in_recovery = False
        self._conserve_until = -1  # the round in which a recovery began: as much goes out as comes in

    @property
    def quantum(self) -> int:
        """How many bytes may go out in one burst."""
        least, size = 2 * self.packet_size, int(self.rate * QUANTUM_TIME)
        return least if size < least else size if size < MAX_QUANTUM else MAX_QUANTUM

    def on_ack(self, sample: Sample, now: float) -> None:
        """Learn from an acknowledgement that delivered something."""
        self._round_started = sample.prior_delivered >= self._round_ends
        if self._round_started:
            self._round_ends = sample.delivered
            self._round += 1
        if sample.rate is not None and (not sample.app_limited or sample.rate >= self.bandwidth):
            self._take_bandwidth(sample.rate)
        elif self._round_started:
            self._forget_bandwidths()
        self._update_bunches(sample, now)
        if self.mode is BbrMode.PROBE_BANDWIDTH:
            self._update_cycle(sample, now)
        if self._round_started and not (self._pipe_filled or sample.app_limited):
            self._update_full_pipe()
        self._update_min_rtt(sample, now)
        self._update_window(sample)
        self._update_rate()

    def on_loss(self, in_flight: int, acked: int) -> None:
        """Packets were lost for the first time since the last recovery (draft-cardwell, section 4.2.3.4)."""
        if self._in_recovery:
            return
        self._save_window()
        self._in_recovery = True
        self._conserve_until = self._round + 1
        self.window = max(in_flight + acked, MIN_WINDOW * self.packet_size)

    def on_timeout(self) -> None:
        """Nothing came back for so long that all in flight counts as lost."""
        self._save_window()
        self._in_recovery = True
        self.window = MIN_WINDOW * self.packet_size

    def on_recovered(self) -> None:
        """All that was in flight when the losses were found has arrived."""
        if self._in_recovery:
            self._in_recovery = False
            self._conserve_until = -1
            self.window = max(self.window, self._saved_window)

    def on_restart(self) -> None:
        """Sending begins again after there was nothing to send (draft-cardwell, section 4.3.4.4)."""
        if self.mode is BbrMode.PROBE_BANDWIDTH and self.bandwidth:
            self.rate = self.bandwidth

    def _save_window(self) -> None:
        if self._in_recovery or self.mode is BbrMode.PROBE_RTT:
            self._saved_window = max(self._saved_window, self.window)
        else:
            self._saved_window = self.window

    def _take_bandwidth(self, rate: float) -> None:
        bandwidths = self._bandwidths
        while bandwidths and bandwidths[-1][1] <= rate:
            bandwidths.pop()
        bandwidths.append((self._round, rate))
        self._forget_bandwidths()

    def _forget_bandwidths(self) -> None:
        bandwidths = self._bandwidths
        while len(bandwidths) > 1 and bandwidths[0][0] < self._round - BANDWIDTH_LIFETIME:
            bandwidths.popleft()
        if bandwidths:
            self.bandwidth = bandwidths[0][1]

    def _update_bunches(self, sample: Sample, now: float) -> None:
        explained = int(self.bandwidth * (now - self._bunch_at))
        if self._bunch <= explained:
            self._bunch_at, self._bunch, explained = now, 0, 0
        self._bunch += sample.acked
        if self._round >= self._bunch_round + BUNCH_ROUNDS:
            self._bunch_round = self._round
            self._bunch_excess = [0, self._bunch_excess[0]]
        excess = self._bunch - explained
        if excess > self._bunch_excess[0]:
            self._bunch_excess[0] = max(self._bunch_excess[0], min(excess, self.window))

    def _update_cycle(self, sample: Sample, now: float) -> None:
        """Probe for bandwidth, drain, cruise (draft-cardwell, section 4.3.4)."""
        before = sample.in_flight + sample.acked + sample.lost
        long_enough = now - self._cycle_at > (self.min_rtt or 0.0)
        if self._gain > 1.0:
            over = long_enough and (sample.lost > 0 or before >= self._target(self._gain))
        elif self._gain < 1.0:
            over = long_enough or before <= self._target(1.0)
        else:
            over = long_enough
        if over:
            self._enter_cycle((self._cycle + 1) % len(CYCLE), now)

    def _enter_cycle(self, cycle: int, now: float) -> None:
        self._cycle, self._cycle_at = cycle, now
        self._gain = CYCLE[cycle]

    def _update_full_pipe(self) -> None:
        """Startup ends when three rounds bring no more bandwidth (draft-cardwell, section 4.3.2.2)."""
        if self.bandwidth >= self._full_bandwidth * FULL_PIPE_GROWTH:
            self._full_bandwidth, self._full_rounds = self.bandwidth, 0
            return
        self._full_rounds += 1
        self._pipe_filled = self._full_rounds >= FULL_PIPE_ROUNDS

    def _update_min_rtt(self, sample: Sample, now: float) -> None:
        """Leave startup and drain, and measure the round trip anew (draft-cardwell, sections 4.3.3 and 4.3.5)."""
        if self.mode is BbrMode.STARTUP and self._pipe_filled:
            self.mode = BbrMode.DRAIN
            self._gain, self._window_gain = 1 / STARTUP_GAIN, STARTUP_GAIN
        if self.mode is BbrMode.DRAIN and sample.in_flight <= self._target(1.0):
            self._probe_bandwidth(now)
        expired = self.min_rtt is not None and now > self._min_rtt_at + MIN_RTT_LIFETIME
        if sample.rtt is not None and (self.min_rtt is None or sample.rtt <= self.min_rtt or expired):
            self.min_rtt, self._min_rtt_at = sample.rtt, now
        if expired and self.mode is not BbrMode.PROBE_RTT:
            self._save_window()
            self.mode = BbrMode.PROBE_RTT
            self._gain = self._window_gain = 1.0
            self._probe_rtt_until = None
        if self.mode is BbrMode.PROBE_RTT:
            self._probe_rtt(sample, now)

    def _probe_rtt(self, sample: Sample, now: float) -> None:
        if self._probe_rtt_until is None:
            if sample.in_flight <= MIN_WINDOW * self.packet_size:
                self._probe_rtt_until = now + PROBE_RTT_DURATION
        elif now >= self._probe_rtt_until:
            self._min_rtt_at = now
            self.window = max(self.window, self._saved_window)
            if self._pipe_filled:
                self._probe_bandwidth(now)
            else:
                self.mode = BbrMode.STARTUP
                self._gain = self._window_gain = STARTUP_GAIN

    def _probe_bandwidth(self, now: float) -> None:
        self.mode = BbrMode.PROBE_BANDWIDTH
        self._window_gain = WINDOW_GAIN
        cruising = 2 + self._seed % (len(CYCLE) - 2)
        self._enter_cycle(cruising, now)

    def _target(self, gain: float) -> int:
        """How many bytes should be in flight: what the path holds, times `gain`, and room for bursts."""
        if self.min_rtt is None or not self._bandwidths:
            return INITIAL_WINDOW * self.packet_size
        return int(gain * self.bandwidth * self.min_rtt) + 3 * self.quantum

    def _update_window(self, sample: Sample) -> None:
        """Set how much may be in flight (draft-cardwell, section 4.2.3)."""
        least = MIN_WINDOW * self.packet_size
        if sample.lost:
            self.window = max(self.window - sample.lost, self.packet_size)
        target = self._target(self._window_gain)
        if self._round < self._conserve_until:
            self.window = max(self.window, sample.in_flight + sample.acked)
        elif self._pipe_filled:
            bunches = min(max(self._bunch_excess), int(self.bandwidth * MAX_BUNCH_TIME))
            self.window = min(self.window + sample.acked, target + bunches)
        elif self.window < target or sample.delivered < INITIAL_WINDOW * self.packet_size:
            self.window += sample.acked
        if self.window < least or self.mode is BbrMode.PROBE_RTT:
            self.window = least
        elif self.window > MAX_WINDOW:
            self.window = MAX_WINDOW

    def _update_rate(self) -> None:
        """Set the pace (draft-cardwell, section 4.2.1)."""
        if self._bandwidths:
            rate = self._gain * self.bandwidth
        elif self.min_rtt is not None:
            rate = STARTUP_GAIN * INITIAL_WINDOW * self.packet_size / max(self.min_rtt, INITIAL_RTT)
        else:
            return
        if self._pipe_filled or rate > self.rate or not self._bandwidths:
            self.rate = rate
