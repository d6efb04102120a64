"""What a relay is asked, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError
from linkup_nb.wire.blind_relay import Pair, Unpair

TOKEN = bytes(range(32))


def test_the_bytes_are_those_of_javascript() -> None:
    assert bytes(Pair(True, TOKEN, 300)) == b"\x01" + TOKEN + b"\xfd\x2c\x01" + b"\x00"
    assert bytes(Pair(False, TOKEN, 7)) == b"\x00" + TOKEN + b"\x07\x00"
    assert bytes(Unpair(TOKEN)) == b"\x00" + TOKEN


@given(st.booleans(), st.binary(min_size=32, max_size=32), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(initiator: bool, token: bytes, stream_id: int) -> None:
    pair = Pair(initiator, token, stream_id)
    assert Pair.decode(bytes(pair)) == pair
    assert Unpair.decode(bytes(Unpair(token))) == Unpair(token)


@pytest.mark.parametrize("data", [b"", b"\x01" + bytes(31), b"\x01" + bytes(33)], ids=len)
def test_what_ends_too_soon_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Pair.decode(data)


def test_streams_have_ids_of_32_bits() -> None:
    with pytest.raises(DecodeError, match="32-bit"):
        Pair.decode(b"\x01" + TOKEN + b"\xff" + (2**32).to_bytes(8, "little") + b"\x00")
