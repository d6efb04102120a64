"""What others say of our address."""

import pytest

from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.dht.nat import MAX_SAMPLES, NatSample, NatSampler
from linkup_nb.wire.dht.rpc import Address

OURS = ("203.0.113.7", 5000)


def sampler(*seen_as: Address) -> NatSampler:
    made = NatSampler()
    for number, address in enumerate(seen_as):
        made.add((f"8.8.8.{number}", 49737), address)
    return made


def test_who_was_not_told_knows_nothing() -> None:
    assert NatSampler().sample == NatSample(None, 0, Firewall.UNKNOWN, 0)
    assert NatSampler().sample.address is None


@pytest.mark.parametrize(
    ("count", "firewall"), [(1, Firewall.UNKNOWN), (2, Firewall.UNKNOWN), (3, Firewall.CONSISTENT)]
)
def test_three_who_agree_make_a_consistent_nat(count: int, firewall: Firewall) -> None:
    assert sampler(*[OURS] * count).sample == NatSample(*OURS, firewall, count)


def test_another_port_for_everyone_is_a_random_nat() -> None:
    sample = sampler(*[(OURS[0], port) for port in range(5000, 5005)]).sample
    assert sample == NatSample(OURS[0], 0, Firewall.RANDOM, 5)
    assert sample.address is None


def test_of_three_all_must_agree_and_of_many_some_may_lie() -> None:
    liar = ("203.0.113.66", 1)
    assert sampler(OURS, OURS, liar).sample == NatSample(seen_by=3)
    assert sampler(OURS, OURS, OURS, liar).sample.address == OURS
    assert sampler(*[OURS] * 9, *[liar] * 3).sample.address == OURS
    assert sampler(*[OURS] * 8, *[liar] * 4).sample.address is None


def test_a_host_has_one_voice_however_many_ports_it_has() -> None:
    made = sampler(*[OURS] * 4)
    for port in range(1, 100):
        made.add(("8.8.4.4", port), ("203.0.113.66", 1))
    assert made.sample == NatSample(*OURS, Firewall.CONSISTENT, 5)


def test_on_one_machine_every_node_has_a_voice() -> None:
    made = NatSampler()
    for port in range(1, 4):
        made.add(("127.0.0.1", port), ("127.0.0.1", 5000))
    assert made.sample == NatSample("127.0.0.1", 5000, Firewall.CONSISTENT, 3)


def test_who_is_on_this_machine_does_not_know_how_others_see_it() -> None:
    made = sampler(OURS)
    for port in range(1, 10):
        made.add(("127.0.0.1", port), ("127.0.0.1", 5000))
    assert made.sample.address == OURS


def test_only_the_latest_count() -> None:
    made = sampler(*[OURS] * 10)
    for number in range(MAX_SAMPLES):
        made.add((f"9.9.9.{number}", 1), ("198.51.100.1", 7))
    assert made.sample == NatSample("198.51.100.1", 7, Firewall.CONSISTENT, MAX_SAMPLES)


def test_what_was_shown_to_be_open_is_called_so_until_we_are_elsewhere() -> None:
    made = sampler(OURS)
    made.open = True
    assert made.sample.firewall == Firewall.OPEN
    made.clear()
    assert made.sample == NatSample()
