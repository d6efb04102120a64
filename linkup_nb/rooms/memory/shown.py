"""What of a room with memory is looked at: its unread messages, its channels one by one, and names for keys."""

from collections.abc import Mapping, Sequence

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import from_any_loop
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory.block import SAID, Kind
from linkup_nb.rooms.memory.faults import Fault
from linkup_nb.rooms.memory.message import InDrive, RoomMessage
from linkup_nb.rooms.memory.moderated import ModeratedRoom
from linkup_nb.rooms.memory.origin import RoomOrigin
from linkup_nb.rooms.memory.people import People
from linkup_nb.rooms.memory.rows import Place, View, channel_view
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.rooms.memory.timeline import Timeline

NOTICED = (Kind.HELLO, Kind.LEAVE, Kind.ROOM, Kind.TOPIC, Kind.CHANNEL, Kind.ROLE, Kind.ADMIT, Kind.REMOVE)
"""The notices that are shown in the main channel."""

MAX_DISPUTED = 1_000  # messages that are shown apart

_MAIN = View("timeline", "number", "", kinds=tuple(sorted(int(kind) for kind in (*SAID, *NOTICED))))


class ShownRoom(ModeratedRoom):
    """The half of a room with memory that answers who looks at it."""

    _session: RoomSession
    _origin: RoomOrigin
    _people: People
    _arrived: int
    _number: int

    @property
    def me(self) -> bytes:
        """Your own key."""
        return self._session.identity.public_key

    @property
    def devices(self) -> Mapping[bytes, bytes]:
        """The member of each device that has written here, both by their keys; a swarm knows devices."""
        rows = self._session.feeds.members
        return {row.device: row.identity for row in rows if row.device is not None and row.identity is not None}

    @property
    def drive_keys(self) -> Mapping[bytes, bytes]:
        """The drive of each member in this room, both by their keys; that of their last device, as far as is known."""
        rows = self._session.feeds.members
        return {row.identity: row.drive for row in rows if row.drive is not None and row.identity is not None}

    @from_any_loop
    async def drive_of(self, member: Member | bytes) -> Drive:
        """The drive of a member, or the one with this key, in this room: the files that they sent, in every version.

        Returns at once: what you read is fetched then. Raises `UsageError` for who has none here.
        """
        known = self.drive_keys
        key = member if isinstance(member, bytes) else known.get(member.key)
        if key is None or key not in known.values():
            raise UsageError("Nobody has this drive in this room: room.peers are those who may.")
        return await self._session.drive_of(key)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with feeds: blocks that are skipped, feeds that are rewritten, or too long to be fetched."""
        return self._origin.faults

    @property
    def disputed(self) -> tuple[RoomMessage, ...]:
        """What two copies of a profile said where their histories of one feed part, as far as it is here, in order.

        Other members may see different ones, so these are not among `room.messages`. At most the last 1,000.
        """
        session, origin = self._session, self._origin
        rows = [(session.feed_of(row.tie), row) for row in session.index.disputed(MAX_DISPUTED)]
        return tuple(origin.build(row) for feed, row in rows[::-1] if not self._moderator.is_cut(feed, row.seq))

    @property
    def unread(self) -> int:
        """How many messages you have not read."""
        return self._session.index.unread()

    @property
    def mentioned(self) -> int:
        """How many of them mention you."""
        return self._session.index.unread(mentions=True)

    def unread_in(self, channel: str) -> int:
        """How many messages of one channel you have not read."""
        return self._session.index.unread(channel)

    def mentioned_in(self, channel: str) -> int:
        """How many of those mention you."""
        return self._session.index.unread(channel, mentions=True)

    def messages_in(self, channel: str) -> Timeline:
        """What people said in one channel, oldest first; `room.channel(name).messages`."""
        return Timeline(self._session.index, self._arrived, self._origin.build, channel_view(channel))

    def timeline_in(self, channel: str) -> Timeline:
        """What is shown of one channel: what people said, and in the main one, "", notices as well."""
        if channel:
            return self.messages_in(channel)
        return Timeline(self._session.index, self._number, self._origin.build, _MAIN)

    def first_unread(self, channel: str) -> RoomMessage | None:
        """The first message of a channel, in its order, that you have not read."""
        row = self._session.index.first_unread_in(channel)
        return self._origin.build(row) if row else None

    def find(self, id: str) -> RoomMessage | None:
        """The message or notice of this id, if it is here."""
        try:
            row = self._origin.row(id)
        except (DecodeError, ValueError):
            return None
        return self._origin.build(row) if row else None

    def name_of(self, key: bytes) -> str:
        """What somebody calls themselves; their short key if they have not said."""
        return self._people.name(key)

    def may_remove(self, key: bytes) -> bool:
        """Whether you may remove somebody from the room."""
        return self._moderator.may_remove(key)

    @from_any_loop
    async def mark_rows_read(self, channel: str, ids: Sequence[str], since: Place | None, until: Place | None) -> None:
        """Count messages of a channel as read: these, and all that stand from one place to another."""
        await self._session.mark_rows_read(channel, ids, since, until)
        self.emit("update")

    def holders(self, message: InDrive) -> list[str]:
        """The names of those who are here and have the drive of a file open with you."""
        keys = self._session.holders(message.drive)
        return sorted({self._people.name(key) for key in keys})
