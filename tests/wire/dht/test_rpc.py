from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError
from linkup_nb.wire.dht.rpc import (
    MAX_CLOSER_NODES,
    MAX_DATAGRAM,
    DhtReply,
    DhtRequest,
    DhtTokens,
    Failure,
    Internal,
    decode,
    decode_delay,
    decode_port,
    distance,
    encode_delay,
    encode_port,
    node_id,
)
from tests.vectors import load

VECTORS: dict[str, Any] = load("dhtrpc")
REQUESTS = {name: bytes.fromhex(data) for name, data in VECTORS["requests"].items()}
REPLIES = {name: bytes.fromhex(pair["response"]) for name, pair in VECTORS["replies"].items()}
ASKED = {name: bytes.fromhex(pair["request"]) for name, pair in VECTORS["replies"].items()}
US = ("127.0.0.1", VECTORS["ourPort"])
TARGET, TOKEN = b"\1" * 32, b"\2" * 32

ADDRESSES = st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65535))
IDS = st.none() | st.binary(min_size=32, max_size=32)
VALUES = st.none() | st.binary(max_size=500)
TIDS = st.integers(0, 65535)


def test_requests_of_javascript_are_understood() -> None:
    assert {name: decode(data) for name, data in REQUESTS.items()} == {
        "ping": DhtRequest(1000, US, Internal.PING, internal=True),
        "find_node": DhtRequest(1001, US, Internal.FIND_NODE, internal=True, target=TARGET),
        "lookup": DhtRequest(1002, US, 3, target=TARGET),
        "announce_with_token": DhtRequest(1003, US, 4, token=TOKEN, target=TARGET, value=b"val"),
        "ping_nat": DhtRequest(1004, US, Internal.PING_NAT, internal=True, value=encode_port(12345)),
        "delayed_ping": DhtRequest(1005, US, Internal.DELAYED_PING, internal=True, value=encode_delay(0.5)),
    }


def test_replies_of_javascript_are_understood() -> None:
    token = bytes.fromhex("fb89bf58d202d8c90b9657a3f421cefcfc6222624c77f33e901857932a2b0838")
    assert {name: decode(data) for name, data in REPLIES.items()} == {
        "ping": DhtReply(1000, US),
        "find_node": DhtReply(1000, US),
        "unknown_internal": DhtReply(1000, US, error=Failure.UNKNOWN_COMMAND),
        "lookup": DhtReply(1000, US, error=Failure.UNKNOWN_COMMAND),
        "bad_token": DhtReply(1000, US, token=token, error=Failure.INVALID_TOKEN),
    }


@pytest.mark.parametrize("datagram", [*REQUESTS.values(), *REPLIES.values(), *ASKED.values()])
def test_what_is_written_is_what_javascript_writes(datagram: bytes) -> None:
    assert bytes(decode(datagram)) == datagram


@given(st.builds(DhtRequest, TIDS, ADDRESSES, st.integers(0, 300), st.booleans(), IDS, IDS, IDS, VALUES))
def test_every_request_survives(request: DhtRequest) -> None:
    assert decode(bytes(request)) == request


@given(
    st.builds(
        DhtReply, TIDS, ADDRESSES, IDS, IDS, st.lists(ADDRESSES, max_size=20).map(tuple), st.integers(0, 300), VALUES
    )
)
def test_every_reply_survives(reply: DhtReply) -> None:
    assert decode(bytes(reply)) == reply


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: b"\x03" + data))
def test_any_bytes_are_read_or_refused(datagram: bytes) -> None:
    try:
        decode(datagram)
    except DecodeError:
        return
    assert datagram[0] in (0x03, 0x13)


@pytest.mark.parametrize("datagram", [*REQUESTS.values(), *REPLIES.values()])
def test_truncated_datagrams_are_refused(datagram: bytes) -> None:
    for size in range(len(datagram)):
        with pytest.raises(DecodeError):
            decode(datagram[:size])


def test_other_versions_are_refused() -> None:
    with pytest.raises(DecodeError, match="neither a request nor a reply"):
        decode(b"\x02" + REQUESTS["ping"][1:])


def test_a_datagram_that_is_too_long_is_refused() -> None:
    with pytest.raises(DecodeError, match=f"at most {MAX_DATAGRAM} bytes"):
        decode(REQUESTS["ping"].ljust(MAX_DATAGRAM + 1, b"\0"))


def test_only_so_many_nodes_of_a_reply_are_taken() -> None:
    nodes = tuple((f"10.0.0.{number}", 1000) for number in range(MAX_CLOSER_NODES + 5))
    reply = decode(bytes(DhtReply(1, US, closer_nodes=nodes)))
    assert isinstance(reply, DhtReply)
    assert reply.closer_nodes == nodes[:MAX_CLOSER_NODES]


def test_a_nodes_id_follows_from_its_address() -> None:
    peer = load("hyperdht")["peerId"]
    assert node_id((peer["host"], peer["port"])).hex() == peer["id"]


def test_distances_are_those_of_kademlia() -> None:
    assert distance(b"\x80" + bytes(31), bytes(32)) == 2**255
    assert distance(TARGET, TARGET) == 0
    assert distance(bytes(31) + b"\5", bytes(31) + b"\6") == 3


def test_tokens_are_for_one_host_and_expire() -> None:
    tokens = DhtTokens(b"a" * 32)
    token = tokens.issue("10.0.0.1")
    assert tokens.valid(token, "10.0.0.1")
    assert not tokens.valid(token, "10.0.0.2")
    assert not tokens.valid(None, "10.0.0.1")
    tokens.rotate(b"b" * 32)
    assert tokens.valid(token, "10.0.0.1")
    assert tokens.issue("10.0.0.1") != token
    tokens.rotate(b"c" * 32)
    assert not tokens.valid(token, "10.0.0.1")


def test_values_of_commands_are_refused_when_truncated() -> None:
    assert decode_port(encode_port(49737)) == 49737
    assert decode_delay(encode_delay(10)) == 10
    for decoder in (decode_port, decode_delay):
        with pytest.raises(DecodeError):
            decoder(b"\1")
