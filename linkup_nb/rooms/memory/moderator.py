"""What one does about others in a room: for oneself, or for all as its founder or a moderator; and what follows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from linkup_nb.errors import PeerRefused, UsageError
from linkup_nb.loops import Events, Tasks
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.book import Choices
from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.moderation import MODERATOR, Ruling
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow, Place
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.rooms.memory.writers import READER, WRITER
from linkup_nb.wire.keys import z32encode

T = TypeVar("T")

FAREWELL = 2.0  # seconds in which somebody who was removed can still hear of that
ADMITTED_WITHIN = 2.0  # seconds after a room was opened in which it may still come that one was let in
MUTED = "You have muted who wrote this."
REMOVED = "You were removed from this room: nobody would see this."
READ_ONLY = "In this room those write whom its founder or a moderator has let in: ask one of them."
MAX_CHOICES = 10_000  # people, and messages, that one has muted, blocked or hidden in one room


async def _forget(_: Choices) -> None:
    """A room that no profile keeps."""


class Moderator(Events):
    """Moderates one room of a node. `keep` keeps the choices. Emits `update`."""

    def __init__(
        self,
        session: RoomSession,
        choices: Choices,
        keep: Callable[[Choices], Awaitable[None]] = _forget,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.choices = choices
        self._session = session
        self._keep = keep
        self._leaving: set[RoomPeer] = set()
        self._opened = self._loop.time()
        self._tasks = Tasks()
        session.refuses = self.refuses
        session.invites.may_revoke = self.may_moderate
        session.on("feed", lambda _: self.enforce())
        self.enforce()

    @property
    def ruling(self) -> Ruling:
        """What the founder and the moderators have come to."""
        return self._session.feeds.ruling

    def may_moderate(self, identity: bytes, place: Place | None = None) -> bool:
        """Whether an identity is the founder, or a moderator at a place; now for `None`."""
        return self.ruling.may_moderate(identity, place)

    def may_remove(self, identity: bytes) -> bool:
        """Whether we may end somebody's part in the room."""
        return identity != self._me and self.may_moderate(self._me) and self.ruling.outranks(self._me, identity)

    @property
    def read_only(self) -> str | None:
        """Why nobody would see what we write, in one sentence; `None` if we may write."""
        if self._me in self.ruling.removed:
            return REMOVED
        return None if self.ruling.may_write(self._me) else READ_ONLY

    async def check_writer(self) -> None:
        """Raise `UsageError` if nobody would see what we write; that we were let in may come just after the room."""
        ruled = asyncio.Event()
        self._session.on("taken", notify := lambda _: ruled.set())
        try:
            async with asyncio.timeout_at(max(self._loop.time(), self._opened + ADMITTED_WITHIN)):
                while self.read_only == READ_ONLY:
                    ruled.clear()
                    await ruled.wait()
        except TimeoutError:
            pass
        finally:
            self._session.remove_listener("taken", notify)
        if self.read_only:
            raise UsageError(self.read_only)

    async def publish(self, body: blocks.Body, channel: str = "") -> BlockRow:
        """Write what all members are to see. Raises `UsageError` if nobody would."""
        await self.check_writer()
        [row] = await self._session.write([body], channel=channel)
        return row

    async def check_invite(self, role: str) -> None:
        """Raise `UsageError` if an invite of ours with this role would let nobody in."""
        if role not in (WRITER, READER):
            raise UsageError(f"The role of an invite is {WRITER!r} or {READER!r}, not {role!r}.")
        await self.check_writer()
        limited = self.ruling.writers is not None
        if role == READER and not limited:
            raise UsageError('Everybody in this room writes: only one made with writers="admitted" has readers.')
        if role == WRITER and limited and not self.may_moderate(self._me):
            raise UsageError(
                'The founder and the moderators decide who writes here: make an invite with role="reader".'
            )

    def is_cut(self, feed: FeedRow, seq: int) -> bool:
        """Whether a block is above the length at which its author was removed."""
        cut = self.ruling.cut_of(feed)
        return cut is not None and seq >= cut

    def hidden(self, identity: bytes, id: str) -> str | None:
        """Why a message is not to be shown, in one sentence; `None` if it is."""
        if identity in self.choices.blocked:
            return "You have blocked who wrote this."
        if identity in self.choices.muted:
            return MUTED
        if id in self.choices.hidden:
            return "You have hidden this."
        if not self.choices.ignores_moderators:
            for reason in (self.ruling.hidden_messages.get(id), self.ruling.hidden_members.get(identity)):
                if reason is not None:
                    return f"Hidden by a moderator: {reason}" if reason else "Hidden by a moderator."
        return None

    def refuses(self, identity: bytes) -> bool:
        """Whether the devices of somebody are not spoken with in this room."""
        return identity in self.choices.blocked or identity in self.ruling.removed

    async def mute(self, identity: bytes, on: bool) -> None:
        """Keep that somebody is muted."""
        self._check_other(identity)
        await self._choose(muted=_with(self.choices.muted, identity, on))
        self.enforce()

    async def block(self, identity: bytes, on: bool) -> None:
        """Keep that somebody is blocked."""
        self._check_other(identity)
        await self._choose(blocked=_with(self.choices.blocked, identity, on))
        self.enforce()

    async def hide_message(self, id: str, on: bool, reason: str) -> None:
        """Hide a message, for all if we may."""
        if self.may_moderate(self._me):
            await self._session.write([blocks.HideBody(to=id, hide=on, reason=reason)])
        else:
            await self._choose(hidden=_with(self.choices.hidden, id, on))

    async def hide_member(self, identity: bytes, on: bool, reason: str) -> None:
        """Hide all that somebody writes, for all."""
        self._check_outranks(identity)
        await self._session.write([blocks.HideBody(member=z32encode(identity), hide=on, reason=reason)])

    async def remove(self, identity: bytes) -> None:
        """Cut the feeds of somebody off where they are now."""
        self._check_outranks(identity)
        cut = {
            short_id(feed.key): max(feed.next, feed.high)
            for feed in self._session.feeds.members
            if feed.identity == identity
        }
        await self._session.write([blocks.RemoveBody(z32encode(identity), cut)])

    async def admit(self, identity: bytes) -> None:
        """Let somebody in again who was removed, or write who may only read."""
        if not self.may_moderate(self._me):
            raise UsageError("Only the founder and the moderators of a room let somebody in.")
        await self._session.write([blocks.AdmitBody(z32encode(identity))])

    async def appoint(self, identity: bytes, on: bool) -> None:
        """Make somebody a moderator, or no longer."""
        if self.ruling.founder != self._me:
            raise UsageError("Only the founder of a room appoints its moderators.")
        self._check_other(identity)
        await self._session.write([blocks.RoleBody(z32encode(identity), MODERATOR if on else "")])

    async def quiet(self, on: bool) -> None:
        """Show no counts of what is new, or show them."""
        await self._choose(quiet=on)

    async def follow(self, on: bool) -> None:
        """Hide what the moderators hide, or do not."""
        await self._choose(ignores_moderators=not on)

    def enforce(self) -> None:
        """Fetch no more of those who are blocked or removed, disconnect their devices, and ignore who is muted."""
        self._session.feeds.ignore(frozenset((*self.choices.muted, *self.choices.blocked)))
        limits: dict[bytes, int] = {}
        for feed in self._session.feeds.members:
            if feed.identity in self.choices.blocked:
                limits[feed.key] = 0
            elif feed.identity not in self.ruling.authorities and (cut := self.ruling.cut_of(feed)) is not None:
                limits[feed.key] = cut
        self._session.feeds.limit(limits)
        for peer in tuple(self._session.peers):
            identities = self._identities(peer)
            if identities & set(self.choices.blocked):
                self._disconnect(peer)
            elif identities & set(self.ruling.removed) and peer not in self._leaving:
                self._leaving.add(peer)
                self._tasks.start(self._disconnect_soon(peer), "disconnecting somebody who was removed")

    async def _disconnect_soon(self, peer: RoomPeer) -> None:
        try:
            await asyncio.sleep(FAREWELL)
        finally:
            self._leaving.discard(peer)
        if peer in self._session.peers and any(map(self.refuses, self._identities(peer))):
            self._disconnect(peer)

    def _disconnect(self, peer: RoomPeer) -> None:
        peer.close()
        # Cores that it copies already would go on: only the end of the connection ends that.
        reason = PeerRefused("Whose device this is was removed from a room, or is blocked there.")
        self._tasks.start(peer.channels.connection.close(reason), "disconnecting a device that is refused")

    def _identities(self, peer: RoomPeer) -> set[bytes]:
        members = self._session.feeds.members
        return {feed.identity for feed in members if feed.device == peer.device and feed.identity}

    async def close(self) -> None:
        """Stop."""
        await self._tasks.cancel()

    @property
    def _me(self) -> bytes:
        return self._session.identity.public_key

    async def _choose(self, **changes: object) -> None:
        choices = msgspec.structs.replace(self.choices, **changes)
        if max(map(len, (choices.muted, choices.blocked, choices.hidden))) > MAX_CHOICES:
            raise UsageError(f"You have hidden {MAX_CHOICES:,} things in this room, the most there can be.")
        await self._keep(choices)
        self.choices = choices
        self.emit("update")

    def _check_other(self, identity: bytes) -> None:
        if identity == self._me:
            raise UsageError("This is you: choose somebody else.")

    def _check_outranks(self, identity: bytes) -> None:
        self._check_other(identity)
        if not self.may_moderate(self._me):
            raise UsageError("Only the founder and the moderators of a room can do this.")
        if not self.ruling.outranks(self._me, identity):
            raise UsageError("Nobody acts on the founder of a room, and only the founder on its moderators.")


def _with(chosen: tuple[T, ...], one: T, on: bool) -> tuple[T, ...]:
    return (*[other for other in chosen if other != one], *([one] if on else []))
