from itertools import pairwise

import pytest

from linkup_nb.wire.udx_bbr import INITIAL_WINDOW, MAX_WINDOW, MIN_WINDOW, Bbr, Mode, Sample

PACKET = 1200  # bytes
MB = 1_000_000


class Path:
    """A path of one bandwidth and one round trip, of which a stream always fills what it may."""

    def __init__(self, rate: float, rtt: float) -> None:
        self.rate, self.rtt = rate, rtt
        self.bbr = Bbr(PACKET, seed=0)
        self.now = 0.0
        self.delivered = 0
        self.modes: list[Mode] = []

    def round(self, *, lost: int = 0, app_limited: bool = False) -> None:
        """Let a window of data be sent and acknowledged."""
        in_flight = self.bbr.window
        took = max(self.rtt, in_flight / self.rate)
        self.now += took
        prior, self.delivered = self.delivered, self.delivered + in_flight
        self.bbr.on_ack(
            Sample(in_flight, lost, 0, self.delivered, prior, in_flight / took, took, app_limited), self.now
        )
        if self.modes[-1:] != [self.bbr.mode]:
            self.modes.append(self.bbr.mode)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.round()


def test_the_model_finds_the_path() -> None:
    path = Path(10 * MB, 0.05)
    path.run(5)
    assert path.bbr.bandwidth == pytest.approx(10 * MB, rel=0.01)
    assert path.bbr.min_rtt == pytest.approx(0.05, rel=0.01)
    assert path.modes[-1] is Mode.PROBE_BANDWIDTH
    assert 10 * MB * 0.05 < path.bbr.window < 3 * 10 * MB * 0.05


def test_the_first_rounds_double() -> None:
    path = Path(1000 * MB, 0.05)
    windows = []
    for _ in range(5):
        windows.append(path.bbr.window)
        path.round()
    assert windows[0] == INITIAL_WINDOW * PACKET
    assert all(later >= 1.9 * earlier for earlier, later in pairwise(windows))


def test_the_shortest_round_trip_is_measured_anew() -> None:
    path = Path(10 * MB, 0.05)
    path.run(5)
    path.rtt = 0.1
    path.run(12)
    assert Mode.PROBE_RTT in path.modes
    assert path.bbr.min_rtt == pytest.approx(0.1, rel=0.5)
    assert path.modes[-1] is Mode.PROBE_BANDWIDTH


def test_a_path_that_got_narrow_is_noticed() -> None:
    path = Path(10 * MB, 0.05)
    path.run(2)
    path.rate = MB
    path.run(10)
    assert path.bbr.bandwidth == pytest.approx(MB, rel=0.01)


def test_having_little_to_send_says_nothing_about_the_path() -> None:
    path = Path(10 * MB, 0.05)
    path.run(5)
    path.rate = 1000.0
    for _ in range(30):
        path.now += 0.05
        path.delivered += 100
        sample = Sample(100, 0, 0, path.delivered, path.delivered - 100, 2000.0, 0.05, True)
        path.bbr.on_ack(sample, path.now)
    assert path.bbr.bandwidth == pytest.approx(10 * MB, rel=0.01)


def test_losses_hold_the_window_for_a_round_and_a_timeout_empties_it() -> None:
    path = Path(10 * MB, 0.05)
    path.run(5)
    before = path.bbr.window
    path.bbr.on_loss(in_flight=before // 2, acked=PACKET)
    assert path.bbr.window == before // 2 + PACKET
    path.bbr.on_timeout()
    assert path.bbr.window == MIN_WINDOW * PACKET
    path.bbr.on_recovered()
    assert path.bbr.window == before


def test_no_acknowledgement_makes_the_window_larger_than_its_bound() -> None:
    path = Path(1e12, 10.0)
    path.run(1000)
    assert path.bbr.window == MAX_WINDOW
