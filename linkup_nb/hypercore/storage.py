"""Where logs are kept: one SQLite database a store, in WAL mode, which its user may query.

A block and a tree node are found by their place, the number of their log times 2^42 plus their own number. Every write
is part of a batch, and a batch is one transaction: what is put while one is being written is written together by the
next, with one wait for the disk. What has been put and is not on disk yet is read from the batch.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from linkup_nb.errors import StoreError, StoreInUse, StoreVersion
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.writer import Head, WriteBatch, Writer, explained, explanation, is_of_the_disk

VERSION = 1  # of the tables below
MAX_LENGTH = 2**31  # blocks in one log
SYNC_DELAY = 0.02  # seconds in which what was appended without waiting for the disk is gathered for one wait
COMMIT_DELAY = 0.01  # seconds in which what peers send is gathered into one transaction
TOGETHER = 16  # blocks that stand anywhere and are read together
SMALL_BLOCK = 64 * 1024  # bytes of each of them at most; larger ones are read one by one
PENDING_HIGH_WATER = 16 * 1024 * 1024  # bytes of blocks not on disk yet, above which replicas should ask for no more

_APPLICATION = 0x6C754E42
_FILE = "logs.sqlite3"
_PAGE = 8192  # bytes; larger ones write large blocks quicker, and make each small append write more
_NUMBER = 2**42 - 1
_CORE_SHIFT = 42
MAX_CORES = 2**20  # logs in one store

_TABLES = f"""
CREATE TABLE core (
    id INTEGER PRIMARY KEY, discovery_key BLOB NOT NULL UNIQUE, key BLOB NOT NULL, manifest BLOB,
    namespace BLOB, name TEXT, fork INTEGER NOT NULL DEFAULT 0, length INTEGER NOT NULL DEFAULT 0,
    signature BLOB NOT NULL DEFAULT x'', contiguous INTEGER NOT NULL DEFAULT 0, conflict BLOB
) STRICT;
CREATE TABLE node (place INTEGER PRIMARY KEY, size INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE block (place INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE VIEW nodes AS SELECT place >> {_CORE_SHIFT} AS core, place & {_NUMBER} AS number, size, hash FROM node;
CREATE VIEW blocks AS SELECT place >> {_CORE_SHIFT} AS core, place & {_NUMBER} AS number, value FROM block;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
"""


class CoreRow(NamedTuple):
    """A log that the store knows."""

    id: int
    discovery_key: bytes
    key: bytes
    manifest: bytes | None
    namespace: bytes | None
    name: str | None
    head: Head
    conflict: bytes | None


class Store:
    """One folder with the logs of one user; `open` it, and `close` it. All methods are for the loop that opened it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: Exception | None = None  # of the last write
        self._lock = FileLock(path / "store.lock")
        self._writing: WriteBatch | None = None
        self._queued: WriteBatch
        self._reader: sqlite3.Connection
        self._writer: Writer
        self._sending = False
        self._unsynced: list[_Unsynced] = []
        self._syncing: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open the store in the folder `path`, making it if it is not there.

        Raises `StoreInUse` while another process has it, `StoreVersion` for one that another version wrote,
        `StoreError` when the folder cannot be used.
        """
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            store = cls(path)
            store._take()
        except OSError as error:
            raise StoreError(f"The store in {path} cannot be opened: {error.strerror or error}.") from None
        try:
            with explained(path):
                store._connect()
        except BaseException:
            store._lock.release()
            raise
        return store

    def _take(self) -> None:
        holder = self.path / "store.pid"
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            pid = holder.read_text() if holder.exists() else "unknown"
            raise StoreInUse(f"The store in {self.path} is in use by process {pid}; close it there first.") from None
        holder.write_text(str(os.getpid()))

    def _connect(self) -> None:
        file = self.path / _FILE
        wal = file.with_name(f"{file.name}-wal")
        left = wal.exists() and wal.stat().st_size > 0
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            self._check_version(connection)
        except BaseException:
            connection.close()
            raise
        self._writer = Writer(connection, file, wal)
        self._queued = WriteBatch()
        if left:
            self._writer.sync()  # what a process left that was killed: from now on peers may learn of it
        self._reader = sqlite3.connect(file, isolation_level=None)
        self._reader.execute("PRAGMA query_only = ON")

    def _check_version(self, connection: sqlite3.Connection) -> None:
        """Make the tables, or see that they are those which this program knows."""
        connection.execute(f"PRAGMA page_size = {_PAGE}")  # of a new file
        connection.execute("PRAGMA journal_mode = WAL")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if (application, version) == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            connection.executescript(f"BEGIN; {_TABLES} COMMIT;")
        elif application != _APPLICATION:
            raise StoreVersion(f"The file {self.path / _FILE} is a database, but not one of linkup_nb's.")
        elif version != VERSION:
            raise StoreVersion(
                f"The store in {self.path} has version {version}, and this linkup_nb reads version {VERSION}; "
                "open it with the linkup_nb that wrote it."
            )

    async def close(self) -> None:
        """Write what is queued so that it survives a power cut, and let another process have the store.

        Raises `StoreError` if that fails.
        """
        try:
            await self.flush()
            while self._unsynced or self._syncing:
                await asyncio.shield(self._syncing or self._sync())
        finally:
            await self._writer.close()
            self._reader.close()
            with contextlib.suppress(OSError):
                (self.path / "store.pid").unlink()
            self._lock.release()

    # Reading

    def cores(self) -> list[CoreRow]:
        """Every log that the store knows."""
        return [_row(row) for row in self._read(f"{_SELECT_CORE} ORDER BY id", ())]

    def survey(self) -> list[tuple[CoreRow, int]]:
        """Every log that is on disk, and how many bytes all its blocks have; unlike the rest, for any thread."""
        with explained(self.path), contextlib.closing(sqlite3.connect(self.path / _FILE)) as reader:
            rows = [_row(row) for row in reader.execute(f"{_SELECT_CORE} ORDER BY id").fetchall()]
            return [(row, _byte_length(reader, row)) for row in rows]

    def usage(self) -> list[tuple[CoreRow, int, int]]:
        """How many blocks of every log are on disk, and their bytes, the most first; for any thread, as `survey`."""
        with explained(self.path), contextlib.closing(sqlite3.connect(self.path / _FILE)) as reader:
            rows = {row.id: row for row in map(_row, reader.execute(_SELECT_CORE).fetchall())}
            found = reader.execute("SELECT core, count(*), sum(length(value)) FROM blocks GROUP BY core").fetchall()
        counts = {core: (blocks, size) for core, blocks, size in found}
        usage = [(row, *counts.get(id, (0, 0))) for id, row in rows.items()]
        return sorted(usage, key=lambda one: -one[2])

    def core(self, discovery_key: bytes) -> CoreRow | None:
        """The log with this discovery key."""
        rows = self._read(f"{_SELECT_CORE} WHERE discovery_key = ?", (discovery_key,))
        return _row(rows[0]) if rows else None

    def node(self, core: int, index: int) -> MerkleNode | None:
        """The tree node `index` of a log."""
        place = core << _CORE_SHIFT | index
        for batch in (self._queued, self._writing):
            if batch and (batch.nodes or batch.deleted):
                if row := batch.nodes.get(place):
                    return MerkleNode(index, row[1], row[2])
                if batch.hides("node", place):
                    return None
        found = self._read("SELECT size, hash FROM node WHERE place = ?", (place,))
        return MerkleNode(index, *found[0]) if found else None

    def nodes(self, core: int, start: int, end: int) -> list[MerkleNode]:
        """The tree nodes from number `start` to before `end` that are here."""
        base = core << _CORE_SHIFT
        first, last = base | start, base | end
        rows = self._read("SELECT place, size, hash FROM node WHERE place >= ? AND place < ?", (first, last))
        found = {row[0]: row for row in rows}
        for batch in (self._writing, self._queued):
            if batch and batch.deleted:
                found = {place: row for place, row in found.items() if not batch.hides("node", place)}
            if batch and batch.nodes:
                found.update((place, row) for place, row in batch.nodes.items() if first <= place < last)
        return [MerkleNode(place - base, size, digest) for place, size, digest in found.values()]

    def block(self, core: int, index: int) -> bytes | None:
        """The block `index` of a log, as it was put."""
        place = core << _CORE_SHIFT | index
        for batch in (self._queued, self._writing):
            if batch and (batch.blocks or batch.deleted):
                if row := batch.blocks.get(place):
                    return row[1]
                if batch.hides("block", place):
                    return None
        found = self._read("SELECT value FROM block WHERE place = ?", (place,))
        return found[0][0] if found else None

    def blocks(self, core: int, start: int, end: int) -> list[bytes] | None:
        """All blocks from `start` to before `end`, `None` if one is missing."""
        base = core << _CORE_SHIFT
        rows = self._read(
            "SELECT value FROM block WHERE place >= ? AND place < ? ORDER BY place", (base | start, base | end)
        )
        if len(rows) == end - start and not self._queued.deleted and not (self._writing and self._writing.deleted):
            return [value for (value,) in rows]
        found = [self.block(core, index) for index in range(start, end)]
        return None if None in found else [value for value in found if value is not None]

    def small_blocks(self, core: int, indexes: Sequence[int], most: int = SMALL_BLOCK) -> dict[int, bytes]:
        """Those of at most `TOGETHER` blocks that are here and have at most so many bytes."""
        base = core << _CORE_SHIFT
        places = [base | index for index in indexes]
        found = dict(self._read(_SELECT_SMALL, (*places, *(TOGETHER - len(places)) * (-1,), most)))
        for batch in (self._writing, self._queued):
            if batch and (batch.blocks or batch.deleted):
                for place in places:
                    if row := batch.blocks.get(place):
                        found[place] = row[1]
                    elif batch.hides("block", place):
                        found.pop(place, None)
        return {place - base: value for place, value in found.items() if len(value) <= most}

    def held(self, core: int, start: int, end: int) -> list[int]:
        """The numbers of the blocks between `start` and `end` that are here."""
        base = core << _CORE_SHIFT
        first, last = base | start, base | end
        rows = self._read("SELECT place FROM block WHERE place >= ? AND place < ?", (first, last))
        places = {place for (place,) in rows}
        for batch in (self._writing, self._queued):
            if batch:
                places = {place for place in places if not batch.hides("block", place)}
                places.update(place for place in batch.blocks if first <= place < last)
        return [place - base for place in places]

    def _read(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        try:  # no `with`: this is called for each node and each block
            return self._reader.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise explanation(error, self.path) from error

    # Writing

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that no more should be fetched."""
        waiting = self._queued.block_bytes + (self._writing.block_bytes if self._writing else 0)
        return waiting > PENDING_HIGH_WATER

    async def add_core(self, discovery_key: bytes, key: bytes) -> CoreRow:
        """Begin to keep a log."""
        if len(self.cores()) >= MAX_CORES:
            raise StoreError(f"A store holds at most {MAX_CORES} logs.")
        self.execute("INSERT OR IGNORE INTO core (discovery_key, key) VALUES (?, ?)", (discovery_key, key))
        await self.flush()
        row = self.core(discovery_key)
        assert row
        return row

    def put_nodes(self, core: int, nodes: Sequence[MerkleNode]) -> None:
        """Keep these tree nodes."""
        base, into = core << _CORE_SHIFT, self._queued.nodes
        for index, size, digest in nodes:
            place = base | index
            into[place] = (place, size, digest)

    def put_blocks(self, core: int, start: int, blocks: Sequence[bytes]) -> None:
        """Keep these blocks, the first of them at `start`."""
        place, batch = core << _CORE_SHIFT | start, self._queued
        for block in blocks:
            batch.blocks[place] = (place, block)
            batch.block_bytes += len(block)
            place += 1

    def put_head(self, core: int, head: Head) -> None:
        """Keep this as the state of a log."""
        self._queued.heads[core] = head

    def delete(self, core: int, *, blocks: tuple[int, int] | None = None, nodes: tuple[int, int] | None = None) -> None:
        """Forget the blocks, or the tree nodes, from the first of two numbers to before the second."""
        base, batch = core << _CORE_SHIFT, self._queued
        for table, span, put in (("block", blocks, batch.blocks), ("node", nodes, batch.nodes)):
            if span:
                first, end = base | span[0], base | span[1]
                batch.deleted.append((table, first, end))
                for place in [place for place in put if first <= place < end]:
                    del put[place]

    def execute(self, statement: str, parameters: Sequence[Any]) -> None:
        """Make any other change."""
        self._queued.statements.append((statement, parameters))

    def before_sending(self, put: Callable[[], None]) -> None:
        """Have `put` called once, however often this is, when what is put now and until then is sent.

        It may put what depends on all of that.
        """
        self._queued.sealing[put] = None

    def commit(
        self, *, durable: bool = False, failed: Callable[[Exception], None] | None = None
    ) -> "asyncio.Future[None]":
        """Send what was put on its way to the disk, together with all that is put before the loop's next turn or, while
        something else is being written, until that is done; `durable` survives a power cut, all of it our crash.

        The future ends when it is written, or with a `StoreError`: then nothing of it is, nor of what was put later;
        `failed(error)` is called before anything else can be put.
        """
        batch = self._queued
        batch.durable |= durable
        if failed:
            batch.failed.add(failed)
        if self._writing is None and not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._send_now)
        return batch.written

    def commit_soon(self, failed: Callable[[Exception], None]) -> None:
        """Send what was put on its way to the disk together with what is put in the next moments.

        `failed(error)` is called if that cannot be written; then nothing of it is.
        """
        self._queued.failed.add(failed)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COMMIT_DELAY, self.commit)

    def sync_soon(self, synced: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Have what was written survive a power cut soon, together with what is written in the next moments.

        Then `synced()` is called, or `failed(error)`: nobody knows then whether it does.
        """
        self._unsynced.append((synced, failed))
        if self._syncing is None and len(self._unsynced) == 1:
            asyncio.get_running_loop().call_later(SYNC_DELAY, self._sync_unless_syncing)

    def _sync_unless_syncing(self) -> None:
        if self._unsynced and self._syncing is None:
            self._sync()

    def _sync(self) -> "asyncio.Future[None]":
        waiting, self._unsynced = self._unsynced, []
        self._syncing = asyncio.get_running_loop().run_in_executor(None, self._writer.sync)
        self._syncing.add_done_callback(partial(self._synced, waiting))
        return self._syncing

    def _synced(self, waiting: "list[_Unsynced]", done: "asyncio.Future[None]") -> None:
        self._syncing = None
        if self._unsynced:
            asyncio.get_running_loop().call_later(SYNC_DELAY, self._sync_unless_syncing)
        error = done.exception()
        for synced, failed in waiting:
            if isinstance(error, Exception):
                failed(error)
            else:
                synced()

    @property
    def durable(self) -> bool:
        """Whether what is queued will survive a power cut once it is written."""
        return self._queued.durable

    async def flush(self) -> None:
        """Wait until all that was put is written."""
        while self._queued.anything or self._writing:
            await asyncio.shield(self._writing.written if self._writing else self.commit())

    def _send_now(self) -> None:
        if self._sending:
            self._send()

    def _send(self) -> None:
        self._sending = False
        self._stop_timer()
        batch = self._queued
        for put in batch.sealing:
            put()
        self._writing, self._queued = batch, WriteBatch()
        self._writer.send(batch, self._sent)

    def _sent(self, batch: WriteBatch, error: Exception | None) -> None:
        self._writing = None
        self.failure = error
        if error is None:
            batch.written.set_result(None)
            if batch.durable:  # and with it all that was written before
                waiting, self._unsynced = self._unsynced, []
                for synced, _ in waiting:
                    synced()
            if self._queued.anything:
                self._send()
            return
        # What was put meanwhile may build on what was not written.
        later, self._queued = self._queued, WriteBatch()
        self._stop_timer()
        for lost in (batch, later):
            lost.written.set_exception(error)
        for failed in batch.failed | later.failed:
            failed(error)
        if is_of_the_disk(error):  # a later sync that succeeds says nothing about what was written before this one
            unsynced, self._unsynced = self._unsynced, []
            for _, failed in unsynced:
                failed(error)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


_Unsynced = tuple[Callable[[], None], Callable[[Exception], None]]

_SELECT_CORE = (
    "SELECT id, discovery_key, key, manifest, namespace, name, fork, length, signature, contiguous, conflict FROM core"
)

_SELECT_SMALL = f"SELECT place, value FROM block WHERE place IN ({','.join('?' * TOGETHER)}) AND length(value) <= ?"


def _row(row: tuple[Any, ...]) -> CoreRow:
    return CoreRow._make((*row[:6], Head._make(row[6:10]), row[10]))


def _byte_length(reader: sqlite3.Connection, row: CoreRow) -> int:
    places = [row.id << _CORE_SHIFT | root for root in flat.roots(row.head.length)]
    marks = ",".join("?" * len(places))
    return int(
        reader.execute(f"SELECT coalesce(sum(size), 0) FROM node WHERE place IN ({marks})", places).fetchone()[0]
    )
