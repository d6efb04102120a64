import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, PeerError, ProtocolError
from linkup_nb.wire import rooms
from linkup_nb.wire.compact import Encoder
from linkup_nb.wire.rooms import (
    Conflict,
    FeedKeys,
    Message,
    Opening,
    Presence,
    PresenceState,
    Read,
    Run,
    RunRequest,
    Skeleton,
    SkeletonRequest,
    Typing,
)

HASH = bytes(range(64))
SECRET = b"s" * 32
TAG = b"12345678"
MESSAGES: list[Message] = [
    FeedKeys((b"a" * 32, b"b" * 32)),
    Presence(PresenceState.HERE, (TAG,)),
    Typing("random", 5),
    Read(((TAG, 300),)),
    Conflict(b"one", b"other"),
    SkeletonRequest(7, TAG, 100_000),
    Skeleton(7, ((255, 9000, b"h" * 32),)),
    RunRequest(8, TAG, 256),
    Run(8, (b"block", b"")),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_sent_is_what_is_received(message: Message) -> None:
    assert rooms.decode(message.type, bytes(message)) == message


def test_the_bytes_of_version_1() -> None:
    assert bytes(Opening(b"p" * 32, 1000, flags=3)) == b"\x01\x03" + b"p" * 32 + b"\xfd\xe8\x03"
    assert bytes(FeedKeys((b"k" * 32,))) == b"\x01" + b"k" * 32
    assert bytes(Typing("ab", 6)) == b"\x02ab\x06"
    assert bytes(Read(((TAG, 2),))) == b"\x01" + TAG + b"\x02"


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    opening = Opening(b"p" * 32, 5, flags=0xFF, version=9)
    assert Opening.decode(bytes(opening) + b"more") == opening
    with pytest.raises(ProtocolError, match="version 0"):
        Opening.decode(bytes(Opening(b"p" * 32, 5, version=0)))
    assert rooms.decode(99, b"anything") is None


def test_a_proof_is_good_for_one_room_one_connection_and_one_role() -> None:
    proof = rooms.membership_proof(HASH, SECRET, initiator=True)
    assert proof != rooms.membership_proof(HASH, SECRET, initiator=False)
    assert proof != rooms.membership_proof(HASH[::-1], SECRET, initiator=True)
    assert proof != rooms.membership_proof(HASH, SECRET[:-1] + b"t", initiator=True)
    assert rooms.channel_id(HASH, SECRET) != rooms.channel_id(HASH[::-1], SECRET)


@pytest.mark.parametrize(
    ("number", "payload"),
    [
        (0, bytes(Encoder().uint(rooms.MAX_FEED_KEYS + 1)) + bytes(32 * 513)),
        (1, b"\x03\x00"),
        (1, b"\x02" + bytes(Encoder().uint(rooms.MAX_FEED_KEYS + 1)) + bytes(8 * 513)),
        (2, bytes(Encoder().string("x" * (rooms.MAX_CHANNEL_NAME + 1)).uint(1))),
        (3, bytes(Encoder().uint(1).fixed(TAG, 8).uint(rooms.MAX_LENGTH + 1))),
        (4, bytes(Encoder().buffer(bytes(rooms.MAX_EVIDENCE + 1)).buffer(b""))),
        (5, bytes(Encoder().uint(1).fixed(TAG, 8).uint(rooms.MAX_LENGTH + 1))),
        (6, bytes(Encoder().uint(1).uint(rooms.MAX_SKELETON + 1))),
        (7, bytes(Encoder().uint(1).fixed(TAG, 8).uint(rooms.MAX_LENGTH + 1))),
        (8, bytes(Encoder().uint(1).uint(rooms.MAX_RUN_BLOCKS + 1)) + bytes(300)),
        (8, bytes(Encoder().uint(1).uint(1).buffer(bytes(rooms.MAX_RUN_BYTES + 8 * 256)))),
    ],
)
def test_what_passes_a_bound_is_refused(number: int, payload: bytes) -> None:
    with pytest.raises(DecodeError):
        rooms.decode(number, payload)


def test_a_longer_time_of_typing_is_cut() -> None:
    assert Typing.decode(bytes(Typing("", 10**6))) == Typing("", rooms.MAX_TYPING)


@given(st.integers(0, 9), st.binary(max_size=300))
def test_any_bytes_are_a_message_or_the_peers_fault(number: int, payload: bytes) -> None:
    try:
        message = rooms.decode(number, payload)
    except PeerError:
        return
    assert message is None or rooms.decode(number, bytes(message)) == message
