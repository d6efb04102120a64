"""Whom a node knows: found exactly, and not to be filled by one stranger."""

import random

import pytest

from linkup_nb.kademlia import table as kademlia_table
from linkup_nb.kademlia.announcements import Address
from linkup_nb.kademlia.table import CONTACTS_PER_SOURCE, MAX_CONTACTS, Contacts, node_id
from linkup_nb.wire.dht.table import K
from tests.kademlia.network import by_distance


def hosts(count: int) -> list[Address]:
    return [(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 4000) for number in range(count)]


def filled(addresses: list[Address]) -> Contacts:
    contacts = Contacts(node_id(("10.9.9.9", 1)), lambda address: None)
    for address in addresses:
        contacts.replied(address)
    return contacts


async def test_the_closest_are_exactly_the_closest_of_all() -> None:
    contacts = filled(hosts(1000))
    for _ in range(50):
        target = random.randbytes(32)
        assert contacts.closest(target[:20], K) == by_distance(contacts.addresses(), target)[:K]


async def test_all_neighbours_of_our_own_place_are_known() -> None:
    everyone = hosts(1000)
    contacts = filled(everyone)
    own = contacts.own_id.ljust(32, b"\0")
    assert contacts.closest(contacts.own_id, K) == by_distance(everyone, own)[:K]


async def test_another_place_keeps_the_contacts() -> None:
    contacts = filled(hosts(60))
    before = set(contacts.addresses())
    contacts.recentre(contacts.closest(bytes(20), 1)[0][0].encode().ljust(20))
    assert set(contacts.addresses()) <= before
    assert len(contacts) > K


async def test_one_host_gets_so_many_places_and_no_more() -> None:
    contacts = filled([("203.0.113.5", port) for port in range(1, 1000)])
    assert len(contacts) == CONTACTS_PER_SOURCE
    assert not contacts.wants(("203.0.113.5", 2000))
    assert contacts.wants(("203.0.113.6", 2000))


async def test_so_many_contacts_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kademlia_table, "K", MAX_CONTACTS)  # with room for all in one bucket
    contacts = filled(hosts(MAX_CONTACTS + 50))
    assert len(contacts) == MAX_CONTACTS


async def test_a_dead_contact_makes_room_for_one_that_waited() -> None:
    contacts = filled(hosts(1000))
    known = contacts.addresses()
    far = contacts.closest(bytes(byte ^ 255 for byte in contacts.own_id), 1)[0]
    contacts.remove(far)
    assert far not in contacts
    assert len(contacts) == len(known)


async def test_contacts_that_were_not_heard_of_are_stale() -> None:
    contacts = filled(hosts(10))
    assert contacts.stale(60.0) == []
    assert sorted(contacts.stale(0.0)) == sorted(contacts.addresses())


def test_a_place_follows_from_the_address_alone() -> None:
    assert node_id(("10.0.0.1", 1)) == node_id(("10.0.0.1", 1))
    assert len({node_id(address) for address in [("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1)]}) == 3
