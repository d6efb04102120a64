"""A search for the nodes closest to a target that does not wait for the dead."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kademlia.node import Node, NodeHeap

from linkup_nb.kademlia.announcements import Address
from linkup_nb.kademlia.rpc import NodesFound, Reply
from linkup_nb.kademlia.table import ID_SIZE, K, node

ALPHA = 5  # nodes asked at a time, not counting those that are slow to reply
MIN_PATIENCE = 0.15  # seconds until a node without a reply no longer holds up a search
MAX_PATIENCE = 0.5  # seconds; also the patience before the first reply
PATIENCE_FACTOR = 4  # in between: this many times the slowest reply of the search so far
STALL = 0.05  # seconds by which our own loop may be late before the nodes get their time anew
MAX_QUERIED = 200  # nodes asked in one search
MAX_CANDIDATES = 2000  # nodes named in one search


@dataclass(slots=True)
class _QueriedContact:
    node: Node
    at: float  # loop time
    slow: bool = False


class KademliaSearch:
    """One search for the `K` nodes closest to a 32-byte target.

    `ask(address)` sends a `Lookup`; `take(address, reply)` gets each reply and returns the nodes that it names and that
    may be asked. A node that is slow to reply leaves its place to the next one and the search ends without it, but when
    its reply comes before that, it counts.
    """

    def __init__(
        self,
        target: bytes,
        request: Callable[[Address], "asyncio.Future[Reply | None]"],
        take: Callable[[Address, NodesFound], Iterable[Address]],
    ) -> None:
        self._request = request
        self._take = take
        self._nearest = NodeHeap(Node(target[:ID_SIZE]), K)
        self._named: set[Address] = set()
        self._replied: set[Address] = set()
        self._queried: dict[asyncio.Future[Reply | None], _QueriedContact] = {}
        self._patience = MAX_PATIENCE
        self._slowest = 0.0  # seconds
        self._left = MAX_QUERIED

    async def run(self, start: Iterable[Address]) -> list[Address]:
        """Search from the nodes in `start`; returns those closest to the target that replied, closest first."""
        loop = asyncio.get_running_loop()
        self._consider(start)
        while awaited := self._query_next():
            patience_ends = min(queried.at for queried in awaited) + self._patience
            done, _ = await asyncio.wait(
                self._queried, timeout=max(0.0, patience_ends - loop.time()), return_when=asyncio.FIRST_COMPLETED
            )
            now = loop.time()
            for future in done:
                self._receive(self._queried.pop(future), future.result(), now)
            if now - patience_ends > STALL:
                for queried in awaited:
                    queried.at = now  # it was we who were slow; their replies may wait to be read
            self._pass_over_slow(now)
        addresses = [(found.ip, found.port) for found in self._nearest]
        return [address for address in addresses if address in self._replied]

    def _pass_over_slow(self, now: float) -> None:
        for queried in self._queried.values():
            if not queried.slow and now - queried.at >= self._patience:
                queried.slow = True
                self._nearest.remove([queried.node.id])

    def _query_next(self) -> list[_QueriedContact]:
        awaited = [queried for queried in self._queried.values() if not queried.slow]
        room = min(ALPHA - len(awaited), self._left)
        for candidate in self._nearest.get_uncontacted()[:room]:
            self._nearest.mark_contacted(candidate)
            self._left -= 1
            queried = _QueriedContact(candidate, asyncio.get_running_loop().time())
            self._queried[self._request((candidate.ip, candidate.port))] = queried
            awaited.append(queried)
        return awaited

    def _receive(self, queried: _QueriedContact, reply: Reply | None, now: float) -> None:
        address = (queried.node.ip, queried.node.port)
        if not isinstance(reply, NodesFound):
            self._nearest.remove([queried.node.id])
            return
        self._replied.add(address)
        self._nearest.push(queried.node)
        self._slowest = max(self._slowest, now - queried.at)
        self._patience = min(MAX_PATIENCE, max(MIN_PATIENCE, PATIENCE_FACTOR * self._slowest))
        self._consider(self._take(address, reply))

    def _consider(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            if address not in self._named and len(self._named) < MAX_CANDIDATES:
                self._named.add(address)
                self._nearest.push(node(address))
