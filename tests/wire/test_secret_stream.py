import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import (
    DecodeError,
    DecryptionError,
    FrameTooLarge,
    HandshakeError,
    PeerError,
    UsageError,
)
from linkup_nb.wire.secret_stream import MAX_MESSAGE, RECEIVE_BUFFER, SecretStreamState
from tests.wire.ends import (
    INITIATOR,
    RESPONDER,
    TRANSCRIPT,
    XX,
    feed,
    flip,
    initiator,
    opened,
    responder,
    shake_hands,
)

SMALL = 4096  # bytes of the largest frame, where a test wants limits that are near


def sent_by(sender: str) -> bytes:
    return b"".join(frame for who, frame in TRANSCRIPT if who == sender)


def connect_to(answer: bytes) -> None:
    """What an initiator makes of the responder's side of the transcript."""
    one = initiator()
    feed(one, answer[:99])
    one.confirm()
    feed(one, answer[99:])


def test_the_transcript_of_the_javascript_package() -> None:
    one, other = initiator(), responder()
    sent = {"initiator": one.data_to_send(), "responder": b""}
    feed(other, sent["initiator"])
    sent["responder"] += other.data_to_send()
    feed(one, sent["responder"])
    one.confirm()
    third = one.data_to_send()
    sent["initiator"] += third
    feed(other, third)
    other.confirm()
    last = other.data_to_send()
    sent["responder"] += last
    feed(one, last)
    sent["initiator"] += one.send(b"ping")
    sent["responder"] += other.send(b"pong")

    assert sent == {"initiator": sent_by("initiator"), "responder": sent_by("responder")}


def test_the_transcript_one_byte_at_a_time() -> None:
    other = responder()
    messages = []
    for byte in sent_by("initiator"):
        messages += feed(other, bytes([byte]))
    assert messages == [b"ping"]
    assert other.state is SecretStreamState.ESTABLISHED
    assert other.remote_public_key == INITIATOR.public_key
    assert other.handshake_hash.hex() == XX["handshakeHash"]
    assert not other.inside_frame


def test_both_ends_learn_who_the_other_is() -> None:
    one, other = opened()
    assert one.state is other.state is SecretStreamState.OPEN
    assert one.handshake_hash == other.handshake_hash
    assert (one.remote_public_key, other.remote_public_key) == (RESPONDER.public_key, INITIATOR.public_key)


def test_a_stream_opens_when_both_have_confirmed() -> None:
    one, other = initiator(), responder()
    states = [(one.state, other.state)]
    shake_hands(one, other)
    states.append((one.state, other.state))
    one.confirm()
    feed(other, one.data_to_send())
    states.append((one.state, other.state))
    other.confirm()
    states.append((one.state, other.state))
    feed(one, other.data_to_send())
    states.append((one.state, other.state))
    assert states == [
        (SecretStreamState.HANDSHAKING, SecretStreamState.HANDSHAKING),
        (SecretStreamState.ESTABLISHED, SecretStreamState.HANDSHAKING),
        (SecretStreamState.ESTABLISHED, SecretStreamState.ESTABLISHED),
        (SecretStreamState.ESTABLISHED, SecretStreamState.OPEN),
        (SecretStreamState.OPEN, SecretStreamState.OPEN),
    ]


def test_an_initiator_names_itself_only_to_the_one_it_asked_for() -> None:
    one, other = initiator(remote_public_key=INITIATOR.public_key), responder()
    feed(other, one.data_to_send())
    with pytest.raises(HandshakeError, match="another public key than the one that was dialled"):
        feed(one, other.data_to_send())
    assert one.state is SecretStreamState.CLOSED
    assert one.data_to_send() == b""
    with pytest.raises(UsageError):
        one.confirm()


def test_an_initiator_names_itself_only_when_it_confirms() -> None:
    one, other = initiator(), responder()
    shake_hands(one, other)
    assert one.data_to_send() == b""
    one.confirm()
    assert len(one.data_to_send()) == 3 + 64 + 3 + 56


def test_a_responder_may_ask_for_a_peer_too() -> None:
    one, other = initiator(), responder(remote_public_key=RESPONDER.public_key)
    shake_hands(one, other)
    one.confirm()
    with pytest.raises(HandshakeError, match="another public key than the one that was dialled"):
        feed(other, one.data_to_send())


def test_what_is_too_early_is_refused() -> None:
    one, other = initiator(), responder()
    with pytest.raises(UsageError, match="when it is established"):
        one.confirm()
    shake_hands(one, other)
    with pytest.raises(UsageError, match="once the secret stream is open"):
        one.send(b"early")
    one.confirm()
    with pytest.raises(UsageError, match="Confirm a secret stream once"):
        one.confirm()


@pytest.mark.parametrize("size", [1, 65_536, RECEIVE_BUFFER, MAX_MESSAGE])
def test_messages_of_every_size(size: int) -> None:
    one, other = opened()
    message = b"\xa5" * size
    assert feed(other, one.send(message)) == [message]
    assert feed(one, other.send(message)) == [message]
    assert len(other.receive_buffer()) == RECEIVE_BUFFER


def test_a_message_too_large_for_a_frame_is_not_sent() -> None:
    one, other = opened()
    with pytest.raises(UsageError, match="A message has at most 16777198 bytes, this one has 16777199"):
        one.send(bytes(MAX_MESSAGE + 1))
    assert feed(other, one.send(b"next")) == [b"next"]


def test_an_empty_message_is_a_keep_alive() -> None:
    one, other = opened()
    assert feed(other, one.send(b"") + one.send(b"text") + one.send(b"")) == [b"text"]
    assert other.keep_alives_received == 2


@given(st.lists(st.binary(min_size=1, max_size=5000), max_size=8), st.data())
def test_however_the_wire_cuts_them_messages_arrive_whole(messages: list[bytes], data: st.DataObject) -> None:
    one, other = opened()
    wire = b"".join(one.send(message) for message in messages)
    arrived = []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        arrived += feed(other, wire[:cut])
        wire = wire[cut:]
    assert arrived == messages
    assert not other.inside_frame


def test_a_large_message_among_small_ones_in_pieces() -> None:
    one, other = opened()
    messages = [b"before", bytes(3 * RECEIVE_BUFFER), bytes(3 * RECEIVE_BUFFER + 1), b"after"]
    wire = b"".join(one.send(message) for message in messages)
    arrived = [message for at in range(0, len(wire), 70_000) for message in feed(other, wire[at : at + 70_000])]
    assert arrived == messages


def test_an_end_inside_a_frame_is_seen() -> None:
    one, other = opened()
    feed(other, one.send(b"cut short")[:-1])
    assert other.inside_frame


@given(st.integers(0, 8 * (35 + 67 + 59) - 1))
def test_a_flipped_bit_of_the_initiator_ends_the_handshake(bit: int) -> None:
    with pytest.raises(PeerError) as caught:
        feed(responder(), flip(sent_by("initiator"), bit))
    assert type(caught.value) in (HandshakeError, DecryptionError)  # the latter: a secretstream header is just random


@given(st.integers(0, 8 * (99 + 59) - 1))
def test_a_flipped_bit_of_the_responder_ends_the_handshake(bit: int) -> None:
    with pytest.raises((HandshakeError, DecryptionError)):
        connect_to(flip(sent_by("responder"), bit))


@given(st.data())
def test_a_flipped_bit_in_the_data_ends_the_stream(data: st.DataObject) -> None:
    one, other = opened(max_frame=SMALL)
    frames = b"".join(one.send(b"message %d" % number) for number in range(5))
    damaged = flip(frames, data.draw(st.integers(0, 8 * len(frames) - 1)))
    with pytest.raises((DecryptionError, DecodeError, FrameTooLarge)):
        feed(other, damaged + one.send(bytes(SMALL - 17)) * 2)
    assert other.state is SecretStreamState.CLOSED


@given(st.binary(min_size=1, max_size=400))
def test_whatever_a_stranger_sends_is_refused_by_name(noise: bytes) -> None:
    for stream in (initiator(), responder()):
        try:
            feed(stream, noise)
        except HandshakeError:
            assert stream.state is SecretStreamState.CLOSED


def test_a_stranger_cannot_announce_a_long_frame() -> None:
    with pytest.raises(HandshakeError, match="The next frame of the handshake has 32 bytes, the peer's has 16777215"):
        feed(responder(), b"\xff\xff\xff")
    one, other = initiator(), responder()
    shake_hands(one, other)
    one.confirm()
    feed(other, one.data_to_send()[: 3 + 64])
    with pytest.raises(HandshakeError, match="The next frame of the handshake has 56 bytes, the peer's has 57"):
        feed(other, b"\x39\0\0")


def test_the_limit_of_a_frame() -> None:
    one, other = opened(max_frame=SMALL)
    assert len(feed(other, one.send(bytes(SMALL - 17)))) == 1
    with pytest.raises(FrameTooLarge, match="A frame has at most 4096 bytes here, the peer's has 4097"):
        feed(other, one.send(bytes(SMALL - 16))[:3])


def test_a_frame_too_short_to_be_one() -> None:
    _, other = opened()
    with pytest.raises(DecodeError, match="A frame has at least 17 bytes, the peer's has 16"):
        feed(other, b"\x10\0\0")


def test_frames_again_out_of_order_or_sent_back_are_forged() -> None:
    one, other = opened()
    first, second = one.send(b"first"), one.send(b"second")
    with pytest.raises(DecryptionError):
        feed(one, first)
    with pytest.raises(DecryptionError):
        feed(other, second)
    one, other = opened()
    frame = bytes(one.send(b"once"))
    assert feed(other, frame) == [b"once"]
    with pytest.raises(DecryptionError):
        feed(other, frame)


def test_an_id_of_another_stream_is_refused() -> None:
    one, other = initiator(), responder()
    shake_hands(one, other)
    one.confirm()
    handshake = one.data_to_send()[: 3 + 64]
    feed(other, handshake)
    other.confirm()
    with pytest.raises(HandshakeError, match="belongs to another handshake"):
        feed(other, other.data_to_send())


def test_a_responder_cannot_go_ahead_of_an_initiator() -> None:
    one, other = initiator(), responder()
    shake_hands(one, other)
    with pytest.raises(HandshakeError, match="sent its stream id before the handshake was over"):
        feed(one, b"\x38\0\0" + bytes(56))
