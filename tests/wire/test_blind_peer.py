"""What a blind peer is asked, byte by byte; the bytes are those of the npm package `blind-peer-muxer` 1.2.0."""

import pytest

from linkup_nb.errors import DecodeError
from linkup_nb.wire.blind_peer import MAX_CORES, HoldCores
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.wakeup import NamedCore


def key(first: int) -> bytes:
    return bytes(range(first, first + 32))


KNOWN = [
    (
        HoldCores((NamedCore(key(2), 300),), key(1), priority=1, announce=True),
        "07" + key(1).hex() + "0101" + key(2).hex() + "fd2c01",
    ),
    (
        HoldCores((NamedCore(key(2), 1), NamedCore(key(3), 0))),
        "0002" + key(2).hex() + "01" + key(3).hex() + "00",
    ),
]


@pytest.mark.parametrize(("request_", "known"), KNOWN)
def test_the_bytes_are_those_of_javascript(request_: HoldCores, known: str) -> None:
    assert bytes(request_).hex() == known
    assert HoldCores.decode(bytes.fromhex(known)) == request_


@pytest.mark.parametrize("size", range(len(bytes(KNOWN[0][0]))))
def test_what_ends_too_soon_is_refused(size: int) -> None:
    with pytest.raises(DecodeError):
        HoldCores.decode(bytes(KNOWN[0][0])[:size])


def test_a_message_names_so_many_cores_at_most() -> None:
    with pytest.raises(DecodeError, match="at most 1,024 cores"):
        HoldCores.decode(bytes(Encoder().uint(0).uint(MAX_CORES + 1)))
