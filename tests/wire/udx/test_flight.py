import pytest

from linkup_nb.wire.udx.bbr import Sample
from linkup_nb.wire.udx.flight import MAX_REORDERING, Flight
from linkup_nb.wire.udx.packet import DATA, MAX_SACKS

RTT = 0.1  # seconds


def flight_of(packets: int, gap: float = 0.0) -> Flight:
    """Packets of 80 bytes of data, in flight since 0 seconds and `gap` more each."""
    flight = Flight(lambda padding, delivered: None)
    for number in range(packets):
        flight.add(DATA, bytes(80), 0, number * gap)
    return flight


def learnt(sample: Sample | None) -> Sample:
    assert sample is not None
    return sample


def test_what_arrives_is_counted_once() -> None:
    flight = flight_of(10)
    assert (flight.bytes, flight.data_bytes) == (1000, 800)
    first = learnt(flight.acknowledge(2, ((3, 5),), RTT))
    assert (first.acked, flight.bytes, flight.data_bytes) == (400, 600, 640)
    assert flight.acknowledge(2, ((3, 5),), RTT) is None
    second = learnt(flight.acknowledge(10, (), RTT))
    assert (second.acked, flight.delivered) == (600, 1000)
    assert (flight.empty, flight.data_bytes) == (True, 0)


def test_a_packet_overtaken_by_far_is_lost() -> None:
    flight = flight_of(4, gap=0.01)
    sample = learnt(flight.acknowledge(0, ((1, 2),), 0.01 + RTT))
    assert sample.lost == 0
    assert flight.reorder_at == pytest.approx(1.25 * RTT)
    assert flight.lose_overtaken(1.25 * RTT) == 100
    lost = flight.next_lost()
    assert lost
    assert lost.seq == 0


def test_packets_sent_after_the_newest_to_arrive_are_not_lost() -> None:
    flight = flight_of(4, gap=0.01)
    flight.acknowledge(1, (), RTT)
    assert flight.lose_overtaken(100.0) == 0
    assert flight.reorder_at is None


def test_losses_are_sent_again_lowest_first() -> None:
    flight = flight_of(5)
    flight.lose_all()
    assert (flight.bytes, bool(flight)) == (0, False)
    again = []
    while lost := flight.next_lost():
        flight.send_again(lost, 1.0)
        again.append(lost.seq)
    assert again == [0, 1, 2, 3, 4]
    assert (flight.bytes, flight.retransmissions) == (500, 5)


def test_round_trips_of_packets_sent_again_do_not_count() -> None:
    flight = flight_of(1)
    flight.lose_all()
    lost = flight.next_lost()
    assert lost
    flight.send_again(lost, 5.0)
    assert learnt(flight.acknowledge(1, (), 5.1)).rtt is None
    assert flight.srtt is None


def test_a_path_that_reorders_is_given_more_time() -> None:
    flight = flight_of(1)
    flight.acknowledge(1, (), RTT)
    waits = []
    for round_ in range(1, MAX_REORDERING + 4):
        now = 10.0 * round_
        first = flight.add(DATA, b"", 0, now)
        flight.add(DATA, b"", 0, now)
        flight.acknowledge(first.seq, ((first.seq + 1, first.seq + 2),), now + RTT)
        assert flight.reorder_at is not None
        waits.append(flight.reorder_at - now - RTT)
        flight.lose_overtaken(flight.reorder_at)
        flight.send_again(first, now + 1)
        flight.acknowledge(first.seq + 2, (), now + 1 + RTT / 10)  # too soon to be the answer to that
    assert waits[0] == pytest.approx(RTT / 4)
    assert waits[1] == pytest.approx(2 * RTT / 4)
    assert waits[-1] == pytest.approx(MAX_REORDERING * RTT / 4)


def test_what_the_peer_had_no_room_to_name_is_not_lost() -> None:
    packets = 3 * MAX_SACKS
    flight = flight_of(packets)
    flight.acknowledge(0, (), RTT)
    flight.acknowledge(0, tuple((seq, seq + 1) for seq in range(1, 2 * MAX_SACKS, 2)), RTT)
    flight.send_again(flight.tail(), 2 * RTT)
    flight.acknowledge(1, tuple((seq, seq + 1) for seq in range(3, 2 * MAX_SACKS + 2, 2)), 3 * RTT)
    flight.lose_overtaken(10.0)
    lost = []
    while sent := flight.next_lost():
        flight.send_again(sent, 20.0)
        lost.append(sent.seq)
    assert lost == list(range(2, 2 * MAX_SACKS + 1, 2))


def test_the_rate_is_that_of_arriving() -> None:
    flight = flight_of(11)
    flight.acknowledge(1, (), RTT)
    assert learnt(flight.acknowledge(11, (), 2 * RTT)).rate == pytest.approx(1100 / (2 * RTT))


def test_what_came_long_ago_and_had_no_room_in_an_acknowledgement_is_no_rate() -> None:
    packets = 4 * MAX_SACKS
    flight = flight_of(packets, gap=0.01)
    crowded = tuple((seq, seq + 1) for seq in range(1, 2 * MAX_SACKS, 2))  # more has come than it can name
    flight.acknowledge(0, crowded, packets * 0.01 + RTT)
    assert learnt(flight.acknowledge(packets - 1, (), packets * 0.01 + 2 * RTT)).rate is None
    flight.add(DATA, bytes(80), 0, packets * 0.01 + 2 * RTT)
    assert learnt(flight.acknowledge(packets + 1, (), packets * 0.01 + 3 * RTT)).rate is not None


def test_probes_are_no_sign_of_congestion() -> None:
    ended = []
    flight = Flight(lambda padding, delivered: ended.append((padding, delivered)))
    probe = flight.add(DATA, bytes(80), 32, 0.0)
    flight.add(DATA, bytes(80), 0, 0.0)
    assert flight.bytes == 232
    sample = learnt(flight.acknowledge(0, ((1, 2),), RTT))
    flight.lose_overtaken(2 * RTT)
    assert (sample.lost, probe.lost, probe.size, flight.bytes) == (0, True, 100, 0)
    assert ended == [(32, False)]
