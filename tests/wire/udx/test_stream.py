"""Streams between two ends and over a fake wire; what is written has to arrive, whatever the wire does."""

from random import Random

import pytest

from linkup_nb.errors import UsageError
from linkup_nb.wire.udx.events import AddressSeen, Closing, DataReceived, EndReceived, RoomToWrite, StreamClosed
from linkup_nb.wire.udx.packet import DATA, DESTROY, END, HEARTBEAT, SACK, Packet, decode, encode
from linkup_nb.wire.udx.path import UNPROVEN_BYTES
from linkup_nb.wire.udx.receiver import RECEIVE_WINDOW
from linkup_nb.wire.udx.stream import (
    HIGH_MARK,
    IDLE_TIMEOUT,
    LINGER,
    LOW_MARK,
    MAX_MESSAGE,
    MAX_QUEUED_MESSAGES,
    Stream,
    StreamState,
)
from tests.vectors import load
from tests.wire.udx.wire import ONE, OTHER, Conditions, Wire, cut, pair, transfer

MB = 1_000_000
CAPTURED = [(packet["phase"], bytes.fromhex(packet["hex"])) for packet in load("udx")["packets"]]


def random_bytes(size: int) -> bytes:
    return Random(size).randbytes(size)


def kinds_of(stream: Stream, now: float) -> list[int]:
    """The kinds of packets that a stream would send now."""
    return [decode(data).kinds for batch in stream.datagrams_to_send(now) for data in cut(batch)]


def test_packets_are_those_of_javascript() -> None:
    captured = [data for _, data in CAPTURED]
    wire = Wire()
    endpoint = wire.add(ONE)
    stream = endpoint.open_stream(111, wire.now)
    stream.connect(222, OTHER, wire.now)

    def sent() -> list[bytes]:
        return [data for batch in stream.datagrams_to_send(wire.now) for data in cut(batch)]

    def receive(kinds: int, seq: int, payload: bytes = b"", padding: int = 0) -> list[bytes]:
        packet = Packet(kinds, 111, RECEIVE_WINDOW, seq, 1, (), payload)
        wire.inject(encode(packet, padding), OTHER, ONE)
        stream.read()
        return sent()

    stream.write(b"hello")
    assert sent() == captured[0:1]
    stream.send_message(b"um")
    assert sent() == captured[1:2]
    assert receive(DATA, 0, b"abc") == captured[2:3]
    assert receive(DATA, 2, b"C") == captured[3:4]
    assert receive(DATA, 4, b"E") == captured[4:5]
    assert receive(DATA, 1, b"B") == captured[5:6]
    assert receive(DATA, 3, b"D") == captured[6:7]
    assert receive(HEARTBEAT, 5) == captured[7:8]
    assert receive(DATA, 5, b"padded", padding=4) == captured[8:9]


def test_an_id_that_no_packet_can_carry_is_refused() -> None:
    stream = Wire().add(ONE).open_stream(1, 0.0)
    with pytest.raises(UsageError, match="32 bits"):
        stream.connect(1 << 32, OTHER, 0.0)


def test_a_destroyed_stream_says_so_as_javascript_does() -> None:
    wire = Wire()
    stream = wire.add(ONE).open_stream(333, wire.now)
    stream.connect(444, OTHER, wire.now)
    stream.show()
    assert kinds_of(stream, wire.now) == [HEARTBEAT]
    stream.destroy()
    assert [batch.data for batch in stream.datagrams_to_send(wire.now)] == [CAPTURED[-1][1]]


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(),
        Conditions(delay=0.0001),
        Conditions(loss=0.02, duplicates=0.02),
        Conditions(jitter=0.05),
        Conditions(jitter=0.005, loss=0.05, duplicates=0.05),
        Conditions(delay=0.1, loss=0.3),
        Conditions(rate=2 * MB, queue=64 * 1024),
        Conditions(rate=5 * MB, loss=0.02, jitter=0.005),
    ],
    ids=["good", "near", "lossy", "reordering", "all at once", "terrible", "narrow", "narrow and lossy"],
)
def test_data_arrives_intact(conditions: Conditions) -> None:
    wire = Wire(conditions)
    data = random_bytes(2 * MB)
    assert transfer(wire, *pair(wire), data) == data


def test_fifty_megabytes_arrive_at_five_percent_loss() -> None:
    wire = Wire(Conditions(jitter=0.002, loss=0.05, duplicates=0.01))
    one, other = pair(wire)
    data, began = random_bytes(50 * MB), wire.now
    assert transfer(wire, one, other, data) == data
    assert 50 * MB / (wire.now - began) > 10 * MB  # bytes a second: losses do not slow it down
    assert one.sender.flight.retransmissions < 1.5 * 0.05 * 50 * MB / 1152


def test_a_narrow_link_is_filled_and_not_flooded() -> None:
    wire = Wire(Conditions(rate=MB, delay=0.03, queue=128 * 1024))
    one, other = pair(wire)
    began = wire.now
    transfer(wire, one, other, bytes(10 * MB))
    assert 10 * MB / (wire.now - began) > 0.9 * MB
    assert one.sender.flight.retransmissions < 0.05 * 10 * MB / 1152


def test_both_directions_and_many_streams_share_a_socket() -> None:
    wire = Wire(Conditions(loss=0.01))
    ends = wire.add(ONE), wire.add(OTHER)
    streams = []
    for n in range(20):
        pair_of_streams = [end.open_stream(n, wire.now) for end in ends]
        for stream, address in zip(pair_of_streams, (OTHER, ONE), strict=True):
            stream.connect(n, address, wire.now)
            stream.write(b"%d" % n * 20_000)
            stream.end()
        streams += pair_of_streams
    wire.run(lambda: all(stream.receiver.ended for stream in streams))
    assert [stream.read() for stream in streams] == [b"%d" % (n // 2) * 20_000 for n in range(40)]


def test_packet_numbers_wrap() -> None:
    wire = Wire(Conditions(loss=0.05, jitter=0.01))
    one, other = pair(wire)
    one.sender.flight.next_seq = one.sender.flight.unacked = other.receiver.ack = 2**32 - 100
    data = random_bytes(MB)
    assert transfer(wire, one, other, data) == data
    assert one.sender.flight.next_seq > 2**32


@pytest.mark.parametrize("mtu", [1200, 1280, 1400, 1492, 1500, 9000])
def test_packets_grow_to_what_the_path_carries(mtu: int) -> None:
    wire = Wire(Conditions(mtu=mtu, rate=5 * MB))
    one, other = pair(wire)
    transfer(wire, one, other, bytes(4 * MB))
    most = min(mtu, 1500) - 48
    assert most - 16 < one.sender.mtu.payload_size <= most


def test_each_side_ends_for_itself() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.write(b"question")
    one.end()
    wire.run(lambda: other.receiver.ended)
    assert other.read() == b"question"
    assert wire.events[OTHER][-2:] == [DataReceived(2), EndReceived(2)]
    other.write(b"answer")
    other.end()
    wire.run(lambda: StreamClosed(1, Closing.ENDED) in wire.events[ONE], seconds=1)
    assert one.read() == b"answer"
    wire.run(lambda: StreamClosed(2, Closing.ENDED) in wire.events[OTHER], seconds=1)
    with pytest.raises(UsageError, match="This stream is closed"):
        one.write(b"more")


def test_an_ended_stream_still_acknowledges_for_a_while() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.end()
    other.end()
    wire.run(lambda: one.state is other.state is StreamState.LINGERING)
    wire.inject(encode(Packet(END, 1, 0, 0, 1)), OTHER, ONE)
    assert kinds_of(one, wire.now) == [0]
    wire.run(seconds=LINGER + 1)
    assert one.state is other.state is StreamState.CLOSED


def test_an_end_that_is_lost_again_and_again_arrives() -> None:
    wire = Wire(Conditions(loss=0.5), seed=3)
    one, other = pair(wire)
    one.end()
    other.end()
    wire.run(seconds=100)
    closed = [StreamClosed(1, Closing.ENDED), StreamClosed(2, Closing.ENDED)]
    assert [wire.events[ONE][-1], wire.events[OTHER][-1]] == closed


def test_destroying_resets_the_peer_at_once() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.write(bytes(MB))
    wire.run(seconds=0.1)
    one.destroy()
    wire.run(lambda: other.state is StreamState.CLOSED, seconds=0.1)
    assert wire.events[ONE][-1] == StreamClosed(1, Closing.DESTROYED)
    assert wire.events[OTHER][-1] == StreamClosed(2, Closing.RESET)


def test_nobody_else_can_destroy_a_stream() -> None:
    wire = Wire()
    one, other = pair(wire)
    other.show()
    wire.run(seconds=1)
    wire.inject(encode(Packet(DESTROY, 1, 0, 0, 0)), ("10.6.6.6", 6), ONE)
    assert one.state is StreamState.CONNECTED


def test_messages_go_beside_the_stream() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.send_message(b"first")
    one.send_message(bytes(MAX_MESSAGE))
    wire.run(lambda: len(wire.events[OTHER]) == 2, seconds=1)
    assert [event.message for event in wire.events[OTHER] if hasattr(event, "message")] == [
        b"first",
        bytes(MAX_MESSAGE),
    ]
    assert other.read() == b""
    with pytest.raises(UsageError, match=f"at most {MAX_MESSAGE} bytes"):
        one.send_message(bytes(MAX_MESSAGE + 1))


def test_messages_that_nobody_sends_on_are_dropped_over_the_limit() -> None:
    wire = Wire()
    endpoint = wire.add(ONE)
    stream = endpoint.open_stream(1, wire.now)
    for _ in range(MAX_QUEUED_MESSAGES + 3):
        stream.send_message(b"x")
    assert endpoint.dropped == {"message over the limit of those that wait": 3}


def test_a_reader_that_does_not_read_stops_the_writer() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.write(bytes(3 * RECEIVE_WINDOW))
    wire.run(seconds=20)
    assert one.buffered == 2 * RECEIVE_WINDOW
    assert len(other.read()) == RECEIVE_WINDOW
    wire.run(lambda: one.buffered == RECEIVE_WINDOW, seconds=2)
    assert len(other.read()) == RECEIVE_WINDOW


def test_a_writer_asks_again_when_it_missed_that_there_is_room() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.write(bytes(RECEIVE_WINDOW + 1))
    wire.run(seconds=20)
    wire.conditions.loss = 1.0
    other.read()
    wire.run(seconds=0.5)
    wire.conditions.loss = 0.0
    wire.run(lambda: one.buffered == 0, seconds=5)
    assert other.read() == b"\0"


def test_a_writer_is_told_when_to_go_on() -> None:
    wire = Wire(Conditions(rate=MB))
    one, other = pair(wire)
    one.write(bytes(HIGH_MARK))
    assert one.buffered == HIGH_MARK
    one.write(b"more")
    wire.run(lambda: RoomToWrite(1) in wire.events[ONE])
    assert LOW_MARK * 0.9 < one.buffered < LOW_MARK
    wire.run(lambda: one.buffered == 0)
    assert wire.events[ONE].count(RoomToWrite(1)) == 1
    assert len(other.read()) == HIGH_MARK + 4


def test_a_peer_that_vanishes_while_we_write_is_given_up() -> None:
    wire = Wire()
    one, _ = pair(wire, idle_timeout=None)
    one.write(b"hello")
    wire.run(seconds=1)
    wire.conditions.loss = 1.0
    one.write(b"anybody?")
    began = wire.now
    wire.run(lambda: one.state is StreamState.CLOSED, seconds=200)
    assert wire.events[ONE][-1] == StreamClosed(1, Closing.TIMED_OUT)
    assert 30 < wire.now - began < 100


def test_a_silent_peer_is_asked_and_then_given_up() -> None:
    wire = Wire()
    one, other = pair(wire)
    one.show()
    wire.run(seconds=20 * IDLE_TIMEOUT)
    assert one.state is other.state is StreamState.CONNECTED
    wire.conditions.loss = 1.0
    began = wire.now
    wire.run(lambda: one.state is StreamState.CLOSED)
    assert wire.events[ONE][-1] == StreamClosed(1, Closing.IDLE)
    assert IDLE_TIMEOUT * 0.7 < wire.now - began <= IDLE_TIMEOUT


def test_a_peer_that_has_heard_nothing_of_us_hears_nothing_of_our_end() -> None:
    wire = Wire()
    one, _ = pair(wire)
    wire.run(lambda: one.state is StreamState.CLOSED)
    assert wire.events[ONE] == [StreamClosed(1, Closing.IDLE)]
    assert wire.events[OTHER] == [StreamClosed(2, Closing.IDLE)]


def test_a_peer_that_never_comes_is_given_up() -> None:
    wire = Wire()
    stream = wire.add(ONE).open_stream(1, wire.now, idle_timeout=10)
    wire.run(lambda: stream.state is StreamState.CLOSED)
    assert wire.now == 1010
    assert wire.events[ONE] == [StreamClosed(1, Closing.IDLE)]


def test_a_peer_that_finds_us_can_be_connected_to() -> None:
    wire = Wire()
    one = wire.add(ONE).open_stream(1, wire.now)
    other = wire.add(OTHER).open_stream(2, wire.now)
    other.connect(1, ONE, wire.now)
    other.write(b"here I am")
    wire.run(seconds=0.05)
    assert one.read() == b"here I am"
    assert wire.events[ONE][0] == AddressSeen(1, OTHER)
    one.connect(2, OTHER, wire.now)
    wire.run(lambda: other.buffered == 0, seconds=0.05)
    one.write(random_bytes(100_000))
    wire.run(lambda: one.buffered == 0, seconds=0.5)
    assert other.read() == random_bytes(100_000)


def test_little_is_sent_to_an_address_that_may_be_a_victims() -> None:
    wire = Wire()
    stream = wire.add(ONE).open_stream(1, wire.now)
    stream.connect(2, OTHER, wire.now)
    stream.write(bytes(MB))
    for _ in range(MAX_QUEUED_MESSAGES):
        stream.send_message(bytes(MAX_MESSAGE))
    wire.run(seconds=0.5)
    assert wire.bytes_to[OTHER] <= UNPROVEN_BYTES
    wire.run(lambda: stream.state is StreamState.CLOSED)
    assert wire.bytes_to[OTHER] <= UNPROVEN_BYTES + 200  # heartbeats and the like


def test_acknowledgements_of_what_was_never_sent_are_dropped() -> None:
    wire = Wire()
    endpoint = wire.add(ONE)
    stream = endpoint.open_stream(1, wire.now)
    stream.connect(2, OTHER, wire.now)
    stream.write(b"hello")
    wire.inject(encode(Packet(DATA, 1, 0, 0, 77, (), b"x")), OTHER, ONE)
    wire.inject(encode(Packet(SACK, 1, 9, 0, 0, ((5, 9), (3, 2), (0, 2**32 - 1)))), OTHER, ONE)
    assert stream.read() == b""
    assert stream.buffered == 5
    assert endpoint.dropped == {"acknowledges what was never sent": 1}


def test_a_stream_that_is_connected_is_not_connected_again() -> None:
    wire = Wire()
    one, _ = pair(wire)
    with pytest.raises(UsageError, match="connected once"):
        one.connect(3, OTHER, wire.now)
