"""Cores: append-only logs, signed by their author, that anybody who knows the key can copy and check."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from linkup_nb.arguments import content, number
from linkup_nb.errors import InvalidProof, LinkupError, NodeClosed, NotAvailable, StoreError, UsageError
from linkup_nb.hypercore import events as ev
from linkup_nb.hypercore.audit import Audit, audit
from linkup_nb.hypercore.core_info import CoreInfo
from linkup_nb.hypercore.download import Download
from linkup_nb.hypercore.encryption import PADDING, BlockCipher
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.offsets import count_bytes, find_byte
from linkup_nb.hypercore.replicator import Replicator
from linkup_nb.hypercore.storage import MAX_LENGTH
from linkup_nb.loops import Events, from_any_loop
from linkup_nb.wire.keys import KeyPair, short_key, z32encode

GET_TIMEOUT = 30.0  # seconds to wait for a peer that has a block
READ_AHEAD = 64  # blocks that a stream reads or requests at a time
_NUMBER = "the number of a block"

__all__ = ["Audit", "Core", "CoreInfo", "Evidence", "KeyPair"]


class Core(Events):
    """A log; made by `Corestore.core`. `async with` it, or `close` it.

    Emits `append`, `truncate` (length, fork), `fork` (the evidence of one that is not followed), `download` (index),
    `peer` (connection), `held` (the public key of a peer, how many blocks from the first on it has now) and `conflict`
    (two pieces of evidence that its author signed two histories; nothing more is accepted then).
    """

    def __init__(
        self,
        log: Log,
        replicator: Replicator,
        encryption_key: bytes | None = None,
        *,
        at: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.closed = False
        self._log = log
        self._replicator = replicator
        self._encryption_key = encryption_key
        self._cipher = self._make_cipher()
        self._at = at
        # Counted on this loop alone: only its thread may read the store, and any thread may read `byte_length`.
        self._bytes_at: int | None = None
        self._count_bytes()
        log.views.add(self)
        log.listeners.add(self._on_event)

    def __repr__(self) -> str:
        kind = f"snapshot at {self.length}" if self._at else "writable" if self.writable else "read-only"
        return f"Core({short_key(self.key)}, {self.length} blocks, fork {self.fork}, {kind})"

    def __len__(self) -> int:
        return self.length

    @property
    def log(self) -> Log:
        """The log that this is a view of; only for the loop of the store."""
        return self._log

    @property
    def key(self) -> bytes:
        """32 bytes by which anybody can find and check this core."""
        return self._log.key

    @property
    def discovery_key(self) -> bytes:
        """32 bytes by which peers that know the key find each other, and nobody else learns it."""
        return self._log.discovery_key

    @property
    def id(self) -> str:
        """The key as 52 letters and digits."""
        return z32encode(self.key)

    @property
    def length(self) -> int:
        """How many blocks its author has signed, as far as is known here."""
        return self._at[0] if self._at else self._log.length

    @property
    def fork(self) -> int:
        """How often the end has been cut off."""
        return self._at[1] if self._at else self._log.fork

    @property
    def byte_length(self) -> int:
        """Bytes of all blocks, whether they are here or not.

        Raises `NotAvailable` for a view of the past if not enough of its tree is here; `seek` fetches it.
        """
        total = self._total()
        if total is None:
            raise NotAvailable(f"Not enough of the tree of {self!r} is here to compute its size; `seek` fetches it.")
        return total

    def _total(self) -> int | None:
        """The bytes of all blocks; those of the past are kept, as their tree may be cut off."""
        total = self._bytes_at if self._at else self._log.byte_length
        return None if total is None else total - self._padding * self.length

    def _count_bytes(self) -> None:
        if self._at and self._bytes_at is None and not self._cut:
            self._bytes_at = count_bytes(self._log, self.length)

    @property
    def _cut(self) -> bool:
        """Whether some of this view of the past has been cut off since."""
        fork = self._at[1] if self._at else self._log.fork
        return fork != self._log.fork and self.length > self._replicator.common_since(fork)

    @property
    def contiguous_length(self) -> int:
        """How many blocks from the first on are here."""
        return min(self._log.blocks.contiguous, self.length)

    @property
    def writable(self) -> bool:
        """Whether this core can be appended to here."""
        return self._log.writable and not self._at

    @property
    def peers(self) -> int:
        """How many peers have this core open with us."""
        return len(self._replicator.peers)

    @property
    def held(self) -> dict[bytes, int]:
        """How many blocks from the first on each peer has that has this core open with us, by its public key."""
        peers = tuple(self._replicator.peers)
        return {peer.connection.remote_public_key: min(peer.blocks.contiguous, self.length) for peer in peers}

    @property
    def counts(self) -> dict[bytes, int]:
        """How many blocks, wherever they stand, each of those peers has."""
        peers = tuple(self._replicator.peers)
        return {peer.connection.remote_public_key: peer.blocks.count(0, self.length) for peer in peers}

    @property
    def manifest(self) -> Manifest | None:
        """Who may sign this core; `None` until a peer has sent it, and for cores without one (npm's `compat`)."""
        return self._log.manifest

    @property
    def key_pair(self) -> KeyPair | None:
        """What this core is signed with, `None` for a core of somebody else."""
        return self._log.key_pair

    @property
    def write_lock(self) -> asyncio.Lock:
        """Held by whoever appends what refers to places in this core, whichever view of it they use; on its loop."""
        return self._log.write_lock

    def missing(self, sentence: str) -> LinkupError:
        """What to raise for what no peer sent: a `StoreError` if it was sent, maybe, and the disk refused it."""
        failure = self._log.store.failure
        return StoreError(str(failure)) if failure else NotAvailable(sentence)

    @property
    def conflict(self) -> tuple[Evidence, Evidence] | None:
        """Two heads that its author signed and that disagree, if that has happened; the core is frozen then."""
        return self._log.conflict

    @property
    def _padding(self) -> int:
        return PADDING if self._cipher else 0

    @property
    def info(self) -> CoreInfo:
        """What there is to know about this core, now."""
        return CoreInfo(
            self.key,
            self.discovery_key,
            self.length,
            self.byte_length,
            self.contiguous_length,
            self.fork,
            self.writable,
            self._cipher is not None,
            self.peers,
        )

    # Writing

    @from_any_loop
    async def append(
        self, blocks: bytes | Iterable[bytes], *, durable: bool = True, after: "asyncio.Future[int] | None" = None
    ) -> int:
        """Add one block, or many at once; the length then. They are on disk when this returns, and only then announced.

        Without `durable` they survive a crash of this process, but not yet a power cut. With `after`, an append to
        another core of this store that is under way on its loop, nothing is added if that one fails. Raises
        `NotWritable`, `UsageError` for a block over 15 MiB, `StoreError` when the disk refuses; nothing is added then.
        """
        self.check_open()
        if self._at:
            raise UsageError("A snapshot is the past, which cannot be appended to; append to the core itself.")
        if isinstance(blocks, Iterable) and not isinstance(blocks, bytes | bytearray | memoryview | str):
            stored = [block if type(block) is bytes else content(block, "a block") for block in blocks]
        else:
            stored = [content(blocks, "a block")]
        encode = self._cipher.encrypt if self._cipher else None
        return await self._log.append(stored, encode, durable=durable, after=after)

    @from_any_loop
    async def truncate(self, length: int, fork: int | None = None) -> None:
        """Cut off all blocks from `length` on. This makes a new fork: peers follow, and drop those blocks too."""
        self.check_open()
        if self._at:
            raise UsageError("A snapshot is the past, which cannot be cut; truncate the core itself.")
        new_fork = None if fork is None else number(fork, "a fork")
        await self._log.truncate(number(length, "a length"), new_fork)

    @from_any_loop
    async def clear(self, start: int, end: int | None = None) -> None:
        """Forget the blocks from `start` to before `end` here, by default that one; a `get` fetches them again."""
        self.check_open()
        await self._log.clear(*self._span(start, end, self.length))

    # Reading

    @from_any_loop
    async def get(self, index: int, *, timeout: float | None = GET_TIMEOUT) -> bytes:
        """The block `index`, from here or from a peer; a negative index counts from the end.

        Waits for a block that its author has not appended yet. Raises `NotAvailable` after `timeout` seconds, or
        `StoreError` if the disk refused what came.
        """
        index = number(index, _NUMBER)
        if index < 0:
            index += self.length
        block = self._here(index)
        if block is not None:
            return block
        try:
            async with asyncio.timeout(timeout):
                while True:
                    block = self._here(index)
                    if block is not None:
                        return block
                    if index < self._log.end:
                        await self._log.want(index)
                    else:
                        await self._log.changed()
        except TimeoutError:
            raise self.missing(f"No peer sent block {index} of {self!r} within {timeout} s.") from None

    def _here(self, index: int) -> bytes | None:
        self.check_open()
        log = self._log
        if not 0 <= index < MAX_LENGTH or (self._at and index >= self._at[0]):
            raise UsageError(f"This core has {self.length} blocks, and no block {index}.")
        if self._at and log.fork != self._at[1] and index >= self._replicator.common_since(self._at[1]):
            raise UsageError(f"Block {index} of this snapshot was cut off since.")
        if index >= log.end or not log.blocks.has(index):
            return None
        stored = log.block(index)
        return self._cipher.decrypt(index, stored) if self._cipher else stored

    @from_any_loop
    async def has(self, start: int, end: int | None = None) -> bool:
        """Whether the block `start`, or all to before `end`, are here."""
        self.check_open()
        start, end = self._span(start, end, MAX_LENGTH)
        return end <= self.length and next(self._log.blocks.missing(start, end), None) is None

    async def read_stream(
        self, start: int = 0, end: int | None = None, *, live: bool = False, timeout: float | None = GET_TIMEOUT
    ) -> AsyncIterator[bytes]:
        """The blocks from `start` to before `end`, in order; with `live`, those to come too.

        Raises `NotAvailable` when a block that exists does not come within `timeout` seconds.
        """
        stop = self.length if end is None and not live else end
        index = number(start, _NUMBER)
        stop = None if stop is None else number(stop, _NUMBER)
        if index < 0:
            raise UsageError(f"A stream starts at block 0 or later, not at block {index}.")
        while stop is None or index < stop:
            ahead = min(index + READ_AHEAD, self.length if stop is None else stop)
            for block in await self.read(index, ahead, timeout=timeout):
                yield block
                index += 1
            if index == self.length and stop is None:
                await self.wait_for_length(index + 1, timeout=None)

    @from_any_loop
    async def read(self, start: int, end: int, *, timeout: float | None = GET_TIMEOUT) -> list[bytes]:
        """Blocks from `start` on and before `end`: those that are quick to have together, at least one; read on after.

        The rest of the range is requested from peers meanwhile. Raises `NotAvailable` after `timeout` seconds.
        """
        self.check_open()
        if end <= self._log.blocks.contiguous and not self._at:
            stored = self._log.store.blocks(self._log.id, start, end)
            if stored is not None:
                return [self._cipher.decrypt(start + i, b) for i, b in enumerate(stored)] if self._cipher else stored
        if end <= start:
            return []
        async with self.prefetch(start, end):
            return [await self.get(start, timeout=timeout)]

    @asynccontextmanager
    async def prefetch(self, start: int, end: int) -> AsyncIterator[None]:
        """Fetch a range of blocks in this block of code, where some of them are read: `async with core.prefetch(…)`."""
        download = await self.download(start, end)
        try:
            yield
        finally:
            download.cancel()

    @from_any_loop
    async def wait_for_length(self, length: int, *, timeout: float | None = GET_TIMEOUT) -> int:
        """Wait until the core has at least `length` blocks, here or at a peer; the length then.

        Raises `NotAvailable` after `timeout` seconds.
        """
        self.check_open()
        length = number(length, "a length")
        try:
            async with asyncio.timeout(timeout):
                while self._log.length < length:
                    await self._log.changed()
        except TimeoutError:
            raise self.missing(f"No peer sent a head of {self!r} with {length} blocks within {timeout} s.") from None
        return self._log.length

    @from_any_loop
    async def seek(self, byte_offset: int, *, timeout: float | None = GET_TIMEOUT) -> tuple[int, int]:
        """The block in which a byte lies, and where in the block. Raises `UsageError` past the end."""
        self.check_open()
        byte_offset = number(byte_offset, "the number of a byte")
        self._count_bytes()
        total = self._total()
        if byte_offset < 0 or (total is not None and byte_offset > total):
            raise UsageError(f"This core has {total} bytes, and no byte {byte_offset}.")
        if byte_offset == total:
            return self.length, 0
        if self._cut:
            raise UsageError("Some of this snapshot was cut off since; no byte can be found in it.")
        try:
            async with asyncio.timeout(timeout):
                fetch = self._replicator.scheduler.seek
                found = await find_byte(self._log, self.length, byte_offset, self._padding, fetch)
        except TimeoutError:
            raise self.missing(f"No peer helped to find byte {byte_offset} of {self!r} within {timeout} s.") from None
        self._count_bytes()
        return found

    @from_any_loop
    async def update(self, *, timeout: float | None = GET_TIMEOUT) -> bool:
        """Request a newer head of the peers; whether there was one. Returns at once when there are no peers."""
        self.check_open()
        before = (self._log.fork, self._log.length)
        try:
            async with asyncio.timeout(timeout):
                await self._replicator.updated()
        except TimeoutError:
            raise self.missing(f"No peer sent its head of {self!r} within {timeout} s.") from None
        return (self._log.fork, self._log.length) != before

    @from_any_loop
    async def download(self, start: int = 0, end: int | None = None) -> Download:
        """Begin to fetch the blocks from `start` to before `end`; `await` the result's `done()`.

        Without `end`, all blocks there are now. The result has `downloaded` and `total`, and can be cancelled.
        """
        self.check_open()
        return self._replicator.scheduler.download(*self._span(start, self.length if end is None else end, MAX_LENGTH))

    def _span(self, start: int, end: int | None, most: int) -> tuple[int, int]:
        """The blocks from `start` to before `end`, by default one of them."""
        start = number(start, _NUMBER)
        end = start + 1 if end is None else number(end, _NUMBER)
        if not 0 <= start <= end <= most:
            raise UsageError(f"This core has {self.length} blocks, not blocks {start} to {end}.")
        return start, end

    # The past, and proofs

    @from_any_loop
    async def snapshot(self) -> "Core":
        """This core as it is now, whatever is appended later; close it too."""
        return self._view(self.length)

    @from_any_loop
    async def checkout(self, length: int) -> "Core":
        """This core as it was at a length; close it too."""
        length = number(length, "a length")
        if not 0 <= length <= self.length:
            raise UsageError(f"This core has {self.length} blocks, and never had {length}.")
        return self._view(length)

    def _view(self, length: int) -> "Core":
        self.check_open()
        return Core(self._log, self._replicator, self._encryption_key, at=(length, self.fork))

    @from_any_loop
    async def proof(self, index: int) -> Evidence:
        """The block `index` with the signed head over it; anybody who knows the key can check it with `verify`."""
        self.check_open()
        return self._log.evidence(number(index, _NUMBER))

    @from_any_loop
    async def verify(self, proof: Evidence | bytes) -> bytes:
        """The block that a proof, or its `encode()`, shows. Raises `InvalidProof` if it is not one of this core."""
        evidence = proof if isinstance(proof, Evidence) else Evidence.decode(content(proof, "a proof"))
        if evidence.key != self.key:
            raise InvalidProof("This proof is of another core.")
        evidence.check()
        if not evidence.proof.block:
            raise InvalidProof("This proof shows no block.")
        index, value, _ = evidence.proof.block
        return self._cipher.decrypt(index, value) if self._cipher else value

    @from_any_loop
    async def dispute(self, one: Evidence, other: Evidence) -> None:
        """Freeze at two heads that contradict each other, unless those of an earlier conflict agree on no more.

        Raises `InvalidProof` if its author did not sign both, or if they contradict nothing.
        """
        self.check_open()
        await self._log.dispute(one, other)

    @from_any_loop
    async def audit(self) -> Audit:
        """Check every block and hash that is here, and the signature; takes a while for a large core."""
        self.check_open()
        return await audit(self._log)

    # Life

    def _on_event(self, event: ev.LogEvent) -> None:
        """Pass on what happens to the log."""
        if isinstance(event, ev.LogClosed):
            self.closed = True
        if isinstance(event, ev.Appended) and self._cipher and self._log.manifest is None:
            self._cipher = self._make_cipher()
        if self._at:
            return
        match event:
            case ev.Appended():
                self.emit("append")
            case ev.ForkRefused(head):
                self.emit("fork", head)
            case ev.Truncated(length, fork):
                self.emit("truncate", length, fork)
            case ev.Downloaded(index):
                self.emit("download", index)
            case ev.PeerOpened(connection):
                self.emit("peer", connection)
            case ev.PeerGrown(connection, length):
                self.emit("held", connection.remote_public_key, min(length, self.length))
            case ev.ConflictFound(ours, theirs):
                self.emit("conflict", ours, theirs)

    def _make_cipher(self) -> BlockCipher | None:
        log = self._log
        bare = log.manifest is None and log.length > 0
        return BlockCipher(log.key, self._encryption_key, bare=bare) if self._encryption_key else None

    def check_open(self) -> None:
        """Raises `NodeClosed` unless this core is open."""
        if self.closed:
            raise NodeClosed("This core has been closed; open it again with `store.core`.")

    @from_any_loop
    async def close(self) -> None:
        """Stop using this view; the log itself stays open while others use it."""
        if not self.closed:
            self.closed = True
            self._log.views.discard(self)
            self._log.listeners.discard(self._on_event)
            self._replicator.deactivate()

    async def __aenter__(self) -> "Core":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
