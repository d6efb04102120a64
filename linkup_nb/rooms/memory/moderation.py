"""Who may do what in a room: its founder, its moderators, whom they removed and what they hid.

Sans-IO, and a function of the blocks alone, in the order of the room: all who have the same blocks come to the same.
An action counts if its author had the role at its place. Only the founder appoints, and nobody acts on the founder; a
moderator does not act on another: so no two removals cancel each other. A block at or above the length at which its
author was cut off counts for nothing. In a room for admitted writers, of all others nothing but the hello is shown.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeVar

from linkup_nb.rooms.memory.block import (
    AdmitBody,
    Body,
    HideBody,
    InviteMadeBody,
    InviteUsedBody,
    Kind,
    RemoveBody,
    RoleBody,
    RoomBody,
)
from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.rows import FeedRow, Place
from linkup_nb.rooms.memory.writers import WRITER, Writers
from linkup_nb.wire.keys import z32decode

ROLES = (Kind.ROOM, Kind.ROLE)
ACTIONS = (*ROLES, Kind.ADMIT, Kind.REMOVE, Kind.HIDE)
ADMISSIONS = (Kind.INVITE, Kind.USED)  # these matter where only those who were admitted may write
MAX_ACTIONS = 10_000  # of a room that count, the first ones in its order: each change of them is judged anew
MODERATOR = "moderator"

T = TypeVar("T")

_FOUNDER, _MODERATOR, _MEMBER = 2, 1, 0


class ModeratorAction(NamedTuple):
    """A block of one who has, or had, a role: its place, the id of its feed, its author, and what it says."""

    place: Place
    feed: str
    author: bytes
    body: Body | None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the founder and the moderators have come to. All keys are identities, but for the ids of messages."""

    founder: bytes | None = None
    terms: Mapping[bytes, tuple[tuple[Place, bool], ...]] = field(default_factory=dict)
    """Of all who have ever been moderators, from which place on they were, or were no more."""
    removed: Mapping[bytes, tuple[Mapping[str, int], ...]] = field(default_factory=dict)
    """Whom, and the cuts of each removal, by feed id."""
    hidden_members: Mapping[bytes, str] = field(default_factory=dict)
    """Whose messages are hidden, and the reason that was given."""
    hidden_messages: Mapping[str, str] = field(default_factory=dict)
    writers: frozenset[bytes] | None = None
    """Who may write besides the founder; `None` if everybody may."""

    @property
    def authorities(self) -> frozenset[bytes]:
        """Who has, or ever had, a role: their feeds are always fetched, for what they did counts at its place."""
        return frozenset(self.terms) | ({self.founder} if self.founder else frozenset())

    @property
    def moderators(self) -> tuple[bytes, ...]:
        """Who is a moderator now."""
        return tuple(key for key, terms in self.terms.items() if terms[-1][1])

    def may_moderate(self, identity: bytes, place: Place | None = None) -> bool:
        """Whether an identity is the founder, or a moderator at a place; now for `None`."""
        if identity == self.founder:
            return True
        held = [on for start, on in self.terms.get(identity, ()) if place is None or start <= place]
        return bool(held and held[-1])

    def outranks(self, identity: bytes, other: bytes) -> bool:
        """Whether an identity may remove or hide another one now."""
        return self._rank(identity) > self._rank(other)

    def may_write(self, identity: bytes) -> bool:
        """Whether what an identity writes is shown: it was not removed, and is a writer where not everybody is."""
        admitted = self.writers is None or identity == self.founder or identity in self.writers
        return admitted and identity not in self.removed

    def cut_of(self, feed: FeedRow) -> int | None:
        """From which block on nothing of a feed is shown; `None` for one that is not cut. Its hello always stands."""
        if feed.identity is None or self.may_write(feed.identity):
            return None
        id = short_id(feed.key)
        return max(1, min((cut.get(id, 0) for cut in self.removed.get(feed.identity, ())), default=1))

    def _rank(self, identity: bytes) -> int:
        if identity == self.founder:
            return _FOUNDER
        return _MODERATOR if self.may_moderate(identity) else _MEMBER


def _nobody_else(identity: bytes) -> Iterable[ModeratorAction]:
    return ()


def judge(
    actions: Iterable[ModeratorAction],
    founder: bytes | None,
    used_by: Callable[[bytes], Iterable[ModeratorAction]] = _nobody_else,
) -> Ruling:
    """What these actions come to in the order of the room.

    `used_by` is asked for each identity that is admitted by an invite: whom it has let in itself, if that is not among
    `actions`.
    """
    if founder is None:
        return Ruling()
    judging = _Judging(founder)
    waiting = [(action.place, action) for action in actions]
    heapify(waiting)
    while waiting:
        place, action = heappop(waiting)
        if admitted := judging.take(action):
            for used in used_by(admitted):
                if used.place > place:
                    heappush(waiting, (used.place, used))
    writers = judging.writers
    return Ruling(
        founder,
        {key: tuple(terms) for key, terms in judging.terms.items()},
        {key: tuple(cuts) for key, cuts in judging.removed.items()},
        judging.hidden_members,
        judging.hidden_messages,
        frozenset(writers.admitted) if writers.limited else None,
    )


class _Judging:
    def __init__(self, founder: bytes) -> None:
        self._founder = founder
        self.terms: dict[bytes, list[tuple[Place, bool]]] = {}
        self.removed: dict[bytes, list[Mapping[str, int]]] = {}
        self.hidden_members: dict[bytes, str] = {}
        self.hidden_messages: dict[str, str] = {}
        self.writers = Writers()

    def take(self, action: ModeratorAction) -> bytes | None:
        """Let an action count, if its author may; the identity that it admits by an invite, if that is new."""
        author, rank = action.author, self._rank(action.author)
        if self._is_cut(action):
            return None
        match action.body:
            case InviteUsedBody() as used if rank > _MEMBER or author in self.writers.admitted:
                return self.writers.used(author, used)
            case InviteMadeBody(revoked=True) as invite:
                self.writers.revoked(author, invite, moderates=rank > _MEMBER)
            case body if rank > _MEMBER:
                self._moderate(action, body, rank)
        return None

    def _moderate(self, action: ModeratorAction, body: Body | None, rank: int) -> None:
        match body:
            case RoomBody(writers=writers) if rank == _FOUNDER:
                self.writers.found(writers)
            case InviteMadeBody() as invite:
                self.writers.made(action.author, invite)
            case RoleBody(member=member, role=role):
                if rank == _FOUNDER and z32decode(member) != self._founder:
                    self._appoint(z32decode(member), action.place, role == MODERATOR)
            case RemoveBody(member=member, cut=cut):
                if rank > self._rank(z32decode(member)):
                    self.removed.setdefault(z32decode(member), []).append(cut)
            case AdmitBody(member=member, role=role):
                self.removed.pop(z32decode(member), None)
                if role == WRITER:
                    self.writers.admitted.add(z32decode(member))
            case HideBody(member=str(member), hide=hide, reason=reason):
                if rank > self._rank(z32decode(member)):
                    _set(self.hidden_members, z32decode(member), reason if hide else None)
            case HideBody(to=str(to), hide=hide, reason=reason):
                _set(self.hidden_messages, to, reason if hide else None)

    def _appoint(self, member: bytes, place: Place, on: bool) -> None:
        if on:
            self.removed.pop(member, None)
            self.writers.admitted.add(member)
        elif member not in self.terms:
            return
        self.terms.setdefault(member, []).append((place, on))

    def _rank(self, identity: bytes) -> int:
        if identity == self._founder:
            return _FOUNDER
        terms = self.terms.get(identity)
        return _MODERATOR if terms and terms[-1][1] else _MEMBER

    def _is_cut(self, action: ModeratorAction) -> bool:
        seq = action.place[2]
        return any(seq >= cut.get(action.feed, 0) for cut in self.removed.get(action.author, ()))


def _set(hidden: dict[T, str], key: T, reason: str | None) -> None:
    if reason is None:
        hidden.pop(key, None)
    else:
        hidden[key] = reason
