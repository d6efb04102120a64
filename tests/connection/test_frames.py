"""What messages are, as far as their bytes tell."""

import json

from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.connection.frames import MAX_TEXT, Interpreter, Part
from linkup_nb.hypercore.messages import NUMBERS, Range
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.protomux import Protomux


def opened(protocol: str) -> bytes:
    mux = Protomux()
    mux.open(protocol)
    message = mux.data_to_send()
    assert message
    return message


def read(messages: list[bytes], names: dict[int, str] | None = None) -> list[Part]:
    interpreter = Interpreter(names)
    return [part for message in messages for part in interpreter.read(message)[0]]


def test_a_message_of_a_log() -> None:
    message = bytes(Encoder().uint(1).uint(NUMBERS[Range])) + Range(5, 3).encode()
    (_, part) = read([opened("hypercore/alpha"), message])
    assert part == Part("hypercore/alpha", 1, "Range", len(message) - 1, "start=5, length=3")


def test_a_message_of_a_protocol_that_it_does_not_know() -> None:
    assert read([b"\x02\x07abc"], {2: "corestore"}) == [Part("corestore", 2, "7", 4)]


def test_a_channel_that_it_does_not_know() -> None:
    assert read([b"\x05\x07abc"], {}) == [Part("", 5, "7", 4)]


def test_a_log_message_that_is_broken() -> None:
    (part,) = read([b"\x01\x00\xff"], {1: "hypercore/alpha"})
    assert (part.type, part.text) == ("0", "Expected 8 more bytes, got 0.")


def test_a_control_message_that_does_not_exist() -> None:
    assert read([b"\x00\x09\x01"], {}) == [Part("protomux", None, "?", 3, "Protomux has no control message 9 here.")]


def test_a_channel_is_rejected_and_closed() -> None:
    assert [part.type for part in read([b"\x00\x02\x01", b"\x00\x03\x01"], {})] == ["reject", "close"]


def test_bytes_of_no_protocol_are_nothing() -> None:
    assert read([b"\x05\x07abc", b"hello", b"{}", b"{"]) == []


def test_long_names_are_cut() -> None:
    (part,) = read([json.dumps({"type": "x" * 10_000}).encode()])
    assert len(part.type) == MAX_TEXT + 1
    (part,) = read([opened("y" * 200)])
    assert part.text.endswith("y…")


@given(st.lists(st.binary(max_size=64)), st.none() | st.just({1: "hypercore/alpha"}))
def test_it_reads_anything(messages: list[bytes], names: dict[int, str] | None) -> None:
    read(messages, names)
