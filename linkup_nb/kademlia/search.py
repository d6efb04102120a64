"""A search for the nodes closest to a target, by the rules of `Search`."""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

from linkup_nb.kademlia.announcements import Address
from linkup_nb.kademlia.rpc import MAX_NAMED, NodesFound, Reply
from linkup_nb.kademlia.table import ID_SIZE, node_id
from linkup_nb.wire.dht.rpc import distance
from linkup_nb.wire.dht.search import TICK, QueriedNode, Search


async def search(
    target: bytes,
    start: Iterable[Address],
    request: Callable[[Address], "asyncio.Future[Reply | None]"],
    take: Callable[[Address, NodesFound], Iterable[Address]],
) -> list[Address]:
    """The up to `K` nodes closest to a 32-byte target that have replied, closest first; it begins with `start`.

    `request(address)` sends a `Lookup`; `take(address, reply)` gets each reply and returns the nodes that it names and
    that may be queried.
    """
    # One reply names so many that enough of them live when many have died: who names the dead is believed all the same.
    rules = Search[NodesFound](
        lambda address: distance(node_id(address), target[:ID_SIZE]), monotonic(), max_dead_names=MAX_NAMED
    )
    rules.add(start)
    pending: dict[asyncio.Future[Reply | None], QueriedNode[NodesFound]] = {}
    while True:
        pending |= {request(queried.address): queried for queried in rules.next_queried(monotonic())}
        if rules.over:
            return [queried.address for queried in rules.closest]
        done, _ = await asyncio.wait(pending, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
        now = monotonic()
        for future in done:
            queried = pending.pop(future)
            if isinstance(reply := future.result(), NodesFound):
                rules.replied(queried, reply, now - queried.at, take(queried.address, reply))
            else:
                rules.failed(queried)
        rules.tick(now)
