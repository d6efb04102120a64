"""The reading half of a room's index: from any thread, each query at one moment."""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from linkup_nb.rooms.memory.block import Kind
from linkup_nb.rooms.memory.rows import CONVERSATION, BlockRow, Link, Mark, Place, State, View

_UP, _DOWN = "t, message.tie, seq", "t DESC, message.tie DESC, seq DESC"

LINKS = (
    "SELECT link.* FROM link JOIN message INDEXED BY by_feed ON message.tie = from_tie AND message.seq = from_seq"
    f" WHERE link.tie = ? AND link.seq = ? AND NOT state & {int(State.REFUSED | State.OUT_OF_ORDER)}"
    " ORDER BY link.t, from_tie, from_seq"
)
"""What refers to a block and counts, in order."""


class IndexReader:
    """What can be asked of an index; `Index` writes it."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, at one moment."""
        with self._reading:
            return self._reader.execute(sql, parameters).fetchall()

    def row_at(self, tie: int, seq: int) -> BlockRow | None:
        """The row of a block, `None` if it is not here or has no place."""
        found = self.read("SELECT * FROM message WHERE tie = ? AND seq = ?", (tie, seq))
        return BlockRow(*found[0]) if found else None

    def said(
        self, up_to: int, *, after: Place | None = None, limit: int = -1, view: View = CONVERSATION
    ) -> list[BlockRow]:
        """The conversation in order, as it was when `up_to` rows had arrived, after a place; or another view."""
        start, values = _from(view, up_to)
        sql = f"{start} AND (t, message.tie, seq) > (?, ?, ?) ORDER BY {_UP} LIMIT ?"
        return [BlockRow(*row) for row in self.read(sql, (*values, *(after or (-1, 0, 0)), limit))]

    def said_before(
        self, up_to: int, *, before: Place | None = None, limit: int = -1, view: View = CONVERSATION
    ) -> list[BlockRow]:
        """The last rows before a place, latest first."""
        start, values = _from(view, up_to)
        sql = f"{start} AND (t, message.tie, seq) < (?, ?, ?) ORDER BY {_DOWN} LIMIT ?"
        return [BlockRow(*row) for row in self.read(sql, (*values, *(before or (2**63 - 1, 0, 0)), limit))]

    def nth(self, up_to: int, count: int, number: int, view: View = CONVERSATION) -> BlockRow | None:
        """The row `number` of the `count` rows that there were when `up_to` had arrived."""
        order, offset = (_UP, number) if number <= count // 2 else (_DOWN, count - 1 - number)
        start, values = _from(view, up_to)
        found = self.read(f"{start} ORDER BY {order} LIMIT 1 OFFSET ?", (*values, offset))
        return BlockRow(*found[0]) if found else None

    def number_of(self, up_to: int, view: View) -> int:
        """How many rows of a view there were when `up_to` had arrived."""
        if view.channel is None and view.clock is None:
            withdrawn = f"SELECT count(*) FROM withdrawn WHERE {view.column} <= ?"
            return up_to - int(self.read(withdrawn, (up_to,))[0][0])
        start, values = _from(view, up_to, "count(*)")
        return int(self.read(start, values)[0][0])

    def arrived(self, after: int, limit: int) -> list[BlockRow]:
        """What people said, in the order of its arrival, after arrival `after`."""
        found = self.read(
            "SELECT * FROM message INDEXED BY by_arrival WHERE arrival > ? ORDER BY arrival LIMIT ?", (after, limit)
        )
        return [BlockRow(*row) for row in found]

    def timeline(self) -> list[BlockRow]:
        """Every block that has a place, in order."""
        return [BlockRow(*row) for row in self.read("SELECT * FROM message ORDER BY t, tie, seq")]

    def disputed(self, limit: int) -> list[BlockRow]:
        """What people said in the parts of feeds that have two histories, the last ones, latest first."""
        found = self.read(
            "SELECT withdrawn.* FROM withdrawn JOIN feed USING (tie) WHERE arrival IS NOT NULL AND seq >= disputed"
            " ORDER BY t DESC, tie DESC, seq DESC LIMIT ?",
            (limit,),
        )
        return [BlockRow(*row) for row in found]

    def count(self) -> int:
        """How many rows have come into the conversation, withdrawn ones too."""
        return self._greatest("arrival")

    def number(self) -> int:
        """How many rows have come into the timeline, withdrawn ones too."""
        return self._greatest("number")

    def _greatest(self, column: str) -> int:
        greatest = f"SELECT max({column}) AS {column} FROM {{}} WHERE {column} IS NOT NULL"
        both = f"{greatest.format('message')} UNION ALL {greatest.format('withdrawn')}"
        return self.read(f"SELECT max({column}) FROM ({both})")[0][0] or 0

    def latest(self, kind: Kind, limit: int = -1) -> list[BlockRow]:
        """The notices of one kind that count, last one first."""
        refused = int(State.REFUSED | State.OUT_OF_ORDER)
        sql = "SELECT * FROM message INDEXED BY notices WHERE arrival IS NULL AND kind = ? AND NOT state & ?"
        return [BlockRow(*row) for row in self.read(f"{sql} ORDER BY {_DOWN} LIMIT ?", (int(kind), refused, limit))]

    def links(self, tie: int, seq: int) -> list[Link]:
        """What refers to a block and counts, in order."""
        return [Link(*row) for row in self.read(LINKS, (tie, seq))]

    def search(
        self,
        words: str,
        like: str,
        *,
        tie: Sequence[int] = (),
        channel: str | None = None,
        limit: int = 50,
        before: Place | None = None,
    ) -> list[BlockRow]:
        """The rows that match `words`, a query of FTS5, or where that cannot be used the pattern `like`; last first."""
        where, values = [], list[object]()
        if words and self.read("SELECT value FROM meta WHERE name = 'searchable'") == [(1,)]:
            where.append("arrival IN (SELECT rowid FROM word WHERE word MATCH ?)")
            values.append(words)
        else:
            where.append("arrival IS NOT NULL AND text LIKE ? ESCAPE '\\'")
            values.append(like)
        if channel is not None:
            where.append("channel = ?")
            values.append(channel)
        if tie:
            where.append(f"tie IN ({', '.join('?' * len(tie))})")
            values += tie
        if before:
            where.append("(t, tie, seq) < (?, ?, ?)")
            values += before
        found = self.read(
            f"SELECT * FROM message WHERE {' AND '.join(where)} ORDER BY {_DOWN} LIMIT ?", (*values, limit)
        )
        return [BlockRow(*row) for row in found]

    def unread(self, channel: str | None = None, *, mentions: bool = False) -> int:
        """How many rows of a channel, or of all, are unread; or how many of those mention us."""
        where, values = ("AND channel = ?", (channel,)) if channel is not None else ("", ())
        if mentions:
            where += f" AND state & {int(State.MENTIONS_ME)}"
        return int(self.read(f"SELECT count(*) FROM message WHERE state & 1 {where}", values)[0][0])

    def first_unread_in(self, channel: str) -> BlockRow | None:
        """The unread row of a channel that stands first."""
        found = self.read(f"SELECT * FROM message WHERE state & 1 AND channel = ? ORDER BY {_UP} LIMIT 1", (channel,))
        return BlockRow(*found[0]) if found else None

    def first_unread(self) -> dict[int, int]:
        """The first block of each feed that is unread, for those that have one."""
        first = "(SELECT min(seq) FROM message INDEXED BY unread WHERE state & 1 AND message.tie = feed.tie)"
        return {tie: seq for tie, seq in self.read(f"SELECT tie, {first} FROM feed") if seq is not None}

    def said_of(self, tie: int, start: int, end: int, limit: int) -> list[BlockRow]:
        """The last of what is said in a feed from block `start` to before `end`, latest first."""
        found = self.read(
            "SELECT * FROM message INDEXED BY by_feed WHERE tie = ? AND seq >= ? AND seq < ? AND arrival IS NOT NULL"
            " ORDER BY seq DESC LIMIT ?",
            (tie, start, end, limit),
        )
        return [BlockRow(*row) for row in found]

    def last_t(self, seen: Iterable[tuple[int, int]]) -> int:
        """The greatest t among so many first blocks (tie, length) of feeds."""
        sql = "SELECT t FROM message INDEXED BY by_feed WHERE tie = ? AND seq < ? ORDER BY seq DESC LIMIT 1"
        return max((row[0] for pair in seen for row in self.read(sql, pair)), default=0)

    def heads(self, tie: int, start: int, end: int) -> list[bytes]:
        """The heads that count of the blocks of a feed from `start` to before `end`."""
        found = self.read(
            "SELECT heads FROM message INDEXED BY by_feed WHERE tie = ? AND seq >= ? AND seq < ?"
            " AND heads IS NOT NULL AND NOT state & ?",
            (tie, start, end, int(State.REFUSED | State.OUT_OF_ORDER)),
        )
        return [row[0] for row in found]

    def mark_at(self, tie: int, length: int) -> Mark | None:
        """The last vector clock that is kept of a feed up to this length."""
        found = self.read(
            "SELECT * FROM clock WHERE tie = ? AND length <= ? ORDER BY length DESC LIMIT 1", (tie, length)
        )
        return Mark(*found[0]) if found else None

    def history(self, after: Place, limit: int) -> list[tuple[int, int, int, bytes | None, int]]:
        """(t, tie, seq, heads, state) of every block after a place, in order."""
        return self.read(
            f"SELECT t, tie, seq, heads, state FROM message WHERE (t, tie, seq) > (?, ?, ?) ORDER BY {_UP} LIMIT ?",
            (*after, limit),
        )


def _from(view: View, up_to: int, columns: str = "message.*") -> tuple[str, tuple[object, ...]]:
    """The beginning of a query of the rows of a view, and its values."""
    clock, joined, values = "", "", list[object]()
    if view.clock is not None:
        # Its rows are looked up for each row in order; the other way round, the result would have to be sorted.
        clock = f"WITH clock (tie, length) AS (VALUES {', '.join(['(?, ?)'] * len(view.clock))}) "
        joined = " CROSS JOIN clock ON clock.tie = message.tie AND message.seq < clock.length"
        values += [value for pair in view.clock for value in pair]
    where = f"{view.column} IS NOT NULL AND +{view.column} <= ?"
    values.append(up_to)
    if view.top is not None:
        where += " AND t <= ?"
        values.append(view.top)
    if view.channel is not None:
        where += " AND channel = ?"
        values.append(view.channel)
    if view.kinds:
        where += f" AND kind IN ({', '.join(map(str, view.kinds))})"
    return f"{clock}SELECT {columns} FROM message INDEXED BY {view.order}{joined} WHERE {where}", tuple(values)
