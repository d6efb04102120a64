"""A search queries nodes over the network, by the rules of `wire/dht/search.py`, which has tests of its own."""

import asyncio
import random
import time
from collections.abc import Iterable

from linkup_nb.kademlia.announcements import Address, pack_addresses, unpack_addresses
from linkup_nb.kademlia.rpc import MAX_NAMED, NodesFound, Reply
from linkup_nb.kademlia.search import LookUp, search
from linkup_nb.wire.dht.search import MAX_PATIENCE
from linkup_nb.wire.dht.table import K
from tests.kademlia.network import by_distance

TARGET = bytes(range(32))


class FakeNetwork:
    """Nodes that all know each other; `dead` ones do not reply."""

    def __init__(self, count: int) -> None:
        self.nodes: list[Address] = [(f"10.0.{number >> 8}.{number & 255}", 4000) for number in range(count)]
        self.dead: set[Address] = set()
        self.queried: list[Address] = []

    def request(self, address: Address) -> "asyncio.Future[Reply | None]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply | None] = loop.create_future()
        self.queried.append(address)
        named = pack_addresses(by_distance(self.nodes, TARGET)[:MAX_NAMED])
        reply = None if address in self.dead else NodesFound(b"token...", b"seenas", named, [])
        loop.call_later(0.001, future.set_result, reply)
        return future

    def take(self, address: Address, reply: NodesFound) -> Iterable[Address]:
        return unpack_addresses(reply.nodes)

    async def search(self, start: Iterable[Address]) -> list[Address]:
        return await search(LookUp(bytes(20), TARGET), start, self.request, self.take)


async def test_the_closest_that_reply_are_found() -> None:
    network = FakeNetwork(200)
    closest = by_distance(network.nodes, TARGET)
    network.dead = set(closest[: MAX_NAMED - 1 : 2])  # one reply names as many dead as living
    living = [address for address in closest if address not in network.dead]
    assert await network.search(random.sample(living, 1)) == living[:K]


async def test_nodes_are_not_blamed_for_a_loop_that_was_blocked() -> None:
    network = FakeNetwork(5)
    request = network.request

    def request_and_block(address: Address) -> "asyncio.Future[Reply | None]":
        future = request(address)
        if len(network.queried) == 5:
            time.sleep(3 * MAX_PATIENCE)
        return future

    network.request = request_and_block  # type: ignore[method-assign]
    assert len(await network.search(network.nodes)) == 5


async def test_a_search_with_nobody_to_ask_or_without_a_reply_ends() -> None:
    network = FakeNetwork(3)
    assert await network.search([]) == []
    network.dead = set(network.nodes)
    assert await network.search(network.nodes) == []
