"""How cores are named to who knows a capability; the bytes are those of the npm package `protomux-wakeup` 2.9.0."""

import pytest

from linkup_nb.errors import DecodeError
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.wakeup import MAX_CORES, Announce, Info, NamedCore, Opening, capability_proof


def key(first: int) -> bytes:
    return bytes(range(first, first + 32))


KNOWN = [
    (Opening(key(4)), "00" + key(4).hex() + "01"),
    (Announce((NamedCore(key(2), 70_000),)), "01" + key(2).hex() + "fe70110100"),
    (Info(True), "01"),
    (Info(False), "00"),
]


@pytest.mark.parametrize(("message", "known"), KNOWN)
def test_the_bytes_are_those_of_javascript(message: Opening | Announce | Info, known: str) -> None:
    assert bytes(message).hex() == known
    assert type(message).decode(bytes.fromhex(known)) == message


def test_a_capability_is_proven_anew_on_each_connection_and_by_each_end() -> None:
    proofs = [capability_proof(key(5), key(6), initiator=initiator).hex() for initiator in (True, False)]
    assert proofs == [
        "f4ff95dedf90f719ad5b8a19fcda4634ebcdaf28a71199a7ac106f24e35703a1",
        "40482bf2ea8e71e77da83ba21faeac891cba29ffb654b1defe704ab0c6933e7a",
    ]
    assert capability_proof(key(5), key(7), initiator=True).hex() not in proofs


@pytest.mark.parametrize("data", [b"", b"\x00" + bytes(32)], ids=len)
def test_an_opening_that_ends_too_soon_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Opening.decode(data)


def test_a_message_names_so_many_cores_at_most() -> None:
    with pytest.raises(DecodeError, match="at most 1,024 cores"):
        Announce.decode(bytes(Encoder().uint(MAX_CORES + 1)))
