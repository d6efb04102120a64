from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.wire.dht.records import (
    MAX_RECORDS,
    MAX_RELAYS,
    MAX_VALUE,
    DhtAnnouncement,
    DhtCommand,
    MutableValue,
    PeerRecord,
    check_value,
    decode_least_seq,
    decode_records,
    encode_least_seq,
    encode_records,
)
from linkup_nb.wire.keys import KeyPair, blake2b_256
from tests.vectors import load

VECTORS: dict[str, Any] = load("hyperdht")
ANNOUNCE = VECTORS["announce"]
KEYS = KeyPair.from_seed(bytes.fromhex(ANNOUNCE["seed"]))
RELAYS = (("1.2.3.4", 5),)
TARGET, TOKEN, NODE = (bytes.fromhex(ANNOUNCE[name]) for name in ("target", "token", "nodeId"))
MUTABLE = VECTORS["mutable"]


def test_records_are_those_of_javascript() -> None:
    record = PeerRecord(KEYS.public_key, RELAYS)
    assert bytes(record).hex() == VECTORS["peer"]
    assert PeerRecord.decode(bytes(record)) == record


def test_replies_to_lookups_are_understood() -> None:
    reply = bytes.fromhex(VECTORS["lookupReply"])
    assert decode_records(reply) == [PeerRecord(KEYS.public_key, RELAYS)]
    assert encode_records(decode_records(reply)) == reply
    assert decode_records(encode_records(decode_records(reply), bump=1_700_000_000_000)) == decode_records(reply)


@pytest.mark.parametrize(
    ("command", "relays", "vector"),
    [(DhtCommand.ANNOUNCE, RELAYS, "announce"), (DhtCommand.UNANNOUNCE, (), "unannounce")],
)
def test_announcements_are_those_of_javascript(command: DhtCommand, relays: Any, vector: str) -> None:
    announcement = DhtAnnouncement.sign(command, KEYS, TARGET, NODE, TOKEN, relays)
    assert bytes(announcement).hex() == VECTORS[vector]["value"]
    assert DhtAnnouncement.decode(bytes(announcement)) == announcement
    assert announcement.valid(command, TARGET, NODE, TOKEN)


def test_a_refresh_is_that_of_javascript() -> None:
    refresh = DhtAnnouncement(refresh=b"\7" * 32)
    assert bytes(refresh).hex() == VECTORS["announceRefresh"]
    assert DhtAnnouncement.decode(bytes(refresh)) == refresh
    assert not refresh.valid(DhtCommand.ANNOUNCE, TARGET, NODE, TOKEN)


def test_an_announcement_is_for_one_command_target_node_and_token() -> None:
    announcement = DhtAnnouncement.sign(DhtCommand.ANNOUNCE, KEYS, TARGET, NODE, TOKEN, RELAYS)
    other = bytes(32)
    assert not announcement.valid(DhtCommand.UNANNOUNCE, TARGET, NODE, TOKEN)
    assert not announcement.valid(DhtCommand.ANNOUNCE, other, NODE, TOKEN)
    assert not announcement.valid(DhtCommand.ANNOUNCE, TARGET, other, TOKEN)
    assert not announcement.valid(DhtCommand.ANNOUNCE, TARGET, NODE, other)


@given(st.integers(8, 8 * len(ANNOUNCE["value"]) // 2 - 1))
def test_an_announcement_with_a_flipped_bit_is_not_valid(bit: int) -> None:
    damaged = bytearray.fromhex(ANNOUNCE["value"])
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        announcement = DhtAnnouncement.decode(bytes(damaged))
    except DecodeError:
        return
    assert not announcement.valid(DhtCommand.ANNOUNCE, TARGET, NODE, TOKEN)


def test_what_is_announced_can_be_bumped() -> None:
    announcement = DhtAnnouncement(PeerRecord(KEYS.public_key), signature=b"s" * 64, bump=1_700_000_000_000)
    assert DhtAnnouncement.decode(bytes(announcement)) == announcement


def test_mutable_values_are_those_of_javascript() -> None:
    value = MutableValue.sign(KEYS, MUTABLE["seq"], bytes.fromhex(MUTABLE["value"]))
    assert value.signature.hex() == MUTABLE["signature"]
    assert value.encode_put().hex() == MUTABLE["put"]
    assert value.encode_reply().hex() == MUTABLE["getResponse"]
    assert value.target == blake2b_256(KEYS.public_key)
    assert MutableValue.decode_put(value.encode_put()) == value
    assert MutableValue.decode_reply(value.encode_reply(), KEYS.public_key) == value
    assert value.valid
    assert not MutableValue(value.public_key, value.seq + 1, value.value, value.signature).valid


def test_values_that_are_too_long_or_nothing_are_refused() -> None:
    for size in (1, MAX_VALUE):
        check_value(bytes(size))
    for size in (0, MAX_VALUE + 1):
        with pytest.raises(UsageError, match=f"1 to {MAX_VALUE} bytes"):
            check_value(bytes(size))
        with pytest.raises(UsageError, match=f"1 to {MAX_VALUE} bytes"):
            MutableValue.sign(KEYS, 1, bytes(size))
    theirs = MutableValue(KEYS.public_key, 1, bytes(MAX_VALUE + 1), b"s" * 64)
    with pytest.raises(DecodeError, match=f"at most {MAX_VALUE} bytes"):
        MutableValue.decode_put(theirs.encode_put())


def test_only_so_many_records_and_relays_are_taken() -> None:
    relays = tuple((f"10.0.0.{number}", 1) for number in range(MAX_RELAYS + 2))
    record = PeerRecord(KEYS.public_key, relays)
    assert decode_records(encode_records([record] * (MAX_RECORDS + 3))) == (
        [PeerRecord(KEYS.public_key, relays[:MAX_RELAYS])] * MAX_RECORDS
    )
    many = bytes(record)[:32] + bytes([200]) + bytes(6 * 200)
    assert len(PeerRecord.decode(many).relays) == MAX_RELAYS
    assert len(decode_records(bytes([200]) + bytes(33 * 200))) == MAX_RECORDS


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decoder in (
        PeerRecord.decode,
        decode_records,
        DhtAnnouncement.decode,
        MutableValue.decode_put,
        decode_least_seq,
    ):
        try:
            decoder(data)
        except DecodeError:
            continue


@given(st.integers(0, 2**53 - 1))
def test_the_least_number_survives(seq: int) -> None:
    assert decode_least_seq(encode_least_seq(seq)) == seq
