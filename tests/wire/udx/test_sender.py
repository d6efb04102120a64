import pytest

from linkup_nb.wire.udx.bbr import INITIAL_WINDOW
from linkup_nb.wire.udx.packet import DATA, END
from linkup_nb.wire.udx.path import UNPROVEN_BYTES, Path
from linkup_nb.wire.udx.sender import MAX_TIMEOUT, MAX_TIMEOUTS, Sender

RTT = 0.1  # seconds
MB = 1_000_000


def proven(window: int = 4 * MB) -> Sender:
    path = Path()
    path.move(("10.0.0.2", 2), 0.0)
    path.acknowledged(0.0)
    sender = Sender(seed=1, path=path)
    sender.window = window
    return sender


def measured() -> Sender:
    """A sender that knows its path's round trip and has nothing in flight, at `RTT` seconds."""
    sender = proven()
    sender.write(b"x")
    sender.packets(0.0)
    sender.receive(1, (), 4 * MB, RTT)
    return sender


def test_small_writes_share_packets_and_large_ones_are_cut() -> None:
    sender = proven()
    for piece in (b"a" * 100, b"b" * 2000, b"c", b"d"):
        sender.write(piece)
    sender.end()
    packets = sender.packets(0.0)
    assert [len(packet.payload) for packet in packets] == [1152, 950]
    assert [packet.kinds for packet in packets] == [DATA, DATA | END]
    assert b"".join(packet.payload for packet in packets) == b"a" * 100 + b"b" * 2000 + b"cd"


def test_an_end_alone_is_a_packet() -> None:
    sender = proven()
    sender.end()
    assert [(packet.kinds, packet.payload) for packet in sender.packets(0.0)] == [(END, b"")]
    assert not sender.finished
    sender.receive(1, (), 0, RTT)
    assert sender.finished


def test_the_window_of_the_peer_is_kept() -> None:
    sender = proven(window=3000)
    sender.write(bytes(10_000))
    assert sum(len(packet.payload) for packet in sender.packets(0.0)) == 2 * 1152
    sender.receive(2, (), 500, RTT)
    assert [len(packet.payload) for packet in sender.packets(RTT)] == [500]


def test_the_first_flight_is_that_of_the_congestion_control() -> None:
    sender = proven()
    sender.write(bytes(MB))
    assert len(sender.packets(0.0)) == INITIAL_WINDOW
    assert sender.packets(0.0) == []


def test_a_tail_is_probed_for_before_all_counts_as_lost() -> None:
    sender = measured()
    sender.write(bytes(3000))
    now = RTT
    sent = sender.packets(now)
    assert sender.timer == pytest.approx(now + 2 * RTT)
    sender.handle_timer(now + 2 * RTT)
    assert sender.packets(now + 2 * RTT) == sent[-1:]
    assert sender.timer == pytest.approx(now + 2 * RTT + 1.0)
    sender.handle_timer(now + 2 * RTT + 1.0)
    assert sender.packets(now + 2 * RTT + 1.0) == sent


def test_timeouts_double_and_end() -> None:
    sender = proven()
    sender.write(b"x")
    now, waits = 0.0, []
    while not sender.timed_out:
        sender.packets(now)
        assert sender.timer is not None
        waits.append(sender.timer - now)
        now = sender.timer
        sender.handle_timer(now)
    assert waits == [1, 2, 4, 8, 16, MAX_TIMEOUT]
    assert len(waits) == MAX_TIMEOUTS


def test_little_goes_to_an_address_that_is_not_proven() -> None:
    path = Path()
    path.move(("10.0.0.2", 2), 0.0)
    sender = Sender(seed=1, path=path)
    sender.write(bytes(MB))
    sizes, now = [], 0.0
    while not sender.timed_out:
        sizes += [packet.size for packet in sender.packets(now)]
        assert sender.timer is not None
        now = sender.timer
        sender.handle_timer(now)
    assert len(sizes) == MAX_TIMEOUTS
    assert sum(sizes) <= UNPROVEN_BYTES


def test_a_peer_without_room_is_asked_now_and_then() -> None:
    sender = measured()
    sender.window = 0
    sender.write(b"x")
    assert sender.packets(1.0) == []
    assert sender.timer is not None
    sender.handle_timer(sender.timer)
    assert sender.heartbeat_due


def test_packets_are_spread_over_time() -> None:
    sender = measured()
    sender.congestion.rate = MB
    sender.congestion.window = MB
    sender.write(bytes(MB))
    now, sent = 1.0, 0
    while now < 1.5:
        sent += sum(packet.size for packet in sender.packets(now))
        assert sender.timer is not None
        now = sender.timer
    assert sent == pytest.approx(MB / 2, rel=0.1)
