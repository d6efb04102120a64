"""Lesson 2: strangers meet through those who keep an announcement; the first address is a door, not a centre."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import ClassVar

from linkup_nb.lab.lessons.checks import NUMBERS, Hint, NotRun, Said, check, first
from linkup_nb.lab.lessons.frame import Lesson, Prediction, until
from linkup_nb.lab.topics import topic

PEERS, SEED, K = 10, 11, 3  # with this seed neither the first node nor any that joins is a keeper
TOPIC = "library"
ANNOUNCED = 1  # the peer that joins first
MEET = 5.0  # seconds in which two find each other


class Meeting(Lesson):
    """Ten peers in one network, which each of them serves; nobody has joined anything."""

    number = 2
    title = "Meeting without a server"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "who tells": Prediction(
            'Who tells peer 7 about peer 1: "node 0", "the keepers" or "peer 1"?',
            (
                ("node 0", "Node 0 was the door by which all came in. It keeps nothing of this topic."),
                ("peer 1", "It would have to call out to everybody. It told three, once."),
            ),
        ),
        "go on": Prediction(
            "Node 0 dies. True or False for each: 1 and 7 go on; 9, which is in the network, still meets them;"
            " a newcomer who knows only node 0 does; one who knows 0 and 4 does.",
            (
                ([False, False, False, False], "Then node 0 would be a server. What passes through it?"),
                ([False, True, False, True], "1 and 7 are connected directly: nothing passes through node 0."),
                ([True, True, True, True], "Whoever knows only node 0 has nobody to ask."),
                ([True, False, False, False], "9 is in the network already, and knows many others."),
            ),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "bootstrap": "It is the first address that a newcomer knows: a door. Any node that is alive is as good a one."
    }

    def prepare(self) -> None:
        """Ten peers who know each other's addresses, a few each."""
        self.net = self.network(PEERS, seed=SEED, k=K)

    def keepers(self) -> list[int]:
        """The numbers of those who keep the announcement of the peer that joined first, its own node among them."""
        target, now, key = topic(TOPIC), monotonic(), self.net[ANNOUNCED].swarm.public_key
        return [
            number
            for number in self.net.alive
            if any(record.public_key == key for record in self.net.dht(number).store.records(target, now))
        ]

    def settle(self, timeout: float = MEET) -> None:
        """Wait until all in the network who have joined the topic are connected, or the time is over."""
        self.run(self._met(timeout), timeout + 1)

    async def _met(self, timeout: float) -> None:
        swarms = [self.net[number].swarm for number in self.net.alive if self.net.dht(number).contacts]
        joined = [swarm for swarm in swarms if topic(TOPIC) in [one.topic for one in swarm.topics]]
        try:
            await until(lambda: all(len(swarm.connections) >= len(joined) - 1 for swarm in joined), timeout, *joined)
        except TimeoutError:
            return

    @check(
        "keepers",
        kind=NUMBERS,
        hints=(
            Hint("door", "Node 0 opened the door, and keeps no announcement.", "net.dht(0).view().stored"),
            Hint("itself", "Peer 1 is what is announced. Who was told?", "net.near('library')"),
            Hint(
                "all",
                "Only the three nodes nearest to the topic keep it: sort them by distance.",
                "net.near('library')",
            ),
            Hint("some", "These do keep it; there are more.", "net.near('library')"),
            Hint("other", "Look at what each keeps for others: `stored['announcements']`.", "net.dht(3).view().stored"),
        ),
        solution="lesson.check('keepers', [n for n in lesson.keepers() if n != 1])",
    )
    async def who_keeps(self, answer: Sequence[int]) -> Said:
        """Who was told that peer 1 has joined: looked up in what each node keeps."""
        holding = set(self.keepers())
        if not holding:
            raise NotRun('Nobody has joined "library" yet: let peer 1 do it first.')
        told, given = holding - {ANNOUNCED}, set(answer)
        if given == told:
            return "1 and 7 are connected directly now; all three keepers could die."
        likely = {
            "door": given == {0},
            "all": len(given) >= PEERS - 1,
            "itself": ANNOUNCED in given,
            "some": bool(given) and given < told,
        }
        return self.hint("keepers", first(likely))

    @check(
        "alone",
        kind=None,
        hints=(
            Hint("old door", "It works, by the old door. Let node 0 stay dead, and let it in by another.", "net.alive"),
            Hint(
                "same names",
                "It asks only the one that is dead: see “bootstrap” in its report.",
                "await net[-1].doctor()",
            ),
            Hint(
                "other topic",
                "It is in the network, and waits at another topic: compare its first eight digits.",
                "net[-1].swarm.topics",
            ),
            Hint("no topic", "It has not joined the topic: that is how one enters.", "net[-1].swarm.topics"),
            Hint(
                "other",
                "Add a newcomer that names a node which is alive, and let it join the topic.",
                "net.add(names=[4])",
            ),
        ),
        solution="late = net.add(names=[4])\nawait late.swarm.join(lu.lab.topic('library'))\nlesson.settle()\n"
        "lesson.check('alone')",
    )
    async def alone(self) -> Said:
        """The last newcomer has met somebody at the topic, and node 0 is dead."""
        if len(self.net) <= PEERS:
            raise NotRun("There is no newcomer yet: net.add(names=[0]) brings one.")
        swarm = self.net[-1].swarm
        joined = [one.topic for one in swarm.topics]
        if topic(TOPIC) in joined and not swarm.connections:
            await self._met(1.0)
        met = topic(TOPIC) in joined and bool(swarm.connections)
        if met and 0 not in self.net.alive:
            return "any node that is alive is as good a door as the first."
        likely = {
            "old door": met,
            "no topic": not joined,
            "other topic": topic(TOPIC) not in joined,
            "same names": not self.net.dht(len(self.net) - 1).contacts,
        }
        return self.hint("alone", first(likely))
