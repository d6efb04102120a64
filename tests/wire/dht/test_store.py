"""What a node keeps for others, and for how long."""

import pytest

from linkup_nb.wire.dht import store as dht_store
from linkup_nb.wire.dht.records import MutableValue, PeerRecord
from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.dht.store import MAX_BUMP_DRIFT, MAX_PER_TARGET, RECORD_LIFETIME, DhtStore, Forward, Shelf
from linkup_nb.wire.keys import KeyPair, blake2b_256

TOPIC, OTHER = b"\1" * 32, b"\2" * 32
HERE = ("10.0.0.1", 5000)


def record(number: int) -> PeerRecord:
    return PeerRecord(number.to_bytes(32, "big"), (("10.0.0.9", number),))


def host(number: int) -> Address:
    return f"10.1.{number >> 8}.{number & 255}", 5000


def test_an_announcement_is_kept_until_it_expires_or_is_taken_back() -> None:
    store = DhtStore()
    store.announce(TOPIC, record(1), HERE, 0.0)
    store.announce(TOPIC, record(2), HERE, 10.0)
    store.announce(OTHER, record(3), HERE, 10.0)
    assert store.records(TOPIC, 10.0) == [record(1), record(2)]
    assert store.records(TOPIC, RECORD_LIFETIME + 5) == [record(2)]
    store.unannounce(TOPIC, record(2).public_key)
    assert store.records(TOPIC, 20.0) == [record(1)]
    store.sweep(RECORD_LIFETIME + 11)
    assert store.counts["announcements"] == 0
    assert store.records(OTHER, 0.0) == []


def test_a_later_announcement_of_the_same_key_replaces_the_earlier() -> None:
    store = DhtStore()
    store.announce(TOPIC, record(1), HERE, 0.0)
    newer = PeerRecord(record(1).public_key, ())
    store.announce(TOPIC, newer, host(1), 100.0)
    assert store.records(TOPIC, RECORD_LIFETIME + 50) == [newer]
    assert store.counts["announcements"] == 1


def test_who_announces_its_own_key_is_forwarded_to() -> None:
    store = DhtStore()
    target = blake2b_256(record(1).public_key)
    store.announce(target, record(1), HERE, 0.0)
    assert store.forwards.get(target, 1.0) == Forward(HERE, record(1))
    assert store.records(target, 1.0) == [record(1)]
    assert store.forwards.get(target, RECORD_LIFETIME) is None
    store.unannounce(target, record(1).public_key)
    assert store.forwards.get(target, 1.0) is None


def test_who_has_the_preimage_of_an_announcements_hash_renews_it() -> None:
    store, last = DhtStore(), b"\5" * 32
    first = blake2b_256(last)
    store.announce(TOPIC, record(1), HERE, 0.0, refresh=blake2b_256(first))
    assert not store.refresh(last, HERE, 1000.0)  # not the next of the chain
    assert store.refresh(first, HERE, 1000.0)
    assert not store.refresh(first, HERE, 1000.0)
    assert store.records(TOPIC, 1000.0 + RECORD_LIFETIME - 1) == [record(1)]
    assert store.refresh(last, HERE, 2000.0)
    assert not store.refresh(last, HERE, 2000.0 + RECORD_LIFETIME)


def test_a_relay_is_renewed_where_the_refresh_comes_from() -> None:
    store, preimage = DhtStore(), b"\5" * 32
    target = blake2b_256(record(1).public_key)
    store.announce(target, record(1), HERE, 0.0, refresh=blake2b_256(preimage))
    assert store.refresh(preimage, host(7), 10.0)
    assert store.forwards.get(target, 20.0) == Forward(host(7), record(1))


def test_the_bump_of_a_target_only_grows_and_is_not_of_the_future() -> None:
    store, clock = DhtStore(), 1_700_000_000_000
    assert store.bump_of(TOPIC, 0.0) == 0
    for bump, kept in [
        (2, 2),
        (1, 2),
        (clock + MAX_BUMP_DRIFT + 1, 2),
        (clock, clock),
        (clock + 60_000, clock + 60_000),
    ]:
        store.bump(TOPIC, bump, HERE[0], clock, 0.0)
        assert store.bump_of(TOPIC, 0.0) == kept
    assert store.bump_of(OTHER, 0.0) == 0


def test_hashes_for_renewals_and_bumps_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_store, "MAX_REFRESHES", 2)
    monkeypatch.setattr(dht_store, "MAX_BUMPS", 2)
    store = DhtStore()
    for number in range(3):
        store.announce(TOPIC, record(number), HERE, 0.0, refresh=blake2b_256(bytes([number]) * 32))
        store.bump(bytes([number]) * 32, 5, HERE[0], 0, 0.0)
    assert [store.refresh(bytes([number]) * 32, HERE, 1.0) for number in range(3)] == [False, True, True]
    assert [store.bump_of(bytes([number]) * 32, 1.0) for number in range(3)] == [0, 5, 5]


def test_a_crowded_target_drops_what_the_host_with_most_announced_first() -> None:
    store = DhtStore()
    store.announce(TOPIC, record(0), host(0), 0.0)
    for number in range(1, MAX_PER_TARGET + 10):
        store.announce(TOPIC, record(number), HERE, 0.0)
    store.announce(TOPIC, record(1000), host(1), 0.0)
    kept = store.records(TOPIC, 1.0)
    assert len(kept) == MAX_PER_TARGET
    assert {record(0), record(1000)} <= set(kept)
    assert record(MAX_PER_TARGET + 9) in kept
    assert record(1) not in kept


def test_so_many_announcements_are_kept_in_all_and_a_flood_displaces_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_store, "MAX_RECORDS", 50)
    store = DhtStore()
    store.announce(TOPIC, record(1), host(0), 0.0)
    for number in range(100):
        store.announce(number.to_bytes(32, "big"), record(number), HERE, 0.0)
    assert store.counts["announcements"] == 50
    assert store.records(TOPIC, 1.0) == [record(1)]
    assert sum(bool(store.records(number.to_bytes(32, "big"), 1.0)) for number in range(100)) == 49


def test_a_full_shelf_forgets_the_expired_before_the_living() -> None:
    shelf: Shelf[int, str] = Shelf(2, 10.0)
    shelf.put(1, "old", "a", 0.0)
    shelf.put(2, "new", "b", 5.0)
    shelf.put(3, "newest", "b", 11.0)
    assert [shelf.get(key, 12.0) for key in (1, 2, 3)] == [None, "new", "newest"]
    shelf.put(4, "flood", "b", 12.0)
    assert [shelf.get(key, 12.0) for key in (2, 3, 4)] == [None, "newest", "flood"]


def test_values_are_kept_by_their_target() -> None:
    store = DhtStore()
    value = MutableValue.sign(KeyPair.from_seed(bytes(32)), 1, b"value")
    store.mutable.put(value.target, value, "10.0.0.1", 0.0)
    store.immutable.put(TOPIC, b"bytes", "10.0.0.1", 0.0)
    assert store.mutable.get(value.target, 3600.0) == value
    assert store.immutable.get(TOPIC, 48 * 3600.0 - 1) == b"bytes"
    assert store.counts == {"announcements": 0, "relayed peers": 0, "mutable values": 1, "immutable values": 1}
    store.sweep(48 * 3600.0)
    assert store.counts["mutable values"] == store.counts["immutable values"] == 0
