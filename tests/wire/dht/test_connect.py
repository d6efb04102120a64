from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.errors import DecodeError, DecryptionError
from linkup_nb.wire.dht.connect import (
    MAX_ADDRESSES,
    NONCE_SIZE,
    Firewall,
    HandshakePayload,
    HolepunchPayload,
    Mode,
    PeerHandshake,
    PeerHolepunch,
    Relay,
    handshake_prologue,
    holepunch_secret,
)
from tests.vectors import load
from tests.wire.ends import flip

VECTORS: dict[str, Any] = load("hyperdht")
IK: dict[str, Any] = load("noise")["ik"]
SECRET = bytes.fromhex(IK["holepunchSecret"])
NONCE = b"n" * NONCE_SIZE
ADDRESSES = st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65535))
MANY = st.lists(ADDRESSES, max_size=3).map(tuple)
BYTES32 = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 1000)


@pytest.mark.parametrize(
    ("vector", "handshake"),
    [
        ("handshake_client", PeerHandshake(Mode.FROM_CLIENT, b"noise")),
        ("handshake_relay", PeerHandshake(Mode.FROM_RELAY, b"noise", ("1.1.1.1", 1))),
        ("handshake_second", PeerHandshake(Mode.FROM_SECOND_RELAY, b"noise", ("1.1.1.1", 1), ("2.2.2.2", 2))),
    ],
)
def test_handshakes_are_those_of_javascript(vector: str, handshake: PeerHandshake) -> None:
    assert bytes(handshake).hex() == VECTORS[vector]
    assert PeerHandshake.decode(bytes(handshake)) == handshake


def test_payloads_of_handshakes_are_those_of_javascript() -> None:
    first = HandshakePayload(addresses4=(("10.0.0.1", 4000),), udx_id=123456)
    second = HandshakePayload(
        firewall=Firewall.CONSISTENT,
        holepunch_id=1,
        relays=(Relay(("1.2.3.4", 49737), ("5.6.7.8", 1000)),),
        udx_id=654321,
        reusable_socket=True,
        relay_addresses=(("1.2.3.4", 49737),),
    )
    assert [bytes(first).hex(), bytes(second).hex()] == [IK["payload1Hex"], IK["payload2Hex"]]
    assert [HandshakePayload.decode(bytes(payload)) for payload in (first, second)] == [first, second]


def test_the_handshake_binds_what_it_is_for() -> None:
    assert handshake_prologue().hex() == IK["prologue"]
    assert holepunch_secret(bytes.fromhex(IK["handshakeHash"])) == SECRET


def test_hole_punching_is_that_of_javascript() -> None:
    message = PeerHolepunch(Mode.FROM_CLIENT, 3, b"pl", ("1.1.1.1", 1))
    assert bytes(message).hex() == VECTORS["holepunch"]
    assert PeerHolepunch.decode(bytes(message)) == message
    payload = HolepunchPayload(
        firewall=Firewall.CONSISTENT,
        round=1,
        punching=True,
        addresses=(("9.9.9.9", 99),),
        remote_address=("8.8.8.8", 88),
        token=b"\4" * 32,
        remote_token=b"\5" * 32,
    )
    assert bytes(payload).hex() == VECTORS["holepunchPayload"]
    assert HolepunchPayload.decode(bytes(payload)) == payload
    assert HolepunchPayload.open(payload.seal(SECRET, NONCE), SECRET) == payload


def test_a_damaged_payload_is_noticed() -> None:
    sealed = HolepunchPayload(firewall=0, round=0).seal(SECRET, NONCE)
    for bit in range(8 * len(sealed)):
        with pytest.raises(DecryptionError):
            HolepunchPayload.open(flip(sealed, bit), SECRET)
    for size in range(len(sealed)):
        with pytest.raises((DecryptionError, DecodeError)):
            HolepunchPayload.open(sealed[:size], SECRET)


def test_a_payload_of_another_version_says_nothing_else() -> None:
    assert HandshakePayload.decode(b"\2\xff") == HandshakePayload(version=2, secret_stream=False)


@pytest.mark.parametrize("numbers", [{"udx_id": 2**32}, {"udx_id": 1, "udx_seq": 2**32}])
def test_a_stream_that_udx_cannot_have_is_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match="32-bit"):
        HandshakePayload.decode(bytes(HandshakePayload(**numbers)))


def test_only_so_many_addresses_are_taken() -> None:
    addresses = tuple((f"10.0.0.{number}", 1) for number in range(MAX_ADDRESSES + 3))
    relays = tuple(Relay(address, address) for address in addresses)
    sixes = tuple((f"fe80::{number}", 1) for number in range(MAX_ADDRESSES + 3))
    payload = HandshakePayload(
        holepunch_id=1, relays=relays, addresses4=addresses, addresses6=sixes, relay_addresses=addresses
    )
    taken = HandshakePayload.decode(bytes(payload))
    assert taken.relays == relays[:MAX_ADDRESSES]
    assert taken.addresses4 == taken.relay_addresses == addresses[:MAX_ADDRESSES]
    assert [host for host, _ in taken.addresses6][1:] == [host for host, _ in sixes][1:MAX_ADDRESSES]
    punch = HolepunchPayload.decode(bytes(HolepunchPayload(firewall=0, round=0, addresses=addresses)))
    assert punch.addresses == addresses[:MAX_ADDRESSES]


@given(
    st.builds(
        HandshakePayload,
        firewall=NUMBERS,
        error=NUMBERS,
        holepunch_id=st.integers(0, 2**32),
        relays=st.lists(st.builds(Relay, ADDRESSES, ADDRESSES), max_size=3).map(tuple),
        addresses4=MANY,
        udx_id=st.integers(0, 2**32 - 1),
        udx_seq=st.integers(0, 2**32 - 1),
        reusable_socket=st.booleans(),
        secret_stream=st.booleans(),
        relay_through=st.none() | st.tuples(BYTES32, BYTES32),
        relay_addresses=st.none() | MANY,
    )
)
def test_every_handshake_payload_survives(payload: HandshakePayload) -> None:
    assert HandshakePayload.decode(bytes(payload)) == payload


@given(
    st.builds(
        HolepunchPayload,
        firewall=NUMBERS,
        round=NUMBERS,
        error=NUMBERS,
        connected=st.booleans(),
        punching=st.booleans(),
        addresses=st.none() | MANY,
        remote_address=st.none() | ADDRESSES,
        token=st.none() | BYTES32,
        remote_token=st.none() | BYTES32,
    )
)
def test_every_holepunch_payload_survives(payload: HolepunchPayload) -> None:
    assert HolepunchPayload.decode(bytes(payload)) == payload


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"\1" + data))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for decoder in (PeerHandshake.decode, HandshakePayload.decode, PeerHolepunch.decode, HolepunchPayload.decode):
        try:
            decoder(data)
        except DecodeError:
            continue
