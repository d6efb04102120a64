"""The limited invites of one room: what its feeds say of them, and whether one is still good.

No loop and no clock: blocks come in, answers go out. Two members who have not heard of each other may answer
differently, for each goes by what is here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from linkup_nb.errors import UsageError
from linkup_nb.rooms.memory.block import Body, InviteMadeBody, InviteUsedBody
from linkup_nb.rooms.memory.qr import QrCode
from linkup_nb.rooms.memory.rows import Place
from linkup_nb.wire.blind_pairing import PairingStatus, invite_id
from linkup_nb.wire.keys import z32decode

MAX_INVITES = 100  # of one identity in a room that count: what a member can make the others remember
MAX_STATEMENTS = 2_000  # blocks of one identity that use or revoke invites and count, likewise
MAX_USES = 1_000  # of one invite that are remembered, and the most that it can be made for
MAX_EXPIRES = 2**32 - 1  # seconds since 1970, as the invite holds it: in 2106

_DURATION = re.compile(r"(\d{1,5})\s*(m|h|d|w)", re.IGNORECASE)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(slots=True)
class _Invite:
    """What the first block about an invite says, and what came of it."""

    place: Place
    maker: bytes
    terms: InviteMadeBody


class InviteOrigin(Protocol):
    """What an invite needs of its room."""

    async def revoke(self, invite: "LimitedInvite") -> None:
        """End it."""


@dataclass(frozen=True, slots=True, repr=False)
class LimitedInvite:
    """An invite that ends, as it was known when you asked: `room.create_invite` makes it, `room.invites` are all.

    `link` is the word to send. Only who makes an invite has it, and only then: it is kept nowhere. `maker` and
    `used_by` are identities, `uses` is how many may come in by it, `None` for any number. Who comes by one with the
    `role` "reader" does not write, where the founder has made the room so.
    """

    id: bytes
    maker: bytes
    expires: datetime | None
    uses: int | None
    used_by: frozenset[bytes]
    revoked: bool
    role: str
    origin: InviteOrigin
    link: str | None = None

    def __repr__(self) -> str:
        # Never the word: reprs end in notebooks.
        uses = f"{len(self.used_by)} of {self.uses}" if self.uses else f"{len(self.used_by)}"
        until = f", until {self.expires:%Y-%m-%d %H:%M} UTC" if self.expires else ""
        readers = ", to read only" if self.role == "reader" else ""
        return f"<LimitedInvite: {uses} came in by it{until}{readers}{'' if self.open else ', ended'}>"

    @property
    def open(self) -> bool:
        """Whether somebody can still come in by it, by the clock of this machine."""
        expired = self.expires is not None and self.expires <= datetime.now(UTC)
        return not self.revoked and not expired and (self.uses is None or len(self.used_by) < self.uses)

    async def revoke(self) -> None:
        """End it: members who hear of that let nobody else in by it; who is in already stays.

        Raises `UsageError` if it is another's, and you are no moderator.
        """
        await self.origin.revoke(self)

    def qr(self) -> QrCode:
        """The word as a QR code. Raises `UsageError` where the word is not known any more."""
        if self.link is None:
            raise UsageError("Only who has just made an invite can show it: make another one.")
        return QrCode(self.link)


class Invites:
    """Takes the blocks `invite` and `used` of a room in any order.

    `may_revoke` says whether an identity may end the invites of others at a place in the order; who made one always
    may.
    """

    def __init__(self, may_revoke: Callable[[bytes, Place], bool]) -> None:
        self.may_revoke = may_revoke
        self.clear()

    def clear(self) -> None:
        """Know nothing: what is here is taken anew."""
        self._invites: dict[bytes, _Invite] = {}
        self._ended: dict[bytes, dict[bytes, Place]] = {}
        self._used: dict[bytes, set[bytes]] = {}
        self._counts: dict[bytes, int] = {}
        self._statements: dict[bytes, int] = {}

    def take(self, place: Place, author: bytes, body: Body | None) -> bool:
        """A block has come; returns whether it makes a request answerable that was not."""
        if isinstance(body, InviteUsedBody) or (isinstance(body, InviteMadeBody) and body.revoked):
            statements = self._statements[author] = self._statements.get(author, 0) + 1
            if statements > MAX_STATEMENTS:
                return False
        match body:
            case InviteUsedBody():
                used = self._used.setdefault(z32decode(body.id), set())
                if len(used) < MAX_USES:
                    used.add(z32decode(body.identity))
            case InviteMadeBody(revoked=True):
                self._ended.setdefault(z32decode(body.id), {}).setdefault(author, place)
            case InviteMadeBody():
                return self._made(place, author, body)
        return False

    def _made(self, place: Place, author: bytes, body: InviteMadeBody) -> bool:
        id = z32decode(body.id)
        known = self._invites.get(id)
        if id != invite_id(z32decode(body.key)) or (known and known.place <= place):
            return False
        if not known:
            if self._counts.get(author, 0) >= MAX_INVITES:
                return False
            self._counts[author] = self._counts.get(author, 0) + 1
        self._invites[id] = _Invite(place, author, body)
        return True

    def all(self, origin: InviteOrigin) -> tuple[LimitedInvite, ...]:
        """All invites that are known, the first one first."""
        found = list(self._invites.items())  # at once, for this may be another thread
        found.sort(key=lambda item: item[1].place)
        return tuple(self._snapshot(id, invite, origin) for id, invite in found)

    def made_by(self, identity: bytes) -> int:
        """How many invites this identity has made here."""
        return self._counts.get(identity, 0)

    def public_key(self, id: bytes) -> bytes | None:
        """The key by which requests by this invite are opened; `None` if it is not known here."""
        invite = self._invites.get(id)
        return z32decode(invite.terms.key) if invite else None

    def has_used(self, id: bytes, identity: bytes) -> bool:
        """Whether somebody has come in by an invite before."""
        return identity in self._used.get(id, ())

    def check(self, id: bytes, identity: bytes, *, now: float) -> PairingStatus:
        """Whether an identity may come in by a known invite; `now` in seconds since 1970.

        Who has used it up may come again: the answer may have been lost.
        """
        invite = self._invites[id]
        terms, used = invite.terms, self._used.get(id, set())
        if self._is_revoked(id, invite):
            return PairingStatus.REJECTED
        if terms.expires is not None and now >= terms.expires:
            return PairingStatus.EXPIRED
        if identity not in used and len(used) >= min(terms.uses or MAX_USES, MAX_USES):
            return PairingStatus.USED
        return PairingStatus.CONFIRMED

    def _snapshot(self, id: bytes, invite: _Invite, origin: InviteOrigin) -> LimitedInvite:
        terms = invite.terms
        expires = datetime.fromtimestamp(min(terms.expires, MAX_EXPIRES), UTC) if terms.expires is not None else None
        used = frozenset(self._used.get(id, ()))
        return LimitedInvite(
            id, invite.maker, expires, terms.uses, used, self._is_revoked(id, invite), terms.role, origin
        )

    def _is_revoked(self, id: bytes, invite: _Invite) -> bool:
        ended = self._ended.get(id, {})
        return any(who == invite.maker or self.may_revoke(who, place) for who, place in ended.items())


def expiry(expires: datetime | timedelta | None, now: datetime) -> int | None:
    """When an invite ends, in seconds since 1970. Raises `UsageError` for a moment that has passed."""
    if expires is None:
        return None
    try:
        moment = int((now + expires if isinstance(expires, timedelta) else expires).timestamp())
    except OverflowError:
        moment = MAX_EXPIRES + 1
    if not now.timestamp() < moment <= MAX_EXPIRES:
        raise UsageError("An invite ends in the future, before 2106: choose another time.")
    return moment


def parse_duration(text: str) -> timedelta:
    """What was typed as "30m", "12h", "2d" or "1w". Raises `UsageError`."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise UsageError("An invite expires after a time like 30m, 12h, 2d or 1w: type one of these.")
    return timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
