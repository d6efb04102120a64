from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.wire.udx.packet import DATA, END, MAX_SACKS
from linkup_nb.wire.udx.receiver import RECEIVE_WINDOW, Receiver


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=12))
def test_any_order_is_put_right(order: list[int], again: list[int]) -> None:
    receiver = Receiver()
    for seq in [*order, *again]:
        assert receiver.receive(seq, END if seq == 11 else DATA, b"%d." % seq)
    assert receiver.read() == b"0.1.2.3.4.5.6.7.8.9.10.11."
    assert (receiver.ack, receiver.ended, receiver.sacks()) == (12, True, ())


@given(st.sets(st.integers(1, 60)))
def test_ranges_name_what_came_before_its_turn(early: set[int]) -> None:
    receiver = Receiver()
    for seq in early:
        receiver.receive(seq, DATA, b"x")
    named = [seq for start, end in receiver.sacks() for seq in range(start, end)]
    assert named == sorted(early)
    assert all(end < start for (_, end), (start, _) in zip(receiver.sacks(), receiver.sacks()[1:], strict=False))


def test_no_more_ranges_are_named_than_a_packet_holds() -> None:
    receiver = Receiver()
    for seq in range(1, 4 * MAX_SACKS, 2):
        receiver.receive(seq, DATA, b"x")
    assert receiver.sacks() == tuple((seq, seq + 1) for seq in range(1, 2 * MAX_SACKS, 2))


def test_the_window_is_what_is_not_read() -> None:
    receiver = Receiver()
    receiver.receive(0, DATA, bytes(1000))
    receiver.receive(2, DATA, bytes(500))
    assert receiver.window == RECEIVE_WINDOW - 1000
    assert len(receiver.read()) == 1000
    assert receiver.window == RECEIVE_WINDOW


def test_nothing_comes_after_the_end() -> None:
    receiver = Receiver()
    receiver.receive(2, DATA, b"after")
    receiver.receive(1, DATA | END, b"last")
    receiver.receive(0, DATA, b"first ")
    receiver.receive(2, DATA, b"after")
    assert receiver.read() == b"first last"
    assert (receiver.ack, receiver.readable, receiver.early) == (2, False, False)
