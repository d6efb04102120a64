"""The replication messages, as JavaScript writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, PeerError, ProtocolError
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.messages import (
    MAX_PROOF_NODES,
    NUMBERS,
    TYPES,
    Cancel,
    Data,
    DataRequest,
    Extension,
    Handshake,
    HaveBitfield,
    Message,
    NoData,
    Range,
    Refusal,
    Sync,
    Unwant,
    Want,
    decode,
)
from linkup_nb.hypercore.proof import BlockProof, HashProof, Proof, ProofRequest, UpgradeProof
from linkup_nb.wire.keys import KeyPair
from tests.hypercore.vectors import load

KNOWN = {name: bytes.fromhex(text) for name, text in load("wire").items()}
NODE = MerkleNode(1, 300, b"\x01" * 32)
EXPECTED: dict[str, Message] = {
    "sync": Sync(0, 100, 300, has_manifest=True),
    "request_block": DataRequest(5, 0, ProofRequest(block=(300, 3))),
    "request_all": DataRequest(300, 1, ProofRequest((1, 2), (4, 5), (6, 0), (7, 8)), True, 2),
    "cancel": Cancel(9),
    "noData_reason2": NoData(9, Refusal.INVALID_REQUEST),
    "want": Want(0, 2097152),
    "want_any": Want(0, 64, True),
    "unwant": Unwant(0, 2097152),
    "bitfield": HaveBitfield(32, bytes.fromhex("0300000000000080")),
    "range_one": Range(7, 1),
    "range_many": Range(0, 100),
    "range_drop": Range(3, 4, True),
    "extension": Extension("hyperbee", b"xyz"),
    "data_full": Data(
        2,
        0,
        Proof(
            block=BlockProof(3, b"val", [NODE]),
            seek=None,
            upgrade=None,
        ),
    ),
}


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "data_full"])
def test_messages_are_javascripts(name: str) -> None:
    message = EXPECTED[name]

    assert message.encode() == KNOWN[name]
    assert decode(NUMBERS[type(message)], KNOWN[name]) == message


def test_a_data_message_with_every_part_is_javascripts() -> None:
    data = Data.decode(KNOWN["data_full"])

    assert data.encode() == KNOWN["data_full"]
    assert (data.request, data.fork, data.proof.hash) == (2, 0, None)
    assert data.proof.block == BlockProof(3, b"val", [NODE])
    assert data.proof.upgrade == UpgradeProof(0, 4, [NODE], [NODE], b"\x02" * 68)
    assert data.manifest == Manifest.of(KeyPair.from_seed(b"\x01" * 32).public_key)


def test_the_handshake_is_javascripts() -> None:
    assert Handshake.decode(KNOWN["handshake"]) == Handshake(b"\x01" * 32, seeks=True)
    assert Handshake(b"\x01" * 32).encode() == KNOWN["handshake"]


def test_an_old_peers_refusal_gives_no_reason() -> None:
    assert NoData.decode(b"\x09") == NoData.decode(KNOWN["noData_plain"]) == NoData(9, Refusal.NOT_AVAILABLE)


def test_a_number_that_the_protocol_lacks_is_named() -> None:
    with pytest.raises(ProtocolError, match="no message 10"):
        decode(10, b"")


@given(st.integers(0, len(TYPES) - 1), st.binary(max_size=80))
def test_any_bytes_decode_or_are_the_peers_fault(number: int, payload: bytes) -> None:
    try:
        message = decode(number, payload)
    except PeerError:
        return
    assert decode(number, message.encode()) == message


def test_the_lists_of_a_proof_are_bounded() -> None:
    proof = Proof(hash=HashProof(1, [NODE] * (MAX_PROOF_NODES + 1)))

    with pytest.raises(DecodeError, match="at most 128 nodes"):
        Data.decode(Data(1, 0, proof).encode())
