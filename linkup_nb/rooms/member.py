"""The people in a room, as far as this node knows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from linkup_nb.discovery.protocol import PeerInfo, PeerStatus
from linkup_nb.rooms.names import look
from linkup_nb.wire.keys import short_key

MAX_MEMBERS = 256  # people of one room that are remembered
MAX_LOOKS = 1024  # looks of names in one room that are remembered, to see when a second person uses one


def milliseconds(seconds: float | None) -> str:
    """A round-trip time as people read it: "0.02 ms", "38.0 ms", "250 ms"; nothing while it is not known."""
    if seconds is None:
        return ""
    digits = 2 if seconds < 0.0001 else 1 if seconds < 0.1 else 0
    return f"{seconds * 1000:.{digits}f} ms"


class MemberStatus(StrEnum):
    """Whether a member can be talked to."""

    HERE = "here"
    CONNECTING = "connecting"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody else in a room.

    `name` is the one they have chosen, or their short key while that is not known; `shared_name` is true when two
    people of the room have used it. `avatar` is a PNG or JPEG made here, or `None`. `rtt` is in seconds. `last_seen` is
    when they were last here or wrote something, as far as is known; LinkUp's rooms do not know. `faults` says what is
    wrong with what they wrote into a room with memory, one sentence or two each.
    """

    name: str
    key: bytes
    status: MemberStatus
    avatar: bytes | None = None
    rtt: float | None = None
    shared_name: bool = False
    last_seen: datetime | None = None
    faults: tuple[str, ...] = ()

    @property
    def here(self) -> bool:
        """Whether they are here now."""
        return self.status is MemberStatus.HERE

    @property
    def short_key(self) -> str:
        """The ends of the key, to tell two people of one name apart."""
        return short_key(self.key)

    @property
    def label(self) -> str:
        """The name, with the short key where the name alone could be somebody else's."""
        return f"{self.name} ({self.short_key})" if self.shared_name else self.name

    def __repr__(self) -> str:
        return f"<Member {self.name!r} ({self.short_key}), {self.status.value}>"


@dataclass(slots=True)
class _Person:
    name: str
    avatar: bytes | None = None


class Members:
    """What is remembered of the people in one room: names, avatars, and which names two of them have used."""

    def __init__(self) -> None:
        self._people: dict[bytes, _Person] = {}
        self._looks: dict[str, set[bytes]] = {}

    def update(self, key: bytes, name: str | None = None, avatar: bytes | None = None) -> bool:
        """Remember a member's name and avatar, `None` for one that is not new; returns whether anything changed."""
        known = self._people.pop(key, None)
        before = known and (known.name, known.avatar)
        person = self._people[key] = known or _Person(short_key(key))  # last in the order of who is forgotten first
        _limit(self._people, MAX_MEMBERS)
        if name is not None:
            self.add_name(key, name)
            person.name = name
        person.avatar = avatar or person.avatar
        return before != (person.name, person.avatar)

    def add_name(self, key: bytes, name: str) -> None:
        """Remember that this key, which may be ours, uses a name."""
        users = self._looks.setdefault(look(name), set())
        if len(users) < 2:  # two are enough to know that the name is shared
            users.add(key)
        _limit(self._looks, MAX_LOOKS)

    def shares(self, name: str) -> bool:
        """Whether two people of the room have used this name, or one that looks like it."""
        return len(self._looks.get(look(name), ())) > 1

    def snapshot(self, peers: Iterable[PeerInfo]) -> tuple[Member, ...]:
        """Every known member, and the `peers` on the topic now: the connected ones first, each group by name."""
        now = {peer.public_key: peer for peer in peers}
        for key, peer in now.items():
            if _STATUS[peer.status] is MemberStatus.HERE:
                self.update(key)
        members = [self._member(key, person, now.get(key)) for key, person in self._people.items()]
        # Whoever was announced but never reached may not exist: shown while we try, not remembered.
        tried = [peer for key, peer in now.items() if key not in self._people and peer.status in _TRYING]
        members += [self._member(peer.public_key, _Person(short_key(peer.public_key)), peer) for peer in tried]
        members.sort(key=lambda member: (_ORDER[member.status], member.name.casefold(), member.key))
        return tuple(members[:MAX_MEMBERS])

    def _member(self, key: bytes, person: _Person, peer: PeerInfo | None) -> Member:
        status = _STATUS[peer.status] if peer else MemberStatus.AWAY
        rtt = peer.rtt if peer else None
        return Member(person.name, key, status, person.avatar, rtt, self.shares(person.name))


def _limit(entries: dict[Any, Any], most: int) -> None:
    while len(entries) > most:
        del entries[next(iter(entries))]


_ORDER = {MemberStatus.HERE: 0, MemberStatus.CONNECTING: 1, MemberStatus.AWAY: 2}
_STATUS = {
    PeerStatus.DISCOVERED: MemberStatus.CONNECTING,
    PeerStatus.CONNECTING: MemberStatus.CONNECTING,
    PeerStatus.CONNECTED: MemberStatus.HERE,
    PeerStatus.WAITING: MemberStatus.AWAY,
    PeerStatus.FAILED: MemberStatus.AWAY,
}
_TRYING = (PeerStatus.DISCOVERED, PeerStatus.CONNECTING)
