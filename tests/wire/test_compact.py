from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError
from linkup_nb.wire.compact import MAX_ITEMS, MAX_UINT, Decoder, Encoder, encode_uint
from tests.vectors import load

VECTORS = load("compact")


@pytest.mark.parametrize("case", VECTORS["uint"], ids=str)
def test_uint(case: dict[str, Any]) -> None:
    assert bytes(Encoder().uint(case["v"])).hex() == encode_uint(case["v"]).hex() == case["hex"]
    assert Decoder(bytes.fromhex(case["hex"])).uint() == case["v"]


@pytest.mark.parametrize("value", [-1, 2**53])
def test_no_other_integer_is_written(value: int) -> None:
    with pytest.raises(ValueError, match="A uint is 0 to"):
        encode_uint(value)


def test_bytes_are_passed_over() -> None:
    source = Decoder(b"\x01abc\x02")
    source.uint()
    source.skip(3)
    assert (source.at, source.uint(), source.at) == (4, 2, 5)
    with pytest.raises(DecodeError, match="Expected 1 more bytes, got 0"):
        source.skip(1)


@pytest.mark.parametrize("case", VECTORS["int"], ids=str)
def test_sint(case: dict[str, Any]) -> None:
    assert bytes(Encoder().sint(case["v"])).hex() == case["hex"]
    assert Decoder(bytes.fromhex(case["hex"])).sint() == case["v"]


@pytest.mark.parametrize("case", VECTORS["string"], ids=str)
def test_string(case: dict[str, Any]) -> None:
    assert bytes(Encoder().string(case["v"])).hex() == case["hex"]
    assert Decoder(bytes.fromhex(case["hex"])).string() == case["v"]


def test_buffers() -> None:
    (case,) = VECTORS["buffer"]
    assert bytes(Encoder().buffer(bytes.fromhex(case["v"]))).hex() == case["hex"]
    assert Decoder(bytes.fromhex(case["hex"])).buffer() == bytes.fromhex(case["v"])
    (nothing,) = VECTORS["optionalBuffer"]
    assert bytes(Encoder().buffer(None)).hex() == nothing["hex"]
    assert Decoder(bytes.fromhex(nothing["hex"])).optional_buffer() is None
    assert Decoder(bytes.fromhex(case["hex"])).optional_buffer() == bytes.fromhex(case["v"])


def test_arrays() -> None:
    words = VECTORS["uint32array"]
    assert bytes(Encoder().uint32array(words["v"])).hex() == words["hex"]
    assert Decoder(bytes.fromhex(words["hex"])).uint32array() == words["v"]
    numbers = VECTORS["arrayUint"]
    assert bytes(Encoder().array(numbers["v"], Encoder.uint)).hex() == numbers["hex"]
    assert Decoder(bytes.fromhex(numbers["hex"])).array(Decoder.uint) == numbers["v"]


def test_boolean() -> None:
    assert bytes(Encoder().boolean(True)).hex() == VECTORS["bool"]["true"]
    assert [Decoder(byte).boolean() for byte in (b"\0", b"\1")] == [False, True]


def test_ipv4_address() -> None:
    case = VECTORS["ipv4Address"]
    host, port = case["v"].split(":")
    assert bytes(Encoder().ipv4_address(host, int(port))).hex() == case["hex"]
    assert Decoder(bytes.fromhex(case["hex"])).ipv4_address() == (host, int(port))


@given(
    st.integers(0, MAX_UINT),
    st.integers(-(2**52), 2**52 - 1),
    st.text(),
    st.binary(),
    st.binary(min_size=32, max_size=32),
    st.lists(st.integers(0, 2**32 - 1)),
    st.lists(st.text()),
)
def test_what_is_written_is_read_again(
    number: int, signed: int, text: str, data: bytes, key: bytes, words: list[int], texts: list[str]
) -> None:
    encoder = Encoder().uint(number).sint(signed).string(text).buffer(data).fixed(key, 32)
    decoder = Decoder(bytes(encoder.uint32array(words).array(texts, Encoder.string).raw(data)))

    read = (decoder.uint(), decoder.sint(), decoder.string(), decoder.buffer(), decoder.fixed(32))

    assert read == (number, signed, text, data, key)
    assert (decoder.uint32array(), decoder.array(Decoder.string), decoder.raw()) == (words, texts, data)
    decoder.end()


READERS: list[Callable[[Decoder], object]] = [
    Decoder.uint,
    Decoder.sint,
    Decoder.boolean,
    Decoder.string,
    Decoder.buffer,
    Decoder.uint32array,
    Decoder.ipv4_address,
    lambda decoder: decoder.array(Decoder.buffer),
    lambda decoder: decoder.fixed(64),
]


@given(st.binary(max_size=63), st.sampled_from(READERS))
def test_any_bytes_are_read_or_refused_by_name(data: bytes, read: Callable[[Decoder], object]) -> None:
    decoder = Decoder(data)
    try:
        read(decoder)
    except DecodeError:
        return
    assert 0 <= decoder.remaining < len(data)


@pytest.mark.parametrize(
    ("data", "read", "sentence"),
    [
        (b"", Decoder.uint, "Expected an integer, got the end"),
        (b"\xfe\x00", Decoder.uint, "Expected 4 more bytes, got 1"),
        (b"\xff" + (2**53).to_bytes(8, "little"), Decoder.uint, "An integer is at most 9007199254740991"),
        (b"\x05abc", Decoder.buffer, "Expected 5 more bytes, got 3"),
        (b"\x02\xff\xff", Decoder.string, "not UTF-8"),
        (b"\x02", Decoder.boolean, "A boolean is 0 or 1, got 2"),
        (bytes(Encoder().uint(MAX_ITEMS + 1)), lambda d: d.array(Decoder.uint), "An array has at most 1048576 items"),
        (bytes(Encoder().uint(MAX_UINT)), Decoder.uint32array, "more bytes, got 0"),
        (b"\x00", Decoder.end, "Expected the end of the message, got 1 more bytes"),
    ],
)
def test_damaged_bytes_are_refused(data: bytes, read: Callable[[Decoder], object], sentence: str) -> None:
    with pytest.raises(DecodeError, match=sentence):
        read(Decoder(data))


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda encoder: encoder.uint(-1), "A uint is 0 to 9007199254740991, not -1"),
        (lambda encoder: encoder.uint(MAX_UINT + 1), "A uint is 0 to 9007199254740991"),
        (lambda encoder: encoder.fixed(b"short", 32), "Expected 32 bytes, got 5"),
        (lambda encoder: encoder.ipv4_address("::1", 1), "Expected an IPv4 address and a port"),
        (lambda encoder: encoder.ipv4_address("127.0.0.1", 65536), "Expected an IPv4 address and a port"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(write: Callable[[Encoder], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write(Encoder())
