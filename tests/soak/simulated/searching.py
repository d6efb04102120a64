"""One search in a time of its own, by the rules of `wire/dht/search.py` and the patience of `hyperdht/io.py`."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from heapq import heappop, heappush
from itertools import count

from linkup_nb.hyperdht.io import FIRST_TIMEOUT, RETRIES, TIMEOUT
from linkup_nb.wire.dht.rpc import Address, distance, node_id
from linkup_nb.wire.dht.search import TICK, QueriedNode, Search
from linkup_nb.wire.dht.table import K
from tests.soak.simulated.population import Population


@dataclass(frozen=True)
class Found:
    """What has come of a search: the nodes nearest to the target, those that answered, seconds, hops to the nearest."""

    closest: list[Address]
    answered: list[Address]
    seconds: float
    hops: int


def search(population: Population, target: bytes, own_id: bytes, load: Counter[Address]) -> Found:
    """Search as a node with this id does, which nobody asks; `load` counts who is asked how often."""
    now = 0.0
    goal = int.from_bytes(target, "big")
    one = Search[bool](cache(lambda address: int.from_bytes(node_id(address), "big") ^ goal), now)
    events: list[tuple[float, int, Callable[[float], None]]] = []
    numbers = count()

    def at(when: float, what: Callable[[float], None]) -> None:
        heappush(events, (when, next(numbers), what))

    def ask(queried: QueriedNode[bool], when: float) -> None:
        load[queried.address] += 1
        sent, patience = when, FIRST_TIMEOUT
        for _ in range(1 + RETRIES):
            if population.lives(queried.address) and not population.lost():
                at(sent + population.rtt(), partial(answered, queried, sent))
                return
            sent += patience
            patience = TIMEOUT
        at(sent, partial(failed, queried))

    def answered(queried: QueriedNode[bool], sent: float, when: float) -> None:
        names = population.table(node_id(queried.address)).closest(target) if not one.over else []
        one.replied(queried, True, when - sent, one.unknown(names))
        go_on(when)

    def failed(queried: QueriedNode[bool], when: float) -> None:
        one.failed(queried)
        go_on(when)

    def go_on(when: float) -> None:
        for queried in one.next_queried(when):
            ask(queried, when)

    def tick(when: float) -> None:
        one.tick(when)
        go_on(when)
        at(when + TICK, tick)

    one.add(population.table(own_id).closest(target, K))
    at(0.0, go_on)
    at(TICK, tick)
    while not one.over:
        now, _, what = heappop(events)
        what(now)
    named_by = {queried.address: queried.named_by for queried in one.queried}
    closest = [queried.address for queried in one.closest]
    hops, address = 0, closest[0] if closest else None
    while address:
        hops, address = hops + 1, named_by[address]
    return Found(closest, [queried.address for queried in one.queried if queried.reply], now, hops)


def misses(found: Found, population: Population, target: bytes) -> int:
    """How many of the nearest nodes that live a search has missed."""
    nearest = population.nearest(target, K)
    assert nearest == sorted(nearest, key=lambda address: distance(node_id(address), target))
    return len(set(nearest) - set(found.closest))
