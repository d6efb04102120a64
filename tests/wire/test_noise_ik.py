"""The IK handshake, in which the initiator knows whom it calls, with payloads and a prologue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import HandshakeError, UsageError
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import IK, MAX_PAYLOAD, HandshakeResult, NoiseHandshake
from tests.vectors import load
from tests.wire.ends import INITIATOR, RESPONDER, flip, key_pair

VECTOR = load("noise")["ik"]
PROLOGUE = bytes.fromhex(VECTOR["prologue"])
PAYLOADS = [bytes.fromhex(VECTOR["payload1Hex"]), bytes.fromhex(VECTOR["payload2Hex"])]
MESSAGES = [bytes.fromhex(message) for message in VECTOR["messages"]]


def calls(public_key: bytes = RESPONDER.public_key, prologue: bytes = PROLOGUE) -> NoiseHandshake:
    ephemeral = key_pair("initiatorEphemeralSeed")
    return NoiseHandshake(True, INITIATOR, ephemeral, pattern=IK, prologue=prologue, remote_public_key=public_key)


def answers(static: KeyPair = RESPONDER) -> NoiseHandshake:
    return NoiseHandshake(False, static, key_pair("responderEphemeralSeed"), pattern=IK, prologue=PROLOGUE)


def test_messages_and_keys_are_those_of_the_javascript_packages() -> None:
    initiator, responder = calls(), answers()
    first = initiator.send(PAYLOADS[0])
    received = responder.receive(first)
    second = responder.send(PAYLOADS[1])
    answer = initiator.receive(second)

    assert [first, second] == MESSAGES
    assert [received, answer] == PAYLOADS
    tx, rx = bytes.fromhex(VECTOR["initiatorTx"]), bytes.fromhex(VECTOR["initiatorRx"])
    session = bytes.fromhex(VECTOR["handshakeHash"])
    assert initiator.result == HandshakeResult(tx, rx, session, RESPONDER.public_key)
    assert responder.result == HandshakeResult(rx, tx, session, INITIATOR.public_key)


def test_a_responder_knows_who_calls_before_it_answers() -> None:
    responder = answers()
    responder.receive(MESSAGES[0])
    assert responder.remote_public_key == INITIATOR.public_key
    assert responder.result is None


def test_a_call_to_someone_else_is_refused() -> None:
    responder = answers(INITIATOR)
    with pytest.raises(HandshakeError, match="forged or damaged"):
        responder.receive(calls().send())


def test_a_call_with_another_prologue_is_refused() -> None:
    with pytest.raises(HandshakeError, match="forged or damaged"):
        answers().receive(calls(prologue=b"something else").send())


@given(st.integers(0, 8 * len(MESSAGES[0]) - 1))
def test_a_flipped_bit_in_the_call_is_noticed(bit: int) -> None:
    with pytest.raises(HandshakeError):
        answers().receive(flip(MESSAGES[0], bit))


@given(st.integers(0, 8 * len(MESSAGES[1]) - 1))
def test_a_flipped_bit_in_the_answer_is_noticed(bit: int) -> None:
    initiator = calls()
    initiator.send(PAYLOADS[0])
    with pytest.raises(HandshakeError):
        initiator.receive(flip(MESSAGES[1], bit))


@pytest.mark.parametrize("size", [0, 95, 96 + MAX_PAYLOAD + 1])
def test_a_message_of_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(HandshakeError, match=f"message 1 has 96 to {96 + MAX_PAYLOAD} bytes, got {size}"):
        answers().receive(bytes(size))


def test_a_payload_that_is_too_long_is_ours_to_mend() -> None:
    with pytest.raises(UsageError, match=f"at most {MAX_PAYLOAD} bytes"):
        calls().send(bytes(MAX_PAYLOAD + 1))


def test_only_the_caller_names_the_other() -> None:
    ephemeral = key_pair("responderEphemeralSeed")
    with pytest.raises(UsageError, match="to an initiator of IK, and to nobody else"):
        NoiseHandshake(True, INITIATOR, ephemeral, pattern=IK)
    with pytest.raises(UsageError, match="to an initiator of IK, and to nobody else"):
        NoiseHandshake(False, RESPONDER, ephemeral, pattern=IK, remote_public_key=INITIATOR.public_key)
