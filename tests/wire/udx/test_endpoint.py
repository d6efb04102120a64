import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import UsageError
from linkup_nb.wire.udx import endpoint as udx
from linkup_nb.wire.udx.endpoint import MAX_STREAMS, Endpoint
from linkup_nb.wire.udx.events import StreamClosed
from linkup_nb.wire.udx.packet import DATA, END, MESSAGE, Packet, encode
from linkup_nb.wire.udx.receiver import MAX_EARLY, RECEIVE_WINDOW
from linkup_nb.wire.udx.stream import Stream, StreamState
from tests.wire.udx.wire import ONE, OTHER

U32 = st.integers(0, 2**32 - 1)
NEAR = st.integers(0, 20) | U32
PACKETS = st.builds(
    Packet,
    st.integers(0, 63),
    st.just(1),
    U32,
    NEAR,
    NEAR,
    st.lists(st.tuples(NEAR, NEAR), max_size=31).map(tuple),
    st.binary(max_size=100),
)


def connected() -> tuple[Endpoint, Stream]:
    endpoint = Endpoint()
    stream = endpoint.open_stream(1, 0.0)
    stream.connect(2, OTHER, 0.0)
    return endpoint, stream


def test_what_is_not_udx_is_left_to_others() -> None:
    endpoint, _ = connected()
    for data in (b"", b"\0", b"\x03" + bytes(40), b"\xff\x01" + bytes(17)):
        assert not endpoint.receive_datagram(data, OTHER, 0.0)
    assert not endpoint.dropped


def test_packets_for_nobody_are_counted() -> None:
    endpoint, _ = connected()
    assert endpoint.receive_datagram(encode(Packet(0, 9, 0, 0, 0)), OTHER, 0.0)
    assert endpoint.receive_datagram(b"\xff\x01\xff" + bytes(30), OTHER, 0.0)
    assert endpoint.dropped == {"no such stream": 1, "not a UDX packet": 1}


def test_ids_are_used_once_at_a_time() -> None:
    endpoint, stream = connected()
    with pytest.raises(UsageError, match="choose another id"):
        endpoint.open_stream(1, 0.0)
    stream.destroy()
    endpoint.datagrams_to_send(0.0)
    assert endpoint.streams == ()
    assert endpoint.open_stream(1, 0.0).state is StreamState.WAITING


def test_there_are_only_so_many_streams() -> None:
    endpoint = Endpoint()
    for local_id in range(MAX_STREAMS):
        endpoint.open_stream(local_id, 0.0)
    with pytest.raises(UsageError, match=f"at most {MAX_STREAMS} streams"):
        endpoint.open_stream(MAX_STREAMS, 0.0)


def test_messages_that_nobody_takes_are_dropped_over_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udx, "MAX_EVENTS", 5)
    endpoint, stream = connected()
    for number in range(8):
        endpoint.receive_datagram(encode(Packet(MESSAGE, 1, 0, 0, 0, (), b"%d" % number)), OTHER, 0.0)
    assert endpoint.dropped == {"message over the limit of those that wait": 3}
    stream.destroy()
    events = [endpoint.next_event() for _ in range(7)]
    assert isinstance(events[5], StreamClosed)
    assert events[6] is None


def test_data_beyond_what_we_hold_is_dropped() -> None:
    endpoint, stream = connected()
    piece = bytes(60_000)
    for seq in range(100):
        endpoint.receive_datagram(encode(Packet(1, 1, 0, seq, 0, (), piece)), OTHER, 0.0)
    taken = -(-RECEIVE_WINDOW // len(piece))
    assert endpoint.dropped == {"data beyond the window": 100 - taken}
    assert stream.read() == bytes(taken * len(piece))


def test_only_so_many_packets_are_held_before_their_turn() -> None:
    endpoint, stream = connected()
    for seq in range(2, MAX_EARLY + 5, 2):
        endpoint.receive_datagram(encode(Packet(1, 1, 0, seq, 0, (), b"x")), OTHER, 0.0)
    assert endpoint.dropped == {"data beyond the window": 2}
    endpoint.datagrams_to_send(0.0)
    for seq in range(1, 4, 2):
        endpoint.receive_datagram(encode(Packet(1, 1, 0, seq, 0, (), b"y")), OTHER, 0.0)
    endpoint.receive_datagram(encode(Packet(1, 1, 0, 0, 0, (), b"z")), OTHER, 0.0)
    assert stream.read() == b"zyxyx"


@given(st.lists(st.tuples(PACKETS, st.sampled_from([ONE, OTHER]), st.booleans(), st.booleans()), max_size=40))
def test_no_packet_breaks_a_stream_or_makes_it_send_much(
    packets: list[tuple[Packet, tuple[str, int], bool, bool]],
) -> None:
    endpoint, stream = connected()
    stream.write(bytes(5000))
    now, received, sent = 0.0, 0, 0
    for packet, address, read, is_last in packets:
        now += 0.01
        payload = packet.payload if not packet.sacks or len(packet.sacks) <= 31 else b""
        data = encode(packet._replace(payload=payload))
        received += len(data)
        endpoint.receive_datagram(data, address, now)
        if read:
            stream.read()
        if not is_last:
            continue  # more come in the same turn of the loop
        for batch in endpoint.datagrams_to_send(now):
            assert batch.address in (ONE, OTHER)
            sent += len(batch.data)
        while endpoint.next_event():
            pass
    assert sent <= 3 * received + 3600 + 6000
    timer = endpoint.get_timer()
    assert timer is None or timer > now - 1


@given(st.binary(max_size=60), st.integers(0, 63))
def test_any_bytes_may_come(rest: bytes, kinds: int) -> None:
    endpoint, stream = connected()
    header = b"\xff\x01" + bytes([kinds, 0]) + (1).to_bytes(4, "little")
    endpoint.receive_datagram(header + rest, OTHER, 0.0)
    endpoint.datagrams_to_send(0.0)
    assert stream.state in StreamState


BATCHES = {
    "data in order": [(DATA, 7, seq, 0) for seq in range(5)],
    "from the middle on": [(DATA, 7, seq, 0) for seq in (0, 1, 3, 2, 4, 5)],
    "again": [(DATA, 7, seq, 0) for seq in (0, 1, 1, 0, 2)],
    "of two streams": [(DATA, 7, 0, 0), (DATA, 8, 0, 0), (DATA, 7, 1, 0), (DATA, 9, 0, 0)],
    "with an end": [(DATA, 7, 0, 0), (DATA | END, 7, 1, 0), (DATA, 7, 2, 0)],
    "with an acknowledgement": [(DATA, 7, 0, 0), (DATA, 7, 1, 1), (DATA, 7, 2, 1), (DATA, 7, 3, 99)],
    "that are empty": [(DATA, 7, 0, 0), (DATA, 7, 1, 0), (0, 7, 2, 0)],
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("remote", [OTHER, ONE])
def test_a_batch_is_taken_as_its_datagrams_would_be(name: str, remote: tuple[str, int]) -> None:
    packets = [
        encode(Packet(kinds, stream, 1000, seq, ack, (), bytes([seq]) * 100))
        for kinds, stream, seq, ack in BATCHES[name]
    ]
    packets[-1] = packets[-1][: 20 if "empty" in name else 60]
    ends = [Endpoint(), Endpoint()]
    for end in ends:
        for local_id in (7, 8):
            stream = end.open_stream(local_id, 0.0)
            stream.connect(1, remote, 0.0)
            stream.write(b"unacknowledged")
        end.datagrams_to_send(0.0)
    for packet in packets:
        ends[0].receive_datagram(packet, OTHER, 1.0)
    batch, start = memoryview(b"".join(packets)), 0
    while start < len(batch):
        start += ends[1].receive_run(batch[start:], 120, OTHER, 1.0)
        if start < len(batch):
            ends[1].receive_datagram(batch[start : start + 120], OTHER, 1.0)
            start += 120
    one, other = (
        (
            [stream.read() for stream in end.streams],
            list(iter(end.next_event, None)),
            end.datagrams_to_send(1.0),
            end.dropped,
        )
        for end in ends
    )
    assert one == other


def test_of_many_streams_only_those_are_looked_at_that_have_something_to_do() -> None:
    endpoint = Endpoint()
    streams = [endpoint.open_stream(number, 0.0, idle_timeout=10.0 + number) for number in range(100)]
    endpoint.datagrams_to_send(0.0)
    assert endpoint.get_timer() == 10.0
    streams[50].connect(1, OTHER, 1.0)
    streams[50].write(b"data")
    assert endpoint.get_timer() == 0.0
    assert [batch.address for batch in endpoint.datagrams_to_send(1.0)] == [OTHER]
    assert endpoint.get_timer() == 2.0  # to send it again
    times = []
    while (at := endpoint.get_timer()) is not None:
        times.append(at)
        endpoint.datagrams_to_send(at)
    assert endpoint.streams == ()
    assert times == sorted(times)
    assert len(times) < 150
