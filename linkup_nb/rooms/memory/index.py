"""The index of a room: every block of its feeds that has a place, in one order, on disk.

All SQL of a room is here. The file is a cache of the feeds: one that is damaged, or that another version wrote, is made
anew from them. One connection writes, on the thread that owns the index; another reads, from any thread.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from linkup_nb.errors import StoreError
from linkup_nb.rooms.memory.block import SAID, Kind
from linkup_nb.rooms.memory.reading import LINKS, IndexReader
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow, Held, Link, Mark, Missing, Place, State

VERSION = 3
CACHE = 16 * 1024  # KiB of the file that each connection keeps in memory

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE feed (
  tie INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, -- see `tie_of`
  identity BLOB, device BLOB, drive BLOB, rejected INTEGER NOT NULL,
  next INTEGER NOT NULL, tau INTEGER NOT NULL, -- [0, next) is read; tau is the greatest t of a block with a place
  low INTEGER NOT NULL, high INTEGER NOT NULL, high_tau INTEGER NOT NULL, -- so is [low, high), from the newest on
  named INTEGER NOT NULL, -- how much of it blocks of others name
  faults INTEGER NOT NULL, fault TEXT NOT NULL,
  disputed INTEGER, -- the block from which on its author wrote two histories
  rewritten INTEGER NOT NULL -- whether its author has cut it, whom nobody follows there
) STRICT;
CREATE TABLE message (
  t INTEGER, tie INTEGER, seq INTEGER,
  arrival INTEGER, -- 1, 2, 3, … for what people said
  received INTEGER NOT NULL, timestamp INTEGER NOT NULL, kind INTEGER NOT NULL, channel TEXT NOT NULL,
  state INTEGER NOT NULL, heads BLOB, text TEXT, body BLOB,
  number INTEGER, -- 1, 2, 3, … for what the timeline shows: what people said, and notices
  PRIMARY KEY (t, tie, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX by_feed ON message (tie, seq);
CREATE UNIQUE INDEX by_arrival ON message (arrival) WHERE arrival IS NOT NULL;
CREATE INDEX ordered ON message (t, tie, seq, arrival) WHERE arrival IS NOT NULL;
CREATE INDEX said ON message (channel, t, tie, seq, arrival) WHERE arrival IS NOT NULL;
CREATE INDEX timeline ON message (t, tie, seq, number) WHERE number IS NOT NULL;
CREATE INDEX notices ON message (kind, t, tie, seq) WHERE arrival IS NULL;
CREATE INDEX unread ON message (tie, seq, channel, state) WHERE state & 1; -- with state, nothing else is read to count
CREATE TABLE withdrawn AS SELECT * FROM message; -- rows above the cuts of removed members, and disputed ones
CREATE INDEX withdrawn_by_feed ON withdrawn (tie, seq);
CREATE INDEX withdrawn_by_arrival ON withdrawn (arrival) WHERE arrival IS NOT NULL;
CREATE INDEX withdrawn_by_number ON withdrawn (number) WHERE number IS NOT NULL;
CREATE TABLE link (
  tie INTEGER, seq INTEGER, kind INTEGER, t INTEGER, from_tie INTEGER, from_seq INTEGER,
  identity BLOB NOT NULL, value TEXT,
  PRIMARY KEY (tie, seq, kind, t, from_tie, from_seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE missing (
  tie INTEGER, seq INTEGER, t INTEGER, from_tie INTEGER, from_seq INTEGER, PRIMARY KEY (tie, seq, from_tie, from_seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE held (device BLOB, tie INTEGER, length INTEGER NOT NULL, read INTEGER NOT NULL, PRIMARY KEY (device, tie))
  STRICT, WITHOUT ROWID;
CREATE TABLE clock (tie INTEGER, length INTEGER, clock BLOB NOT NULL, PRIMARY KEY (tie, length)) STRICT, WITHOUT ROWID;
"""


_ARRIVAL = "SELECT arrival FROM message WHERE tie = ? AND seq = ?"
_WORDS = "fts5(text, tokenize='unicode61 remove_diacritics 2')"


class Index(IndexReader):
    """The tables of one room, in the file `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        try:
            self._open()
        except sqlite3.DatabaseError:
            # It is only a cache: what it had is read again from the feeds.
            self._remove()
            self._open()

    def _open(self) -> None:
        try:
            self._writer = self._connect()
            if self.meta("version") not in (VERSION, None):
                raise sqlite3.DatabaseError("another version")
            self._reader = self._connect()
        except sqlite3.OperationalError as error:
            raise StoreError(f"The index of a room cannot be opened: {error}.") from error

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"cache_size=-{CACHE}"):
            database.execute(f"PRAGMA {pragma}")
        if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.executescript(f"BEGIN;{_SCHEMA}INSERT INTO meta VALUES ('version', {VERSION});COMMIT;")
        return database

    def _remove(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        with self._reading:
            for name in ("_writer", "_reader"):
                if database := getattr(self, name, None):
                    with suppress(sqlite3.Error):
                        database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written inside is on disk together, or not at all."""
        try:
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise StoreError(f"The index of a room cannot be written: {error}.") from error

    # Written and read by the thread that owns the index

    def meta(self, name: str) -> Any:
        """A value that was kept under a name, `None` for none."""
        found = self._writer.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def set_meta(self, name: str, value: int | str | bytes) -> None:
        """Keep a value under a name."""
        self._writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def feeds(self) -> list[FeedRow]:
        """All feeds, in the order of their keys."""
        return [FeedRow(*row) for row in self._writer.execute("SELECT * FROM feed ORDER BY tie")]

    def save_feeds(self, feeds: Iterable[FeedRow]) -> None:
        """Keep what is known of feeds."""
        marks = ", ".join("?" * len(FeedRow._fields))
        self._writer.executemany(f"INSERT OR REPLACE INTO feed VALUES ({marks})", feeds)

    def drop_feed(self, feed: FeedRow) -> None:
        """Forget a feed and its rows."""
        self._writer.execute("DELETE FROM link WHERE from_tie = ?", (feed.tie,))
        self._writer.execute("DELETE FROM missing WHERE from_tie = ?", (feed.tie,))
        self._writer.execute("DELETE FROM message WHERE tie = ?", (feed.tie,))
        self._writer.execute("DELETE FROM clock WHERE tie = ?", (feed.tie,))
        self._writer.execute("DELETE FROM withdrawn WHERE tie = ?", (feed.tie,))
        self._writer.execute("DELETE FROM feed WHERE tie = ?", (feed.tie,))

    def insert(self, rows: Sequence[BlockRow], links: Sequence[Link], missing: Sequence[Missing]) -> None:
        """Add what has arrived."""
        self._writer.executemany(f"INSERT INTO message VALUES ({', '.join('?' * len(BlockRow._fields))})", rows)
        self.set_words((row.arrival, row.text) for row in rows if row.arrival is not None and row.text)
        self._writer.executemany("INSERT OR IGNORE INTO link VALUES (?, ?, ?, ?, ?, ?, ?, ?)", links)
        self._writer.executemany("INSERT OR IGNORE INTO missing VALUES (?, ?, ?, ?, ?)", missing)

    def withdraw(self, tie: int, start: int) -> int:
        """Take the rows of a feed from block `start` on out of the room, until `restore`; how many those were."""
        where, values = "WHERE tie = ? AND seq >= ?", (tie, start)
        said = self._writer.execute(f"SELECT arrival FROM message {where} AND arrival IS NOT NULL", values).fetchall()
        self.set_words((row[0], None) for row in said)
        self._writer.execute(f"INSERT INTO withdrawn SELECT * FROM message {where}", values)
        return self._writer.execute(f"DELETE FROM message {where}", values).rowcount

    def restore(self, tie: int, end: int) -> int:
        """Put the withdrawn rows of a feed before block `end` back in their places; how many those were."""
        where, values = "WHERE tie = ? AND seq < ?", (tie, end)
        self._writer.execute(f"INSERT INTO message SELECT * FROM withdrawn {where}", values)
        said = self._writer.execute(
            f"SELECT seq FROM withdrawn {where} AND arrival IS NOT NULL AND text IS NOT NULL", values
        ).fetchall()
        for row in said:
            self.update_words(tie, row[0])
        return self._writer.execute(f"DELETE FROM withdrawn {where}", values).rowcount

    def withdrawn_ties(self) -> set[int]:
        """The feeds of which rows are withdrawn."""
        return {row[0] for row in self._writer.execute("SELECT DISTINCT tie FROM withdrawn")}

    def actions(self, identities: Collection[bytes], kinds: Collection[Kind], most: int) -> list[BlockRow]:
        """The first notices of these kinds by these identities that count, in order, those of removed members too."""
        marks = ", ".join("?" * len(identities))
        where = (
            f"JOIN feed USING (tie) WHERE arrival IS NULL AND kind IN ({', '.join(str(int(kind)) for kind in kinds)})"
            f" AND identity IN ({marks}) AND NOT state & {int(State.REFUSED | State.OUT_OF_ORDER)}"
            " AND (disputed IS NULL OR seq < disputed)"
        )
        found = self._writer.execute(
            f"SELECT message.* FROM message INDEXED BY notices {where} UNION ALL"
            f" SELECT withdrawn.* FROM withdrawn {where} ORDER BY t, tie, seq LIMIT ?",
            (*identities, *identities, most),
        )
        return [BlockRow(*row) for row in found]

    def make_searchable(self) -> None:
        """Make the table of words, which is kept up to date from then on; does nothing if it is there, or cannot be."""
        if self.meta("searchable") is not None:
            return
        with self.transaction():
            try:
                self._writer.execute(f"CREATE VIRTUAL TABLE word USING {_WORDS}")
            except sqlite3.OperationalError:  # this SQLite was built without FTS5
                self.set_meta("searchable", 0)
                return
            said = "SELECT arrival, text FROM message WHERE arrival IS NOT NULL AND text IS NOT NULL"
            self._writer.execute(f"INSERT INTO word (rowid, text) {said}")
            self.set_meta("searchable", 1)
            changed = "SELECT DISTINCT tie, seq FROM link WHERE kind IN (?, ?)"
            for tie, seq in self._writer.execute(changed, (Kind.EDIT, Kind.RETRACT)).fetchall():
                self.update_words(tie, seq)

    def prunable(self, before: int, own: Collection[int]) -> list[tuple[int, int]]:
        """The (tie, seq) of what others said and edited below a t and what is not pruned yet, feed by feed."""
        kinds = ", ".join(str(int(kind)) for kind in (*SAID, Kind.EDIT))
        found = self._writer.execute(
            f"SELECT tie, seq FROM message WHERE t < ? AND kind IN ({kinds}) AND NOT state & ? ORDER BY tie, seq",
            (before, int(State.PRUNED)),
        )
        return [(tie, seq) for tie, seq in found if tie not in own]

    def prune(self, places: Iterable[tuple[int, int]]) -> None:
        """Delete the texts of these, and what was found by them."""
        pruned = list(places)
        with self.transaction():
            self._writer.executemany(
                "UPDATE message SET text = NULL, body = NULL, state = (state | ?) & ~? WHERE tie = ? AND seq = ?",
                [(int(State.PRUNED), int(State.UNREAD), *place) for place in pruned],
            )
            self._writer.executemany(
                "UPDATE link SET value = NULL WHERE kind = ? AND from_tie = ? AND from_seq = ?",
                [(int(Kind.EDIT), *place) for place in pruned],
            )
            arrivals = [self._writer.execute(_ARRIVAL, place).fetchone() for place in pruned]
            self.set_words((found[0], None) for found in arrivals if found and found[0] is not None)

    def set_words(self, texts: Iterable[tuple[int, str | None]]) -> None:
        """Find the rows of these arrivals by other texts; by none for `None`."""
        if self.meta("searchable") == 1:
            for arrival, text in texts:
                self._writer.execute("DELETE FROM word WHERE rowid = ?", (arrival,))
                if text:
                    self._writer.execute("INSERT INTO word (rowid, text) VALUES (?, ?)", (arrival, text))

    def update_words(self, tie: int, seq: int) -> None:
        """A text has been edited or retracted: find its row by what it says now."""
        found = self._writer.execute(
            "SELECT arrival, text, identity FROM message JOIN feed USING (tie) WHERE tie = ? AND seq = ?", (tie, seq)
        ).fetchone()
        if found and found[0] is not None and self.meta("searchable") == 1:
            arrival, text, identity = found
            links = [Link(*row) for row in self._writer.execute(LINKS, (tie, seq))]
            own = [link for link in links if link.identity == identity]
            edits = [link.value for link in own if link.kind == Kind.EDIT]
            retracted = any(link.kind == Kind.RETRACT for link in own)
            self.set_words([(arrival, None if retracted else edits[-1] if edits else text)])

    def mark(self, tie: int, seq: int, state: State) -> None:
        """Add to what is known of a row."""
        for table in ("message", "withdrawn"):
            sql = f"UPDATE {table} SET state = state | ? WHERE tie = ? AND seq = ?"
            self._writer.execute(sql, (int(state), tie, seq))

    def unmark(self, tie: int, seq: int, state: State) -> None:
        """Take that back."""
        for table in ("message", "withdrawn"):
            sql = f"UPDATE {table} SET state = state & ~? WHERE tie = ? AND seq = ?"
            self._writer.execute(sql, (int(state), tie, seq))

    def refused(self, id: str) -> list[BlockRow]:
        """The refused rows whose heads name a feed, withdrawn ones too."""
        where = "WHERE state & ? AND instr(heads, CAST(? AS BLOB))"
        values = (int(State.REFUSED), f'"{id}"')
        found = self._writer.execute(
            f"SELECT * FROM message {where} UNION ALL SELECT * FROM withdrawn {where}", (*values, *values)
        )
        return [BlockRow(*row) for row in found]

    def missing_ties(self) -> set[int]:
        """The feeds of which blocks are named that are not here."""
        return {row[0] for row in self._writer.execute("SELECT DISTINCT tie FROM missing")}

    def take_missing(self, tie: int, start: int, end: int) -> list[Missing]:
        """The heads that name blocks from `start` to before `end` of a feed, which are here now; they are forgotten."""
        where = "tie = ? AND seq >= ? AND seq < ?"
        found = self._writer.execute(f"SELECT * FROM missing WHERE {where}", (tie, start, end)).fetchall()
        if found:
            self._writer.execute(f"DELETE FROM missing WHERE {where}", (tie, start, end))
        return [Missing(*row) for row in found]

    def tau(self, tie: int, length: int) -> int:
        """The t of the last block with a place among the first `length` of a feed, 0 for none."""
        where = f"WHERE tie = ? AND seq < ? AND NOT state & {int(State.OUT_OF_ORDER)} ORDER BY seq DESC LIMIT 1"
        found = self._writer.execute(
            f"SELECT max(t) FROM (SELECT * FROM (SELECT t FROM message INDEXED BY by_feed {where})"
            f" UNION ALL SELECT * FROM (SELECT t FROM withdrawn {where}))",
            (tie, length, tie, length),
        ).fetchone()
        return found[0] or 0

    def places(self, tie: int, start: int, end: int) -> list[tuple[int, int]]:
        """(seq, t) of the rows of a feed from `start` to before `end`, in its order."""
        where, values = "WHERE tie = ? AND seq >= ? AND seq < ?", (tie, start, end)
        return self._writer.execute(
            f"SELECT seq, t FROM message INDEXED BY by_feed {where} UNION ALL SELECT seq, t FROM withdrawn {where}"
            " ORDER BY seq",
            (*values, *values),
        ).fetchall()

    def last(self) -> Place:
        """The place of the last row of the conversation."""
        found = self._writer.execute(
            "SELECT t, tie, seq FROM message INDEXED BY ordered WHERE arrival IS NOT NULL"
            " ORDER BY t DESC, tie DESC, seq DESC LIMIT 1"
        ).fetchone()
        return found or (0, 0, 0)

    def top(self) -> int:
        """The greatest t of any row, withdrawn ones too."""
        return self._highest("t", "")

    def arrivals(self) -> int:
        """How many rows have come into the conversation, withdrawn ones too."""
        return self._highest("arrival", "WHERE arrival IS NOT NULL")

    def _highest(self, column: str, where: str) -> int:
        found = [
            self._writer.execute(f"SELECT max({column}) FROM {table} {where}").fetchone()[0]
            for table in ("message", "withdrawn")
        ]
        return max(one or 0 for one in found)

    def numbers(self) -> int:
        """How many rows have come into the timeline, withdrawn ones too."""
        return self._highest("number", "WHERE number IS NOT NULL")

    def mark_read(self, tie: int | None = None, seq: int = 0, *, channel: str | None = None) -> None:
        """Count a row as read, or all of a channel, or all."""
        where, values = "", list[object]()
        if tie is not None:
            where, values = "AND tie = ? AND seq = ?", [tie, seq]
        elif channel is not None:
            where, values = "AND channel = ?", [channel]
        self._writer.execute(f"UPDATE message SET state = state & ~1 WHERE state & 1 {where}", values)

    def mark_rows_read(
        self, channel: str, places: Iterable[tuple[int, int]], since: Place | None, until: Place | None
    ) -> None:
        """Count rows as read by (tie, seq), and all of a channel from one place to another."""
        with self.transaction():
            for tie, seq in places:
                self.mark_read(tie, seq)
            if since and until:
                self._writer.execute(
                    "UPDATE message SET state = state & ~1 WHERE state & 1 AND channel = ?"
                    " AND (t, tie, seq) >= (?, ?, ?) AND (t, tie, seq) <= (?, ?, ?)",
                    (channel, *since, *until),
                )

    def mark_read_below(self, lengths: Iterable[tuple[int, int]]) -> int:
        """Count what stands below these lengths (tie, length) of feeds as read; how many rows were not."""
        sql = "UPDATE message INDEXED BY unread SET state = state & ~1 WHERE state & 1 AND tie = ? AND seq < ?"
        return sum(self._writer.execute(sql, length).rowcount for length in lengths)

    def held(self) -> list[Held]:
        """Who has how much of one's own feeds."""
        return [Held(*row) for row in self._writer.execute("SELECT * FROM held")]

    def save_held(self, held: Iterable[Held]) -> None:
        """Keep who has how much."""
        with self.transaction():
            self._writer.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)", held)

    def save_marks(self, marks: Iterable[Mark]) -> None:
        """Keep vector clocks."""
        with self.transaction():
            self._writer.executemany("INSERT OR IGNORE INTO clock VALUES (?, ?, ?)", marks)
