"""Who is in a room with memory: the identities behind its feeds, what they call themselves, and who is here."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime

from linkup_nb.rooms.member import Member, MemberStatus
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import Kind
from linkup_nb.rooms.memory.faults import Fault
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow, State
from linkup_nb.rooms.names import look, stranger_name
from linkup_nb.wire.keys import short_key


class People:
    """Names and avatars by identity, the last ones in the order of the room."""

    def __init__(self) -> None:
        self._named: dict[bytes, tuple[int, str]] = {}
        self._avatars: dict[bytes, tuple[int, bytes]] = {}
        self._users: defaultdict[str, set[bytes]] = defaultdict(set)

    def load(self, index: Index, feeds: Iterable[FeedRow]) -> None:
        """Take over what the index knows, and nothing else."""
        self._named.clear()
        self._users.clear()
        identities = {feed.tie: feed.identity for feed in feeds}
        for kind in (Kind.HELLO, Kind.ICON):
            for row in index.latest(kind):
                self.take(row, identities.get(row.tie))

    def take(self, row: BlockRow, identity: bytes | None) -> None:
        """A hello or an icon has come."""
        if identity is None or row.body is None or row.state & (State.REFUSED | State.OUT_OF_ORDER):
            return
        _, body = blocks.decode(row.body).body()
        if isinstance(body, blocks.HelloBody | blocks.IconBody) and row.t >= self._named.get(identity, (0, ""))[0]:
            name = stranger_name(body.name, identity)
            self._named[identity] = (row.t, name)
            self._users[look(name)].add(identity)

    def set_avatar(self, identity: bytes, t: int, picture: bytes) -> None:
        """Show a picture, unless a later one is known."""
        if t >= self._avatars.get(identity, (0, b""))[0]:
            self._avatars[identity] = (t, picture)

    def keep_avatars(self, known: Mapping[bytes, int]) -> None:
        """Forget the pictures that are not of the icon with this t."""
        self._avatars = {key: shown for key, shown in self._avatars.items() if known.get(key) == shown[0]}

    def name(self, identity: bytes) -> str:
        """What somebody calls themselves; their short key if they have not said."""
        return self._named.get(identity, (0, short_key(identity)))[1]

    def avatar(self, identity: bytes) -> bytes | None:
        """The picture of somebody, made here from what they sent."""
        return self._avatars.get(identity, (0, None))[1] or None

    def shares(self, name: str) -> bool:
        """Whether two people of the room have used a name that looks like this."""
        return len(self._users.get(look(name), ())) > 1

    def members(
        self,
        feeds: Iterable[FeedRow],
        here: Container[int],
        seen: Mapping[int, float],
        me: bytes,
        now: float,
        faults: Iterable[Fault] = (),
    ) -> tuple[Member, ...]:
        """The others: those first of whom a feed is `here`, then by name; `seen` says when others were last here.

        That and `now` are in seconds since 1970.
        """
        found: dict[bytes, tuple[bool, float]] = {}
        for feed in feeds:
            if feed.identity is not None and feed.identity != me:
                is_here, last = found.get(feed.identity, (False, 0.0))
                last = max(last, seen.get(feed.tie, 0.0), min(max(feed.tau, feed.high_tau) / 1e6, now))
                found[feed.identity] = (is_here or feed.tie in here, last)
        wrong: defaultdict[bytes, tuple[str, ...]] = defaultdict(tuple)
        for fault in faults:
            wrong[fault.member] += (str(fault),)
        members = [self._member(key, *how, now, wrong[key]) for key, how in found.items()]
        return tuple(sorted(members, key=lambda one: (one.status is MemberStatus.AWAY, one.name.casefold(), one.key)))

    def _member(self, key: bytes, is_here: bool, last: float, now: float, faults: tuple[str, ...]) -> Member:
        status = MemberStatus.HERE if is_here else MemberStatus.AWAY
        seen = datetime.fromtimestamp(now if is_here else last, UTC)
        name = self.name(key)
        return Member(name, key, status, self.avatar(key), None, self.shares(name), seen, faults)
