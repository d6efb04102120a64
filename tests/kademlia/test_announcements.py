"""What a node keeps for others: only what is signed, of this time and within its limits."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.connection.addresses import MAX_ADDRESSES
from linkup_nb.discovery.protocol import PROOF_SIZE
from linkup_nb.errors import DecodeError
from linkup_nb.kademlia.announcements import (
    ANNOUNCEMENT_TTL,
    MAX_ANNOUNCEMENT_BYTES,
    MAX_ANNOUNCEMENTS,
    MAX_CLOCK_SKEW,
    MAX_PER_SOURCE,
    MAX_PER_TARGET,
    TOKEN_LIFETIME,
    Address,
    Announcement,
    AnnouncementStore,
    Tokens,
    source_of,
)
from linkup_nb.wire.keys import KeyPair

PROOF = bytes(PROOF_SIZE)
NOW = 1_800_000_000.0
TARGET, OTHER_TARGET = b"t" * 32, b"o" * 32
ANNA = KeyPair.from_seed(b"a" * 32)
ADDRESSES = (("127.0.0.1", 4000), ("192.168.1.5", 4000))


def signed(key_pair: KeyPair = ANNA, addresses: tuple[Address, ...] = ADDRESSES, at: float = NOW) -> Announcement:
    return Announcement.sign(key_pair, TARGET, PROOF, addresses, int((at + ANNOUNCEMENT_TTL) * 1000))


def unsigned(at: float = NOW) -> Announcement:
    """Of a new key each time; the store is given only what has been verified."""
    return Announcement(os.urandom(32), PROOF, ADDRESSES, int((at + ANNOUNCEMENT_TTL) * 1000), bytes(64))


def keys(store: AnnouncementStore, at: float = NOW, target: bytes = TARGET) -> set[bytes]:
    return {announcement.public_key for announcement in store.get(target, at)}


def test_an_announcement_survives_the_wire() -> None:
    announcement = signed()
    assert Announcement.decode(TARGET, bytes(announcement), NOW) == announcement


def test_the_largest_announcement_fits() -> None:
    largest = signed(addresses=(("203.0.113.255", 65535),) * MAX_ADDRESSES)
    assert len(bytes(largest)) <= MAX_ANNOUNCEMENT_BYTES
    assert Announcement.decode(TARGET, bytes(largest), NOW) == largest


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    data = bytes(signed())
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError):
            Announcement.decode(TARGET, bytes(flipped), NOW)


def test_an_announcement_holds_for_its_target_only() -> None:
    with pytest.raises(DecodeError, match="not signed"):
        Announcement.decode(OTHER_TARGET, bytes(signed()), NOW)


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 0), ("0.0.0.0", 1), ("0.1.2.3", 1), ("224.0.0.251", 1), ("255.255.255.255", 1)]
)
def test_signed_addresses_that_no_peer_has_are_refused(address: Address) -> None:
    with pytest.raises(DecodeError, match="not the address of a peer"):
        Announcement.decode(TARGET, bytes(signed(addresses=(address,))), NOW)


def test_more_addresses_than_a_peer_may_have_are_refused() -> None:
    with pytest.raises(DecodeError, match=f"at most {MAX_ADDRESSES}"):
        Announcement.decode(TARGET, bytes(signed(addresses=(("127.0.0.1", 1),) * (MAX_ADDRESSES + 1))), NOW)


@pytest.mark.parametrize("host", ["localhost", "::1", "1.2.3", ""])
def test_only_ipv4_addresses_can_be_announced(host: str) -> None:
    with pytest.raises(ValueError, match="IPv4"):
        signed(addresses=((host, 1),))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (0, True),
        (ANNOUNCEMENT_TTL + MAX_CLOCK_SKEW - 1, True),
        (ANNOUNCEMENT_TTL + MAX_CLOCK_SKEW + 1, False),
        (1 - MAX_CLOCK_SKEW, True),
        (-1 - MAX_CLOCK_SKEW, False),
    ],
)
def test_clocks_may_differ_but_not_by_much(age: float, accepted: bool) -> None:
    data = bytes(signed())
    if accepted:
        Announcement.decode(TARGET, data, NOW + age)
    else:
        with pytest.raises(DecodeError, match="expires in"):
            Announcement.decode(TARGET, data, NOW + age)


@given(st.binary(max_size=2 * MAX_ANNOUNCEMENT_BYTES))
def test_any_bytes_at_all_are_only_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Announcement.decode(TARGET, data, NOW)


def test_a_token_is_good_for_its_address_and_for_a_while() -> None:
    tokens, address = Tokens(), ("192.168.1.5", 4000)
    token = tokens.issue(address, NOW)
    assert tokens.accepts(token, address, NOW + TOKEN_LIFETIME)
    assert not tokens.accepts(token, address, NOW + 2 * TOKEN_LIFETIME)
    assert not tokens.accepts(token, ("192.168.1.6", 4000), NOW)
    assert not tokens.accepts(token, ("192.168.1.5", 4001), NOW)
    assert not Tokens().accepts(token, address, NOW)


def test_a_stranger_is_a_host_but_on_loopback_a_socket() -> None:
    assert source_of(("192.168.1.5", 1)) == source_of(("192.168.1.5", 2))
    assert source_of(("127.0.0.1", 1)) != source_of(("127.0.0.1", 2))


def test_what_nobody_renews_expires() -> None:
    store, announcement = AnnouncementStore(), signed()
    assert store.add(TARGET, announcement, "a", NOW)
    assert store.get(TARGET, NOW + ANNOUNCEMENT_TTL - 1) == [announcement]
    assert store.get(TARGET, NOW + ANNOUNCEMENT_TTL) == []
    store.sweep(NOW + ANNOUNCEMENT_TTL)
    assert len(store) == 0


def test_a_fast_clock_does_not_make_an_announcement_last_longer() -> None:
    store = AnnouncementStore()
    store.add(TARGET, signed(at=NOW + MAX_CLOCK_SKEW - 1), "a", NOW)
    assert store.get(TARGET, NOW + ANNOUNCEMENT_TTL) == []


def test_a_renewal_replaces_and_what_it_replaced_does_not_come_back() -> None:
    store, old, new = AnnouncementStore(), signed(), signed(addresses=ADDRESSES[:1], at=NOW + 300)
    assert store.add(TARGET, old, "a", NOW)
    assert store.add(TARGET, new, "a", NOW + 300)
    assert not store.add(TARGET, old, "a", NOW + 301)
    assert store.add(TARGET, new, "a", NOW + 302)  # a datagram that came twice
    assert store.get(TARGET, NOW + ANNOUNCEMENT_TTL + 299) == [new]
    assert len(store) == 1


def test_a_withdrawal_cannot_be_undone_by_a_replay() -> None:
    store, announcement = AnnouncementStore(), signed()
    store.add(TARGET, announcement, "a", NOW)
    assert store.add(TARGET, signed(addresses=(), at=NOW + 1), "a", NOW + 1)
    assert not store.add(TARGET, announcement, "a", NOW + 2)
    assert store.get(TARGET, NOW + 2) == []


def test_a_flood_from_one_host_displaces_only_itself() -> None:
    store, early, late = AnnouncementStore(), unsigned(), unsigned()
    store.add(TARGET, early, "early", NOW)
    flood = [store.add(TARGET, unsigned(), "flood", NOW) for _ in range(2 * MAX_PER_TARGET)]
    assert sum(flood) == MAX_PER_TARGET - 1
    assert store.add(TARGET, late, "late", NOW)
    assert not store.add(TARGET, unsigned(), "flood", NOW)
    assert {early.public_key, late.public_key} < keys(store)
    assert len(store) == MAX_PER_TARGET


def test_those_who_came_early_stay_when_a_flood_shares_their_router() -> None:
    store, honest = AnnouncementStore(), [unsigned() for _ in range(30)]
    for announcement in honest:
        store.add(TARGET, announcement, "the class's router", NOW)
    for _ in range(MAX_PER_TARGET):
        store.add(TARGET, unsigned(), "the class's router", NOW)
    for host in range(10):
        store.add(TARGET, unsigned(), f"another host {host}", NOW)
    assert {announcement.public_key for announcement in honest} < keys(store)


def test_one_announcement_from_each_of_many_hosts_cannot_be_displaced() -> None:
    store, honest = AnnouncementStore(), [unsigned() for _ in range(MAX_PER_TARGET)]
    for host, announcement in enumerate(honest):
        store.add(TARGET, announcement, f"host {host}", NOW)
    assert not any(store.add(TARGET, unsigned(), f"attacker {host}", NOW) for host in range(1000))
    assert keys(store) == {announcement.public_key for announcement in honest}


def test_withdrawals_make_room_first() -> None:
    store = AnnouncementStore()
    store.add(TARGET, signed(addresses=()), "host", NOW)
    for host in range(MAX_PER_TARGET):
        assert store.add(TARGET, unsigned(), f"host {host}", NOW)
    assert len(store) == MAX_PER_TARGET


def test_one_host_gets_so_much_room_and_no_more_over_all_targets() -> None:
    store = AnnouncementStore()
    kept = [store.add(os.urandom(32), unsigned(), "flood", NOW) for _ in range(MAX_PER_SOURCE + 50)]
    assert sum(kept) == MAX_PER_SOURCE
    assert store.add(TARGET, unsigned(), "another", NOW)
    later = NOW + ANNOUNCEMENT_TTL
    assert store.add(TARGET, unsigned(at=later), "flood", later)  # its own have expired


def test_a_full_node_takes_from_those_who_hold_most() -> None:
    store, honest = AnnouncementStore(), unsigned()
    store.add(TARGET, honest, "honest", NOW)
    for host in range(MAX_ANNOUNCEMENTS // MAX_PER_SOURCE + 1):
        for _ in range(MAX_PER_SOURCE):
            store.add(os.urandom(32), unsigned(), f"flood {host}", NOW)
    assert len(store) == MAX_ANNOUNCEMENTS
    assert store.add(OTHER_TARGET, unsigned(), "newcomer", NOW)
    assert len(store) == MAX_ANNOUNCEMENTS
    assert keys(store) == {honest.public_key}


def test_relaying_the_renewal_of_another_does_not_count_it_to_the_relay() -> None:
    store, first, renewed = AnnouncementStore(), signed(), signed(at=NOW + 1)
    store.add(TARGET, first, "honest", NOW)
    store.add(TARGET, renewed, "relay", NOW + 1)
    for _ in range(MAX_PER_TARGET):
        store.add(TARGET, unsigned(), "relay", NOW + 1)
    for host in range(MAX_PER_TARGET):
        store.add(TARGET, unsigned(), f"host {host}", NOW + 1)
    assert ANNA.public_key in keys(store)
