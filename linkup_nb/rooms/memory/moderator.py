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
from linkup_nb.rooms.memory.rows import FeedRow, Place
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.wire.keys import z32encode

T = TypeVar("T")

FAREWELL = 2.0  # seconds in which somebody who was removed can still hear of that
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

    def is_cut(self, feed: FeedRow, seq: int) -> bool:
        """Whether a block is above the length at which its author was removed."""
        cut = self.ruling.cut_of(feed)
        return cut is not None and seq >= cut

    def hidden(self, identity: bytes, id: str) -> str | None:
        """Why a message is not to be shown, in one sentence; `None` if it is."""
        if identity in self.choices.blocked:
            return "You have blocked who wrote this."
        if identity in self.choices.muted:
            return "You have muted who wrote this."
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
            await self._session.write([blocks.Hide(to=id, hide=on, reason=reason)])
        else:
            await self._choose(hidden=_with(self.choices.hidden, id, on))

    async def hide_member(self, identity: bytes, on: bool, reason: str) -> None:
        """Hide all that somebody writes, for all."""
        self._check_outranks(identity)
        await self._session.write([blocks.Hide(member=z32encode(identity), hide=on, reason=reason)])

    async def remove(self, identity: bytes) -> None:
        """Cut the feeds of somebody off where they are now."""
        self._check_outranks(identity)
        cut = {
            short_id(feed.key): max(feed.next, feed.high)
            for feed in self._session.feeds.members
            if feed.identity == identity
        }
        await self._session.write([blocks.Remove(z32encode(identity), cut)])

    async def admit(self, identity: bytes) -> None:
        """Let somebody in again who was removed."""
        if not self.may_moderate(self._me):
            raise UsageError("Only the founder and the moderators of a room let somebody in again.")
        await self._session.write([blocks.Admit(z32encode(identity))])

    async def appoint(self, identity: bytes, on: bool) -> None:
        """Make somebody a moderator, or no longer."""
        if self.ruling.founder != self._me:
            raise UsageError("Only the founder of a room appoints its moderators.")
        self._check_other(identity)
        await self._session.write([blocks.Role(z32encode(identity), MODERATOR if on else "")])

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
