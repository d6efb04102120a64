"""Lesson 7: one log for each author, and one rule of order, give all the same conversation, without asking anybody."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, ClassVar, cast

from linkup_nb.lab.lessons.checks import Hint, Kind, NotRun, Said, check, first
from linkup_nb.lab.lessons.frame import Lesson, Prediction, until
from linkup_nb.lab.state import EdgeKind
from linkup_nb.rooms.memory.message import RoomMessage, RoomTextMessage
from linkup_nb.rooms.memory.room import MemoryRoom

NAMES = ("Ann", "Bob", "Cy")
SLOW = 3600.0  # seconds by which Bob's clock is late
MEET = 10.0  # seconds until all three are in the room
SETTLE = 5.0  # seconds for what was said to get around
QUESTION, MESSAGES = "who brings cake?", 4


def said(room: MemoryRoom) -> list[RoomTextMessage]:
    """What people said in a room, in its order."""
    return [message for message in room.messages if isinstance(message, RoomTextMessage)]


def _are_pairs(answer: object) -> bool:
    return isinstance(answer, list | tuple | set | frozenset) and all(
        isinstance(pair, tuple | list | frozenset | set)
        and len(pair) == 2
        and all(isinstance(text, str) for text in pair)
        for pair in answer
    )


class FromLogsToAConversation(Lesson):
    """Ann, Bob and Cy in one room; Bob's clock is an hour slow."""

    number = 7
    title = "From logs to a conversation"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "order": Prediction(
            "After healing: in which order do the four stand on Ann's screen? The numbers of the list above.",
            (
                ([0, 1, 2, 3], "That is how they came to Ann. Others had them in another order."),
                ([2, 0, 1, 3], "By the clocks: then Bob's answer would stand above the question."),
                ([0, 2, 3, 1], "One side after the other? There are no sides in the rule."),
            ),
        ),
        "pairs": Prediction(
            "How many of the six pairs are concurrent: neither had seen the other when it was written?",
            (
                (0, "Were all four written one after the other, each by somebody who had seen the one before?"),
                (3, "Cy had seen Bob's answer before writing."),
            ),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "clock": "A stamp is at least a little more than all that its author had seen. Bob's clock says an hour before,"
        " and his stamp all the same comes after the question."
    }

    def prepare(self) -> None:
        """Three peers in a room with memory."""
        self.net = self.network(len(NAMES), seed=7)
        self.net.clock(1, -SLOW)
        self.rooms = self.run(self._meet())

    async def _meet(self) -> tuple[MemoryRoom, ...]:
        net = self.net
        for number, name in enumerate(NAMES):
            await net[number].set_name(name)
        made = await net[0].create_room("cake")
        others = [await net[number].join(made.invite or "") for number in (1, 2)]
        rooms = (made, *(cast(MemoryRoom, room) for room in others))
        await until(
            lambda: all({one.name for one in room.peers} < {*NAMES} and len(room.peers) == 2 for room in rooms),
            MEET,
            *rooms,
        )
        return rooms

    def said(self, room: MemoryRoom) -> list[RoomTextMessage]:
        """What people said in a room, in its order."""
        return said(room)

    def settle(self, timeout: float = SETTLE) -> None:
        """Wait until all who can reach each other have the same messages, or the time is over."""
        self.run(self._settled(timeout), timeout + 1)

    async def _settled(self, timeout: float) -> None:
        def even() -> bool:
            cut = {(edge.a, edge.b) for edge in self.net.state.edges if edge.kind is EdgeKind.CUT}
            pairs = [(a, b) for a, b in combinations(range(len(NAMES)), 2) if (a, b) not in cut and (b, a) not in cut]
            return all(
                {one.id for one in said(self.rooms[a])} == {one.id for one in said(self.rooms[b])} for a, b in pairs
            )

        try:
            await until(even, timeout, *self.rooms)
        except TimeoutError:
            return

    @check(
        "same",
        kind=None,
        hints=(
            Hint("cut", "There are still two islands: 0, and 1 with 2.", "net"),
            Hint(
                "fewer",
                "Something is not said, or not there yet, on one side.",
                "[len(room.messages) for room in lesson.rooms]",
            ),
            Hint("other", "Let all three say something on both sides of the cut, heal it, and settle.", "net.heal()"),
        ),
        solution="net.heal()\nlesson.settle()\nlesson.check('same')",
    )
    async def same(self) -> Said:
        """All three rooms have the same messages in the same order."""
        conversations = [[one.id for one in said(room)] for room in self.rooms]
        if not any(conversations):
            raise NotRun("Nobody has said anything yet.")
        if any(edge.kind is EdgeKind.CUT for edge in await asyncio.to_thread(lambda: self.net.state.edges)):
            return self.hint("same", "cut")
        if all(one == conversations[0] for one in conversations) and len(conversations[0]) >= MESSAGES:
            return "nobody voted, nobody waited, and no message was moved after it was shown."
        return self.hint("same", "fewer")

    @check(
        "concurrent",
        kind=Kind("a list of pairs of texts, as [('who brings cake?', 'not me'), …]", _are_pairs),
        hints=(
            Hint("seen", "Cy's heads name Bob's message: Cy had seen it.", "cy.messages[-1].heads"),
            Hint("question", "All had seen the question; it is before each of them.", "ann.timeline"),
            Hint(
                "none",
                "The stamps put them in an order, and cause nothing. Does an arrow lead from one to the other?",
                "ann.timeline",
            ),
            Hint("missing", "There is another pair: look from Ann's second message to the others.", "ann.timeline"),
            Hint(
                "texts",
                "Name both by their texts, as they were said.",
                "[m.text for m in ann.messages if hasattr(m, 'text')]",
            ),
            Hint(
                "other",
                "For each pair: had the later one's author the other before them? `ann.at(message)` shows it.",
                "ann.at(ann.messages[-1])",
            ),
        ),
        solution="lesson.check('concurrent', [('I will, then', 'not me'), ('I will, then', 'I will')])",
    )
    async def concurrent(self, answer: Iterable[Any]) -> Said:
        """The pairs of which neither author had seen the other, by the heads of the live messages."""
        messages = said(self.rooms[0])
        if len(messages) < MESSAGES:
            raise NotRun("Not all four messages are here yet: heal the network, and let it settle.")
        right = {
            frozenset((one.text, other.text))
            for one, other in combinations(messages, 2)
            if not self._saw(one, other) and not self._saw(other, one)
        }
        given = {frozenset(pair) for pair in answer}
        if given == right:
            return "the rule puts them in an order; only heads say what caused what."
        texts = {one.text for one in messages}
        wrong = given - right
        likely = {
            "texts": any(not pair <= texts for pair in given),
            "none": not given,
            "question": any(QUESTION in pair for pair in wrong),
            "seen": bool(wrong),
            "missing": given < right,
        }
        return self.hint("concurrent", first(likely))

    def _saw(self, later: RoomMessage, earlier: RoomMessage) -> bool:
        """Whether whoever wrote `later` had `earlier` then: `room.at` is what the author had before them."""
        room = self.rooms[0]
        return later.id != earlier.id and any(one.id == earlier.id for one in room.at(later))
