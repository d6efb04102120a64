import pytest

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdrive.protobuf import MAX_VARINT, read_varint, varint


@pytest.mark.parametrize("value", [0, 127, 128, 2**32, 2**64 - 1])
def test_integers_go_both_ways(value: int) -> None:
    encoded = varint(value)
    assert read_varint(encoded, 0) == (value, len(encoded))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * MAX_VARINT + b"\x01"])
def test_an_integer_that_goes_on_and_on_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="does not end"):
        read_varint(data, 0)
