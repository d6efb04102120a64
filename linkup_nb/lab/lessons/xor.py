"""Lesson 3: distance is how early two ids differ; few far and many near contacts are enough to halve the way."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from linkup_nb.discovery.view import QueryView
from linkup_nb.errors import UsageError
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.lab.lessons.checks import NUMBER, NUMBERS, Hint, NotRun, Said, check, first
from linkup_nb.lab.lessons.frame import Lesson, Prediction
from linkup_nb.lab.opening import testnet
from linkup_nb.lab.topics import topic
from linkup_nb.wire.dht.rpc import node_id
from linkup_nb.wire.dht.table import K
from linkup_nb.wire.keys import KEY_SIZE, KeyPair

NODES, SEED, ME = 32, 6, 1
NEAR, FAR = "lobby", "class"  # two topics: 206, and 47 across the board from you
ASKERS = 3  # nodes that look, to see whether a topic is still found
DEAD = 3  # of those that kept it


def ones(number: int) -> int:
    """How many bits of a number are set."""
    return number.bit_count()


class XorAndBuckets(Lesson):
    """32 nodes with ids of 8 bits; you are node 1, and its id is 188."""

    number = 3
    title = "XOR and buckets"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "near": Prediction(
            'Which three are nearest to "lobby", which is 206? Leave yourself out.',
            (
                ([204, 211, 200], "That is by difference. Write 206 and 211 in bits: they part at the fourth."),
                ([204, 134, 143], "That is by how many bits differ. The first that differs outweighs all that follow."),
            ),
        ),
        "known": Prediction(
            "How many of the 15 ids below 128 do you know? You are 188, on the other side.",
            (
                (15, "All of them would be a list of the network. You know a few of each far part, and more near you."),
                (1, "One would do, while it lives."),
                (0, "Then you could never get there."),
            ),
        ),
        "first": Prediction(
            'Whom will you ask first for "class", which is 47?',
            (
                (44, "44 is nearest of all, but you do not know it yet."),
                (165, "That is the nearest to you. Near to the target is what counts."),
            ),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "parts": "206 is 11001110 and 211 is 11010011: they part at the fourth bit, which counts 16. 200 is 11001000:"
        " it parts only at the sixth, and that counts 4 and 2 together.",
        "farther": "It wants three that have answered: after the nearest it asks those that come next.",
    }

    def prepare(self) -> None:
        """The same network each time."""
        self.net = self.blackboard(NODES, seed=SEED, k=3)

    @property
    def me(self) -> DhtNode:
        """Your node."""
        return self.net[ME]

    def at(self, id: int) -> int:
        """The number of the node with an id of 8 bits, for `net.kill`. Raises `UsageError`."""
        if id not in self.net.ids:
            raise UsageError(f"No node has the id {id!r}: lesson.net.ids has all of them.")
        return self.net.ids.index(id)

    def way(self, found: QueryView) -> list[tuple[int, int]]:
        """Whom a look-up asked: the id, and how far that is from the target, both in 8 bits."""
        return [(node_id(hop.address)[0], node_id(hop.address)[0] ^ found.target[0]) for hop in found.hops]

    def nearest(self, found: QueryView) -> list[int]:
        """The ids that a look-up found, nearest first."""
        return [node_id(address)[0] for address in found.closest]

    def _others(self) -> list[int]:
        return [self.net.ids[number] for number in self.net.alive if number != ME]

    @check(
        "near",
        kind=NUMBERS,
        hints=(
            Hint(
                "difference",
                "That is by difference. Write 206 and 211 in bits: where do they part?",
                "f'{206:08b} {211:08b}'",
            ),
            Hint(
                "bits",
                "That counts the bits that differ. The first one outweighs all that follow.",
                "206 ^ 134, 206 ^ 200",
            ),
            Hint("oneself", "That has you in it; a look-up does not return whoever asks.", "me.id[0]"),
            Hint("order", "The right three; nearest first, please.", "[id ^ 206 for id in lesson.net.ids]"),
            Hint("how many", "Three are asked for.", "lesson.nearest(found)"),
            Hint(
                "other",
                "Sort all ids by `id ^ 206`, and take the first three.",
                "sorted(lesson.net.ids, key=lambda id: id ^ 206)",
            ),
        ),
        solution="lesson.check('near', lesson.nearest(await me.find(lu.lab.topic('lobby'))))",
    )
    async def near(self, answer: Sequence[int]) -> Said:
        """The three nodes nearest to a topic, by brute force."""
        target = topic(NEAR)[0]
        others, given = self._others(), list(answer)

        def by(key: Callable[[int], Any]) -> list[int]:
            return sorted(others, key=key)[:3]

        right = by(lambda id: id ^ target)
        if given == right:
            return "all three begin with the same four bits as 206."
        likely = {
            "difference": set(given) == set(by(lambda id: abs(id - target))),
            "bits": set(given) == set(by(lambda id: (ones(id ^ target), id))),
            "oneself": self.net.ids[ME] in given,
            "order": set(given) == set(right),
            "how many": len(given) != len(right),
        }
        return self.hint("near", first(likely))

    @check(
        "first",
        kind=NUMBER,
        hints=(
            Hint("unknown", "Near it may be, but is it among those that you know?", "me.table"),
            Hint(
                "to you", "Nearest to you. Near to the target is what counts.", "[node.id[0] ^ 47 for node in me.table]"
            ),
            Hint(
                "same part",
                "It is known, and on the right side; another one is nearer: compare `id ^ 47`.",
                "117 ^ 47, 115 ^ 47, 91 ^ 47",
            ),
            Hint("nobody", "No node has that id.", "lesson.net.ids"),
            Hint("you", "That is you; whom do you ask?", "me.table"),
            Hint("other", "Of all whom you know, which has the smallest `id ^ 47`?", "me.table"),
        ),
        solution="lesson.check('first', lesson.way(await me.find(lu.lab.topic('class')))[0][0])",
    )
    async def first_asked(self, answer: int) -> Said:
        """The first hop of the last look-up."""
        found = self.me.last_query
        target = topic(FAR)
        if found is None or found.target != target or not found.hops:
            raise NotRun('You have not looked for "class" yet: run the cell with me.find(lu.lab.topic("class")).')
        mine = self.net.ids[ME]
        known = [node.id[0] for node in self.me.table]
        right = min(known, key=lambda id: id ^ target[0])
        if answer == right:
            return f"each hop halves what is left: {', '.join(str(away) for _, away in self.way(found)[:3])}."
        likely = {
            "nobody": answer not in self.net.ids,
            "you": answer == mine,
            "to you": answer == min(known, key=lambda id: id ^ mine),
            "unknown": answer not in known,
            "same part": not (answer ^ target[0]) & 128,
        }
        return self.hint("first", first(likely))

    @check(
        "k",
        kind=NUMBER,
        hints=(
            Hint("gone", "Three kept it, and just those three died.", "net.near('class')[:3]"),
            Hint("fewer", "With fewer keepers it is gone sooner. How many have to keep it?", "net.near('class')"),
            Hint("more", "It is found, but fewer would do.", "net.near('class')"),
            Hint("bounds", "k is 1 to 20 here.", "lesson.net"),
            Hint("other", "Three die. How many have to keep it, so that one is left?", "net.near('class')"),
        ),
        solution="lesson.check('k', 4)",
    )
    async def least_k(self, answer: int) -> Said:
        """The least k with which a topic outlives its three nearest keepers; a network with that k is asked."""
        if not 1 <= answer <= K:
            return self.hint("k", "bounds")
        found = await self.outlives(answer)
        if found and answer == DEAD + 1:
            return "real networks take 20: nodes leave all day."
        likely = {"gone": not found and answer == DEAD, "fewer": not found, "more": found}
        return self.hint("k", first(likely))

    async def outlives(self, k: int) -> bool:
        """Whether a topic is still found by everybody who looks, when its three nearest keepers have died."""
        return await asyncio.to_thread(self._try, k)

    def _try(self, k: int) -> bool:
        target = topic(FAR)
        with testnet(NODES, seed=SEED, bits=8, k=k, alpha=1, dht_only=True) as net:

            async def seen(number: int) -> bool:
                return bool([record async for record in net[number].lookup(target)])

            async def seen_by_all(numbers: Sequence[int]) -> bool:
                return all(await asyncio.gather(*map(seen, numbers)))

            self.run(net[ME].announce(target, KeyPair.from_seed(bytes(KEY_SIZE))))
            for number in [number for number in net.near(target) if number != ME][:DEAD]:
                net.kill(number)
            return self.run(seen_by_all([number for number in net.alive if number != ME][:ASKERS]))
