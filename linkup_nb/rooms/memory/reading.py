"""The reading half of a room's index: from any thread, each query at one moment."""

import sqlite3
import threading
from collections.abc import Sequence
from typing import Any

from linkup_nb.rooms.memory.block import Kind
from linkup_nb.rooms.memory.rows import Link, Place, Row, State

_UP, _DOWN = "t, tie, seq", "t DESC, tie DESC, seq DESC"

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

    def row_at(self, tie: int, seq: int) -> Row | None:
        """The row of a block, `None` if it is not here or has no place."""
        found = self.read("SELECT * FROM message WHERE tie = ? AND seq = ?", (tie, seq))
        return Row(*found[0]) if found else None

    def said(self, up_to: int, *, after: Place | None = None, limit: int = -1) -> list[Row]:
        """The conversation in order, as it was when `up_to` rows had arrived, after a place."""
        place = after or (-1, 0, 0)
        found = self.read(
            "SELECT * FROM message INDEXED BY ordered WHERE arrival IS NOT NULL AND +arrival <= ?"
            " AND (t, tie, seq) > (?, ?, ?) ORDER BY t, tie, seq LIMIT ?",
            (up_to, *place, limit),
        )
        return [Row(*row) for row in found]

    def said_before(self, up_to: int, *, before: Place | None = None, limit: int = -1) -> list[Row]:
        """The last rows of the conversation before a place, latest first."""
        place = before or (2**63 - 1, 0, 0)
        found = self.read(
            "SELECT * FROM message INDEXED BY ordered WHERE arrival IS NOT NULL AND +arrival <= ?"
            " AND (t, tie, seq) < (?, ?, ?) ORDER BY t DESC, tie DESC, seq DESC LIMIT ?",
            (up_to, *place, limit),
        )
        return [Row(*row) for row in found]

    def nth(self, up_to: int, count: int, number: int) -> Row | None:
        """The row `number` of the conversation of `count` rows, as it was when `up_to` rows had arrived."""
        order, offset = (_UP, number) if number <= count // 2 else (_DOWN, count - 1 - number)
        found = self.read(
            "SELECT * FROM message INDEXED BY ordered WHERE arrival IS NOT NULL AND +arrival <= ?"
            f" ORDER BY {order} LIMIT 1 OFFSET ?",
            (up_to, offset),
        )
        return Row(*found[0]) if found else None

    def arrived(self, after: int, limit: int) -> list[Row]:
        """What people said, in the order of its arrival, after arrival `after`."""
        found = self.read(
            "SELECT * FROM message INDEXED BY by_arrival WHERE arrival > ? ORDER BY arrival LIMIT ?", (after, limit)
        )
        return [Row(*row) for row in found]

    def timeline(self) -> list[Row]:
        """Everything that has a place, notices too, in order."""
        return [Row(*row) for row in self.read("SELECT * FROM message ORDER BY t, tie, seq")]

    def count(self) -> int:
        """How many rows the conversation has."""
        return self.read("SELECT max(arrival) FROM message WHERE arrival IS NOT NULL")[0][0] or 0

    def latest(self, kind: Kind) -> list[Row]:
        """The notices of one kind that count, last one first."""
        refused = int(State.REFUSED | State.OUT_OF_ORDER)
        sql = "SELECT * FROM message INDEXED BY notices WHERE arrival IS NULL AND kind = ? AND NOT state & ?"
        return [Row(*row) for row in self.read(f"{sql} ORDER BY t DESC, tie DESC, seq DESC", (int(kind), refused))]

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
    ) -> list[Row]:
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
        return [Row(*row) for row in found]

    def unread(self, channel: str | None = None) -> int:
        """How many rows of a channel, or of all, are unread."""
        where, values = ("AND channel = ?", (channel,)) if channel is not None else ("", ())
        return int(self.read(f"SELECT count(*) FROM message WHERE state & 1 {where}", values)[0][0])
