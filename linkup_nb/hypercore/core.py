"""Cores: append-only logs, signed by their author, that anybody who knows the key can copy and check."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linkup_nb.errors import InvalidProof, NodeClosed, NotAvailable, UsageError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.encryption import PADDING, BlockCipher
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.log import Audit, Log
from linkup_nb.loops import Events, from_any_loop
from linkup_nb.wire.keys import KeyPair, z32encode

if TYPE_CHECKING:
    from linkup_nb.hypercore.download import Download
    from linkup_nb.hypercore.replicator import Replicator

GET_TIMEOUT = 30.0  # seconds to wait for a peer that has a block
READ_AHEAD = 64  # blocks that a stream reads or asks for at a time

__all__ = ["Audit", "Core", "CoreInfo", "Evidence", "KeyPair"]


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """A core at one moment; sizes are bytes."""

    key: bytes
    discovery_key: bytes
    length: int
    byte_length: int
    contiguous_length: int
    fork: int
    writable: bool
    encrypted: bool
    peers: int


class Core(Events):
    """A log; made by `Corestore.core`. `async with` it, or `close` it.

    Emits `append`, `truncate` (length, fork), `download` (index), `peer` (connection) and `conflict` (two pieces of
    evidence that its author signed two histories; nothing more is accepted then).
    """

    def __init__(
        self,
        log: Log,
        replicator: "Replicator",
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
        # Counted once, here: only this loop's thread may ask the store, and any thread may ask how long a view is.
        self._bytes_at = self._count_bytes(at[0]) if at else 0
        log.listeners.add(self)

    def __repr__(self) -> str:
        kind = f"snapshot at {self.length}" if self._at else "writable" if self.writable else "read-only"
        return f"Core({z32encode(self.key)[:8]}…, {self.length} blocks, fork {self.fork}, {kind})"

    def __len__(self) -> int:
        return self.length

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

        Raises `NotAvailable` for a view of the past if not enough of its tree is here to tell; `seek` fetches that.
        """
        total = self._total()
        if total is None:
            raise NotAvailable(f"not enough of the tree of {self!r} is here to tell its size")
        return total

    def _total(self) -> int | None:
        """The bytes of all blocks; those of the past are kept, as their tree may be cut off."""
        if not self._at:
            return self._log.byte_length - self._padding * self.length
        if self._bytes_at is None and not self._cut:
            self._bytes_at = self._count_bytes(self.length)
        return None if self._bytes_at is None else self._bytes_at - self._padding * self.length

    def _count_bytes(self, length: int) -> int | None:
        nodes = [self._log.find(index) for index in flat.roots(length)]
        return None if None in nodes else sum(node.size for node in nodes if node)

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
    async def append(self, blocks: bytes | Sequence[bytes]) -> int:
        """Add one block, or many at once; the length then. They are on disk when this returns, and only then announced.

        Raises `NotWritable`, `UsageError` for a block over 15 MiB, `StoreError` when the disk refuses; nothing is added
        then.
        """
        return await self._append([blocks] if isinstance(blocks, bytes) else blocks)

    async def _append(
        self, blocks: Sequence[bytes], *, durable: bool = True, after: "asyncio.Future[int] | None" = None
    ) -> int:
        self._check_open()
        if self._at:
            raise UsageError("a snapshot is the past, which cannot be appended to")
        encode = self._cipher.encrypt if self._cipher else None
        return await self._log.append([bytes(block) for block in blocks], encode, durable=durable, after=after)

    @from_any_loop
    async def truncate(self, length: int, fork: int | None = None) -> None:
        """Cut off all blocks from `length` on. This makes a new fork: peers follow, and drop those blocks too."""
        self._check_open()
        if self._at:
            raise UsageError("a snapshot is the past, which cannot be cut")
        await self._log.truncate(length, fork)

    @from_any_loop
    async def clear(self, start: int, end: int | None = None) -> None:
        """Forget the blocks from `start` to before `end` here, to make room. A `get` fetches them from peers again."""
        self._check_open()
        end = start + 1 if end is None else end
        if not 0 <= start <= end <= self.length:
            raise UsageError(f"blocks {start} to {end} of a core of {self.length}")
        await self._log.clear(start, end)

    # Reading

    @from_any_loop
    async def get(self, index: int, *, timeout: float | None = GET_TIMEOUT) -> bytes:
        """The block `index`, from here or from a peer; a negative index counts from the end.

        Waits for a block that its author has not appended yet. Raises `NotAvailable` after `timeout` seconds.
        """
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
                    if index < self._log.length:
                        await self._log.want(index)
                    else:
                        await self._log.changed()
        except TimeoutError:
            raise NotAvailable(f"no peer sent block {index} of {self!r} within {timeout} s") from None

    def _here(self, index: int) -> bytes | None:
        self._check_open()
        log = self._log
        if index < 0 or (self._at and index >= self._at[0]):
            raise UsageError(f"block {index} of a core of {self.length} blocks")
        if self._at and log.fork != self._at[1] and index >= self._replicator.common_since(self._at[1]):
            raise UsageError(f"block {index} of this snapshot was cut off since")
        if not log.blocks.has(index):
            return None
        stored = log.block(index)
        return self._cipher.decrypt(index, stored) if self._cipher and stored is not None else stored

    @from_any_loop
    async def has(self, start: int, end: int | None = None) -> bool:
        """Whether the block `start`, or all to before `end`, are here."""
        self._check_open()
        end = start + 1 if end is None else end
        return end <= self.length and next(self._log.blocks.missing(start, end), None) is None

    async def read_stream(
        self, start: int = 0, end: int | None = None, *, live: bool = False, timeout: float | None = GET_TIMEOUT
    ) -> AsyncIterator[bytes]:
        """The blocks from `start` to before `end`, in order; with `live`, those to come too.

        Raises `NotAvailable` when a block that exists does not come within `timeout` seconds.
        """
        stop = self.length if end is None and not live else end
        index = start
        while stop is None or index < stop:
            ahead = min(index + READ_AHEAD, self.length if stop is None else stop)
            for block in await self._read(index, ahead, timeout):
                yield block
                index += 1
            if index == self.length and stop is None:
                await self._grown(index)

    @from_any_loop
    async def _read(self, start: int, end: int, timeout: float | None) -> list[bytes]:
        """Some blocks at once, as many of the range as are quick to have, at least one."""
        self._check_open()
        if end <= self._log.blocks.contiguous and not self._at:
            stored = self._log.store.blocks(self._log.id, start, end)
            if stored is not None:
                return [self._cipher.decrypt(start + i, b) for i, b in enumerate(stored)] if self._cipher else stored
        if end <= start:
            return []
        with self._replicator.ahead(start, end):
            return [await self.get(start, timeout=timeout)]

    @from_any_loop
    async def _grown(self, length: int) -> None:
        while self._log.length <= length:
            await self._log.changed()

    @from_any_loop
    async def seek(self, byte_offset: int, *, timeout: float | None = GET_TIMEOUT) -> tuple[int, int]:
        """The block in which a byte lies, and where in the block. Raises `UsageError` past the end."""
        self._check_open()
        total = self._total()
        if byte_offset < 0 or (total is not None and byte_offset > total):
            raise UsageError(f"byte {byte_offset} of a core of {total} bytes")
        if byte_offset == total:
            return self.length, 0
        if self._cut:
            raise UsageError("some of this snapshot was cut off since; no byte can be found in it")
        try:
            async with asyncio.timeout(timeout):
                return await self._seek(byte_offset)
        except TimeoutError:
            raise NotAvailable(f"no peer helped to find byte {byte_offset} of {self!r} within {timeout} s") from None

    async def _seek(self, offset: int) -> tuple[int, int]:
        while True:
            start, index = self._towards(offset)
            if index is None and offset == start:
                return self.length, 0
            if index is None:
                raise UsageError(f"byte {offset} of a core of {start} bytes")
            if not index & 1 and self._log.find(index):
                return index // 2, offset - start
            while self._log.find(index) is None:
                index = flat.parent(index)
            await self._replicator.seek(index, offset, self._padding)

    def _towards(self, offset: int) -> tuple[int, int | None]:
        """The lowest node that may hold a byte, `None` if it is past the end, and how many bytes come before it."""
        start = 0
        for index in flat.roots(self.length):
            size = self._size(index)
            if size is None:
                return start, index
            if offset < start + size:
                break
            start += size
        else:
            return start, None
        while index & 1:
            left, right = flat.children(index)
            size = self._size(left)
            if size is None:
                break
            index = left if offset < start + size else right
            start += 0 if index == left else size
        return start, index

    def _size(self, index: int) -> int | None:
        node = self._log.find(index)
        return node.size - self._padding * flat.leaves(index) if node else None

    @from_any_loop
    async def update(self, *, timeout: float | None = GET_TIMEOUT) -> bool:
        """Ask the peers for a newer head; whether there was one. Returns at once when there are no peers."""
        self._check_open()
        before = (self._log.fork, self._log.length)
        try:
            async with asyncio.timeout(timeout):
                await self._replicator.updated()
        except TimeoutError:
            raise NotAvailable(f"no peer sent its head of {self!r} within {timeout} s") from None
        return (self._log.fork, self._log.length) != before

    @from_any_loop
    async def download(self, start: int = 0, end: int | None = None) -> "Download":
        """Begin to fetch the blocks from `start` to before `end`; `await` the result's `done()`.

        Without `end`, all blocks there are now. The result tells `downloaded` and `total`, and can be cancelled.
        """
        self._check_open()
        return self._replicator.download(start, self.length if end is None else end)

    # The past, and proofs

    @from_any_loop
    async def snapshot(self) -> "Core":
        """This core as it is now, whatever is appended later; close it too."""
        return self._view(self.length)

    @from_any_loop
    async def checkout(self, length: int) -> "Core":
        """This core as it was at a length; close it too."""
        if not 0 <= length <= self.length:
            raise UsageError(f"this core has {self.length} blocks, and had never {length}")
        return self._view(length)

    def _view(self, length: int) -> "Core":
        self._check_open()
        return Core(self._log, self._replicator, self._encryption_key, at=(length, self.fork))

    @from_any_loop
    async def proof(self, index: int) -> Evidence:
        """The block `index` with the signed head over it; anybody who knows the key can check it with `verify`."""
        self._check_open()
        return self._log.evidence(index)

    @from_any_loop
    async def verify(self, proof: Evidence | bytes) -> bytes:
        """The block that a proof, or its `encode()`, shows. Raises `InvalidProof` if it is not one of this core."""
        evidence = Evidence.decode(proof) if isinstance(proof, bytes) else proof
        if evidence.key != self.key:
            raise InvalidProof("this proof is of another core")
        evidence.check()
        if not evidence.proof.block:
            raise InvalidProof("this proof shows no block")
        index, value, _ = evidence.proof.block
        return self._cipher.decrypt(index, value) if self._cipher else value

    @from_any_loop
    async def audit(self) -> Audit:
        """Check every block and hash that is here, and the signature; takes a while for a large core."""
        self._check_open()
        return await self._log.audit()

    # Life

    def told(self, event: str, *details: Any) -> None:
        """What the log under this view says; passed on as an event."""
        if event == "append" and self._cipher and self._log.manifest is None:
            self._cipher = self._make_cipher()
        if not self._at and event in ("append", "truncate", "download", "peer", "conflict"):
            self.emit(event, *details)

    def _make_cipher(self) -> BlockCipher | None:
        log = self._log
        bare = log.manifest is None and log.length > 0
        return BlockCipher(log.key, self._encryption_key, bare=bare) if self._encryption_key else None

    def _check_open(self) -> None:
        if self.closed:
            raise NodeClosed("this core has been closed; open it again with `store.core`")

    @from_any_loop
    async def close(self) -> None:
        """Stop using this view; the log itself stays open while others use it."""
        if not self.closed:
            self.closed = True
            self._log.listeners.discard(self)
            self._replicator.rest()

    async def __aenter__(self) -> "Core":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
