"""Lesson 5: a copy may hold one block of a million, and still prove it."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from linkup_nb.connection.connection import Connection
from linkup_nb.connection.tap import Direction, Frame, Tap
from linkup_nb.hypercore.core import Core
from linkup_nb.lab.lessons.checks import NUMBER, Hint, Kind, NotRun, Said, check, first
from linkup_nb.lab.lessons.frame import Lesson, Prediction, until
from linkup_nb.node import Node

BLOCKS, SIZE = 100, 4096  # of the log, and bytes of one
WANTED = frozenset({7, 42, 99})
MEET = 10.0  # seconds until two have found each other

_REQUEST, _DATA = "DataRequest", "Data"


class OnlyWhatYouNeed(Lesson):
    """A log of 100 photos at peer 0, a copy at peer 1 that has none of them, and a third peer."""

    number = 5
    title = "Only what you need"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "bytes": Prediction(
            "How many bytes come over the wire for block 7, of 4,096: about 4100, 4350, 30000 or 410000?",
            (
                (4100, "Nearly: the block alone is 4,096. What proves that it is the author's comes with it."),
                (30000, "That would be blocks 0 to 7. Nobody needs the ones before."),
                (410000, "That would be all of them. A copy takes what it asks for."),
            ),
        ),
        "proof": Prediction(
            'And for block 8, beside it: "more", "as many" or "fewer" nodes of proof?',
            (
                ("more", "What was proven stays proven: the way up ends at the first node that is here."),
                ("as many", "Most of the way up is here already, since block 7 came."),
            ),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "prove": "It has the hashes beside the way up to the root, and the author's signature over the roots. The"
        " blocks before stand for nothing in that: only their hashes do."
    }

    def prepare(self) -> None:
        """An author, a copy that knows the length, and the connection between them."""
        self.net = self.network(3, seed=5)
        self.author: Core
        self.reader: Core
        self.author, self.reader = self.run(self._share())

    async def _share(self) -> tuple[Core, Core]:
        author = await self._open(self.net[0], None)
        await author.append([bytes([number]) * SIZE for number in range(BLOCKS)])
        await self.net[0].share(author)
        reader = await self.copy(1, author.key)
        await until(lambda: bool(self.net[1].swarm.connections), MEET, self.net[1].swarm)
        await reader.update()
        return author, reader

    async def copy(self, number: int, key: bytes) -> Core:
        """A copy of a log at the peer of a number, shared with the others."""
        core = await self._open(self.net[number], key)
        await self.net[number].share(core)
        return core

    async def fresh(self) -> Core:
        """A copy at a newcomer, who has nothing of it."""
        newcomer = await asyncio.to_thread(self.net.add, [1])
        core = await self._open(newcomer, self.reader.key)
        await newcomer.share(core)
        await until(lambda: bool(newcomer.swarm.connections), MEET, newcomer.swarm)
        await core.update()
        return core

    def asked_for(self, tap: Tap, block: int) -> tuple[Tap, int]:
        """The tap, and the number of the frame in it that asks for a block."""
        return tap, next(frame.number for frame in tap.frames if _asks_for(frame, block))

    async def come_back(self) -> Core:
        """Let the author come back, and share again."""
        if 0 not in self.net.alive:
            await asyncio.to_thread(self.net.revive, 0)
        self.author = await self._open(self.net[0], None)
        await self.net[0].share(self.author)
        return self.author

    async def _open(self, node: Node, key: bytes | None) -> Core:
        return await (node.store.core(name="photos") if key is None else node.store.core(key=key))

    @property
    def connection(self) -> Connection:
        """The reader's connection to the author. Raises `NotRun` while there is none."""
        connections = self.net[1].swarm.connections
        if not connections:
            raise NotRun("Peer 1 is connected with nobody: let the author come back first.")
        return connections[0]

    @check(
        "exactly",
        kind=Kind("a log, as await lesson.fresh() gives it", lambda answer: isinstance(answer, Core)),
        hints=(
            Hint("all", "All came: `download()` without a range.", "fresh.contiguous_length"),
            Hint(
                "before",
                "A stream reads from 0 on; `get(7)` asks for one.",
                "[i for i in range(100) if await fresh.has(i)]",
            ),
            Hint("none", "`update` brings the length, and no block.", "await fresh.has(7)"),
            Hint("author", "That log is the author's own, and has everything. Take a copy.", "fresh.writable"),
            Hint("some", "Some of the three are missing.", "[i for i in (7, 42, 99) if await fresh.has(i)]"),
            Hint(
                "other",
                "It has others, too. Begin with a fresh copy, and get 7, 42 and 99.",
                "[i for i in range(100) if await fresh.has(i)]",
            ),
        ),
        solution="fresh = await lesson.fresh()\n"
        "for i in (7, 42, 99):\n    await fresh.get(i)\nlesson.check('exactly', fresh)",
    )
    async def exactly(self, answer: Core) -> Said:
        """A copy that has blocks 7, 42 and 99, and nothing else."""
        held = {number for number in range(answer.length) if await answer.has(number)}
        if held == WANTED:
            return f"`contiguous_length` is {answer.contiguous_length}: it counts from the first block on."
        likely = {
            "author": answer.writable,
            "all": len(held) == BLOCKS,
            "none": not held,
            "before": set(range(7)) <= held,
            "some": held < WANTED,
        }
        return self.hint("exactly", first(likely))

    @check(
        "request",
        kind=Kind("a tap, and the number of one of its frames", lambda answer: _is_frame(answer)),
        hints=(
            Hint("data", "That is the answer: it was received, and is the large one.", "tap.frames[n].direction"),
            Hint("another", "That asks for another block: read its text, block=(7, …).", "tap.frames[n].parts"),
            Hint("missing", "There is no such frame: begin the tap before you get block 7.", "len(tap.frames)"),
            Hint("other", "Look for a frame that was sent, with a DataRequest in it.", "tap.to_pandas()"),
        ),
        solution="lesson.check('request', lesson.asked_for(tap, 7))",
    )
    async def request(self, answer: tuple[Tap, int]) -> Said:
        """The frame in which block 7 was asked for."""
        tap, number = answer
        frame = next((one for one in tap.frames if one.number == number), None)
        if frame is None:
            return self.hint("request", "missing")
        if _asks_for(frame, 7):
            return "it says (7, 6): block 7, and the six steps up to a node that was known."
        kinds = {part.type for part in frame.parts}
        likely = {
            "data": frame.direction is Direction.RECEIVED and _DATA in kinds,
            "another": _REQUEST in kinds,
        }
        return self.hint("request", first(likely))


def _asks_for(frame: Frame, block: int) -> bool:
    return any(part.type == _REQUEST and f"block=({block}," in part.text for part in frame.parts)


def _is_frame(answer: Any) -> bool:
    return isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], Tap) and NUMBER.holds(answer[1])
