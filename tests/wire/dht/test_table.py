"""The table of known nodes."""

from random import Random

from linkup_nb.wire.dht.rpc import Address, distance, node_id
from linkup_nb.wire.dht.table import MAX_PER_HOST, K, Table

OWN = ("10.9.8.7", 1)


def hosts(count: int) -> list[Address]:
    return [(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 49737) for number in range(1, count + 1)]


def table(addresses: list[Address]) -> Table:
    made = Table(node_id(OWN))
    for at, address in enumerate(addresses):
        made.replied(address, float(at))
    return made


def full_bucket() -> tuple[Table, list[Address], Address]:
    """A table, the nodes in its bucket for the far half of all ids, and one more that belongs there."""
    far = [address for address in hosts(200) if (node_id(address)[0] ^ node_id(OWN)[0]) >> 7]
    return table(far[:K]), far[:K], far[K]


def test_the_closest_are_exactly_the_closest_of_all_that_are_known() -> None:
    known = table(hosts(2000))
    target = Random(3).randbytes(32)
    expected = sorted((contact.address for contact in known), key=lambda each: distance(node_id(each), target))
    assert known.closest(target) == expected[:K]
    assert known.closest(target, 3) == expected[:3]


def test_all_neighbours_and_some_of_those_far_away_are_known() -> None:
    addresses = hosts(2000)
    known = table(addresses)
    nearest = sorted(addresses, key=lambda each: distance(node_id(each), node_id(OWN)))
    assert known.closest(node_id(OWN)) == nearest[:K]
    assert 100 < len(known) < 200


def test_a_full_bucket_asks_whether_the_one_that_was_silent_longest_still_lives() -> None:
    known, nodes, newcomer = full_bucket()
    assert not known.wants(newcomer)
    assert not known.replied(newcomer, 100.0)
    known.replied(nodes[0], 101.0)
    rival = known.rival(newcomer)
    assert rival is not None
    assert rival.address == nodes[1]
    known.remove(nodes[1])
    assert known.rival(newcomer) is None
    assert known.replied(newcomer, 102.0)
    assert newcomer in known
    assert nodes[1] not in known


def test_a_contact_remembers_when_it_was_heard_of_and_how_fast_it_was() -> None:
    known = table([])
    known.replied(("10.0.0.1", 5), 1.0, 0.25)
    known.replied(("10.0.0.2", 5), 2.0)
    known.replied(("10.0.0.1", 5), 3.0)
    contact = known.get(("10.0.0.1", 5))
    assert contact is not None
    assert (contact.added, contact.seen, contact.rtt) == (1.0, 3.0, 0.25)
    assert [each.address[0] for each in known.oldest()] == ["10.0.0.2", "10.0.0.1"]


def test_one_host_gets_so_many_places_and_no_more_unless_it_is_this_machine() -> None:
    assert len(table([("10.0.0.1", port) for port in range(1, 200)])) == MAX_PER_HOST
    assert len(table([("127.0.0.1", port) for port in range(1, 60)])) > MAX_PER_HOST
    known = table([("10.0.0.1", port) for port in range(1, 200)])
    known.remove(known.oldest()[0].address)
    assert known.replied(("10.0.0.1", 1000), 1.0)


def test_we_are_not_in_our_own_table() -> None:
    assert len(table([OWN])) == 0


def test_another_place_keeps_the_contacts_for_which_there_is_room() -> None:
    known = table(hosts(500))
    before = {contact.address for contact in known}
    new = node_id(("10.1.1.1", 9))
    known.recentre(new)
    after = {contact.address for contact in known}
    assert known.own_id == new
    assert after <= before
    assert len(after) >= 2 * K
    assert known.closest(new) == sorted(before, key=lambda each: distance(node_id(each), new))[:K]
