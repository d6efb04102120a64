"""The writing half of a store: each batch becomes one transaction.

A batch is written on the writer's own thread if it is large or the disk is slow, so that the loop is never held up, and
at once if not, because changing threads takes longer than a quick disk.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from linkup_nb.errors import StoreError

QUICK_COMMIT = 0.002  # seconds; while the disk is as quick as this, small batches are written without changing threads
SMALL_BATCH = 256 * 1024  # bytes of blocks, when their author waits for them
SMALL_ROWS = 4096  # nodes and blocks
SMALL_GATHERED = 64 * 1024  # bytes of blocks that peers have sent: the loop has other things to do meanwhile
SMALL_GATHERED_ROWS = 256  # nodes and blocks
CHECKPOINT = 4 * 1024 * 1024  # bytes in the write-ahead log after which it is copied into the database
BULK_CHECKPOINT = 128 * 1024 * 1024  # bytes, while large batches come, which go on to be written during the copying
MAX_LOG = 512 * 1024 * 1024  # bytes in the write-ahead log; then all wait until it is copied, and it begins again

_CACHE = 8 * 1024  # KiB of pages; a transaction that outgrows them writes its pages one by one, not together
_ROW = 64  # bytes, about, that a node or a block adds to the write-ahead log besides its content
_TRANSACTION = 24 * 1024  # bytes, about, that any transaction adds: three pages
_CHUNKS = (256, 16, 1)  # rows that one statement inserts

sync_file = getattr(os, "fdatasync", os.fsync)  # of a file that is open for writing
_INSERTS = {
    "node": {n: f"INSERT OR REPLACE INTO node VALUES {','.join(['(?,?,?)'] * n)}" for n in _CHUNKS},
    "block": {n: f"INSERT OR REPLACE INTO block VALUES {','.join(['(?,?)'] * n)}" for n in _CHUNKS},
}


class Head(NamedTuple):
    """What the store keeps of a log besides its blocks and nodes."""

    fork: int
    length: int
    signature: bytes
    contiguous: int


class WriteBatch:
    """What one transaction will write; deletions come before insertions."""

    def __init__(self) -> None:
        self.nodes: dict[int, tuple[int, int, bytes]] = {}
        self.blocks: dict[int, tuple[int, bytes]] = {}
        self.block_bytes = 0
        self.deleted: list[tuple[str, int, int]] = []
        self.heads: dict[int, Head] = {}
        self.statements: list[tuple[str, Sequence[Any]]] = []
        self.durable = False
        self.sealing: dict[Callable[[], None], None] = {}  # a set, in its order
        self.failed: set[Callable[[Exception], None]] = set()
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.written.add_done_callback(lambda written: written.cancelled() or written.exception())

    @property
    def anything(self) -> bool:
        """Whether there is something to write."""
        return bool(self.nodes or self.blocks or self.deleted or self.heads or self.statements or self.sealing)

    @property
    def small(self) -> bool:
        """Whether writing it takes no longer than a loop may be held up."""
        most, rows = (SMALL_BATCH, SMALL_ROWS) if self.durable else (SMALL_GATHERED, SMALL_GATHERED_ROWS)
        return self.block_bytes < most and len(self.nodes) + len(self.blocks) < rows

    def hides(self, table: str, place: int) -> bool:
        """Whether this batch deletes what the disk still has there."""
        return any(name == table and first <= place < end for name, first, end in self.deleted)


class Writer:
    """The one connection that writes. `send` it one batch at a time; `close` it."""

    def __init__(self, connection: sqlite3.Connection, file: Path, wal: Path) -> None:
        self.connection = connection
        self._file = file
        self._folder = file.parent
        self._wal_file = wal
        self._wal: int | None = None
        self._work: queue.SimpleQueue[tuple[WriteBatch, asyncio.AbstractEventLoop, _Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"linkup store {self._folder.name}", daemon=True)
        self._synchronous = ""
        self._quick = False
        self._copier = ThreadPoolExecutor(1, thread_name_prefix="linkup store copies")
        self._copying: Future[None] | None = None
        self._checkpointing = False
        self._log_size = 0
        self._uncopied = 0
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # `_checkpoint` does it, never on the loop
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")
        connection.execute(f"PRAGMA journal_size_limit = {2 * CHECKPOINT}")
        self._thread.start()

    def send(self, batch: WriteBatch, done: "_Done") -> None:
        """Write a batch; `done(batch, error)` is called on this loop, now or later."""
        if batch.small and self._quick and not self._checkpointing and self._log_size < CHECKPOINT:
            done(batch, self._write(batch))
        else:
            self._work.put((batch, asyncio.get_running_loop(), done))

    def sync(self) -> None:
        """Have all that was written survive a power cut; for any thread. Raises `StoreError`."""
        try:
            if self._wal is None:
                # Of the database itself no other handle may be closed: that would drop SQLite's locks.
                self._wal = os.open(self._wal_file, os.O_RDWR)
            sync_file(self._wal)
        except OSError as error:
            raise StoreError(
                f"The disk of the store in {self._folder} does not keep what was written: {error}."
            ) from error

    async def close(self) -> None:
        """End, after what was sent has been written."""
        self._work.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._copier.shutdown()
        self.connection.close()
        if self._wal is not None:
            os.close(self._wal)

    def _run(self) -> None:
        while work := self._work.get():
            batch, loop, done = work
            error = self._write(batch)
            copying = self._copying is not None and not self._copying.done()
            many = 2 * CHECKPOINT if batch.small else BULK_CHECKPOINT
            few = batch.small and not copying and self._uncopied <= many
            self._checkpointing = self._log_size > (CHECKPOINT if few else MAX_LOG)
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits
                loop.call_soon_threadsafe(done, batch, error)
            if self._checkpointing:
                if self._copying:
                    self._copying.result()
                self._log_size = self._uncopied = 0
                self._copy()
                self._checkpointing = False
            elif self._uncopied > many and not copying:
                self._uncopied = 0
                self._copying = self._copier.submit(self._copy)

    def _copy(self) -> None:
        """Copy the write-ahead log into the database; what it holds is safe before that too."""
        # A full disk is no fault here: the next time may find room.
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self._file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _write(self, batch: WriteBatch) -> Exception | None:
        """Write a batch; its failure is returned, for who waits for it."""
        try:
            with explained(self._folder):
                self._transact(batch)
        except Exception as error:  # noqa: BLE001
            return error
        return None

    def _transact(self, batch: WriteBatch) -> None:
        # Few statements of many rows: sqlite3 gives up the interpreter's lock for each, and may wait for it after each.
        run = self.connection.execute
        synchronous = "FULL" if batch.durable else "NORMAL"
        if synchronous != self._synchronous:
            run(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        run("BEGIN IMMEDIATE")
        try:
            for table, first, end in batch.deleted:
                run(f"DELETE FROM {table} WHERE place >= ? AND place < ?", (first, end))
            self._insert("node", [batch.nodes[place] for place in sorted(batch.nodes)])  # as the table keeps them
            self._insert("block", list(batch.blocks.values()))
            for core, head in batch.heads.items():
                run("UPDATE core SET fork = ?, length = ?, signature = ?, contiguous = ? WHERE id = ?", (*head, core))
            for statement, parameters in batch.statements:
                run(statement, parameters)
            started = time.perf_counter()
            run("COMMIT")
            self._quick = time.perf_counter() - started < QUICK_COMMIT
            size = batch.block_bytes + _ROW * (len(batch.nodes) + len(batch.blocks)) + _TRANSACTION
            self._log_size += size
            self._uncopied += size
        except BaseException:
            if self.connection.in_transaction:
                run("ROLLBACK")
            raise

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        at = 0
        for size in _CHUNKS:
            statement = _INSERTS[table][size]
            while len(rows) - at >= size:
                self.connection.execute(statement, list(chain.from_iterable(rows[at : at + size])))
                at += size


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into sentences."""
    try:
        yield
    except sqlite3.Error as error:
        raise explanation(error, path) from error


def is_of_the_disk(error: Exception) -> bool:
    """Whether a batch failed because the disk did, not because it is full or the like."""
    return isinstance(cause := error.__cause__, sqlite3.Error) and cause.sqlite_errorname.startswith("SQLITE_IOERR")


def explanation(error: sqlite3.Error, path: Path) -> StoreError:
    """An error of SQLite's as a sentence about the store in `path`."""
    text = str(error)
    if "full" in text:
        return StoreError(f"The disk of the store in {path} is full; nothing of this change was kept.")
    if "readonly" in text or "unable to open" in text:
        return StoreError(f"The store in {path} cannot be written; check its permissions.")
    return StoreError(f"The store in {path} cannot be used: {text}.")


_Done = Callable[[WriteBatch, Exception | None], None]
