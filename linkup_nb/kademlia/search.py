"""A search for the nodes closest to a target, by the rules of `Search`."""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

from linkup_nb.discovery.view import Hop, QueryView
from linkup_nb.kademlia.announcements import Address
from linkup_nb.kademlia.rpc import MAX_NAMED, NodesFound, Reply
from linkup_nb.kademlia.table import ID_SIZE, node_id
from linkup_nb.wire.dht.rpc import distance
from linkup_nb.wire.dht.search import TICK, QueriedNode, Search


class LookUp:
    """A search for the nodes closest to a 32-byte target, and what is known of it so far; `asker` is our id."""

    def __init__(self, asker: bytes, target: bytes) -> None:
        self.asker = asker
        self.target = target
        self._began = monotonic()
        # One reply names so many that enough of them live when many have died: who names the dead is believed all the
        # same.
        self.rules = Search[NodesFound](
            lambda address: distance(node_id(address), target[:ID_SIZE]), self._began, max_dead_names=MAX_NAMED
        )
        self.rtts: dict[Address, float] = {}

    @property
    def closest(self) -> tuple[Address, ...]:
        """The up to `K` nodes closest to the target that have replied, closest first."""
        return tuple(queried.address for queried in self.rules.closest)

    def view(self) -> QueryView:
        """It, hop by hop, at this moment."""
        hops = tuple(
            Hop(
                queried.address,
                queried.distance,
                8 * ID_SIZE - queried.distance.bit_length(),
                queried.named_by,
                queried.at - self._began,
                self.rtts.get(queried.address),
            )
            for queried in self.rules.queried
        )
        return QueryView("LOOKUP", self.asker, self.target, hops, self.closest)


async def search(
    look_up: LookUp,
    start: Iterable[Address],
    request: Callable[[Address], "asyncio.Future[Reply | None]"],
    take: Callable[[Address, NodesFound], Iterable[Address]],
) -> list[Address]:
    """The up to `K` nodes closest to a target that have replied, closest first; it begins with `start`.

    `request(address)` sends a `Lookup`; `take(address, reply)` gets each reply and returns the nodes that it names and
    that may be queried.
    """
    rules = look_up.rules
    rules.add(start)
    pending: dict[asyncio.Future[Reply | None], QueriedNode[NodesFound]] = {}
    while True:
        pending |= {request(queried.address): queried for queried in rules.next_queried(monotonic())}
        if rules.over:
            return list(look_up.closest)
        done, _ = await asyncio.wait(pending, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
        now = monotonic()
        for future in done:
            queried = pending.pop(future)
            if isinstance(reply := future.result(), NodesFound):
                look_up.rtts[queried.address] = now - queried.at
                rules.replied(queried, reply, now - queried.at, take(queried.address, reply))
            else:
                rules.failed(queried)
        rules.tick(now)
