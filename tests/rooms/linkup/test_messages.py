import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, FileTooLarge, UsageError
from linkup_nb.rooms.linkup.messages import (
    MAX_FILE,
    MAX_FOREIGN_AVATAR,
    MAX_MESSAGE_BYTES,
    MAX_TEXT,
    MAX_TYPE,
    MAX_UNKNOWN,
    decode,
    encode,
)
from linkup_nb.rooms.message import AudioMessage, FileMessage, IconMessage, Message, TextMessage, UnknownMessage
from linkup_nb.rooms.names import MAX_FILE_NAME, MAX_NAME
from linkup_nb.wire.keys import short_key

KEY = bytes(32)
TOPIC = bytes(range(32))
SENT = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
NOW = SENT + timedelta(seconds=1)
OURS: dict[str, Any] = {"name": "kestrel", "key": KEY, "topic": TOPIC, "timestamp": SENT, "received": SENT}
TAIL = f'"topic":"{TOPIC.hex()}","timestamp":1777896000250}}'


def read(message: object) -> Message:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return decode(data, key=KEY, received=NOW)


def theirs(**fields: object) -> dict[str, object]:
    return {
        "type": "message",
        "name": "otter",
        "message": "hi",
        "topic": TOPIC.hex(),
        "timestamp": 1777896000250,
    } | fields


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (TextMessage(**OURS, text='"ö"\n'), '{"type":"message","name":"kestrel","message":"\\"ö\\"\\n",' + TAIL),
        (
            FileMessage(**OURS, file_name="a.csv", data=b"abcd"),
            '{"type":"file","name":"kestrel","fileName":"a.csv","file":"YWJjZA==",' + TAIL,
        ),
        (AudioMessage(**OURS, data=b"abcd"), '{"type":"audio","name":"kestrel","audio":"YWJjZA==",' + TAIL),
        (
            IconMessage(**OURS, avatar=b"abcd"),
            '{"type":"icon","name":"kestrel","username":"kestrel","avatar":"YWJjZA==",' + TAIL,
        ),
    ],
)
def test_messages_are_written_as_linkup_writes_them(message: Message, written: str) -> None:
    assert encode(message) == written.encode()
    assert read(encode(message)) == message.__class__(
        **{f: getattr(message, f) for f in fields_of(message)} | {"received": NOW}
    )


def fields_of(message: Message) -> list[str]:
    return [name for kind in type(message).__mro__ for name in getattr(kind, "__slots__", ())]


def test_what_does_not_fit_in_a_message_is_refused_with_advice() -> None:
    with pytest.raises(UsageError, match="over 65,536: send it as a file"):
        encode(TextMessage(**OURS, text="ö" * (MAX_TEXT // 2 + 1)))
    with pytest.raises(FileTooLarge, match="over 10 MiB: send a smaller one"):
        encode(FileMessage(**OURS, file_name="a", data=bytes(MAX_FILE + 1)))
    with pytest.raises(FileTooLarge, match="recording"):
        encode(AudioMessage(**OURS, data=bytes(MAX_FILE + 1)))
    with pytest.raises(UsageError):
        encode(UnknownMessage(**OURS, type="poll", fields={}))


def test_the_largest_file_and_the_worst_text_fit_in_the_largest_message() -> None:
    assert len(encode(FileMessage(**OURS, file_name="\x01" * MAX_FILE_NAME, data=bytes(MAX_FILE)))) <= MAX_MESSAGE_BYTES
    assert read(encode(TextMessage(**OURS, text="\x01" * MAX_TEXT)))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": None, "username": "otter"},
        {"extra": {"deeply": [{"nested": None}]}},
        {"type": "message", "name": "otter"},
    ],
)
def test_fields_are_read_leniently(fields: dict[str, object]) -> None:
    message = read(theirs(**fields))
    assert isinstance(message, TextMessage)
    assert (message.name, message.text, message.timestamp, message.received) == ("otter", "hi", SENT, NOW)


def test_a_name_is_kept_harmless_and_bounded() -> None:
    assert read(theirs(name="\u202eevil" + "x" * 100_000)).name == "evil" + "x" * (MAX_NAME - 4)
    nameless: tuple[object, ...] = ("", 5, None, [], "\u200b")
    for nothing in nameless:
        assert read(theirs(name=nothing)).name == short_key(KEY)


@pytest.mark.parametrize(
    "timestamp",
    [
        None,
        "1777896000250",
        "now",
        -1,
        0,
        253402300800000,
        8.64e15,
        9.4e18,
        1e300,
        10**400,
        True,
        [],
        {},
        1777896000250 + 90_000_000,
    ],
)
def test_an_absurd_timestamp_becomes_the_time_of_arrival(timestamp: object) -> None:
    assert read(theirs(timestamp=timestamp)).timestamp == NOW


def test_a_timestamp_may_be_a_fraction_or_missing() -> None:
    assert read(theirs(timestamp=1777896000250.0)).timestamp == SENT
    assert (
        read(b'{"type":"message","message":"","topic":"%s","timestamp":1e999}' % TOPIC.hex().encode()).timestamp == NOW
    )
    assert read({"type": "message", "message": "", "topic": TOPIC.hex()}).timestamp == NOW


def test_an_icon_may_name_no_topic_and_bring_a_data_url() -> None:
    avatar = b64encode(b"abcd").decode()
    message = read({"type": "icon", "username": "otter", "avatar": f"data:image/png;base64,{avatar}", "topic": None})
    assert isinstance(message, IconMessage)
    assert (message.name, message.topic, message.avatar) == ("otter", b"", b"abcd")
    assert read({"type": "icon", "username": "otter", "avatar": avatar}).topic == b""


def test_a_file_name_has_no_folders() -> None:
    message = read(theirs(type="file", fileName="../\u202e.bashrc", file="YWJjZA"))
    assert isinstance(message, FileMessage)
    assert (message.file_name, message.data) == (".bashrc", b"abcd")


def test_a_text_over_the_limit_is_cut_and_says_so() -> None:
    message = read(theirs(message="ö" * MAX_TEXT))
    assert isinstance(message, TextMessage)
    assert message.text == "ö" * (MAX_TEXT // 2) + "\n\n… (cut at 64 KiB)"


def test_half_an_emoji_does_not_lose_the_message() -> None:
    message = read(theirs(message="one \ud83d two 🦊", name="\udd8a"))
    assert isinstance(message, TextMessage)
    assert (message.text, message.name) == ("one ? two 🦊", "?")


def test_half_an_emoji_does_not_lose_a_message_of_an_unknown_type() -> None:
    message = read(theirs(type="poll", question="one \ud83d two"))
    assert isinstance(message, UnknownMessage)
    assert message.fields["question"] == "one ? two"


def test_what_is_not_utf8_counts_as_absent() -> None:
    assert read(written(theirs(name="\udcff"))).name == short_key(KEY)
    assert read(written(theirs(timestamp="\udcff"))).timestamp == NOW
    for field in ("type", "topic", "message"):
        with pytest.raises(DecodeError):
            read(written(theirs(**{field: "\udcff"})))
    with pytest.raises(DecodeError):
        read(written(theirs(type="poll") | {"\udcff": 1}))


def written(message: dict[str, object]) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode(errors="surrogateescape")


def test_a_type_that_is_not_known_is_shown_as_such() -> None:
    message = read(theirs(type="poll", question="Lunch?", options=["yes", {"no": 1}], count=2, open=True))
    assert isinstance(message, UnknownMessage)
    assert message.type == "poll"
    assert message.fields["question"] == "Lunch?"
    assert message.fields["options"] == '["yes", {"no": 1}]'
    assert (message.fields["count"], message.fields["open"]) == (2, True)
    assert len(read(theirs(type="x" * 1000)).type) == MAX_TYPE  # type: ignore[attr-defined]
    with pytest.raises(DecodeError, match="unknown type"):
        read(theirs(type="poll", padding="x" * MAX_UNKNOWN))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'"text"',
        b"17",
        b"{}",
        b'{"type":"message"',
        b'{"type":"message","message":NaN}',
        b"[" * 5_000_000,
        b'{"a":' * 2_000_000,
        b'{"type":"message","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"message","x":"\\ud800",' + b'"y":[' * 20_000,
        b'{"type":"message","x":"\\ud800","n":' + b"1" * 60_000 + b"}",
        bytes(MAX_MESSAGE_BYTES + 1),
    ],
    ids=lambda data: f"{data[:12]!r}, {len(data)}",
)
def test_bytes_that_are_not_a_message_are_named_so(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": None},
        {"type": 3},
        {"type": ""},
        {"type": ["message"]},
        {"topic": None},
        {"topic": "ab"},
        {"topic": 5},
        {"topic": "\u0663" * 64},
        {"type": "icon", "topic": "zz", "avatar": ""},
        {"message": None},
        {"message": {"html": "<script>"}},
        {"type": "file"},
        {"type": "file", "file": "not base64!"},
        {"type": "file", "file": ["YQ=="]},
        {"type": "file", "file": "A"},
        {"type": "audio", "audio": "data:audio/webm,raw"},
        {"type": "icon", "avatar": 1},
        {"type": "icon", "avatar": "A" * (MAX_FOREIGN_AVATAR * 4 // 3 + 8)},
    ],
    ids=str,
)
def test_fields_of_the_wrong_kind_are_named_so(fields: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        read(theirs(**fields))


def test_a_file_over_the_limit_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"The file has .* bytes, over 10,485,760"):
        read(theirs(type="file", file=b64encode(bytes(MAX_FILE + 1)).decode()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = ["type", "name", "username", "topic", "timestamp", "message", "fileName", "file", "audio", "avatar"]
TYPES = st.sampled_from(["message", "file", "audio", "icon", "other"])


@given(
    st.fixed_dictionaries(
        {"type": TYPES | JSON}, optional=dict.fromkeys(NAMES[1:], JSON | st.just(TOPIC.hex()) | st.just("YQ=="))
    )
)
def test_any_json_is_a_message_or_a_decode_error(fields: dict[str, object]) -> None:
    try:
        message = read(fields)
    except DecodeError:
        return
    assert message.name
    assert len(message.name) <= MAX_NAME
    assert abs(message.timestamp - NOW) < timedelta(days=366 * 30)
    assert len(repr(message)) < 2_000


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(b"\x00" + data)
    try:
        read(data)
    except DecodeError:
        return
