"""What the members of a room send each other besides feeds: who is here, who is typing, and what has been read.

It also gathers who holds one's own messages, which needs no message: the feeds' own replication says so.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from linkup_nb.errors import LinkupError
from linkup_nb.loops import Events, Tasks, Timers
from linkup_nb.rooms.memory.arrivals import Taken
from linkup_nb.rooms.memory.delivery import Delivery, read_lengths
from linkup_nb.rooms.memory.feeds import RoomFeeds
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.keys import tie_of, tie_of_id
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.presence import PRESENCE_EVERY, TYPING_EVERY, TYPING_LIFE, Presences
from linkup_nb.rooms.memory.rows import FeedRow, State
from linkup_nb.wire import rooms as wire
from linkup_nb.wire.rooms import PresenceState

PRESENCE_GAP = 1.0  # seconds at least between two presences, which others take one a second of
READ_GAP = 2.0  # seconds at least between two messages of read marks
GATHER = 0.05  # seconds for which changes of delivery are gathered
SAVE_DELAY = 1.0  # seconds until what is known of the delivery is saved: it would be learned again
MAX_DELIVERIES = 50  # messages of a feed whose delivery is reported at once: older ones say theirs when looked at

T = TypeVar("T")


class Hosting(Protocol):
    """What is needed of the session."""

    peers: set[RoomPeer]
    feeds: RoomFeeds
    index: Index
    clock: Callable[[], int]

    async def on_index(self, work: Callable[[], T]) -> T:
        """Do something on the thread that writes the index."""


class Exchange(Events):
    """Presence, typing, read marks and delivery of one room.

    Emits `delivery` (a BlockRow of one's own that more people have, or have read), `typing`, `read` when
    another device of one's own has read something, and `here` when somebody has come or gone.
    """

    def __init__(self, session: Hosting, me: bytes, *, share_reads: bool = True, away: bool = False) -> None:
        super().__init__(asyncio.get_running_loop())
        self.presences = Presences()
        self.delivery = Delivery(me)
        self._session = session
        self._me = me
        self._share_reads = share_reads
        self._away = away
        self._announced: dict[RoomPeer, dict[int, int]] = {}  # read lengths that a peer has been sent
        self._marks: dict[bytes, dict[int, int]] = {}  # that a connected device has sent
        self._grown: dict[int, tuple[int, int]] = {}
        self._presence_at = self._read_at = self._typing_at = float("-inf")
        self._typing_in = ""
        self._shown: tuple[object, ...] = ()
        self._timers = Timers()
        self._tasks = Tasks()
        self.seen: dict[int, float] = {}
        """When members were last here, in seconds since 1970, by their feeds."""

    async def open(self) -> None:
        """Take over what is known, and follow the feeds from now on; before any of them is open."""
        self.delivery = Delivery(self._me, await self._session.on_index(self._session.index.held))
        feeds = self._session.feeds
        for row in feeds.members:
            self.delivery.introduce(row)
        feeds.on("follow", self._followed)
        feeds.on("feed", self._introduced)
        feeds.on("taken", self._taken)

    async def close(self) -> None:
        """Say that we go, and save what is known. Nobody else writes the index any more."""
        self._timers.close()
        await self._tasks.cancel()
        self._save_now()

    def leave(self) -> None:
        """Let those who are connected know that we go."""
        for peer in self._session.peers:
            peer.send(wire.Presence(PresenceState.GONE, ()))

    def set_away(self, away: bool) -> None:
        """Let the others know that nobody looks here, or that somebody does again."""
        if away != self._away:
            self._away = away
            self.presence_changed()

    @property
    def share_reads(self) -> bool:
        """Whether others see what we have read, and we what they have."""
        return self._share_reads

    @share_reads.setter
    def share_reads(self, share: bool) -> None:
        self._share_reads = share
        self._announced.clear()
        self.reading_changed()

    # Peers

    def proven(self, peer: RoomPeer) -> None:
        """A peer has proven to know the room."""
        self.presences.connected(peer.device)
        self._look()
        self.presence_changed()
        self.reading_changed()

    def gone(self, peer: RoomPeer) -> None:
        """A peer has left; the same device may still be connected by another connection."""
        self._announced.pop(peer, None)
        if any(other.device == peer.device for other in self._session.peers):
            return
        self._look()
        self.presences.gone(peer.device)
        self._marks.pop(peer.device, None)
        self._look()
        self._typing_changed()
        self.presence_changed()

    def received(self, peer: RoomPeer, message: wire.Message) -> None:
        """A peer has sent a presence, that somebody is typing, or read marks."""
        now = self._loop.time()
        match message:
            case wire.Presence(state, tags):
                self.presences.presence(peer.device, state, frozenset(map(tie_of, tags)), now)
                self._look()
            case wire.Typing(channel, seconds):
                self.presences.typing(peer.device, channel, seconds, now)
                self._typing_changed()
            case wire.Read(lengths):
                self._read(peer, {tie_of(tag): length for tag, length in lengths})

    # Presence

    def here(self) -> frozenset[int]:
        """The feeds of those who are here."""
        devices = self.presences.devices()
        connected = {row.tie for row in self._session.feeds.members if row.device in devices}
        return self.presences.named(self._loop.time()) | connected

    def presence_changed(self) -> None:
        """Send a presence, soon, and then every `PRESENCE_EVERY` seconds."""
        self._timers.cancel("again")
        self._timers.start(
            "presence", max(0.0, self._presence_at + PRESENCE_GAP - self._loop.time()), self._send_presence
        )

    def _send_presence(self) -> None:
        self._presence_at = self._loop.time()
        devices = self.presences.devices()
        state = PresenceState.AWAY if self._away else PresenceState.HERE
        tags = [row.key[: wire.TAG_SIZE] for row in self._session.feeds.members if row.device in devices]
        for peer in self._session.peers:
            peer.send(wire.Presence(state, tuple(tags[: wire.MAX_FEED_KEYS])))
        self._look()
        self._timers.start("again", PRESENCE_EVERY, self._send_presence)

    def _look(self) -> None:
        """Whether others are here than were shown last."""
        here = self.here()
        self.seen.update(dict.fromkeys(here, self._session.clock() / 1e6))
        if self._shown != (here,):
            self._shown = (here,)
            self.emit("here")

    # Typing

    def set_typing(self, channel: str) -> None:
        """Let the others know that we are typing, at most once in `TYPING_EVERY` seconds for a channel."""
        now = self._loop.time()
        if channel == self._typing_in and now < self._typing_at + TYPING_EVERY:
            return
        # A change of channel, too, is no reason for more than the others take.
        if now < self._typing_at + 1:
            return
        self._typing_at, self._typing_in = now, channel
        for peer in self._session.peers:
            peer.send(wire.Typing(channel, TYPING_LIFE))

    def typists(self) -> dict[bytes, str]:
        """The identities who are typing, and in which channel."""
        found = self.presences.typists(self._loop.time())
        named = {self.delivery.identity(device): channel for device, channel in found.items()}
        return {who: channel for who, channel in named.items() if who not in (None, self._me) and who is not None}

    def _typing_changed(self) -> None:
        self.emit("typing")
        if self.presences.typists(self._loop.time()):
            self._timers.start("typing", TYPING_LIFE, self._typing_changed)

    # Delivery

    def _followed(self, key: bytes) -> None:
        core = self._session.feeds.core(key)
        if core is not None:
            core.on("held", partial(self._device_has, tie_of(key)))

    def _introduced(self, feed: FeedRow) -> None:
        self.delivery.introduce(feed)
        self._look()
        self.presence_changed()
        for row in self._session.feeds.members:
            core = self._session.feeds.core(row.key) if self.delivery.is_own(row.tie) else None
            for device, length in core.held.items() if core is not None else ():
                self._device_has(row.tie, device, length)
        for device, marks in self._marks.items():
            if feed.device == device or self.delivery.is_own(feed.tie):
                self._apply(device, marks)

    def _device_has(self, tie: int, device: bytes, length: int) -> None:
        self._more(tie, self.delivery.held(device, tie, length))

    def _taken(self, taken: Taken) -> None:
        feeds = self._session.feeds
        for key in taken.introduced:
            self.delivery.introduce(feeds.by_tie(tie_of(key)))
        stopped = False
        for row in taken.rows:
            device = feeds.by_tie(row.tie).device
            if device is None:
                continue
            if row.heads and not row.state & State.REFUSED:
                for id, length in msgspec.json.decode(row.heads).items():
                    tie = tie_of_id(id)
                    if self.delivery.is_own(tie):
                        self._device_has(tie, device, min(length, _length(feeds.by_tie(tie))))
            stopped |= row.arrival is not None and self.presences.stopped(device)
        if stopped:
            self._typing_changed()
        ties = {row.tie for row in taken.rows}
        for device, marks in self._marks.items():
            if new := {tie: marks[tie] for tie in ties & marks.keys()}:
                self._apply(device, new)
        self.reading_changed()

    def _more(self, tie: int, blocks: tuple[int, int] | None) -> None:
        if blocks:
            low, high = self._grown.get(tie, blocks)
            self._grown[tie] = (min(low, blocks[0]), max(high, blocks[1]))
            self._timers.start("grown", GATHER, self._report)
            self._timers.start("save", SAVE_DELAY, lambda: self._run(self._save()))

    def _report(self) -> None:
        grown, self._grown = self._grown, {}
        for tie, (start, end) in grown.items():
            for row in reversed(self._session.index.said_of(tie, start, end, MAX_DELIVERIES)):
                self.emit("delivery", row)

    async def _save(self) -> None:
        await self._session.on_index(partial(self._session.index.save_held, self.delivery.unsaved()))

    def _save_now(self) -> None:
        try:
            self._session.index.save_held(self.delivery.unsaved())
        except LinkupError:
            return  # it is learned again

    # Reading

    def reading_changed(self) -> None:
        """Something was read, or has come: let the others know, soon."""
        delay = max(GATHER, self._read_at + READ_GAP - self._loop.time())
        self._timers.start("read", delay, lambda: self._run(self._send_reads()))

    async def _send_reads(self) -> None:
        self._read_at = self._loop.time()
        peers = [peer for peer in self._session.peers if self._shares_with(peer)]
        if not peers:
            return
        tags, lengths = await self._session.on_index(self._read_here)
        for peer in peers:
            known = self._announced.setdefault(peer, {})
            new = {tie: length for tie, length in lengths.items() if length > known.get(tie, 0)}
            if new and peer in self._session.peers:
                known.update(new)
                peer.send(wire.Read(tuple((tags[tie], length) for tie, length in new.items())))

    def _read_here(self) -> tuple[dict[int, bytes], dict[int, int]]:
        """The tags of feeds and how much of each is read: on the thread of the index, where nothing is half written."""
        rows = self._session.feeds.members
        lengths = read_lengths(rows, self._session.index.first_unread(), self._me)
        return {row.tie: row.key[: wire.TAG_SIZE] for row in rows}, lengths

    def _shares_with(self, peer: RoomPeer) -> bool:
        own = self.delivery.identity(peer.device) == self._me
        return own or (self._share_reads and bool(peer.flags & wire.SHARES_READ_MARKS))

    def _read(self, peer: RoomPeer, lengths: dict[int, int]) -> None:
        known = self._marks.setdefault(peer.device, {})
        for tie, length in lengths.items():
            if tie in known or len(known) < wire.MAX_FEED_KEYS:  # of feeds that are not known here yet, too
                known[tie] = max(known.get(tie, 0), length)
        self._apply(peer.device, known)

    def _apply(self, device: bytes, marks: dict[int, int]) -> None:
        identity = self.delivery.identity(device)
        if identity == self._me:
            self._run(self._take_own(dict(marks)))
        elif identity is not None and self._share_reads:
            for tie, length in marks.items():
                if self.delivery.is_own(tie):  # and so known here
                    limit = _length(self._session.feeds.by_tie(tie))
                    self._more(tie, self.delivery.read(device, tie, min(length, limit)))

    async def _take_own(self, marks: dict[int, int]) -> None:
        """Another device of one's own has read something: so have we."""
        if await self._session.on_index(partial(self._session.index.mark_read_below, list(marks.items()))):
            self.emit("read")
            self.reading_changed()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(work, "keeping what is delivered and read")


def _length(feed: FeedRow) -> int:
    return max(feed.next, feed.high)
