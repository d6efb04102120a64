from itertools import pairwise

import pytest

from linkup_nb.wire.udx.bbr import INITIAL_WINDOW, MAX_WINDOW, MIN_WINDOW, Bbr, BbrMode, Sample
from linkup_nb.wire.udx.stream import Stream
from tests.wire.udx.wire import Conditions, Wire, pair

PACKET = 1200  # bytes
MB = 1_000_000


class Busy:
    """A stream on a fake wire that always has something to send."""

    def __init__(self, rate: float, delay: float) -> None:
        self.wire = Wire(Conditions(rate=rate, delay=delay))
        self.one, self.other = pair(self.wire)
        self.bbr = self.one.sender.congestion
        self.modes: list[BbrMode] = []

    def run(self, seconds: float) -> None:
        end = self.wire.now + seconds
        while self.wire.now < end:
            if self.one.buffered < MB:
                self.one.write(bytes(MB))
            self.wire.run(seconds=0.01)
            self.other.read()
            if self.modes[-1:] != [self.bbr.mode]:
                self.modes.append(self.bbr.mode)


def acknowledged(bbr: Bbr, rounds: int, rtt: float, rate: float, now: float = 0.0) -> list[int]:
    """The windows of so many round trips, in each of which a whole window arrived."""
    windows, delivered = [], 0
    for _ in range(rounds):
        windows.append(bbr.window)
        acked, prior, delivered, now = bbr.window, delivered, delivered + bbr.window, now + rtt
        bbr.on_ack(Sample(acked, 0, 0, delivered, prior, rate, rtt, False), now)
    return windows


def test_the_model_finds_the_path() -> None:
    busy = Busy(2 * MB, 0.025)
    busy.run(2)
    assert busy.bbr.bandwidth == pytest.approx(2 * MB, rel=0.03)
    assert busy.bbr.min_rtt == pytest.approx(0.05, rel=0.05)
    assert busy.modes == [BbrMode.STARTUP, BbrMode.DRAIN, BbrMode.PROBE_BANDWIDTH]
    assert 2 * MB * 0.05 < busy.bbr.window < 3 * 2 * MB * 0.05


def test_the_first_rounds_double() -> None:
    windows = acknowledged(Bbr(PACKET, seed=0), 5, 0.05, 1000 * MB)
    assert windows[0] == INITIAL_WINDOW * PACKET
    assert all(later >= 1.9 * earlier for earlier, later in pairwise(windows))


def test_the_shortest_round_trip_is_measured_anew() -> None:
    busy = Busy(MB, 0.025)
    busy.run(2)
    busy.wire.conditions.delay = 0.1
    busy.run(12)
    assert BbrMode.PROBE_RTT in busy.modes
    assert busy.modes[-1] is BbrMode.PROBE_BANDWIDTH
    assert busy.bbr.min_rtt == pytest.approx(0.2, rel=0.2)


def test_a_path_that_got_narrow_is_noticed_and_one_that_got_wide_too() -> None:
    busy = Busy(2 * MB, 0.025)
    busy.run(2)
    busy.wire.conditions.rate = MB / 2
    busy.run(10)
    assert busy.bbr.bandwidth == pytest.approx(MB / 2, rel=0.1)
    busy.wire.conditions.rate = 2 * MB
    busy.run(4)
    assert busy.bbr.bandwidth == pytest.approx(2 * MB, rel=0.1)


def test_having_little_to_send_says_nothing_about_the_path() -> None:
    busy = Busy(2 * MB, 0.025)
    busy.run(2)
    busy.wire.run(lambda: busy.one.buffered == 0)
    for _ in range(50):
        busy.one.write(b"x")
        busy.wire.run(seconds=0.1)
    assert busy.bbr.bandwidth == pytest.approx(2 * MB, rel=0.03)


def test_losses_hold_the_window_for_a_round_and_a_timeout_empties_it() -> None:
    bbr = Bbr(PACKET, seed=0)
    before = acknowledged(bbr, 20, 0.05, 10 * MB)[-1]
    assert bbr.window == before
    bbr.on_loss(in_flight=before // 2, acked=PACKET)
    assert bbr.window == before // 2 + PACKET
    bbr.on_timeout()
    assert bbr.window == MIN_WINDOW * PACKET
    bbr.on_recovered()
    assert bbr.window == before


def test_acknowledgements_that_come_bunched_get_room() -> None:
    def window(bunch: float) -> int:
        bbr, now, delivered = Bbr(PACKET, seed=0), 0.0, 0
        for _ in range(200):
            now += bunch
            acked = int(MB * bunch)
            delivered += acked
            bbr.on_ack(Sample(acked, 0, 0, delivered, delivered - acked, MB, 0.001, False), now)
        return bbr.window

    assert window(bunch=0.05) > window(bunch=0.001) + 0.04 * MB


def test_no_acknowledgement_makes_the_window_larger_than_its_bound() -> None:
    bbr = Bbr(PACKET, seed=0)
    acknowledged(bbr, 100, 10.0, 1e12)
    assert bbr.window == MAX_WINDOW


def test_streams_probe_at_different_times() -> None:
    rates = set()
    for seed in range(6):
        bbr = Bbr(PACKET, seed)
        acknowledged(bbr, 12, 0.05, 10 * MB)
        rates.add(bbr.rate)
    assert len(rates) > 1


def streams_share(wire: Wire, streams: list[Stream], seconds: float) -> list[int]:
    """How many bytes each of some streams gets through."""
    received = [0] * len(streams)
    end = wire.now + seconds
    while wire.now < end:
        wire.run(seconds=0.01)
        for number, stream in enumerate(streams):
            received[number] += len(stream.read())
    return received


def test_two_streams_share_a_link() -> None:
    wire = Wire(Conditions(rate=2 * MB, delay=0.02, queue=100_000))
    one, other = pair(wire)
    one.write(bytes(40 * MB))
    later = wire.endpoint(one).open_stream(11, wire.now), wire.endpoint(other).open_stream(12, wire.now)
    assert one.remote
    assert other.remote
    later[0].connect(12, one.remote, wire.now)
    later[1].connect(11, other.remote, wire.now)
    wire.run(seconds=2)
    later[0].write(bytes(40 * MB))
    streams_share(wire, [other, later[1]], 5)
    shares = streams_share(wire, [other, later[1]], 10)
    assert sum(shares) > 0.85 * 2 * MB * 10
    assert min(shares) > 0.2 * sum(shares)
