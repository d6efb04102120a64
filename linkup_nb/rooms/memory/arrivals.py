"""What becomes of a block when it arrives: whether it is valid, its place, and what it changes.

The order of a room is by (t, feed key). A block of a feed has a place if it is a block at all and its t is above that
of the last one with a place before it; it is refused there if a block that it names is not before it. Whatever the
order in which blocks arrive, the same ones have a place, and the same ones are refused.

A feed is read in two ranges: from its beginning, and from somewhere near its end, so that a newcomer sees the newest
first. Where the ranges meet, the blocks of the second are judged again, up to the first that stays valid.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import CHANGES, LATEST, SAID, Body, Envelope, Kind, MalformedBlock
from linkup_nb.rooms.memory.hello import verify_hello
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.keys import RoomKeys, place_of, short_id, tie_of, tie_of_id
from linkup_nb.rooms.memory.moderation import ACTIONS, ADMISSIONS, Ruling
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow, Link, Missing, State
from linkup_nb.rooms.memory.ruling import read_ruling

MAX_AHEAD = 26 * 3600 * 1_000_000  # µs: the widest mistake in time zones
LATE = 60_000  # ms between writing and arrival from which a row above others is late
MAX_FEEDS = 512  # of a room
MAX_DEVICES = 8  # of an identity: nobody fills a room alone without inventing people, whom one sees


class Arrival(NamedTuple):
    """A block that is here: number `seq` of the feed with this key; `received` in ms."""

    feed: bytes
    seq: int
    block: bytes
    received: int


@dataclass(slots=True)
class Taken:
    """What a batch of arrivals has changed: new rows, and the (tie, seq) of older ones that look different now."""

    rows: list[BlockRow] = field(default_factory=list)
    changed: set[tuple[int, int]] = field(default_factory=set)
    introduced: list[bytes] = field(default_factory=list)
    """Keys of the feeds whose hello came."""
    ruled: bool = False
    """Somebody was appointed, removed or let in again, something hidden, or a feed disputed: rows may have moved."""
    waiting: dict[bytes, int] = field(default_factory=dict)
    """Feeds whose next block is from the future, with its t: offer them again then."""


@dataclass(slots=True)
class _Feed:
    """A feed while blocks of it are taken; `row` is what is kept of it."""

    row: FeedRow
    dirty: bool = False

    def set(self, **changes: object) -> None:
        self.row = self.row._replace(**changes)  # type: ignore[arg-type]
        self.dirty = True


class Arrivals:
    """Takes blocks into the index of the room of `topic`; `me` is one's own identity. Used by one thread."""

    def __init__(self, index: Index, topic: bytes, me: bytes) -> None:
        self._index = index
        self._topic = topic
        self._me = me
        self.ignored: frozenset[bytes] = frozenset()
        """Identities of which nothing counts as unread."""
        self._my_id = short_id(me)
        self._load()

    def _load(self) -> None:
        index = self._index
        self._feeds = {row.key: _Feed(row) for row in index.feeds()}
        self._by_tie = {feed.row.tie: feed for feed in self._feeds.values()}
        self._missing = index.missing_ties()
        self._arrival = index.arrivals()
        self._number = index.numbers()
        self._last = index.last()
        self._withdrawn = index.withdrawn_ties()
        self.ruling = Ruling()
        """What the founder and the moderators have come to."""
        self._judge()
        self.top = index.top()
        """The greatest t that is shown: what one writes next is above it."""

    @property
    def feeds(self) -> list[FeedRow]:
        """What is known of each feed."""
        return [feed.row for feed in tuple(self._feeds.values())]  # one step: another thread changes it

    def feed(self, key: bytes) -> FeedRow:
        """What is known of a feed that is followed."""
        return self._feeds[key].row

    def by_tie(self, tie: int) -> FeedRow:
        """The feed of a row."""
        return self._by_tie[tie].row

    def rival(self, key: bytes) -> bytes | None:
        """The other feed that stands for the id of this one, if there is one."""
        other = self._by_tie.get(tie_of(key))
        return other.row.key if other and other.row.key != key else None

    def follow(self, key: bytes) -> bool:
        """Take blocks of this feed from now on; returns whether there is room for it, and no other stands for it.

        Of two feeds whose keys begin alike only the one with the smaller key is a member's.
        """
        if key in self._feeds:
            return not self._feeds[key].row.rejected
        tie = tie_of(key)
        other = self._by_tie.get(tie)
        if (other and other.row.key < key) or (not other and len(self._feeds) >= MAX_FEEDS):
            return False
        with self._index.transaction():
            if other:
                self._index.drop_feed(other.row)
                del self._feeds[other.row.key]
            row = FeedRow(tie, key)
            self._index.save_feeds([row])
        self._feeds[key] = self._by_tie[tie] = _Feed(row)
        return True

    def forget(self, key: bytes) -> bool:
        """Take no more blocks of a feed without a valid hello; returns whether it is none that has one by now."""
        feed = self._feeds.get(key)
        if feed and feed.row.identity is not None:
            return False
        if feed:
            del self._feeds[key], self._by_tie[feed.row.tie]
            with self._index.transaction():
                self._index.drop_feed(feed.row)
        return True

    def wants(self, key: bytes, seq: int) -> bool:
        """Whether `take` would read this block of a feed that is followed: 0 first, for it says whose the feed is."""
        row = self._feeds[key].row
        if row.rejected or not row.next:
            return not row.rejected and seq == 0
        return seq == row.next or (seq == row.high if row.high > row.next else seq > row.next)

    def _judge(self) -> bool:
        """Judge all actions anew; returns whether something has changed. Rows go and come back with that."""
        before, self.ruling = self.ruling, read_ruling(self._index, self.by_tie)
        return self.ruling != before

    def end_of(self, feed: FeedRow) -> int | None:
        """From which block on a feed is not in the room: its author was removed, or wrote two histories."""
        ends = [end for end in (self.ruling.cut_of(feed), feed.disputed) if end is not None]
        return min(ends, default=None)

    def _apply(self, feeds: Iterable[FeedRow]) -> bool:
        """Take the rows above the ends of these feeds out, and put back what is below them; whether some moved."""
        moved = 0
        for feed in feeds:
            cut = self.end_of(feed)
            if feed.tie in self._withdrawn:
                moved += self._index.restore(feed.tie, LATEST if cut is None else cut)
            if cut is not None:
                moved += self._index.withdraw(feed.tie, cut)
                self._withdrawn.add(feed.tie)
            else:
                self._withdrawn.discard(feed.tie)
        return moved > 0

    def take(self, arrivals: Iterable[Arrival], *, now: int, own: bytes | None = None) -> Taken:
        """Read blocks, each the next one of its range, or the first of a second range; `now` in µs.

        Nothing of the feed `own` is from the future, even if one's clock has been set back since it was written. All
        are on disk when this returns, and nothing of them if it raises. Blocks that are not wanted are passed over.
        """
        with self._batch() as batch:
            for arrival in arrivals:
                feed = self._feeds.get(arrival.feed)
                if feed and self.wants(arrival.feed, arrival.seq) and arrival.feed not in batch.taken.waiting:
                    batch.take(feed, arrival, now if arrival.feed != own else LATEST)
        return batch.taken

    def dispute(self, key: bytes, agreed: int) -> Taken | None:
        """A feed has two histories, which agree on so many blocks: take out what is above; `None` if that is done.

        A block that names what is above is judged by what is below. All is on disk when this returns.
        """
        feed, end = self._feeds.get(key), max(1, agreed)  # its hello always stands
        if feed is None or (feed.row.disputed is not None and feed.row.disputed <= end):
            return None
        with self._batch() as batch:
            batch.dispute(feed, end)
        return batch.taken

    def rewrite(self, key: bytes) -> None:
        """Keep that the author of a feed has cut it."""
        if feed := self._feeds.get(key):
            with self._batch():
                feed.set(rewritten=1)

    @contextmanager
    def _batch(self) -> Iterator["_Batch"]:
        batch = _Batch(self)
        try:
            with self._index.transaction():
                yield batch
                batch.flush()
                batch.rule()
        except BaseException:
            self._load()
            raise


class _Batch:
    """The arrivals of one transaction."""

    def __init__(self, owner: Arrivals) -> None:
        self._owner = owner
        self._index = owner._index
        self.taken = Taken()
        self._rows: list[BlockRow] = []
        self._links: list[Link] = []
        self._missing: list[Missing] = []
        self._rules_changed = False

    def take(self, feed: _Feed, arrival: Arrival, now: int) -> None:
        row, seq = feed.row, arrival.seq
        second = seq != row.next
        if second and seq != row.high:
            feed.set(low=seq, high=seq, high_tau=0)
        tau = feed.row.high_tau if second else row.tau
        fault, placed = "", None
        try:
            envelope = blocks.decode(arrival.block)
        except MalformedBlock as error:
            fault = str(error)
        else:
            if envelope.t > now + MAX_AHEAD:
                self.taken.waiting[row.key] = envelope.t
                return
            if envelope.t <= tau:
                fault = "A block's place is not after that of the block before it."
            else:
                placed = envelope
        if seq == 0:
            fault = fault or (self._introduce(feed, placed) if placed else "")
            feed.set(rejected=int(bool(fault)))
        if fault:
            feed.set(faults=feed.row.faults + 1, fault=fault)
            if feed.row.rejected:
                return
        if placed:
            self._place(feed, placed, arrival)
        self._advance(feed, seq, placed.t if placed else tau, second)

    def dispute(self, feed: _Feed, end: int) -> None:
        """Count nothing of a feed from block `end` on, and judge anew who names that."""
        feed.set(disputed=end)
        self._rules_changed = self.taken.ruled = True
        self._judge_heads(feed, self._index.take_missing(feed.row.tie, end, LATEST))
        disputed = short_id(feed.row.key)
        for row in self._index.refused(disputed):
            heads = msgspec.json.decode(row.heads or b"{}")
            if heads[disputed] > end and not any(self._contradicts(*head, t=row.t) for head in heads.items()):
                self._index.unmark(row.tie, row.seq, State.REFUSED)
                self.taken.changed.add((row.tie, row.seq))

    def _contradicts(self, id: str, length: int, *, t: int) -> bool:
        """Whether a head names a block that is here and not before `t`."""
        known = self._owner._by_tie.get(tie_of_id(id))
        length = _undisputed(known.row if known else None, length)
        return known is not None and length <= known.row.next and not self._below(known, length, t)

    def flush(self) -> None:
        """Write what has been gathered."""
        if self._rows or self._missing:
            self._index.insert(self._rows, self._links, self._missing)
            for link in self._links:
                if link.kind in (Kind.EDIT, Kind.RETRACT):
                    self._index.update_words(link.tie, link.seq)
            self._rows, self._links, self._missing = [], [], []
        dirty = [feed for feed in self._owner._feeds.values() if feed.dirty]
        if dirty:
            self._index.save_feeds([feed.row for feed in dirty])
            for feed in dirty:
                feed.dirty = False

    def rule(self) -> None:
        """Do what the founder and the moderators have done, if it was among this; it is all written."""
        owner, rows = self._owner, self.taken.rows
        for row in rows:
            if row.kind == Kind.ROOM and owner.ruling.founder is None and self._is_founding(row):
                self._index.set_meta("founder", owner._by_tie[row.tie].row.identity or b"")
                self._index.set_meta("founding", row.body or b"")
                self._rules_changed = True
        judged = (self._rules_changed or any(row.kind in (*ACTIONS, *ADMISSIONS) for row in rows)) and owner._judge()
        if judged or self.taken.ruled:
            self.taken.ruled = True
            owner._apply(feed.row for feed in owner._feeds.values())
            return
        cut = {row.tie for row in rows if owner.end_of(owner._by_tie[row.tie].row) is not None}
        self.taken.ruled |= owner._apply(owner._by_tie[tie].row for tie in cut)

    def _is_founding(self, row: BlockRow) -> bool:
        _, body = blocks.decode(row.body or b"").body()
        identity = self._owner._by_tie[row.tie].row.identity
        return (
            isinstance(body, blocks.RoomBody)
            and identity is not None
            and RoomKeys.found(identity, body.nonce).topic == self._owner._topic
        )

    def _introduce(self, feed: _Feed, envelope: Envelope) -> str:
        _, hello = envelope.body()
        try:
            if not isinstance(hello, blocks.HelloBody):
                raise MalformedBlock("A feed does not begin with the hello of a member.")
            who = verify_hello(hello, self._owner._topic, feed.row.key)
            devices = {row.device for row in self._owner.feeds if row.identity == who.identity}
            if who.device not in devices and len(devices) >= MAX_DEVICES:
                raise MalformedBlock(f"An identity has at most {MAX_DEVICES} devices in a room.")
        except MalformedBlock as error:
            return str(error)
        feed.set(identity=who.identity, device=who.device, drive=who.drive)
        self.taken.introduced.append(feed.row.key)
        return ""

    def _place(self, feed: _Feed, envelope: Envelope, arrival: Arrival) -> None:
        """Give a block its row, and judge it by its heads."""
        owner, row = self._owner, feed.row
        t, tie = envelope.t, row.tie
        kind, body = envelope.body()
        state = State(0)
        if envelope.heads is None:
            state |= State.REFUSED
        here: list[tuple[_Feed, int]] = []
        for id, length in (envelope.heads or {}).items():
            named = tie_of_id(id)
            known = owner._by_tie.get(named)
            length = _undisputed(known.row if known else None, length)
            if known is None or length > known.row.next:
                self._missing.append(Missing(named, length - 1, t, tie, arrival.seq))
                owner._missing.add(named)
            elif not self._below(known, length, t):
                state |= State.REFUSED
            else:
                here.append((known, length))
        if not state & State.REFUSED:
            for known, length in here:
                _name(known, length)
        said = kind in SAID
        if said:
            state |= self._look(feed, envelope, body, arrival)
            owner._arrival += 1
            owner._last = max(owner._last, (t, tie, arrival.seq))
        owner._number += kind not in CHANGES
        owner.top = max(owner.top, t)
        text = getattr(body, "message", None)
        placed = BlockRow(
            t, tie, arrival.seq, owner._arrival if said else None, arrival.received, envelope.timestamp,
            int(kind), envelope.channel, int(state), msgspec.json.encode(envelope.heads) if envelope.heads else None,
            text, None if isinstance(body, blocks.MessageBody) and not body.mentions else envelope.raw,
            None if kind in CHANGES else owner._number,
        )  # fmt: skip
        self._rows.append(placed)
        self.taken.rows.append(placed)
        self._link(row, t, arrival.seq, kind, body)

    def _look(self, feed: _Feed, envelope: Envelope, body: Body | None, arrival: Arrival) -> State:
        """How a row of the conversation stands out: unread, a mention, late."""
        owner, state = self._owner, State(0)
        if feed.row.identity != owner._me and feed.row.identity not in owner.ignored:
            state |= State.UNREAD
            if owner._my_id in getattr(body, "mentions", ()):
                state |= State.MENTIONS_ME
        if (envelope.t, feed.row.tie, arrival.seq) < owner._last and arrival.received - envelope.timestamp > LATE:
            state |= State.LATE
        return state

    def _link(self, row: FeedRow, t: int, from_seq: int, kind: Kind, body: Body | None) -> None:
        to = getattr(body, "to", None)
        if to is None or row.identity is None:
            return
        tie, seq = place_of(to)
        match body:
            case blocks.ReactionBody(reaction=symbol, remove=remove):
                value: str | None = ("-" if remove else "+") + symbol
            case blocks.EditBody(message=text):
                value = text
            case _:
                value = None
        self._links.append(Link(tie, seq, int(kind), t, row.tie, from_seq, row.identity, value))

    def _advance(self, feed: _Feed, seq: int, tau: int, second: bool) -> None:
        """A block is read: move the range, join the ranges where they meet, and judge who waited for it."""
        start = feed.row.next
        if second:
            feed.set(high=seq + 1, high_tau=tau)
        else:
            feed.set(next=seq + 1, tau=tau)
            if feed.row.low < feed.row.high and feed.row.next == feed.row.low:
                self._join(feed)
        if feed.row.tie in self._owner._missing and feed.row.next > start:
            self._judge_waiting(feed, start)

    def _join(self, feed: _Feed) -> None:
        self.flush()
        row = feed.row
        tau, faults = row.tau, 0
        for seq, t in self._index.places(row.tie, row.low, row.high):
            if t > tau:
                tau = row.high_tau
                break
            faults += 1
            self._index.mark(row.tie, seq, State.OUT_OF_ORDER)
            self._rules_changed = True
            self.taken.changed.add((row.tie, seq))
        reason = "A block's place is not after that of the block before it." if faults else row.fault
        feed.set(next=row.high, tau=tau, low=0, high=0, high_tau=0, faults=row.faults + faults, fault=reason)

    def _judge_waiting(self, feed: _Feed, start: int) -> None:
        """Rows that name blocks of this feed from `start` on: those are here now."""
        self.flush()
        self._judge_heads(feed, self._index.take_missing(feed.row.tie, start, feed.row.next))

    def _judge_heads(self, feed: _Feed, heads: Iterable[Missing]) -> None:
        for head in heads:
            missing = head._replace(seq=_undisputed(feed.row, head.seq + 1) - 1)
            if missing.seq >= feed.row.next:
                self._missing.append(missing)
                continue
            if not self._below(feed, missing.seq + 1, missing.t):
                self._index.mark(missing.from_tie, missing.from_seq, State.REFUSED)
                self._rules_changed = True
            else:
                _name(feed, missing.seq + 1)
            self.taken.changed.add((missing.from_tie, missing.from_seq))

    def _below(self, feed: _Feed, length: int, t: int) -> bool:
        """Whether all of the first `length` blocks of a feed that have a place are before `t`."""
        if feed.row.tau < t:
            return True
        self.flush()
        return self._index.tau(feed.row.tie, length) < t


def _name(feed: _Feed, length: int) -> None:
    if length > feed.row.named:
        feed.set(named=length)


def tips(
    feeds: Sequence[FeedRow], own: bytes, end_of: Callable[[FeedRow], int | None], most: int = blocks.MAX_HEADS
) -> dict[str, int]:
    """The heads of what is written next to the feed `own`: how much of each other feed is here, unless it is named.

    Nothing is named that is not in the room: above what `end_of` says of a feed.
    """
    others = []
    for row in feeds:
        if row.key != own and not row.rejected:
            length, end = max(row.next, row.high), end_of(row)
            others.append((row, length if end is None else min(length, end)))
    return dict([(short_id(row.key), length) for row, length in others if length > row.named][:most])


def _undisputed(feed: FeedRow | None, length: int) -> int:
    """How many of the first blocks of a feed there is one history of."""
    return length if feed is None or feed.disputed is None else min(length, feed.disputed)
