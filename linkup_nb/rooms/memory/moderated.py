"""What a user calls to moderate a room: what each of these can do, and what it cannot."""

from linkup_nb.loops import from_any_loop
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory.message import RoomMessage
from linkup_nb.rooms.memory.moderator import Moderator
from linkup_nb.rooms.room import Room


class ModeratedRoom(Room):
    """The half of a room with memory that says who may do what in it; members are given themselves, or by their key."""

    _moderator: Moderator

    @property
    def founder(self) -> bytes | None:
        """The key of who founded the room, as its secret proves; `None` while their feed has not come."""
        return self._moderator.ruling.founder

    @property
    def moderators(self) -> tuple[bytes, ...]:
        """The keys of those whom the founder has appointed."""
        return self._moderator.ruling.moderators

    @property
    def removed(self) -> tuple[bytes, ...]:
        """The keys of those who were removed and have not been let in again."""
        return tuple(self._moderator.ruling.removed)

    @property
    def writers(self) -> tuple[bytes, ...] | None:
        """The keys of those who may write, as the founder and the moderators have decided; `None` if everybody may."""
        ruling = self._moderator.ruling
        if ruling.writers is None:
            return None
        return tuple(key for key in ({ruling.founder} | ruling.writers) if key and ruling.may_write(key))

    @property
    def read_only(self) -> str | None:
        """Why you cannot write here, in one sentence; `None` if you can."""
        return self._moderator.read_only

    @property
    def follow_moderators(self) -> bool:
        """Whether what the moderators hide is hidden here; see `set_follow_moderators`."""
        return not self._moderator.choices.ignores_moderators

    @from_any_loop
    async def set_follow_moderators(self, on: bool) -> None:
        """Hide what the moderators hide, or show it all the same; a removal counts for everybody."""
        await self._moderator.follow(on)

    @from_any_loop
    async def mute(self, member: Member | bytes, on: bool = True) -> None:
        """Fold what somebody writes, for you only: others still read them, and they do not learn of it."""
        await self._moderator.mute(_key(member), on)

    @from_any_loop
    async def block(self, member: Member | bytes, on: bool = True) -> None:
        """Hide what somebody writes, fetch no more of it, and speak with none of their devices here, for you only.

        It keeps nothing of yours from them: others may pass it on, and what they have they keep.
        """
        await self._moderator.block(_key(member), on)

    @from_any_loop
    async def hide(self, what: RoomMessage | Member | bytes, on: bool = True, *, reason: str = "") -> None:
        """Hide a message: for you, or as founder or moderator for all who follow the moderators; or all of a member.

        It is display only: everybody's copy still has it. Raises `UsageError` for a member if you are no moderator.
        """
        if isinstance(what, RoomMessage):
            await self._moderator.hide_message(what.id, on, reason)
        else:
            await self._moderator.hide_member(_key(what), on, reason)

    @from_any_loop
    async def remove(self, member: Member | bytes) -> None:
        """End somebody's part in the room: nobody shows what they write from now on, and their devices are refused.

        Who is here hears of it. They keep what they have, and can still read whatever anybody gives them: the secret of
        the room stays the same. Raises `UsageError` unless you are the founder, or a moderator and they are neither.
        """
        await self._moderator.remove(_key(member))

    @from_any_loop
    async def admit(self, member: Member | bytes) -> None:
        """Let somebody in again who was removed, or write who may only read; what they have written meanwhile counts.

        Raises `UsageError` unless you are the founder or a moderator.
        """
        await self._moderator.admit(_key(member))

    @from_any_loop
    async def appoint(self, member: Member | bytes, on: bool = True) -> None:
        """Make somebody a moderator, who may hide and remove, or no longer; what they did as one stands.

        Raises `UsageError` unless you founded the room.
        """
        await self._moderator.appoint(_key(member), on)


def _key(member: Member | bytes) -> bytes:
    return member if isinstance(member, bytes) else member.key
