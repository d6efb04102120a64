"""Two ends of a mux and a fake wire between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, PeerError, PeerRefused, ProtocolError, UsageError
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.protomux import (
    BATCH_SIZE,
    HELD_HIGH_WATER,
    HELD_OVERHEAD,
    MAX_BATCH,
    MAX_CHANNELS,
    MAX_NAME,
    MAX_OFFERED,
    OFFER_OVERHEAD,
    SEND_HIGH_WATER,
    ChannelState,
    Closed,
    Drained,
    MuxEvent,
    Offered,
    Opened,
    Protomux,
    Received,
)


def take(mux: Protomux) -> list[bytes]:
    """All that an end wants to send."""
    messages = []
    while (message := mux.data_to_send()) is not None:
        messages.append(message)
    return messages


def deliver(sender: Protomux, receiver: Protomux) -> list[MuxEvent]:
    """Carry what one end wants to send to the other; what happened there."""
    for message in take(sender):
        receiver.receive_data(message)
    return receiver.events()


def open_message(number: int, protocol: str = "p", id: bytes = b"", handshake: bytes = b"") -> bytes:
    return bytes(Encoder().uint(0).uint(1).uint(number).string(protocol).buffer(id).raw(handshake))


@pytest.fixture
def ends() -> tuple[Protomux, Protomux]:
    return Protomux(), Protomux()


def test_opening_at_one_end_and_accepting_at_the_other(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    channel = a.open("chat", b"room", b"hello")

    assert deliver(a, b) == [Offered("chat", b"room")]
    answer = b.open("chat", b"room", b"welcome")
    assert b.events() == [Opened(answer, b"hello")]
    assert deliver(b, a) == [Opened(channel, b"welcome")]
    assert channel.state is answer.state is ChannelState.OPEN


def test_opening_at_both_ends_at_once(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    at_a, at_b = a.open("chat"), b.open("chat")
    from_a, from_b = take(a), take(b)

    a.receive_data(from_b[0])
    b.receive_data(from_a[0])

    assert (a.events(), b.events()) == ([Opened(at_a, b"")], [Opened(at_b, b"")])


def test_the_bytes_are_protomuxs() -> None:
    mux = Protomux()
    channel = mux.open("abc", b"\x07\x08", b"hs")
    assert take(mux) == [bytes.fromhex("0001" + "01" + "03616263" + "020708" + "6873")]

    channel.send(5, b"xy")
    assert take(mux) == [bytes.fromhex("01057879")]

    channel.send(0, b"a")
    channel.send(1, b"b")
    channel.close()
    assert take(mux) == [bytes.fromhex("0000" + "01" + "020061" + "020162" + "0000" + "020301")]


def test_messages_sent_before_the_answer_arrive_after_it(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    early = a.open("chat")
    early.send(3, b"early")
    assert deliver(a, b) == [Offered("chat", b"")]

    channel = b.open("chat")

    assert b.events() == [Opened(channel, b""), Received(channel, 3, b"early")]


def test_an_unknown_protocol_is_refused_without_harm(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    known, unknown = a.open("known"), a.open("unknown")
    unknown.send(0, b"lost")
    offers = deliver(a, b)
    for offer in offers:
        assert isinstance(offer, Offered)
        if offer.protocol == "known":
            b.open(offer.protocol)
        else:
            b.reject(offer)
    b.events()

    assert deliver(b, a) == [Opened(known, b""), Closed(unknown)]
    known.send(1, b"still here")
    assert [event[1:] for event in deliver(a, b)] == [(1, b"still here")]


def test_closing_at_one_end_closes_both_and_frees_the_number(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    channel = a.open("chat")
    deliver(a, b)
    answer = b.open("chat")
    deliver(b, a)

    channel.send(0, b"last words")
    channel.close()

    assert deliver(a, b)[1:] == [Received(answer, 0, b"last words"), Closed(answer)]
    a.open("next")
    assert take(a) == [open_message(1, "next")]


def test_messages_that_cross_a_close_are_ignored(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    channel = a.open("chat")
    deliver(a, b)
    answer = b.open("chat")
    deliver(b, a)
    answer.send(0, b"too late")
    channel.close()

    assert deliver(b, a) == []
    assert deliver(a, b)[-1] == Closed(answer)


def test_closing_before_the_answer_and_opening_again(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    a.open("chat").close()
    again = a.open("chat")
    for message in take(a):
        b.receive_data(message)
        for event in b.events():
            if isinstance(event, Offered):
                b.open("chat", handshake=b"from b")

    assert deliver(b, a) == [Opened(again, b"from b")]


def test_a_channel_that_sends_too_much_is_asked_to_wait(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    fat, thin = a.open("fat"), a.open("thin")
    sent = 0
    while fat.send(0, bytes(10_000)):
        sent += 1

    assert sent == SEND_HIGH_WATER // 10_001
    assert thin.send(0, b"")
    deliver(a, b)
    assert a.events() == [Drained(fat)]
    assert fat.send(0, b"")


def test_small_messages_share_a_frame_and_large_ones_do_not(ends: tuple[Protomux, Protomux]) -> None:
    a, _ = ends
    channel = a.open("p")
    take(a)
    for _ in range(100):
        channel.send(0, bytes(1000))
    channel.send(0, bytes(BATCH_SIZE))

    frames = take(a)

    assert len(frames) == 3
    assert max(map(len, frames[:2])) < BATCH_SIZE + 500


def test_a_corked_mux_sends_one_batch_afterwards(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    with a.cork():
        channel = a.open("p")
        assert take(a) == []
        with a.cork():
            channel.send(0, b"one")
        assert take(a) == []

    [batch] = take(a)
    b.receive_data(batch)
    b.open("p")
    assert [type(event) for event in b.events()] == [Offered, Opened, Received]


def test_a_paused_channel_holds_its_messages_back_and_the_stream_up(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    slow, quick = a.open("slow"), a.open("quick")
    deliver(a, b)
    at_b = [b.open("slow"), b.open("quick")]
    b.events()
    at_b[0].pause()
    slow.send(0, bytes(HELD_HIGH_WATER))
    slow.send(1, b"x")
    quick.send(0, b"y")

    assert deliver(a, b) == [Received(at_b[1], 0, b"y")]
    assert b.congested
    at_b[0].resume()
    assert b.events() == [Received(at_b[0], 0, bytes(HELD_HIGH_WATER)), Received(at_b[0], 1, b"x")]
    assert not b.congested


def test_empty_messages_that_are_held_hold_the_stream_up_too(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    channel = a.open("p")
    for _ in range(HELD_HIGH_WATER // HELD_OVERHEAD + 1):
        channel.send(0, b"")

    [offer] = deliver(a, b)

    assert b.congested
    assert isinstance(offer, Offered)
    b.open("p")
    assert not b.congested


def test_what_is_held_for_an_unanswered_offer_holds_the_stream_up(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    a.open("p").send(0, bytes(HELD_HIGH_WATER + 1))

    [offer] = deliver(a, b)

    assert b.congested
    assert isinstance(offer, Offered)
    b.reject(offer)
    assert not b.congested


def test_an_offer_withdrawn_before_the_answer(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    channel = a.open("p")
    channel.send(0, bytes(HELD_HIGH_WATER + 1))
    channel.close()

    assert deliver(a, b) == []
    assert not b.congested
    assert b.open("p").state is ChannelState.OPENING


def test_the_same_channel_is_not_opened_twice(ends: tuple[Protomux, Protomux]) -> None:
    a, b = ends
    channel = a.open("p")
    with pytest.raises(UsageError, match="is open already"):
        a.open("p")

    b.receive_data(open_message(1))
    b.receive_data(open_message(2))
    assert b.events() == [Offered("p", b"")]
    assert take(b) == [bytes.fromhex("000202")]
    channel.close()
    with pytest.raises(UsageError, match="is closed: open it again"):
        channel.send(0, b"")


def test_offers_are_bounded() -> None:
    mux = Protomux()
    most = MAX_OFFERED // OFFER_OVERHEAD
    for number in range(1, most + 1):
        mux.receive_data(open_message(number, id=b"%d" % number))

    with pytest.raises(PeerRefused, match=f"at most {MAX_OFFERED} bytes"):
        mux.receive_data(open_message(most + 1))


def test_the_handshakes_of_offers_are_bounded_and_answers_make_room() -> None:
    mux = Protomux()
    big = bytes(MAX_OFFERED // 2)
    for number in range(1, 4):
        mux.receive_data(open_message(number, id=b"%d" % number, handshake=big))
        mux.reject(Offered("p", b"%d" % number))
    mux.receive_data(open_message(4, handshake=big))

    with pytest.raises(PeerRefused, match=f"at most {MAX_OFFERED} bytes"):
        mux.receive_data(open_message(5, id=b"5", handshake=big))


def test_the_frames_of_a_message_are_bounded() -> None:
    with pytest.raises(PeerRefused, match=f"at most {MAX_BATCH} frames"):
        Protomux().receive_data(b"\x00\x00\x00" + b"\x00\x00" * (MAX_BATCH + 1))


def test_channels_are_bounded() -> None:
    mux = Protomux()
    for number in range(1, MAX_CHANNELS):
        mux.receive_data(open_message(number, id=b"%d" % number))
        mux.open("p", b"%d" % number)

    with pytest.raises(PeerRefused, match="65536 channels"):
        mux.receive_data(open_message(MAX_CHANNELS))


@pytest.mark.parametrize(("protocol", "id"), [("p" * (MAX_NAME + 1), b""), ("p", bytes(MAX_NAME + 1))])
def test_names_are_bounded(protocol: str, id: bytes) -> None:
    with pytest.raises(PeerRefused, match="256 bytes"):
        Protomux().receive_data(open_message(1, protocol, id))


@pytest.mark.parametrize(
    "message",
    [
        open_message(2),
        open_message(0),
        bytes.fromhex("000205"),
        bytes.fromhex("000901"),
        bytes.fromhex("0100"),
        bytes.fromhex("0000" + "00" + "020001"),
    ],
    ids=["gap", "zero", "reject of nothing", "unknown control", "never opened", "batch in a batch"],
)
def test_what_breaks_the_rules_is_the_peers_fault(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        Protomux().receive_data(message)


def test_a_number_in_use_is_not_opened_again() -> None:
    mux = Protomux()
    mux.receive_data(open_message(1))

    with pytest.raises(ProtocolError, match="Channel 1 was opened out of turn"):
        mux.receive_data(open_message(1, "q"))


@pytest.mark.parametrize("message", [b"\x00", bytes.fromhex("0001"), bytes.fromhex("00000105")])
def test_bytes_that_end_early_are_a_decode_error(message: bytes) -> None:
    with pytest.raises(DecodeError):
        Protomux().receive_data(message)


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_any_bytes_are_survived_or_the_peers_fault(messages: list[bytes]) -> None:
    mux = Protomux()
    mux.open("p")
    try:
        for message in messages:
            mux.receive_data(message)
    except PeerError:
        pass
    mux.events()
    take(mux)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300), st.binary(max_size=400)), max_size=60))
def test_every_message_arrives_once_and_in_order(messages: list[tuple[str, int, bytes]]) -> None:
    a, b = Protomux(), Protomux()
    channels = {name: a.open(name) for name in "abc"}
    deliver(a, b)
    for name in "abc":
        b.open(name)
    b.events()

    for name, type, payload in messages:
        channels[name].send(type, payload)

    received = [event for event in deliver(a, b) if isinstance(event, Received)]
    assert [(event.channel.protocol, event.type, event.payload) for event in received] == messages
