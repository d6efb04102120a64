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
MAX_ASKED = 200  # nodes asked in one search
MAX_CANDIDATES = 2000  # nodes named in one search


@dataclass(slots=True)
class _Asked:
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
        ask: Callable[[Address], "asyncio.Future[Reply | None]"],
        take: Callable[[Address, NodesFound], Iterable[Address]],
    ) -> None:
        self._ask = ask
        self._take = take
        self._nearest = NodeHeap(Node(target[:ID_SIZE]), K)
        self._named: set[Address] = set()
        self._replied: set[Address] = set()
        self._asked: dict[asyncio.Future[Reply | None], _Asked] = {}
        self._patience = MAX_PATIENCE
        self._slowest = 0.0  # seconds
        self._left = MAX_ASKED

    async def run(self, start: Iterable[Address]) -> list[Address]:
        """Search from the nodes in `start`; returns those closest to the target that replied, closest first."""
        loop = asyncio.get_running_loop()
        self._consider(start)
        while awaited := self._ask_next():
            patience_ends = min(asked.at for asked in awaited) + self._patience
            done, _ = await asyncio.wait(
                self._asked, timeout=max(0.0, patience_ends - loop.time()), return_when=asyncio.FIRST_COMPLETED
            )
            now = loop.time()
            for future in done:
                self._receive(self._asked.pop(future), future.result(), now)
            if now - patience_ends > STALL:
                for asked in awaited:
                    asked.at = now  # it was we who were slow; their replies may wait to be read
            self._pass_over_slow(now)
        addresses = [(found.ip, found.port) for found in self._nearest]
        return [address for address in addresses if address in self._replied]

    def _pass_over_slow(self, now: float) -> None:
        for asked in self._asked.values():
            if not asked.slow and now - asked.at >= self._patience:
                asked.slow = True
                self._nearest.remove([asked.node.id])

    def _ask_next(self) -> list[_Asked]:
        awaited = [asked for asked in self._asked.values() if not asked.slow]
        room = min(ALPHA - len(awaited), self._left)
        for candidate in self._nearest.get_uncontacted()[:room]:
            self._nearest.mark_contacted(candidate)
            self._left -= 1
            asked = _Asked(candidate, asyncio.get_running_loop().time())
            self._asked[self._ask((candidate.ip, candidate.port))] = asked
            awaited.append(asked)
        return awaited

    def _receive(self, asked: _Asked, reply: Reply | None, now: float) -> None:
        address = (asked.node.ip, asked.node.port)
        if not isinstance(reply, NodesFound):
            self._nearest.remove([asked.node.id])
            return
        self._replied.add(address)
        self._nearest.push(asked.node)
        self._slowest = max(self._slowest, now - asked.at)
        self._patience = min(MAX_PATIENCE, max(MIN_PATIENCE, PATIENCE_FACTOR * self._slowest))
        self._consider(self._take(address, reply))

    def _consider(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            if address not in self._named and len(self._named) < MAX_CANDIDATES:
                self._named.add(address)
                self._nearest.push(node(address))
