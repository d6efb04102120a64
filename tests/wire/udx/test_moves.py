"""A peer speaks from another address than the one it was said to be at, or than before; and strangers pretend to."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkup_nb.wire.udx.events import Address
from linkup_nb.wire.udx.mtu import BASE_PAYLOAD
from linkup_nb.wire.udx.packet import DATA, DESTROY, HEADER_SIZE, HEARTBEAT, NUMBERS, Packet, encode
from linkup_nb.wire.udx.path import AMPLIFICATION, UNPROVEN_BYTES, UNPROVEN_RATE
from linkup_nb.wire.udx.receiver import RECEIVE_WINDOW
from linkup_nb.wire.udx.stream import HEARTBEATS, IDLE_TIMEOUT, Stream, StreamState
from tests.wire.udx.wire import ONE, OTHER, Conditions, Wire, pair

BEGAN = Wire().now
MANY = 300_000  # bytes
SAME_HOST = (OTHER[0], 77)
OTHER_HOST = ("10.0.0.3", 3)
VICTIM = ("10.6.6.6", 6)
PLACES = pytest.mark.parametrize("place", [SAME_HOST, OTHER_HOST], ids=["another port", "another host"])
CONDITIONS = pytest.mark.parametrize(
    "conditions", [Conditions(), Conditions(loss=0.05, jitter=0.005, duplicates=0.02)], ids=["good", "bad"]
)


def random_bytes(size: int) -> bytes:
    return Random(size).randbytes(size)


def both_send(wire: Wire, one: Stream, other: Stream, size: int = MANY) -> None:
    """Let each end have data, of which nothing may be missing."""
    received = {one: b"", other: b""}
    for stream in received:
        stream.write(random_bytes(size))

    def arrived() -> bool:
        for stream in received:
            received[stream] += stream.read()
        return all(len(data) == size for data in received.values())

    wire.run(arrived, seconds=60)
    assert all(data == random_bytes(size) for data in received.values())


def talk(wire: Wire, one: Stream, other: Stream) -> None:
    """Let both ends know that they reach each other."""
    for stream in (one, other):
        stream.write(b"hello")
        wire.run(lambda: one.buffered == other.buffered == 0, seconds=5)
    assert one.read() == other.read() == b"hello"


def bound(wire: Wire) -> float:
    """How many bytes may have gone to addresses that acknowledge nothing."""
    received = AMPLIFICATION * wire.bytes_to.get(ONE, 0)
    return UNPROVEN_BYTES + received + UNPROVEN_RATE * (wire.now - BEGAN) + HEARTBEATS * HEADER_SIZE


def next_packet(one: Stream, kinds: int = DATA, payload: bytes = b"x") -> bytes:
    """What the peer would send next, made by someone who knows all numbers."""
    return encode(Packet(kinds, 1, RECEIVE_WINDOW, one.receiver.newest, one.sender.flight.unacked, (), payload))


@PLACES
@CONDITIONS
@pytest.mark.parametrize("size", [1, BASE_PAYLOAD, BASE_PAYLOAD + 1, 1_000_000])
def test_a_peer_that_replies_from_its_other_socket_receives_everything(
    place: Address, conditions: Conditions, size: int
) -> None:
    wire = Wire(conditions)
    one, other = pair(wire)
    wire.speak_from(OTHER, place)
    both_send(wire, one, other, size)
    assert one.remote == place
    assert wire.now < BEGAN + 20


@PLACES
@CONDITIONS
def test_a_peer_behind_a_nat_that_shows_another_address_is_reached_when_it_speaks(
    place: Address, conditions: Conditions
) -> None:
    wire = Wire(conditions)
    one, other = pair(wire)
    wire.move(OTHER, place)
    one.write(b"to where nobody is")
    wire.run(seconds=0.5)
    other.write(b"here")
    wire.run(lambda: one.buffered == other.buffered == 0, seconds=20)
    assert (one.read(), other.read()) == (b"here", b"to where nobody is")
    both_send(wire, one, other)
    assert one.remote == place


@PLACES
@CONDITIONS
@pytest.mark.parametrize("reachable", ["at both", "at the new one"])
def test_a_peer_that_moves_midway_loses_nothing(place: Address, conditions: Conditions, reachable: str) -> None:
    wire = Wire(conditions)
    one, other = pair(wire)
    talk(wire, one, other)
    for stream in (one, other):
        stream.write(random_bytes(MANY))
    wire.run(lambda: one.buffered < MANY // 2, seconds=5)
    (wire.move if reachable == "at the new one" else wire.speak_from)(OTHER, place)
    wire.run(lambda: one.buffered == other.buffered == 0, seconds=20)
    assert one.read() == other.read() == random_bytes(MANY)
    assert one.remote == place


def test_a_peer_that_only_listens_may_change_its_socket() -> None:
    wire = Wire()
    one, other = pair(wire)
    talk(wire, one, other)
    one.write(random_bytes(MANY))
    wire.run(lambda: one.buffered < MANY // 2, seconds=5)
    wire.speak_from(OTHER, SAME_HOST)
    wire.run(lambda: one.buffered == 0, seconds=5)
    assert other.read() == random_bytes(MANY)
    assert one.remote == SAME_HOST


def test_a_move_after_all_that_may_be_sent_was_sent_and_acknowledged_stops_nothing() -> None:
    wire = Wire()
    one, other = pair(wire)
    wire.speak_from(OTHER, SAME_HOST)
    one.write(random_bytes(MANY))
    wire.run(seconds=0.005)
    wire.inject(next_packet(one, HEARTBEAT), OTHER, ONE)
    wire.run(seconds=0.002)
    assert one.path.room < BASE_PAYLOAD
    wire.run(lambda: one.buffered == 0, seconds=1)
    assert other.read() == random_bytes(MANY)


def test_what_is_acknowledged_right_after_a_move_is_not_sent_again() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.write(b"hello")
    wire.run(lambda: other.receiver.readable, seconds=1)
    sent = wire.bytes_to[OTHER]
    for acknowledged in (0, 1):
        wire.inject(encode(Packet(DATA, 1, RECEIVE_WINDOW, acknowledged, acknowledged, (), b"x")), SAME_HOST, ONE)
    wire.run(seconds=0.001)
    assert one.buffered == 0
    assert (wire.bytes_to[OTHER], wire.bytes_to[SAME_HOST]) == (sent, HEADER_SIZE)


def test_silent_ends_of_which_one_moves_stay_connected() -> None:
    wire = Wire()
    one, other = pair(wire)
    talk(wire, one, other)
    wire.run(seconds=IDLE_TIMEOUT)
    wire.move(OTHER, SAME_HOST)
    wire.run(seconds=3 * IDLE_TIMEOUT)
    assert one.state is other.state is StreamState.CONNECTED
    both_send(wire, one, other)


def test_a_peer_that_is_back_needs_no_new_proof() -> None:
    wire = Wire()
    one, other = pair(wire)
    talk(wire, one, other)
    assert one.path.proven
    wire.speak_from(OTHER, SAME_HOST)
    other.write(b"from here")
    wire.run(lambda: one.remote == SAME_HOST, seconds=1)
    assert not one.path.proven
    one.write(b"yes")
    wire.run(lambda: one.buffered == 0, seconds=1)
    assert one.path.proven
    wire.inject(next_packet(one), OTHER, ONE)
    assert one.remote == OTHER
    assert one.path.proven


def test_another_port_keeps_what_is_known_of_the_path_and_another_host_does_not() -> None:
    wire = Wire(Conditions(delay=0.05))
    one, other = pair(wire)
    one.write(bytes(MANY))
    wire.run(lambda: one.buffered == 0, seconds=20)
    other.read()
    known = one.minimum_rtt, one.sender.mtu.payload_size, one.sender.congestion.bandwidth
    wire.speak_from(OTHER, SAME_HOST)
    talk(wire, one, other)
    assert one.remote == SAME_HOST
    assert (one.minimum_rtt, one.sender.mtu.payload_size, one.sender.congestion.bandwidth) == known
    wire.conditions.delay = 0.2
    wire.move(SAME_HOST, OTHER_HOST)
    other.write(b"here")
    wire.run(lambda: one.remote == OTHER_HOST, seconds=1)
    assert one.minimum_rtt is None
    assert one.sender.mtu.payload_size == BASE_PAYLOAD
    one.write(bytes(MANY))
    wire.run(lambda: one.buffered == 0, seconds=20)
    assert one.minimum_rtt == pytest.approx(0.4)


def test_an_old_packet_that_comes_late_moves_nothing() -> None:
    wire = Wire()
    one, other = pair(wire)
    talk(wire, one, other)
    wire.speak_from(OTHER, SAME_HOST)
    talk(wire, one, other)
    for kinds in (DATA, HEARTBEAT, 0):
        wire.inject(encode(Packet(kinds, 1, RECEIVE_WINDOW, 0, 0)), OTHER, ONE)
    assert one.remote == SAME_HOST


@pytest.mark.parametrize("kinds", [0, DATA, HEARTBEAT, DESTROY])
def test_a_stranger_who_knows_only_the_streams_id_changes_nothing(kinds: int) -> None:
    wire = Wire()
    one, other = pair(wire)
    one.sender.flight.next_seq = one.sender.flight.unacked = other.receiver.ack = 2**31
    one.receiver.ack = other.sender.flight.next_seq = other.sender.flight.unacked = 3 * 2**30
    talk(wire, one, other)
    for guess in range(0, NUMBERS, NUMBERS // 1000):
        wire.inject(encode(Packet(kinds, 1, RECEIVE_WINDOW, guess, NUMBERS - 1 - guess)), VICTIM, ONE)
    both_send(wire, one, other)
    assert VICTIM not in wire.bytes_to
    assert one.remote == OTHER


def test_who_knows_all_numbers_has_a_third_party_sent_little() -> None:
    wire = Wire()
    one, other = pair(wire)
    talk(wire, one, other)
    one.write(bytes(MANY))
    for _ in range(5):
        wire.inject(next_packet(one, HEARTBEAT), VICTIM, ONE)
        assert one.remote == VICTIM
        wire.run(lambda: one.remote != VICTIM, seconds=5)
    wire.run(lambda: one.buffered == 0, seconds=20)
    assert other.read() == bytes(MANY)
    assert one.remote == OTHER
    assert UNPROVEN_BYTES / 2 < wire.bytes_to[VICTIM] <= bound(wire)


def test_a_peer_that_names_a_third_party_has_it_sent_little() -> None:
    wire = Wire()
    liar = wire.add(OTHER).open_stream(2, wire.now)
    one = wire.add(ONE).open_stream(1, wire.now)
    one.connect(2, VICTIM, wire.now)
    liar.connect(1, ONE, wire.now)
    one.write(bytes(MANY))
    wire.run(lambda: wire.bytes_to.get(VICTIM, 0) > 0, seconds=1)
    for number in range(1, 4):  # acknowledged is what has gone to the third party
        wire.inject(encode(Packet(0, 1, RECEIVE_WINDOW, 0, number)), OTHER, ONE)
        wire.run(seconds=2)
    assert wire.bytes_to[VICTIM] <= bound(wire)


def test_what_an_unproven_address_is_answered_is_no_longer_than_what_it_sends() -> None:
    wire = Wire()
    one = wire.add(ONE).open_stream(1, wire.now)
    one.connect(2, VICTIM, wire.now)
    for number in range(2, 2000, 2):  # each leaves one more gap to report
        wire.inject(encode(Packet(DATA, 1, RECEIVE_WINDOW, number, 0, (), b"x")), VICTIM, ONE)
        wire.run(seconds=0.01)
    assert wire.bytes_to[VICTIM] <= bound(wire)


@PLACES
def test_lost_acknowledgements_of_a_new_address_are_made_up_for(place: Address) -> None:
    wire = Wire()
    one, other = pair(wire)
    wire.speak_from(OTHER, place)
    wire.muted = {place}
    one.write(random_bytes(MANY))
    wire.run(seconds=5)
    assert wire.bytes_to[OTHER] <= UNPROVEN_BYTES
    wire.muted = set()
    wire.run(lambda: one.buffered == 0, seconds=20)
    assert other.read() == random_bytes(MANY)
    talk(wire, one, other)
    wire.move(place, VICTIM)
    other.write(b"here")
    wire.run(lambda: one.remote == VICTIM, seconds=1)
    wire.muted = {VICTIM}
    one.write(random_bytes(MANY))
    wire.run(seconds=0.5)
    wire.muted = set()
    wire.run(lambda: one.buffered == 0, seconds=20)
    assert other.read() == random_bytes(MANY)


FORGED = st.builds(
    Packet,
    st.sampled_from([0, DATA, HEARTBEAT, DATA | HEARTBEAT]),
    st.just(1),
    st.just(RECEIVE_WINDOW),
    st.integers(0, 40),
    st.just(0),
    st.just(()),
    st.binary(max_size=30),
)


@given(st.lists(st.tuples(FORGED, st.sampled_from([OTHER, VICTIM]), st.floats(0, 2)), max_size=60))
def test_addresses_that_acknowledge_nothing_are_sent_little(packets: list[tuple[Packet, Address, float]]) -> None:
    wire = Wire()
    one = wire.add(ONE).open_stream(1, wire.now)
    one.connect(2, OTHER, wire.now)
    one.write(bytes(MANY))
    for packet, address, wait in packets:
        wire.inject(encode(packet), address, ONE)
        wire.run(seconds=wait)
    assert sum(wire.bytes_to.get(address, 0) for address in (OTHER, VICTIM)) <= bound(wire)


MOVES = st.lists(st.tuples(st.sampled_from(["move", "speak"]), st.integers(1, 3), st.floats(0, 0.3)), max_size=6)


@settings(max_examples=30, deadline=None)
@given(MOVES, st.integers(0, 2**32), st.sampled_from([0.0, 0.03]))
def test_a_peer_may_move_as_it_likes(moves: list[tuple[str, int, float]], seed: int, loss: float) -> None:
    wire = Wire(Conditions(loss=loss, jitter=0.003), seed=seed)
    one, other = pair(wire)
    data, place = random_bytes(MANY // 3), OTHER
    for stream in (one, other):
        stream.write(data)
    for number, (how, host, wait) in enumerate(moves):
        new = (f"10.0.1.{host}", 100 + number)
        (wire.move if how == "move" else wire.speak_from)(place, new)
        place = new
        wire.run(seconds=wait)
    wire.run(lambda: one.buffered == other.buffered == 0, seconds=60)
    assert one.read() == other.read() == data
