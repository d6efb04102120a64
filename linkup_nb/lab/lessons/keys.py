"""Lesson 1: who knows a key can check who spoke; nobody hands keys out, and nobody can take one away."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from linkup_nb.lab.lessons.checks import Hint, Kind, NotRun, Said, are_numbers, check, first, is_number
from linkup_nb.lab.lessons.frame import Lesson, Prediction, until
from linkup_nb.rooms.room import Room
from linkup_nb.wire.keys import KEY_SIZE, KeyPair, discovery_key, short_key, verify

PEERS = 3
SETTLE = 5.0  # seconds until everybody knows the names

_TEXTS = ("meet at six", "bring the map", "the key is under the stone", "I owe you ten", "no moon tonight")
_NAMES = ("Ann", "xX_bob_Xx", "Cy", "Dora", "Eve")
_ALTERED = {0: "meet at ten", 2: "the key is under the mat", 4: "full moon tonight"}
_ODD, _UNKNOWN = 1, 3  # the message of an odd name; the one whose key stands in no address book


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A text, what its author is called, the key that stands beside it, and a signature."""

    name: str
    text: bytes
    key: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"<{self.name!r}: {self.text.decode()!r}, key {short_key(self.key)}>"


def _key_of(answer: object) -> object:
    return getattr(answer, "public_key", getattr(answer, "key", answer))


class KeysAreNames(Lesson):
    """Three peers, five signed messages, and an address book with one key."""

    number = 1
    title = "Keys are names"
    predictions: ClassVar[Mapping[str, Prediction]] = {
        "verify": Prediction(
            "What does each of the three calls of the next cell give, True or False?",
            (
                ([True, True, True], "A signature is no stamp that belongs to a person: it fits one text and one key."),
                ([True, False, True], "Any key would do then; a signature fits only the key that made it."),
                ([True, True, False], "The text is part of what was signed: another text has another signature."),
            ),
        ),
        "address": Prediction(
            'Which changes when "eggs" is added to a log: "key", "hash", "both" or "none"?',
            (
                (
                    "both",
                    "That is so where an address is made of the content. A log's address is its key, made before.",
                ),
                ("key", "A new version would need a new link. This address is a key: it stays, whatever is added."),
                ("none", "The bytes are others, and so is their hash; the key knows nothing of the bytes."),
            ),
        ),
    }
    answers: ClassVar[Mapping[str, str]] = {
        "one way": "No. A discovery key is a hash of the key: easy in one direction, and nobody knows a way back."
    }

    def prepare(self) -> None:
        """Three peers in one room: you are number 0, Ann is number 1."""
        self.net = self.network(PEERS, seed=1)
        self.store = self.new_store("yours", bytes([1]) * KEY_SIZE)
        self.room = self.run(self._meet())
        self.address_book: Mapping[str, bytes] = MappingProxyType({"Ann": self.net[1].public_key})
        pairs = [KeyPair.from_seed(bytes([number + 10]) * KEY_SIZE) for number in range(len(_TEXTS))]
        messages = [
            SignedMessage(name, text.encode(), pair.public_key, pair.sign(text.encode()))
            for name, text, pair in zip(_NAMES, _TEXTS, pairs, strict=True)
        ]
        altered = random.Random(self.number).choice(sorted(_ALTERED))
        old = messages[altered]
        messages[altered] = SignedMessage(old.name, _ALTERED[altered].encode(), old.key, old.signature)
        self.messages = tuple(messages)

    async def _meet(self) -> Room:
        net = self.net
        room: Room = await net[0].create_room("class")
        for number, name in ((1, "Ann"), (2, "Bob")):
            await net[number].set_name(name)
            await net[number].join(room.invite)  # type: ignore[attr-defined]  # a room with memory has one
        await self._settled(room)
        return room

    async def _settled(self, room: Room) -> None:
        net = self.net
        await until(
            lambda: sorted(one.name for one in room.peers) == sorted(net[number].name for number in (1, 2)),
            SETTLE,
            room,
        )

    def settle(self) -> None:
        """Wait until everybody knows what everybody is called."""
        self.run(self._settled(self.room))

    @check(
        "forged",
        kind=Kind("the number of one message", lambda answer: is_number(answer) or are_numbers(answer)),
        hints=(
            Hint(
                "name",
                "A name is only text, and this message verifies. Which one does its key refuse?",
                "lesson.messages",
            ),
            Hint(
                "unknown", "That one verifies under its own key: unknown is not forged.", f"lesson.messages[{_UNKNOWN}]"
            ),
            Hint(
                "list",
                "One of them is forged: ask `verify` five times, each with the key beside the message.",
                "verify",
            ),
            Hint("range", "They have the numbers 0 to 4, as in lesson.messages[0].", "len(lesson.messages)"),
            Hint(
                "other", "That one verifies. Ask `verify(m.text, m.signature, m.key)` for each of the five.", "verify"
            ),
        ),
        solution="lesson.check('forged', [verify(m.text, m.signature, m.key) for m in lesson.messages].index(False))",
    )
    async def forged(self, answer: Any) -> Said:
        """The one message that was altered after it was signed."""
        forged = [n for n, one in enumerate(self.messages) if not verify(one.text, one.signature, one.key)]
        if [answer] == forged:
            return "one changed letter makes the whole signature void; there is no “nearly genuine”."
        likely = {
            "list": not is_number(answer),
            "name": answer == _ODD,
            "unknown": answer == _UNKNOWN,
            "range": is_number(answer) and not 0 <= answer < len(self.messages),
        }
        return self.hint("forged", first(likely))

    @check(
        "ann",
        kind=Kind(
            "a member of the room, or a key of 32 bytes",
            lambda answer: isinstance(_key_of(answer), bytes) or isinstance(answer, str),
        ),
        hints=(
            Hint("impostor", "That peer says “Ann” and has proven another key.", "lesson.room.peers"),
            Hint(
                "text",
                "A name is what somebody says. Give the member, or the 32 bytes of its key.",
                "lesson.room.peers[0].key",
            ),
            Hint(
                "discovery",
                "That key is announced so that strangers do not learn the real one; it verifies nothing.",
                "lesson.address_book",
            ),
            Hint("length", "A key has 32 bytes; this has another length.", "len(lesson.address_book['Ann'])"),
            Hint("other", "Compare the keys of both members called Ann with your address book.", "lesson.address_book"),
        ),
        solution="lesson.check('ann', next(m for m in lesson.room.peers if m.key == lesson.address_book['Ann']))",
    )
    async def ann(self, answer: Any) -> Said:
        """Which of the two called Ann is the one whose key we have."""
        if [one.name for one in self.room.peers].count("Ann") < 2:
            raise NotRun("There is only one Ann so far: let peer 2 take that name first.")
        key, right = _key_of(answer), self.address_book["Ann"]
        if key == right:
            return "the connection had checked that key before the first word of chat."
        likely = {
            "text": isinstance(key, str),
            "impostor": key == self.net[2].public_key,
            "discovery": key in [discovery_key(right), *(core.discovery_key for core in self.store.cores)],
            "length": isinstance(key, bytes) and len(key) != KEY_SIZE,
        }
        return self.hint("ann", first(likely))
