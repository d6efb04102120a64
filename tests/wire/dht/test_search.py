"""Searches, in a network that exists only on paper, on a clock of its own."""

from collections import Counter
from collections.abc import Iterable
from heapq import heappop, heappush
from random import Random

from linkup_nb.wire.dht.rpc import Address, distance, node_id
from linkup_nb.wire.dht.search import (
    ALPHA,
    LONG_PATIENCE,
    MAX_DEAD_NAMES,
    MAX_NAMED,
    MAX_PATIENCE,
    MAX_QUERIED,
    MIN_PATIENCE,
    TICK,
    QueriedNode,
    Search,
)
from linkup_nb.wire.dht.table import K

TARGET = b"\x42" * 32
RTT = 0.01  # seconds
GIVEN_UP = 3.5  # seconds after which a node that does not reply has failed


def away(address: Address) -> int:
    return distance(node_id(address), TARGET)


class Paper:
    """Nodes that know some others each, and reply after `RTT` unless they are `dead`, or after `rtts` seconds."""

    def __init__(self, count: int) -> None:
        self.addresses: list[Address] = [(f"10.0.{n >> 8}.{n & 255}", 49737) for n in range(1, count + 1)]
        self.nearest = sorted(self.addresses, key=away)
        self.dead: set[Address] = set()
        self.rtts: dict[Address, float] = {}
        self.written: set[Address] | None = None  # those that can be written to; `None`: all
        self.blocked = 0.0  # seconds for which the caller does nothing after its first requests
        self.queried: list[Address] = []
        self.most_at_once = 0
        self.now = 0.0
        random = Random(7)
        self.known = {address: random.sample(self.addresses, min(60, count)) for address in self.addresses}

    def names(self, address: Address) -> Iterable[Address]:
        return sorted(self.known[address], key=away)[:K]

    def search(self, start: Iterable[Address]) -> Search[str]:
        """Search to the end; `now` is how long it took."""
        search = Search[str](away, self.now)
        search.add(start)
        due: list[tuple[float, int, QueriedNode[str]]] = []
        tick_at = TICK
        while True:
            for queried in search.next_queried(self.now):
                self.queried.append(queried.address)
                rtt = GIVEN_UP if queried.address in self.dead else self.rtts.get(queried.address, RTT)
                heappush(due, (self.now + rtt, len(self.queried), queried))
            self.most_at_once = max(self.most_at_once, len(due))
            if search.over:
                return search
            self.now, self.blocked = max(self.now, min(tick_at, due[0][0])) + self.blocked, 0.0
            if self.now >= tick_at:
                search.tick(self.now)
                tick_at = self.now + TICK
            else:
                queried = heappop(due)[2]
                if queried.address in self.dead:
                    search.failed(queried)
                else:
                    near = self.written is None or queried.address in self.written
                    search.replied(queried, "reply", self.now - queried.at, self.names(queried.address), near=near)


def found(search: Search[str]) -> list[Address]:
    return [queried.address for queried in search.closest]


def test_the_closest_of_all_are_found_with_so_many_asked_at_a_time_and_nobody_twice() -> None:
    paper = Paper(300)
    assert found(paper.search(paper.addresses[:3])) == paper.nearest[:K]
    assert paper.most_at_once == ALPHA
    assert len(paper.queried) < 100
    assert max(Counter(paper.queried).values()) == 1


def test_who_was_asked_knows_who_named_it_and_when() -> None:
    paper = Paper(100)
    queried = paper.search(paper.addresses[:3]).queried
    assert [each.address for each in queried] == paper.queried
    assert [(each.named_by, each.at) for each in queried[:3]] == [(None, 0.0)] * 3
    for each in queried[3:]:
        assert each.named_by is not None
        assert each.address in paper.names(each.named_by)
        assert each.at >= RTT


def test_the_dead_among_the_closest_are_left_out_and_hardly_waited_for() -> None:
    paper = Paper(300)
    paper.dead = set(paper.nearest[:30:3])
    living = [address for address in paper.nearest if address not in paper.dead]
    assert found(paper.search(living[-3:])) == living[:K]
    assert paper.now < 3 * MIN_PATIENCE


def test_a_slow_node_leaves_its_place_and_its_late_reply_counts() -> None:
    search = Search[str](away, 0.0)
    paper = Paper(ALPHA + 1)
    search.add(paper.addresses)
    first = search.next_queried(0.0)
    assert [queried.address for queried in first] == paper.nearest[:ALPHA]
    ticks = [TICK * count for count in range(1, round(MAX_PATIENCE / TICK) + 1)]
    for now in ticks[:-1]:
        search.tick(now)
        assert search.next_queried(now) == []
    search.tick(ticks[-1])
    assert [queried.address for queried in search.next_queried(ticks[-1])] == paper.nearest[ALPHA:]
    search.replied(first[0], "late", ticks[-1], [])
    assert [queried.reply for queried in search.closest] == ["late"]


def test_one_that_was_there_before_is_waited_for_longer_if_there_are_few_replies() -> None:
    paper = Paper(5)
    late = paper.nearest[0]
    paper.rtts = {late: 0.9 * LONG_PATIENCE}
    assert found(paper.search(paper.addresses)) == paper.nearest
    paper = Paper(5)
    paper.dead = {late}
    assert found(paper.search(paper.addresses)) == paper.nearest[1:]
    assert LONG_PATIENCE <= paper.now <= LONG_PATIENCE + 2 * TICK


def test_a_search_without_a_reply_goes_on_until_all_have_failed() -> None:
    paper = Paper(5)
    paper.dead = set(paper.addresses)
    assert found(paper.search(paper.addresses)) == []
    assert paper.now == GIVEN_UP


def test_a_search_with_nobody_to_ask_is_over_at_once() -> None:
    paper = Paper(0)
    assert found(paper.search([])) == []
    assert paper.now == 0


def test_nodes_are_not_blamed_for_a_caller_that_was_blocked() -> None:
    paper = Paper(2 * K)
    paper.blocked = 2 * MAX_PATIENCE
    search = paper.search(paper.addresses)
    assert found(search) == paper.nearest[:K]
    assert paper.most_at_once == ALPHA
    assert not any(queried.slow for queried in search.queried)


def test_only_nodes_that_can_be_written_to_are_the_closest() -> None:
    paper = Paper(30)
    paper.written = {paper.nearest[4]}
    assert found(paper.search(paper.addresses)) == [paper.nearest[4]]


def test_who_has_found_enough_stops_it() -> None:
    search = Search[str](away, 0.0)
    search.add(Paper(30).addresses)
    [first, *_] = search.next_queried(0.0)
    search.stop()
    search.replied(first, "late", RTT, [("10.1.1.1", 1)])
    assert search.over
    assert (search.next_queried(0.0), search.closest, first.reply) == ([], (), "late")


class Liars(Paper):
    """Each names so many nodes that nobody else names, alive or not."""

    def __init__(self, names_each: int, *, alive: bool) -> None:
        super().__init__(3)
        self._names_each = names_each
        self._alive = alive
        self._made = sorted(((f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1) for n in range(9000)), key=away)

    def names(self, address: Address) -> Iterable[Address]:
        named = [self._made.pop() for _ in range(self._names_each)]  # ever nearer ones
        if not self._alive:
            self.dead.update(named)
        return named


def test_liars_who_name_ever_nearer_nodes_cannot_keep_a_search_going() -> None:
    paper = Liars(3, alive=True)
    paper.search(paper.addresses)
    assert len(paper.queried) == MAX_QUERIED


def test_liars_who_name_many_nodes_are_not_listened_to_for_long() -> None:
    paper = Liars(K, alive=True)
    paper.search(paper.addresses)
    assert len(paper.queried) <= MAX_NAMED / K + 2 * ALPHA + K < MAX_QUERIED


def test_a_liar_who_names_the_dead_is_not_believed_for_long() -> None:
    paper = Liars(K, alive=False)
    paper.search(paper.addresses[:1])
    assert 1 + MAX_DEAD_NAMES <= len(paper.queried) <= 1 + MAX_DEAD_NAMES + ALPHA
