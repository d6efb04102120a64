"""A class: what learners have shared of their progress in a room."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from linkup_nb.errors import UsageError
from linkup_nb.lab.lessons.progress import MIME, Progress, html_table
from linkup_nb.rooms.memory.message import RoomOutputMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.names import clean
from linkup_nb.rooms.room import Room

MAX_SCANNED = 10_000  # messages of a room in which progress is looked for, the last ones
MAX_NAME = 40  # characters of a learner's name


class ClassProgress:
    """A row for each learner who has shared in a room; as a value of a cell it is a table. Made by `class_progress`."""

    def __init__(self, learners: dict[str, Progress]) -> None:
        self.learners = learners
        """By name, or by name and key where two have one name; sorted."""

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Learner, lesson, checks, tries, minutes."""
        return [(name, *row) for name, progress in self.learners.items() for row in progress.rows()]

    def __repr__(self) -> str:
        if not self.learners:
            return "Nobody has shared yet: a learner does it with `await lesson.share(room)`."
        return "\n".join(
            f"{name}, lesson {number}: {checks}; {tries} tries, {minutes} min"
            for name, number, checks, tries, minutes in self.rows()
        )

    def _repr_html_(self) -> str | None:
        if not self.learners:
            return None
        return html_table(("learner", "lesson", "checks", "tries", "minutes"), self.rows())


def class_progress(room: Room) -> ClassProgress:
    """How far each is who has shared it in a room with memory: the last that they said. Raises `UsageError`."""
    if not isinstance(room, MemoryRoom):
        raise UsageError("A class shares its progress in a room with memory: node.create_room(name) makes one.")
    latest: dict[bytes, tuple[str, Progress]] = {}
    for message in _outputs(room):
        if message.key not in latest and (progress := _read(message.data.get(MIME))):
            latest[message.key] = clean(message.name)[:MAX_NAME], progress
    names = [name for name, _ in latest.values()]
    found = {
        name if names.count(name) == 1 else f"{name} ({key.hex()[:8]})": progress
        for key, (name, progress) in latest.items()
    }
    return ClassProgress(dict(sorted(found.items())))


def _outputs(room: MemoryRoom) -> Iterator[RoomOutputMessage]:
    """The newest first."""
    for message in islice(reversed(room.messages), MAX_SCANNED):
        if isinstance(message, RoomOutputMessage):
            yield message


def _read(data: Any) -> Progress | None:
    """What a member has shared, if it is that: others can write whatever they like."""
    try:
        return msgspec.convert(data, Progress) if data is not None else None
    except (msgspec.ValidationError, RecursionError):
        return None
