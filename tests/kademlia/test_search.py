"""A search finds exactly the closest that live, and waits for none that do not."""

import asyncio
import random
import time
from collections.abc import Iterable

from linkup_nb.kademlia.announcements import Address, pack_addresses, unpack_addresses
from linkup_nb.kademlia.rpc import MAX_NAMED, NodesFound, Reply
from linkup_nb.kademlia.search import ALPHA, MAX_CANDIDATES, MAX_PATIENCE, MAX_QUERIED, MIN_PATIENCE, KademliaSearch
from linkup_nb.kademlia.table import K
from tests.kademlia.network import by_distance

TARGET = bytes(range(32))


class FakeNetwork:
    """Nodes that all know each other; `dead` ones never reply, `late` ones after so many seconds."""

    def __init__(self, count: int) -> None:
        self.nodes: list[Address] = [(f"10.0.{number >> 8}.{number & 255}", 4000) for number in range(count)]
        self.dead: set[Address] = set()
        self.late: dict[Address, float] = {}
        self.queried: list[Address] = []
        self.waiting = 0
        self.most_waiting = 0

    def named(self) -> list[Address]:
        return by_distance(self.nodes, TARGET)[:MAX_NAMED]

    def request(self, address: Address) -> "asyncio.Future[Reply | None]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply | None] = loop.create_future()
        self.queried.append(address)
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        if address not in self.dead:
            one_way = self.late.get(address, 0.001) / 2
            loop.call_later(one_way, loop.call_later, one_way, self.reply, future)
        return future

    def reply(self, future: "asyncio.Future[Reply | None]") -> None:
        self.waiting -= 1
        future.set_result(NodesFound(b"token...", b"seenas", pack_addresses(self.named()), []))

    def take(self, address: Address, reply: NodesFound) -> Iterable[Address]:
        return unpack_addresses(reply.nodes)

    async def search(self, start: int = 3) -> list[Address]:
        living = [address for address in self.nodes if address not in self.dead]
        return await KademliaSearch(TARGET, self.request, self.take).run(random.sample(living, start))


async def test_the_closest_are_found_with_so_many_asked_at_a_time() -> None:
    network = FakeNetwork(200)
    assert await network.search() == by_distance(network.nodes, TARGET)[:K]
    assert network.most_waiting <= ALPHA


async def test_nobody_is_asked_twice() -> None:
    network = FakeNetwork(200)
    await network.search()
    assert len(network.queried) == len(set(network.queried))


async def test_the_dead_among_the_closest_are_left_out_and_hardly_waited_for() -> None:
    network = FakeNetwork(200)
    closest = by_distance(network.nodes, TARGET)
    network.dead = set(closest[0 : 2 * ALPHA : 2])
    began = time.monotonic()
    found = await network.search()
    assert found == [address for address in closest if address not in network.dead][:K]
    assert time.monotonic() - began < 2.5 * MAX_PATIENCE


async def test_a_late_reply_counts_when_the_search_is_still_on() -> None:
    network = FakeNetwork(200)
    closest = by_distance(network.nodes, TARGET)
    network.late = {closest[0]: 1.6 * MIN_PATIENCE}
    network.dead = set(closest[1 : 3 * ALPHA])
    found = await network.search()
    assert found[0] == closest[0]


async def test_nodes_are_not_held_to_account_for_a_loop_that_was_blocked() -> None:
    network = FakeNetwork(K)

    def request(address: Address) -> "asyncio.Future[Reply | None]":
        queried = network.request(address)
        if len(network.queried) == K:
            time.sleep(1.5 * MAX_PATIENCE)
        return queried

    assert len(await KademliaSearch(TARGET, request, network.take).run(network.nodes)) == K


async def test_a_search_with_nobody_to_ask_ends_at_once() -> None:
    assert await FakeNetwork(0).search(0) == []


async def test_a_search_in_which_nobody_replies_ends() -> None:
    network = FakeNetwork(3)
    living, network.dead = network.nodes, set(network.nodes)
    search = KademliaSearch(TARGET, network.request, network.take)
    assert await asyncio.wait_for(search.run(living), 3 * MAX_PATIENCE) == []


async def search_liars(names_each: int) -> int:
    """How many are asked in a search in which each names so many nodes that are closer still."""
    network, farthest_first = (
        FakeNetwork(0),
        by_distance([(f"10.1.{n >> 8}.{n & 255}", 1) for n in range(9000)], TARGET)[::-1],
    )

    def take(address: Address, reply: NodesFound) -> Iterable[Address]:
        return [farthest_first.pop(0) for _ in range(names_each)]

    assert len(await KademliaSearch(TARGET, network.request, take).run([("10.255.255.255", 1)])) <= K
    return len(network.queried)


async def test_liars_who_name_ever_closer_nodes_cannot_keep_a_search_going() -> None:
    assert await search_liars(names_each=3) == MAX_QUERIED


async def test_liars_who_name_many_nodes_are_not_listened_to_for_long() -> None:
    assert await search_liars(names_each=MAX_NAMED) <= MAX_CANDIDATES / MAX_NAMED + ALPHA + K
