"""A query of the DHT: requests to the nodes nearest to a target, which name nearer ones, until there are none."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from time import monotonic

from linkup_nb.discovery.view import Hop
from linkup_nb.hyperdht.io import DhtAnswer
from linkup_nb.wire.dht.rpc import ID_SIZE, Address, Failure, distance, node_id
from linkup_nb.wire.dht.search import ALPHA, TICK, QueriedNode, Search
from linkup_nb.wire.dht.table import K

Requester = Callable[[Address, Callable[[DhtAnswer | None], object]], object]


class Query:
    """Iterate over it for the answers, as they come; afterwards `closest` are the nearest nodes.

    It requests nothing before it is iterated over, or `finished` is awaited. `asker` is our id. `start` gives the nodes
    to begin with, `request` sends to one, `usable(named, named_by)` is whether to follow a name, and
    `dead(address, named_by)` is called for each that does not reply. The rules are those of `Search`.
    """

    def __init__(
        self,
        target: bytes,
        *,
        asker: bytes,
        start: Callable[[], Awaitable[Iterable[Address]]],
        request: Requester,
        usable: Callable[[Address, Address], bool],
        dead: Callable[[Address, Address], object],
        k: int = K,
        alpha: int = ALPHA,
    ) -> None:
        self.target = target
        self.asker = asker
        self._start = start
        self._request = request
        self._usable = usable
        self._dead = dead
        self._began = monotonic()
        self._search = Search[DhtAnswer](
            lambda address: distance(node_id(address), target), self._began, k=k, alpha=alpha
        )
        self._answers: deque[DhtAnswer] = deque()
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def closest(self) -> tuple[DhtAnswer, ...]:
        """The answers of up to `k` nodes nearest to the target that keep their address, nearest first."""
        return tuple(queried.reply for queried in self._search.closest if queried.reply)

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Every node that was queried, in that order."""
        return tuple(
            Hop(
                queried.address,
                queried.distance,
                8 * ID_SIZE - queried.distance.bit_length(),
                queried.named_by,
                queried.at - self._began,
                queried.reply.rtt if queried.reply else None,
                queried.reply.reply.error if queried.reply else Failure.NONE,
            )
            for queried in self._search.queried
        )

    async def __aiter__(self) -> AsyncIterator[DhtAnswer]:
        self._began = monotonic()
        self._search.add(await self._start())
        self._tick()
        try:
            while True:
                while self._answers:
                    yield self._answers.popleft()
                if self._search.over:
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
        """Query no further node, when enough has been found."""
        self._search.stop()
        self._news.set()
        if self._timer:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        self._search.tick(monotonic())
        self._go_on()

    def _go_on(self) -> None:
        for queried in self._search.next_queried(monotonic()):
            self._request(queried.address, partial(self._on_answer, queried))
        if self._search.over:
            self.close()

    def _on_answer(self, queried: QueriedNode[DhtAnswer], answer: DhtAnswer | None) -> None:
        search = self._search
        if answer is None:
            search.failed(queried)
            if queried.named_by is not None:
                self._dead(queried.address, queried.named_by)
        else:
            reply, succeeded = answer.reply, answer.reply.error == Failure.NONE
            names = [each for each in search.unknown(reply.closer_nodes) if self._usable(each, answer.sender)]
            if succeeded and not search.over:
                self._answers.append(answer)
                self._news.set()
            search.replied(queried, answer, answer.rtt, names, near=succeeded and reply.id is not None)
        if not search.over:
            self._go_on()
