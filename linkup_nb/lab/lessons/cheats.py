"""Lesson 8: keys make forging impossible, but not hiding, flooding or telling two stories; each has an answer."""

from collections.abc import Mapping
from typing import Any, ClassVar

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.lab.lessons.checks import Hint, Kind, NotRun, Said, check, first
from linkup_nb.lab.lessons.frame import Lesson, Prediction, until
from linkup_nb.lab.state import PeerState
from linkup_nb.lab.topics import topic
from linkup_nb.wire.keys import KEY_SIZE, KeyPair

NODES, SEED, K = 32, 6, 3  # the network of lesson 3
TOPIC = "class"
ANNOUNCER, SEEKER = 18, 5
LIBRARY = 3  # peers of the network of logs
BOOKS = 20  # blocks of the log there
MEET = 10.0  # seconds until peers have found each other
FAR = 0.3  # seconds to the author of the book, so that a copy begins at the other peer

_HOST = "127.0.0.1"


class WhenPeersCheat(Lesson):
    """A log that two disks write, the network of lesson 3, and a small one in which a log is copied."""

    number = 8
    title = "When peers cheat"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "who sees": Prediction(
            'Who sees the lie now: "Ann", "Eve", "both when they meet" or "nobody yet"?',
            (
                ("Ann", "What Ann has verifies."),
                ("Eve", "What Eve has verifies, too: the author signed it."),
                ("both when they meet", "They would have to compare; a log is compared when it grows."),
            ),
        ),
        "sybils": Prediction(
            'Three strangers lie nearest to the topic. What can they do: "read", "forge", "hide" or "nothing"?',
            (
                ("read", "What is said goes over connections between those who meet, encrypted."),
                ("forge", "An announcement is signed by whom it announces."),
                ("nothing", "It is all signed, and yet: who says that they tell all they know?"),
            ),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "hide": "They can lose what they are given, and so hide somebody for a while. They can neither read nor forge."
    }

    def prepare(self) -> None:
        """The twins, their two readers, and both networks."""
        self.net = self.blackboard(NODES, seed=SEED, k=K)
        self.library = self.network(LIBRARY, seed=SEED)
        self.mine = KeyPair.from_seed(bytes([8]) * KEY_SIZE)
        secrets = {"x": 8, "y": 8, "ann": 9, "eve": 10}
        stores = {name: self.new_store(name, bytes([secret]) * KEY_SIZE) for name, secret in secrets.items()}
        self.twins: tuple[Core, Core, Core, Core] = self.run(self._make_twins(stores))
        self._pairs = dict(zip(map(id, self.twins), stores.values(), strict=True))
        self.book = self.run(self._fill())

    async def _make_twins(self, stores: Mapping[str, Corestore]) -> tuple[Core, Core, Core, Core]:
        x, y = await stores["x"].core(name="diary"), await stores["y"].core(name="diary")
        ann, eve = await stores["ann"].core(key=x.key), await stores["eve"].core(key=x.key)
        await self._connect(stores["x"], stores["ann"])
        await self._connect(stores["y"], stores["eve"])
        return x, y, ann, eve

    async def _fill(self) -> Core:
        author: Core = await self.library[0].store.core(name="book")
        await author.append([f"page {number}".encode() for number in range(BOOKS)])
        await self.library[0].share(author)
        copy = await self.library[1].store.core(key=author.key)
        await self.library[1].share(copy)
        await until(lambda: bool(self.library[1].swarm.connections), MEET, self.library[1].swarm)
        await copy.update()
        await (await copy.download()).done(progress=False)
        return author

    async def _connect(self, one: Corestore, other: Corestore) -> None:
        server = await listen(_HOST, 0, one.replicate)
        connection = await connect(_HOST, server.port)
        other.replicate(connection)
        self.closes(lambda: self.run(server.close()))
        self.closes(lambda: self.run(connection.close()))

    def meet(self, one: Core, other: Core) -> None:
        """Connect the stores of two of the four, so that they copy from each other."""
        self.run(self._connect(self._pairs[id(one)], self._pairs[id(other)]))

    def wait_for_conflict(self) -> None:
        """Wait until one of the readers has seen that there are two histories."""
        _, _, ann, eve = self.twins
        self.run(until(lambda: bool(ann.conflict or eve.conflict), MEET, ann, eve))

    async def copy(self) -> Core:
        """A copy of the book at peer 2 of the library, which has nothing of it yet; peer 1 is near, the author far."""
        self.library.link(0, 2, delay=FAR)
        core: Core = await self.library[2].store.core(key=self.book.key)
        await self.library[2].share(core)
        await until(lambda: bool(self.library[2].swarm.connections), MEET, self.library[2].swarm)
        await core.update()
        return core

    @check(
        "two stories",
        kind=Kind("two proofs, as (p, q)", lambda answer: _are_proofs(answer)),
        hints=(
            Hint("same twice", "That is one story, told twice.", "p.check().hash() == q.check().hash()"),
            Hint("fork", "One was cut off openly: a higher fork says so. That is no lie.", "p.fork, q.fork"),
            Hint(
                "growth",
                "Their lengths differ: a longer log may begin with the shorter. Take two of one length.",
                "p.check().length, q.check().length",
            ),
            Hint("two logs", "These are of two logs: each may say what it likes.", "p.key == q.key"),
            Hint("forged", "One of them does not verify: that is a forgery, and nobody believes it.", "p.check()"),
            Hint(
                "other",
                "Take the two proofs of block 1 from above, Ann's and Eve's.",
                "p, q",
            ),
        ),
        solution="lesson.check('two stories', (p, q))",
    )
    async def two_stories(self, answer: tuple[Evidence, Evidence]) -> Said:
        """Two proofs that one author cannot have made in one history."""
        one, other = answer
        try:
            first_tree, second_tree = one.check(), other.check()
        except InvalidProof:
            return self.hint("two stories", "forged")
        likely = {
            "two logs": one.key != other.key,
            "fork": one.fork != other.fork,
            "growth": first_tree.length != second_tree.length,
            "same twice": first_tree.hash() == second_tree.hash(),
        }
        if not any(likely.values()):
            return "both proofs are genuine: a signature says who, not whether it is all."
        return self.hint("two stories", first(likely))

    @check(
        "eclipse",
        kind=None,
        hints=(
            Hint("killed", "Found, but the attackers were switched off: bring them back.", "net.alive"),
            Hint("nobody told", "Nobody was told of lesson.mine yet: announce it.", "net.lookups"),
            Hint("too few", "All three who were told are theirs. Tell more.", "net.near('class')[:8]"),
            Hint(
                "other",
                "Announce lesson.mine with k=8: beyond the three sybils lie honest nodes.",
                "net.near('class')[:8]",
            ),
        ),
        solution=f"await net[{ANNOUNCER}].announce(lu.lab.topic('class'), lesson.mine, k=8)\nlesson.check('eclipse')",
    )
    async def eclipse(self) -> Said:
        """With the sybils alive, the learner's announcement is found by another node."""
        peers = self.net.state.peers
        sybils = [peer for peer in peers if peer.n >= NODES]
        if not sybils:
            raise NotRun("There are no sybils yet: net.sybils(3, near='class') brings them.")
        target = topic(TOPIC)
        found = [one.public_key async for one in self.net[SEEKER].lookup(target)]
        alive = all(peer.state is PeerState.SYBIL for peer in sybils)
        if self.mine.public_key in found and alive:
            return "they could hide the address; nobody could pose as the peer."
        told = ANNOUNCER in self.net.lookups and self.net.lookups[ANNOUNCER].target == target
        likely = {"killed": not alive, "nobody told": not told, "too few": alive}
        return self.hint("eclipse", first(likely))


def _are_proofs(answer: Any) -> bool:
    return isinstance(answer, tuple | list) and len(answer) == 2 and all(isinstance(one, Evidence) for one in answer)
