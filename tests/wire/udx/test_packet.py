import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError
from linkup_nb.wire.udx.packet import (
    DATA,
    DESTROY,
    END,
    HEADER_SIZE,
    MAX_SACKS,
    MESSAGE,
    SACK,
    Packet,
    decode,
    encode,
    is_udx,
    unwrap,
)
from tests.vectors import load

CAPTURED = [(packet["phase"], packet["len"], bytes.fromhex(packet["hex"])) for packet in load("udx")["packets"]]
WHOLE = [(phase, data) for phase, size, data in CAPTURED if size == len(data)]
U32 = st.integers(0, 2**32 - 1)


def captured(phase: str) -> list[Packet]:
    return [decode(data) for name, data in WHOLE if name.startswith(phase)]


@pytest.mark.parametrize("datagram", [data for _, data in WHOLE], ids=[phase for phase, _ in WHOLE])
def test_captured_packets_are_written_as_they_were_read(datagram: bytes) -> None:
    assert encode(decode(datagram)) == datagram


def test_what_javascript_writes_is_understood() -> None:
    window = 4 * 1024 * 1024
    assert captured('js writes "hello"') == [Packet(DATA, 222, window, 0, 0, (), b"hello")]
    assert captured("js sends unordered") == [Packet(MESSAGE, 222, window, 1, 0, (), b"um")]
    assert [packet.sacks for packet in captured("we send seq2,seq4")] == [((2, 3),), ((2, 3), (4, 5))]
    assert captured("js end") == [Packet(END, 222, window, 40, 6)]
    assert captured("js destroy") == [Packet(DESTROY, 444, window, 0, 0)]


def test_padding_before_the_data_is_skipped() -> None:
    probes = [data for phase, size, data in CAPTURED if size == 1204 and data[3]]
    assert decode(probes[0]).payload == b"B" * (len(probes[0]) - HEADER_SIZE - 32)
    padded = encode(Packet(DATA, 1, 2, 3, 4, (), b"data"), padding=32)
    assert (len(padded), decode(padded).payload) == (HEADER_SIZE + 32 + 4, b"data")


def test_ranges_and_data_share_a_packet() -> None:
    packet = Packet(DATA | SACK, 1, 2, 3, 4, ((6, 7), (9, 12)), b"data")
    assert decode(encode(packet)) == packet


@given(st.integers(0, 63), U32, U32, U32, U32, st.lists(st.tuples(U32, U32), max_size=25), st.binary(max_size=1452))
def test_every_packet_survives(
    kinds: int, stream_id: int, window: int, seq: int, ack: int, sacks: list[tuple[int, int]], payload: bytes
) -> None:
    if not kinds & (DATA | END | MESSAGE):
        payload = b""
    packet = Packet(kinds, stream_id, window, seq, ack, tuple(sacks) if kinds & SACK else (), payload)
    if packet.sacks or not kinds & SACK or not payload:
        assert decode(encode(packet)) == packet


@given(st.binary(max_size=1500) | st.binary(max_size=100).map(lambda tail: b"\xff\x01" + tail))
def test_any_bytes_are_read_or_refused(datagram: bytes) -> None:
    try:
        packet = decode(datagram)
    except DecodeError:
        return
    assert is_udx(datagram)
    assert len(packet.payload) + HEADER_SIZE <= len(datagram)
    assert len(packet.sacks) <= MAX_SACKS


@given(st.sampled_from([data for _, data in WHOLE]), st.data())
def test_truncated_packets_are_read_or_refused(datagram: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(datagram) - 1))
    if cut < HEADER_SIZE:
        with pytest.raises(DecodeError):
            decode(datagram[:cut])
        assert not is_udx(datagram[:cut])


@pytest.mark.parametrize(
    "damage",
    [
        {0: 0xFE},
        {1: 2},
        {2: 64},
        {3: 6},
    ],
    ids=["magic", "version", "kinds", "offset"],
)
def test_a_header_that_no_peer_writes_is_refused(damage: dict[int, int]) -> None:
    datagram = bytearray(encode(Packet(DATA, 1, 2, 3, 4, (), b"hello")))
    for place, value in damage.items():
        datagram[place] = value
    with pytest.raises(DecodeError, match="not a UDX packet"):
        decode(bytes(datagram))


def test_more_ranges_than_a_packet_holds_are_refused() -> None:
    ranges = tuple((2 * n, 2 * n + 1) for n in range(MAX_SACKS + 1))
    assert decode(encode(Packet(SACK, 1, 2, 3, 0, ranges[:-1]))).sacks == ranges[:-1]
    with pytest.raises(DecodeError, match=f"at most {MAX_SACKS} whole ranges"):
        decode(encode(Packet(SACK, 1, 2, 3, 0, ranges)))
    with pytest.raises(DecodeError, match="whole ranges"):
        decode(encode(Packet(SACK, 1, 2, 3, 0, ranges[:2]))[:-1])


@given(st.integers(0, 2**40), st.integers(-(2**31), 2**31 - 1))
def test_numbers_do_not_wrap_once_unwrapped(near: int, distance: int) -> None:
    assert unwrap((near + distance) % 2**32, near) == near + distance
