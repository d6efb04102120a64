"""Which rooms with memory a profile is in, and their secrets."""

from pathlib import Path

import msgspec

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.rooms.files import write_private
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.wire.blind_pairing import PairingInvite

MAX_ROOMS = 256  # of one profile, those that were left too


class Choices(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What one has chosen for oneself in a room; nobody else learns of it. Keys are identities."""

    muted: tuple[bytes, ...] = ()
    blocked: tuple[bytes, ...] = ()
    hidden: tuple[str, ...] = ()
    ignores_moderators: bool = False
    quiet: bool = False


class BookEntry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A room: its secret, its name here, its networks, and how many feeds each device has given up in it.

    The entry outlives leaving and forgetting: a feed that was written once and is written again from its beginning
    would be forked. Of a room that is forgotten only the topic and the numbers are kept.
    """

    secret: bytes
    name: str
    numbers: dict[str, int] = {}
    via: tuple[str, ...] = ()
    blind: tuple[bytes, ...] = ()
    """The keys of the blind peers that its invite named."""
    left: bool = False
    forgetting: bool = False
    """What is here of it is being freed; until that is done the secret, which the feeds need, is kept."""
    forgotten: bytes | None = None
    """The topic of a room without a secret."""
    choices: Choices = Choices()

    @property
    def topic(self) -> bytes:
        """The room's topic."""
        return self.forgotten or RoomKeys(self.secret).topic


class WaitingEntry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A limited invite by which nobody has let us in yet, in its bytes, and what we call the room.

    `via` are the bootstrap peers that it names, `blind` the keys of blind peers.
    """

    invite: bytes
    name: str
    via: tuple[str, ...] = ()
    blind: tuple[bytes, ...] = ()

    @property
    def pairing(self) -> PairingInvite:
        """The invite."""
        return PairingInvite.decode(self.invite)


class _File(msgspec.Struct, frozen=True, rename="camel"):
    rooms: list[BookEntry] = []
    waiting: list[WaitingEntry] = []


class Book:
    """The entries of a profile by topic, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rooms: dict[bytes, BookEntry] = {}
        self._waiting: dict[bytes, WaitingEntry] = {}

    def load(self) -> None:
        """Read the file. Raises `UsageError` for one that is damaged."""
        if not self._path.exists():
            return
        try:
            file = msgspec.json.decode(self._path.read_bytes(), type=_File)
            self._rooms = {entry.topic: entry for entry in file.rooms}
            self._waiting = {entry.pairing.topic: entry for entry in file.waiting}
        except (OSError, ValueError, DecodeError) as error:
            raise UsageError(f"{self._path} cannot be read ({error}): put back its copy, or move it away.") from None

    @property
    def entries(self) -> tuple[BookEntry, ...]:
        """The rooms, those that were left too, in the order in which they were first joined."""
        return tuple(self._rooms.values())

    @property
    def waiting(self) -> tuple[WaitingEntry, ...]:
        """The rooms that nobody has let us into yet."""
        return tuple(self._waiting.values())

    def get(self, topic: bytes) -> BookEntry | None:
        """The room of a topic."""
        return self._rooms.get(topic)

    def put(self, entry: BookEntry) -> None:
        """Keep a room, or what has changed of it; on disk when this returns. Raises `UsageError` over `MAX_ROOMS`.

        Nobody waits to be let in there any more.
        """
        topic = entry.topic
        self._check_room_for(topic)
        waiting = {other: one for other, one in self._waiting.items() if other != topic}
        self._save(self._rooms | {topic: entry}, waiting)

    def put_waiting(self, entry: WaitingEntry) -> None:
        """Keep an invite until somebody answers. Raises `UsageError` over `MAX_ROOMS`."""
        topic = entry.pairing.topic
        self._check_room_for(topic)
        self._save(self._rooms, self._waiting | {topic: entry})

    def drop_waiting(self, topic: bytes) -> None:
        """Wait no more to be let into a room."""
        self._save(self._rooms, {other: one for other, one in self._waiting.items() if other != topic})

    def _check_room_for(self, topic: bytes) -> None:
        if topic not in self._rooms | self._waiting and len(self._rooms) + len(self._waiting) >= MAX_ROOMS:
            raise UsageError(f"You have been in {MAX_ROOMS} rooms, the most there can be.")

    def _save(self, rooms: dict[bytes, BookEntry], waiting: dict[bytes, WaitingEntry]) -> None:
        write_private(self._path, msgspec.json.encode(_File(list(rooms.values()), list(waiting.values()))))
        self._rooms, self._waiting = rooms, waiting
