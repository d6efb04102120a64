from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import HandshakeError
from linkup_nb.wire.noise import MESSAGE_SIZES, HandshakeResult, NoiseHandshake
from tests.wire.ends import INITIATOR, RESPONDER, XX, flip, handshakes, key_pair

# Every point of order 1, 2, 4 and 8 on the curve, and encodings of such points that are not canonical.
USELESS_POINTS = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


def exchange(
    initiator: NoiseHandshake,
    responder: NoiseHandshake,
    damage: Callable[[int, bytes], bytes] = lambda number, message: message,
) -> list[bytes]:
    messages = []
    for number, (sender, receiver) in enumerate(
        [(initiator, responder), (responder, initiator), (initiator, responder)]
    ):
        messages.append(sender.send())
        receiver.receive(damage(number, messages[-1]))
    return messages


def results() -> tuple[HandshakeResult, HandshakeResult]:
    initiator, responder = handshakes()
    exchange(initiator, responder)
    assert initiator.result
    assert responder.result
    return initiator.result, responder.result


def test_messages_are_those_of_the_javascript_packages() -> None:
    assert [message.hex() for message in exchange(*handshakes())] == XX["messages"]


def test_both_ends_come_to_the_same_keys() -> None:
    initiator, responder = results()
    assert initiator.tx.hex() == responder.rx.hex() == XX["initiatorTx"]
    assert initiator.rx.hex() == responder.tx.hex() == XX["initiatorRx"]
    assert initiator.hash.hex() == responder.hash.hex() == XX["handshakeHash"]
    assert initiator.remote_public_key == RESPONDER.public_key
    assert responder.remote_public_key == INITIATOR.public_key


def test_a_repr_shows_no_key() -> None:
    for result in results():
        assert "tx" not in repr(result)
        assert "rx" not in repr(result)


@given(st.data())
def test_a_flipped_bit_ends_the_handshake(data: st.DataObject) -> None:
    damaged = data.draw(st.sampled_from([0, 1, 2]))
    bit = data.draw(st.integers(0, 8 * MESSAGE_SIZES[damaged] - 1))
    with pytest.raises(HandshakeError):
        exchange(*handshakes(), lambda number, message: flip(message, bit) if number == damaged else message)


@pytest.mark.parametrize("point", USELESS_POINTS)
def test_a_key_that_gives_no_secret_is_refused(point: str) -> None:
    _, responder = handshakes()
    responder.receive(bytes.fromhex(point))
    with pytest.raises(HandshakeError, match="not a usable point"):
        responder.send()


@pytest.mark.parametrize("size", [0, 31, 33, 2**24 - 1])
def test_a_message_of_another_size_is_refused(size: int) -> None:
    _, responder = handshakes()
    with pytest.raises(HandshakeError, match=f"Handshake message 1 has 32 bytes, got {size}"):
        responder.receive(bytes(size))


def test_a_message_that_comes_back_is_refused() -> None:
    initiator = NoiseHandshake(True, INITIATOR, key_pair("initiatorEphemeralSeed"))
    with pytest.raises(HandshakeError):
        initiator.receive(initiator.send())
