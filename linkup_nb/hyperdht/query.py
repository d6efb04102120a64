"""A query of the DHT: ask the nodes nearest to a target, which name nearer ones, until no nearer ones are named."""

import asyncio
from bisect import insort
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from time import monotonic

from linkup_nb.hyperdht.io import DhtAnswer
from linkup_nb.hyperdht.view import Hop
from linkup_nb.wire.dht.rpc import Address, Failure, distance, node_id
from linkup_nb.wire.dht.table import K

ALPHA = 10  # nodes asked at a time, not counting those that are slow to reply
MIN_PATIENCE = 0.15  # seconds until a node without a reply no longer holds up a query
MAX_PATIENCE = 0.5  # seconds; also the patience before the first reply
PATIENCE_FACTOR = 4  # in between: this many times the slowest reply of the query so far
LONG_PATIENCE = 1.0  # seconds for one that was there before, if there are few replies and nobody else to ask
WATCH_EVERY = 0.05  # seconds; if our own loop is late by as much, the nodes get their time anew
MAX_QUERIED = 200  # nodes asked in one query
MAX_NAMED = 2000  # nodes named in one query
MAX_DEAD_NAMES = 8  # nodes without a reply that one node may name before the others that it names are passed over

Requester = Callable[[Address, Callable[[DhtAnswer | None], object]], object]


@dataclass(slots=True, eq=False)
class _QueriedNode:
    address: Address
    distance: int
    named_by: Address | None
    at: float
    slow: bool = False
    answer: DhtAnswer | None = None


class Query:
    """Iterate over it for the answers, as they come; afterwards `closest` are the nearest nodes.

    It asks nobody before it is iterated over, or `finished` is awaited. `start` gives the nodes to begin with, `ask`
    asks one, `usable(named, named_by)` says whether to follow a name, and `dead(address, named_by)` is told who does
    not reply. A node that is slow leaves its place to the next one, but when its answer comes in time, it counts.
    """

    def __init__(
        self,
        target: bytes,
        *,
        start: Callable[[], Awaitable[Iterable[Address]]],
        request: Requester,
        usable: Callable[[Address, Address], bool],
        dead: Callable[[Address, Address], object],
    ) -> None:
        self.target = target
        self._start = start
        self._request = request
        self._usable = usable
        self._dead = dead
        self._began = 0.0
        self._named: dict[Address, Address | None] = {}
        self._candidates: list[tuple[int, Address]] = []
        self._queried: list[_QueriedNode] = []
        self._awaited: dict[_QueriedNode, float] = {}  # and since when, the oldest first
        self._dead_names: Counter[Address] = Counter()
        self._closest: list[tuple[int, DhtAnswer]] = []
        self._answers: deque[DhtAnswer] = deque()
        self._news = asyncio.Event()
        self._slow = 0
        self._replied = False
        self._slowest = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    @property
    def closest(self) -> tuple[DhtAnswer, ...]:
        """The answers of up to `K` nodes nearest to the target that keep their address, nearest first."""
        return tuple(answer for _, answer in self._closest)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Every node that was asked, in that order."""
        return tuple(
            Hop(
                queried.address,
                queried.distance,
                queried.named_by,
                queried.at - self._began,
                queried.answer.rtt if queried.answer else None,
                queried.answer.reply.error if queried.answer else Failure.NONE,
            )
            for queried in self._queried
        )

    async def __aiter__(self) -> AsyncIterator[DhtAnswer]:
        await self._begin()
        try:
            while True:
                while self._answers:
                    yield self._answers.popleft()
                if self._over:
                    return
                self._news.clear()
                await self._news.wait()
        finally:
            self.close()

    async def finished(self) -> tuple[DhtAnswer, ...]:
        """Wait for the end; returns `closest`."""
        async for _ in self:
            pass
        return self.closest

    def close(self) -> None:
        """Ask nobody else; for those who have heard enough."""
        self._over = True
        self._candidates.clear()
        self._news.set()
        if self._timer:
            self._timer.cancel()

    async def _begin(self) -> None:
        self._began = monotonic()
        for address in await self._start():
            self._add(address, None)
        self._watch()
        self._go_on()

    def _add(self, address: Address, named_by: Address | None) -> None:
        if address not in self._named and len(self._named) < MAX_NAMED:
            self._named[address] = named_by
            heappush(self._candidates, (distance(node_id(address), self.target), address))

    def _go_on(self) -> None:
        while len(self._awaited) - self._slow < ALPHA and self._candidates:
            away, address = heappop(self._candidates)
            if not self._is_near(away) or len(self._queried) >= MAX_QUERIED:
                self._candidates.clear()
                break
            named_by = self._named[address]
            if named_by is None or self._dead_names[named_by] < MAX_DEAD_NAMES:
                queried = _QueriedNode(address, away, named_by, monotonic())
                self._queried.append(queried)
                self._awaited[queried] = queried.at
                self._request(address, partial(self._on_answer, queried))
        if not self._candidates and (not self._awaited or (self._replied and self._is_vain())):
            self.close()

    def _is_vain(self) -> bool:
        """Whether there is little hope for an answer of those that were asked."""
        horizon = monotonic() - LONG_PATIENCE
        enough = len(self._closest) >= K
        return all(
            queried.slow and (enough or queried.named_by is not None or since <= horizon)
            for queried, since in self._awaited.items()
        )

    def _is_near(self, away: int) -> bool:
        return len(self._closest) < K or away < self._closest[-1][0]

    def _on_answer(self, queried: _QueriedNode, answer: DhtAnswer | None) -> None:
        del self._awaited[queried]
        self._slow -= queried.slow
        queried.answer = answer
        if answer is None:
            self._blame(queried)
        elif not self._over:
            self._take(queried, answer)
        if not self._over:
            self._go_on()

    def _take(self, queried: _QueriedNode, answer: DhtAnswer) -> None:
        reply, sender = answer.reply, answer.sender
        self._replied = True
        self._slowest = max(self._slowest, answer.rtt)
        if reply.error == Failure.NONE:
            if reply.id is not None and self._is_near(queried.distance):
                insort(self._closest, (queried.distance, answer), key=lambda near: near[0])
                del self._closest[K:]
            self._answers.append(answer)
            self._news.set()
        for address in reply.closer_nodes:
            if address not in self._named and self._usable(address, sender):
                self._add(address, sender)

    def _blame(self, queried: _QueriedNode) -> None:
        if queried.named_by is not None:
            self._dead_names[queried.named_by] += not queried.slow
            self._dead(queried.address, queried.named_by)

    def _watch(self) -> None:
        due = monotonic() + WATCH_EVERY
        self._timer = asyncio.get_running_loop().call_later(WATCH_EVERY, self._pass_over, due)

    def _pass_over(self, due: float) -> None:
        """Let the slow leave their places to others."""
        now = monotonic()
        late = now - due > WATCH_EVERY
        patience = MAX_PATIENCE
        if self._replied:
            patience = min(MAX_PATIENCE, max(MIN_PATIENCE, PATIENCE_FACTOR * self._slowest))
        for queried, since in self._awaited.items():
            if late:
                self._awaited[queried] = now  # it was we who were slow; their replies may wait to be read
            elif not queried.slow and since <= now - patience:
                queried.slow = True
                self._slow += 1
                if queried.named_by is not None:
                    self._dead_names[queried.named_by] += 1
        self._watch()
        self._go_on()
