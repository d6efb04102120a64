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
from linkup_nb.wire.compact import Encoder
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


uints = st.sampled_from([0, 1, 0xFC, 0xFD, 0xFFFF, 0x10000, 2**32, 2**53 - 1])
nodes = st.builds(MerkleNode, uints, uints, st.binary(min_size=32, max_size=32))


@given(st.tuples(uints, uints, uints, uints), st.booleans())
def test_a_request_for_a_lone_block_is_written_as_any_is(numbers: tuple[int, int, int, int], manifest: bool) -> None:
    request, fork, index, steps = numbers
    message = DataRequest(request, fork, ProofRequest(block=(index, steps)), manifest)
    written = bytes(Encoder().uint(17 if manifest else 1).uint(request).uint(fork).uint(index).uint(steps))

    assert message.encode() == written
    assert DataRequest.decode(written) == message


@given(st.tuples(uints, uints, uints), st.binary() | st.just(bytes(300)), st.lists(nodes, max_size=3))
def test_an_answer_with_a_lone_block_is_written_as_any_is(
    numbers: tuple[int, int, int], value: bytes, path: list[MerkleNode]
) -> None:
    request, fork, index = numbers
    message = Data(request, fork, Proof(block=BlockProof(index, value, path)))
    written = Encoder().uint(1).uint(request).uint(fork).uint(index).buffer(value).uint(len(path))
    for node in path:
        written.uint(node.index).uint(node.size).raw(node.hash)

    assert message.encode() == bytes(written)
    assert Data.decode(bytes(written)) == message


@pytest.mark.parametrize(
    "message", [DataRequest(2**53, 0, ProofRequest((0, 0))), DataRequest(1, 0, ProofRequest((-1, 0)))]
)
def test_what_no_message_can_hold_is_not_written(message: Message) -> None:
    with pytest.raises(ValueError, match="A uint is 0 to"):
        message.encode()


def test_the_lists_of_a_proof_are_bounded() -> None:
    proof = Proof(hash=HashProof(1, [NODE] * (MAX_PROOF_NODES + 1)))

    with pytest.raises(DecodeError, match="at most 128 nodes"):
        Data.decode(Data(1, 0, proof).encode())
