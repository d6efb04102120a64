"""How much of a room anybody can take up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import MAX_DEVICES, MAX_FEEDS, Arrival, Arrivals
from linkup_nb.rooms.memory.hello import sign_hello
from linkup_nb.rooms.memory.index import Index
from linkup_nb.wire.keys import KeyPair
from tests.rooms.memory.world import NOW, START, TOPIC, feed_key, hello, pair


@pytest.fixture
def arrivals(tmp_path: Path) -> Iterator[Arrivals]:
    index = Index(tmp_path / "index.sqlite3")
    yield Arrivals(index, TOPIC, pair(0, "identity").public_key)
    index.close()


def introduce(arrivals: Arrivals, feed: bytes, body: blocks.HelloBody) -> bool:
    """Whether a feed with this hello is a member's."""
    if not arrivals.follow(feed):
        return False
    block = blocks.encode(body, t=START, timestamp=START // 1000)
    return arrivals.take([Arrival(feed, 0, block, 0)], now=NOW).introduced == [feed]


def test_an_identity_has_so_many_devices_and_each_as_many_feeds_as_it_needs(arrivals: Arrivals) -> None:
    identity = KeyPair.from_seed(b"one person".ljust(32, b"."))

    def another(number: int, device: KeyPair) -> bool:
        feed = feed_key(number)
        return introduce(
            arrivals, feed, sign_hello(TOPIC, feed, b"d" * 32, identity=identity, device=device, name="one")
        )

    assert all(another(number, pair(number, "device")) for number in range(MAX_DEVICES))
    assert not another(50, pair(50, "device"))
    assert arrivals.feed(feed_key(50)).fault == f"An identity has at most {MAX_DEVICES} devices in a room."
    assert another(51, pair(0, "device"))  # after a conflict a device begins another feed
    assert introduce(arrivals, feed_key(52), hello(52))  # others come in


def test_a_room_has_so_many_feeds_and_one_that_is_forgotten_makes_room(arrivals: Arrivals) -> None:
    assert all(arrivals.follow(feed_key(number)) for number in range(MAX_FEEDS))
    assert not arrivals.follow(feed_key(MAX_FEEDS))
    assert arrivals.follow(feed_key(0))
    assert arrivals.forget(feed_key(1))
    assert arrivals.follow(feed_key(MAX_FEEDS))
