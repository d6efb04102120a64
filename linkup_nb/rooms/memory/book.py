"""Which rooms with memory a profile is in, and their secrets."""

from pathlib import Path

import msgspec

from linkup_nb.errors import UsageError
from linkup_nb.rooms.files import write_private
from linkup_nb.rooms.memory.keys import RoomKeys

MAX_ROOMS = 256  # of one profile, those that were left too


class BookEntry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A room: its secret, its name here, and how many feeds each device has given up in it.

    The entry outlives leaving and forgetting: a feed that was written once and is written again from its beginning
    would be forked.
    """

    secret: bytes
    name: str
    numbers: dict[str, int] = {}
    via: tuple[str, ...] = ()
    left: bool = False


class Book:
    """The entries of a profile by topic, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[bytes, BookEntry] = {}

    def load(self) -> None:
        """Read the file. Raises `UsageError` for one that is damaged."""
        if not self._path.exists():
            return
        try:
            entries = msgspec.json.decode(self._path.read_bytes(), type=list[BookEntry])
            self._entries = {RoomKeys(entry.secret).topic: entry for entry in entries}
        except (OSError, ValueError) as error:
            raise UsageError(f"{self._path} cannot be read ({error}): put back its copy, or move it away.") from None

    @property
    def entries(self) -> tuple[BookEntry, ...]:
        """The rooms, those that were left too, in the order in which they were first joined."""
        return tuple(self._entries.values())

    def get(self, topic: bytes) -> BookEntry | None:
        """The room of a topic."""
        return self._entries.get(topic)

    def put(self, entry: BookEntry) -> None:
        """Keep a room, or what has changed of it; on disk when this returns. Raises `UsageError` over `MAX_ROOMS`."""
        topic = RoomKeys(entry.secret).topic
        if topic not in self._entries and len(self._entries) >= MAX_ROOMS:
            raise UsageError(f"You have been in {MAX_ROOMS} rooms, the most there can be.")
        entries = self._entries | {topic: entry}
        write_private(self._path, msgspec.json.encode(list(entries.values())))
        self._entries = entries
