"""Queries, in a network that exists only on paper."""

import asyncio
from collections.abc import Callable, Iterable
from random import Random

import pytest

from linkup_nb.hyperdht.io import DhtAnswer
from linkup_nb.hyperdht.query import Query
from linkup_nb.wire.dht import search as dht_search
from linkup_nb.wire.dht.rpc import Address, DhtReply, node_id
from linkup_nb.wire.dht.search import ALPHA
from linkup_nb.wire.dht.table import K
from tests.hyperdht.network import by_distance

TARGET = b"\x42" * 32
PATIENCE = 20.0  # seconds until a test that still waits has failed


class Paper:
    """Nodes that know some others each, and answer at the next turn of the loop, unless they are dead."""

    def __init__(self, count: int) -> None:
        self.addresses: list[Address] = [(f"10.0.{n >> 8}.{n & 255}", 49737) for n in range(1, count + 1)]
        self.dead: set[Address] = set()
        self.queried: list[Address] = []
        self.at_once = self.most_at_once = 0
        self.hints: list[tuple[Address, Address]] = []
        self.silent: list[Callable[[DhtAnswer | None], object]] = []
        self.error = 0
        self.give_up = False
        self.ids = True
        random = Random(7)
        self.known = {address: random.sample(self.addresses, min(60, count)) for address in self.addresses}

    def names(self, address: Address) -> Iterable[Address]:
        return by_distance(self.known[address], TARGET)[:K]

    def request(self, to: Address, done: Callable[[DhtAnswer | None], object]) -> None:
        self.queried.append(to)
        if to in self.dead:
            self.silent.append(done)
            if self.give_up:
                asyncio.get_running_loop().call_soon(done, None)
            return
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        asyncio.get_running_loop().call_soon(self.answer, to, done)

    def answer(self, sender: Address, done: Callable[[DhtAnswer | None], object]) -> None:
        self.at_once -= 1
        id_ = node_id(sender) if self.ids else None
        done(
            DhtAnswer(
                DhtReply(0, ("10.9.9.9", 1), id_, b"t" * 32, tuple(self.names(sender)), self.error), sender, 0.001
            )
        )

    def query(self, *start: Address) -> Query:
        async def begin() -> Iterable[Address]:
            return start or self.addresses[:3]

        return Query(
            TARGET,
            asker=bytes(32),
            start=begin,
            request=self.request,
            usable=lambda named, named_by: named[1] != 0,
            dead=lambda address, named_by: self.hints.append((address, named_by)),
        )

    async def run(self, *start: Address) -> Query:
        query = self.query(*start)
        await asyncio.wait_for(query.finished(), PATIENCE)
        return query


async def test_the_closest_of_all_are_found_with_so_many_asked_at_a_time() -> None:
    paper = Paper(300)
    query = await paper.run()
    assert [answer.sender for answer in query.closest] == by_distance(paper.addresses, TARGET)[:K]
    assert paper.most_at_once == ALPHA
    assert len(paper.queried) < 100


async def test_answers_come_one_by_one_and_whoever_has_heard_enough_can_stop() -> None:
    paper = Paper(300)
    query = paper.query()
    answers = []
    async for answer in query:
        answers.append(answer)
        query.close()
    assert answers[0].sender in paper.addresses[:3]
    assert len(paper.queried) <= 3 + ALPHA


async def test_hops_tell_who_was_asked_and_who_named_them() -> None:
    paper = Paper(100)
    query = await paper.run()
    assert [hop.address for hop in query.hops] == paper.queried
    assert [hop.named_by for hop in query.hops[:3]] == [None] * 3
    for hop in query.hops[3:]:
        assert hop.named_by is not None
        assert hop.address in paper.known[hop.named_by]
    assert all(hop.rtt == 0.001 for hop in query.hops)


async def test_who_names_the_dead_is_told() -> None:
    paper = Paper(60)
    paper.dead = {by_distance(paper.addresses, TARGET)[0]}
    query = await paper.run(*[address for address in paper.addresses if address not in paper.dead][:3])
    for done in paper.silent:
        done(None)
    [(dead, named_by)] = paper.hints
    assert {dead} == paper.dead
    assert dead in paper.known[named_by]
    assert [hop.rtt for hop in query.hops if hop.address == dead] == [None]


async def test_a_late_answer_counts_when_the_query_is_still_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_search, "LONG_PATIENCE", PATIENCE)
    paper = Paper(10)
    late = by_distance(paper.addresses, TARGET)[0]
    paper.dead = {late}
    query = paper.query(*paper.addresses)
    async with asyncio.timeout(PATIENCE):
        answers = 0
        async for _ in query:
            answers += 1
            if answers == 9:
                paper.answer(late, paper.silent[0])
    assert query.closest[0].sender == late


async def test_only_nodes_that_keep_their_address_and_did_not_fail_are_the_closest() -> None:
    paper = Paper(30)
    paper.ids = False
    assert (await paper.run()).closest == ()
    paper = Paper(30)
    paper.error = 1
    query = paper.query()
    assert [answer async for answer in query] == []
    assert query.closest == ()
    assert query.hops[0].error == 1


async def test_a_query_with_nobody_to_ask_ends_at_once() -> None:
    paper = Paper(1)
    paper.dead = set()
    paper.addresses = []
    assert (await paper.run()).closest == ()
    assert paper.queried == []


async def test_a_query_in_which_nobody_answers_ends_when_all_are_given_up() -> None:
    paper = Paper(5)
    paper.dead = set(paper.addresses)
    paper.give_up = True
    assert (await paper.run()).closest == ()


async def test_addresses_that_are_not_usable_are_not_asked() -> None:
    paper = Paper(3)
    paper.known = {address: [("10.0.0.1", 0), ("10.7.7.7", 0)] for address in paper.addresses}
    await paper.run()
    assert paper.queried == by_distance(paper.addresses, TARGET)
