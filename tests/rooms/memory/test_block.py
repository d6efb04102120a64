import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import UsageError
from linkup_nb.rooms.memory import block
from linkup_nb.rooms.memory.block import Kind, MalformedBlock, decode, encode

T = 1_700_000_000_000_001
ID = "ybndrfg8ejkmc"
KEY = "y" * 52


def raw(**fields: Any) -> bytes:
    return json.dumps({"type": "message", "t": T, "message": "hi"} | fields).encode()


def test_a_message_is_json_that_anybody_reads() -> None:
    body = block.ReplyBody(f"{ID}/3", "**yes**", ["b" * 13])
    written = encode(body, t=T, timestamp=T // 1000, heads={ID: 4}, channel="random")
    assert json.loads(written) == {
        "type": "reply",
        "t": T,
        "heads": {ID: 4},
        "channel": "random",
        "to": f"{ID}/3",
        "message": "**yes**",
        "mentions": ["b" * 13],
    }
    envelope = decode(written)
    assert envelope[:5] == ("reply", T, T // 1000, {ID: 4}, "random")
    assert envelope.body() == (Kind.REPLY, body)


BODIES = [
    block.HelloBody("Ann", KEY, KEY, KEY, (b"1" * 64, b"2" * 64), {ID: 3}),
    block.MessageBody("hi"),
    block.FileBody("a.csv", "/files/a.csv", 3, 10, "text/csv", KEY),
    block.AudioBody("1.webm", "/audio/1.webm", 4, 10, duration=1.5),
    block.OutputBody(path="/outputs/1.json", version=9),
    block.ReactionBody(f"{ID}/1", "👍", remove=True),
    block.EditBody(f"{ID}/1", "better"),
    block.RetractBody(f"{ID}/1"),
    block.IconBody("Ann", b"RIFF"),
    block.TopicBody("about"),
    block.ChannelBody("random"),
    block.RoomBody("physics", b"n" * 32, "admitted"),
    block.RoleBody(KEY, "moderator"),
    block.AdmitBody(KEY),
    block.RemoveBody(KEY, {ID: 0}),
    block.HideBody(to=f"{ID}/1", reason="spam"),
    block.InviteMadeBody(KEY, KEY, 1_900_000_000, 1),
    block.InviteUsedBody(KEY, KEY),
    block.NextBody(KEY, {ID: "c2VhbGVk"}),
    block.LeaveBody(),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_every_type_is_read_as_it_was_written(body: block.Body) -> None:
    kind, read = decode(encode(body, t=T, timestamp=5)).body()
    assert (read, kind is Kind.UNKNOWN) == (body, False)


def test_the_authors_clock_stands_there_only_where_it_differs() -> None:
    assert "timestamp" not in json.loads(encode(block.LeaveBody(), t=T, timestamp=T // 1000))
    assert decode(encode(block.LeaveBody(), t=T, timestamp=5)).timestamp == 5


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        raw() + b"x",
        raw(t=1.5e15),
        raw(t=True),
        raw(t=block.EARLIEST),
        raw(t=block.LATEST),
        raw(type="x" * (block.MAX_TYPE + 1)),
        raw(type=5),
        raw().replace(b"hi", b"\xff"),
        raw(x="y" * block.MAX_BLOCK_BYTES),
        raw()[:-1] + b', "x": ' + b"[" * block.MAX_DEPTH + b"]" * block.MAX_DEPTH + b"}",
        b"[" * 100_000,
    ],
    ids=range(15),
)
def test_what_has_no_place_in_the_order(malformed: bytes) -> None:
    with pytest.raises(MalformedBlock):
        decode(malformed)


def test_brackets_in_texts_are_no_depth() -> None:
    assert decode(raw(message='["\\' * 1000)).body() == (Kind.MESSAGE, block.MessageBody('["\\' * 1000))


@pytest.mark.parametrize(
    "heads",
    [
        {"short": 1},
        {ID: 0},
        {ID: 2**31 + 1},
        {ID: "1"},
        [],
        None,
        5,
        {f"{number:013d}": 1 for number in range(block.MAX_HEADS + 1)},
    ],
    ids=range(8),
)
def test_malformed_heads_cost_a_block_its_row_and_not_its_place(heads: Any) -> None:
    assert decode(raw(heads=heads)).heads is None


@pytest.mark.parametrize("fields", [{"timestamp": "now"}, {"timestamp": -1}, {"channel": 5}, {"channel": "x" * 65}])
def test_other_malformed_fields_are_as_if_they_were_not_there(fields: dict[str, Any]) -> None:
    assert decode(raw(**fields))[:5] == decode(raw())[:5]


@pytest.mark.parametrize(
    "fields", [{"type": "poll", "options": [1, {"a": 2}]}, {"message": 5}, {"message": "x" * (block.MAX_TEXT + 1)}]
)
def test_what_is_not_known_or_not_as_its_type_says_is_kept(fields: dict[str, Any]) -> None:
    envelope = decode(raw(**fields))
    assert envelope.body() == (Kind.UNKNOWN, None)
    assert block.unknown_fields(envelope) == {"message": "hi"} | {k: v for k, v in fields.items() if k != "type"}


def test_what_is_too_large_is_said_before_it_is_written() -> None:
    with pytest.raises(UsageError, match="send it as a file"):
        encode(block.MessageBody("x" * block.MAX_BLOCK_BYTES), t=T, timestamp=5)
    with pytest.raises(UsageError, match="64 KiB"):
        encode(block.MessageBody("x" * (block.MAX_TEXT + 1)), t=T, timestamp=5)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_block_or_malformed(data: bytes) -> None:
    try:
        envelope = decode(data)
    except MalformedBlock:
        return
    envelope.body()


NAMES = st.sampled_from(["t", "type", "heads", "to", "message", "data", "cut", "from"])
VALUES = st.text() | st.integers() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers())


@given(st.dictionaries(NAMES, VALUES))
def test_any_fields_are_a_body_or_unknown(fields: dict[str, Any]) -> None:
    for name in ("hello", "output", "remove", "next"):
        decode(raw(**(fields | {"type": name, "t": T}))).body()
