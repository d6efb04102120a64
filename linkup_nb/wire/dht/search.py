"""The rules of a search for the nodes nearest to a target: which node is next, which is waited for, when it is over.

As in the Kademlia paper (Maymounkov and Mazières 2002, section 2.3), except that nobody waits for the dead: a node that
is slow to reply leaves its place to the next one, and when its reply comes while the search is on, it counts.
"""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Generic, TypeVar

from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.dht.table import K

ALPHA = 10  # nodes queried at a time, not counting those that are slow to reply
MIN_PATIENCE = 0.15  # seconds until a node without a reply no longer holds up a search
MAX_PATIENCE = 0.5  # seconds; also the patience before the first reply
PATIENCE_FACTOR = 4  # in between: this many times the slowest reply of the search so far
LONG_PATIENCE = 1.0  # seconds for one that was there before, if there are few replies and nobody else to query
TICK = 0.05  # seconds; if the caller is late by as much, the nodes get their time anew
MAX_QUERIED = 200  # nodes queried in one search
MAX_NAMED = 2000  # nodes named in one search
MAX_DEAD_NAMES = 8  # without a reply that one node may name, of K, before the others that it names are passed over

R = TypeVar("R")


@dataclass(slots=True, eq=False)
class QueriedNode(Generic[R]):
    """A node that was queried; `named_by` is `None` for one to begin with, `reply` while there is none.

    Times are in seconds, on the caller's clock.
    """

    address: Address
    distance: int
    named_by: Address | None
    at: float
    since: float  # when its patience began: at `at`, or later if the caller was late
    slow: bool = False
    reply: R | None = None


class Search(Generic[R]):
    """One search, whose replies are of the caller's kind; `distance` is how far a node is from the target.

    `k` nodes nearest to it are looked for, `alpha` are queried at a time, not counting those that are slow to reply.

    `add` the nodes to begin with and send a request to all of `next_queried`. Then call `replied` or `failed` for each
    of them, `tick` every `TICK` seconds, and `next_queried` again after each of these, until it is `over`.
    """

    def __init__(
        self,
        distance: Callable[[Address], int],
        now: float,
        *,
        k: int = K,
        alpha: int = ALPHA,
        max_dead_names: int = MAX_DEAD_NAMES,
    ) -> None:
        self.queried: list[QueriedNode[R]] = []
        self.over = False
        self._distance = distance
        self._k = k
        self._alpha = alpha
        self._max_dead_names = max_dead_names
        self._named: dict[Address, Address | None] = {}
        self._candidates: list[tuple[int, Address]] = []
        self._awaited: dict[QueriedNode[R], None] = {}
        self._slow = 0
        self._dead_names: Counter[Address] = Counter()
        self._closest: list[QueriedNode[R]] = []
        self._has_replies = False
        self._slowest = 0.0
        self._ticked_at = now

    @property
    def closest(self) -> tuple[QueriedNode[R], ...]:
        """Up to `k` nodes nearest to the target that have replied and can be written to, nearest first."""
        return tuple(self._closest)

    def unknown(self, addresses: Iterable[Address]) -> list[Address]:
        """Those of the nodes that have not been named before; none when the search is over."""
        return [] if self.over else [address for address in addresses if address not in self._named]

    def add(self, addresses: Iterable[Address], named_by: Address | None = None) -> None:
        """Consider nodes for being queried."""
        for address in addresses:
            if address not in self._named and len(self._named) < MAX_NAMED:
                self._named[address] = named_by
                heappush(self._candidates, (self._distance(address), address))

    def next_queried(self, now: float) -> list[QueriedNode[R]]:
        """The nodes to query now; the search may be over instead."""
        chosen = []
        while len(self._awaited) - self._slow < self._alpha and self._candidates and not self.over:
            away, address = heappop(self._candidates)
            if not self._is_near(away) or len(self.queried) >= MAX_QUERIED:
                self._candidates.clear()
                break
            named_by = self._named[address]
            if named_by is None or self._dead_names[named_by] < self._max_dead_names:
                queried = QueriedNode[R](address, away, named_by, now, now)
                self.queried.append(queried)
                self._awaited[queried] = None
                chosen.append(queried)
        if not self._candidates and (not self._awaited or (self._has_replies and self._is_vain(now))):
            self.over = True
        return chosen

    def replied(
        self, queried: QueriedNode[R], reply: R, rtt: float, names: Iterable[Address], *, near: bool = True
    ) -> None:
        """A node has replied after `rtt` seconds, and named others; `near=False` for one that cannot be written to."""
        self._settle(queried)
        queried.reply = reply
        if self.over:
            return
        self._has_replies = True
        self._slowest = max(self._slowest, rtt)
        if near and self._is_near(queried.distance):
            insort(self._closest, queried, key=lambda each: each.distance)
            del self._closest[self._k :]
        self.add(names, queried.address)

    def failed(self, queried: QueriedNode[R]) -> None:
        """A node has not replied, and will not."""
        self._settle(queried)
        if queried.named_by is not None and not queried.slow:
            self._dead_names[queried.named_by] += 1

    def tick(self, now: float) -> None:
        """Let the slow leave their places to others."""
        late = now - self._ticked_at > 2 * TICK
        self._ticked_at = now
        patience = MAX_PATIENCE
        if self._has_replies:
            patience = min(MAX_PATIENCE, max(MIN_PATIENCE, PATIENCE_FACTOR * self._slowest))
        for queried in self._awaited:
            if late:
                queried.since = now  # it was the caller who was slow; their replies may wait to be read
            elif not queried.slow and queried.since <= now - patience:
                queried.slow = True
                self._slow += 1
                if queried.named_by is not None:
                    self._dead_names[queried.named_by] += 1

    def stop(self) -> None:
        """Query no further node, when enough has been found."""
        self.over = True

    def _settle(self, queried: QueriedNode[R]) -> None:
        del self._awaited[queried]
        self._slow -= queried.slow

    def _is_near(self, away: int) -> bool:
        return len(self._closest) < self._k or away < self._closest[-1].distance

    def _is_vain(self, now: float) -> bool:
        """Whether there is little hope for a reply of those that were queried."""
        enough = len(self._closest) >= self._k
        return all(
            queried.slow and (enough or queried.named_by is not None or queried.since <= now - LONG_PATIENCE)
            for queried in self._awaited
        )
