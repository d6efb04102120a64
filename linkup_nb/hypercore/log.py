"""One log of a store: its head, its tree, the blocks that are here. What a user holds is a `Core`, a view of it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from linkup_nb.errors import InvalidProof, LinkupError, MachineError, NodeClosed, NotWritable, StoreError, UsageError
from linkup_nb.hypercore import events as ev
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.bitfield import Bitfield
from linkup_nb.hypercore.evidence import Evidence, agreement, contradiction, decode_conflict, encode_conflict
from linkup_nb.hypercore.manifest import Manifest, verify_bare
from linkup_nb.hypercore.merkle import MerkleNode, Peaks, tree_hash
from linkup_nb.hypercore.nodes import Nodes
from linkup_nb.hypercore.proof import Proof, Verified, verify
from linkup_nb.hypercore.storage import MAX_LENGTH, CoreRow, Store
from linkup_nb.hypercore.synced import SyncedLog
from linkup_nb.hypercore.writer import Head
from linkup_nb.wire.keys import KeyPair, short_key

MAX_FORK = 2**53  # as far as JavaScript counts
MAX_BLOCK = 15 * 1024 * 1024  # bytes; a block and its proof have to fit one frame of a secret stream

log = logging.getLogger("linkup_nb")
R = TypeVar("R")


class _Growth:
    """What is appended together: the tree with it, the batch that has it, the head over it once that is sent."""

    def __init__(self, peaks: Peaks, written: "asyncio.Future[None]") -> None:
        self.peaks = peaks
        self.written = written
        self.head: Head | None = None
        self.durable = False


class Log:
    """The state of one log, shared by all views of it and by its replication. All of it is for the store's loop."""

    def __init__(self, store: Store, row: CoreRow, key_pair: KeyPair | None = None) -> None:
        self.store = store
        self.id = row.id
        self.key = row.key
        self.discovery_key = row.discovery_key
        self.manifest = Manifest.decode(row.manifest) if row.manifest else None
        self.key_pair = key_pair
        self.conflict: tuple[Evidence, Evidence] | None = None
        self.agreed: int | None = None  # up to which block both histories of a conflict are the same, if it is known
        if row.conflict:
            self._set_conflict(*decode_conflict(row.conflict))
        self.listeners: set[Callable[[ev.LogEvent], None]] = set()
        self.views: set[object] = set()  # those who use it here
        self.follows_forks = True
        # Held by who appends what refers to places in this log, whichever view of it they use.
        self.write_lock = asyncio.Lock()
        self.wanted: dict[int, set[asyncio.Future[None]]] = {}
        self._changes: set[asyncio.Future[None]] = set()
        self._turn = asyncio.Lock()
        self._growth: _Growth | None = None
        self._cutting: Head | None = None  # what the log will be once that is on disk
        self._running: set[asyncio.Task[Any]] = set()
        self.synced = SyncedLog(self)
        self._load(row.head)

    def _load(self, head: Head, *, synced: bool = True) -> None:
        self._nodes = Nodes(self.store, self.id)
        roots = [self.find(index) for index in flat.roots(head.length)]
        if None in roots:
            raise self.damaged("parts of its tree")
        self.blocks = Bitfield(head.contiguous, lambda start, end: self.store.held(self.id, start, end))
        self._set_head(Peaks([root for root in roots if root]), head.fork, head.signature, synced=synced)

    def _set_head(self, peaks: Peaks, fork: int, signature: bytes, *, synced: bool = True) -> None:
        self.roots = tuple(peaks.roots)
        self.length = peaks.length
        self.byte_length = peaks.byte_length
        self.fork = fork
        self.signature = signature
        if synced:
            self.synced.take_all()

    @property
    def writable(self) -> bool:
        """Whether this log can be appended to here."""
        return self.key_pair is not None and self.conflict is None

    @property
    def busy(self) -> bool:
        """Whether its author is changing it: no head that a peer announces is taken then."""
        return self._growth is not None or self._turn.locked() or self.synced.failure is not None

    @property
    def being_cut(self) -> bool:
        """Whether its end is being cut off: what is in it may go, and what stays cannot be proven for a moment."""
        return self._cutting is not None

    def find(self, index: int) -> MerkleNode | None:
        """The tree node `index`."""
        return self._nodes.find(index)

    def block(self, index: int) -> bytes:
        """The block `index`, which is here, encrypted if the log is. Raises `StoreError` if it is lost."""
        block = self.store.block(self.id, index)
        if block is None:
            raise self.damaged(f"block {index}; `clear` it, and a `get` fetches it from a peer")
        return block

    def damaged(self, lost: str) -> StoreError:
        """What to raise for what the disk has lost."""
        return StoreError(f"The log {short_key(self.key)} in {self.store.path} has lost {lost}.")

    # Changes by the author

    async def append(
        self,
        blocks: Sequence[bytes],
        encode: Callable[[int, int, bytes], bytes] | None,
        *,
        durable: bool = True,
        after: "asyncio.Future[int] | None" = None,
    ) -> int:
        """Add blocks at the end, at once or not at all; the length then. They are on disk when this returns.

        What is appended while the disk is busy is signed, written and announced together. `encode(index, fork, block)`
        encrypts. With `durable=False` they survive a crash but not yet a power cut, and are announced once they do.
        Nothing is added if `after`, an append to another log of this store, fails.
        """
        if any(len(block) > MAX_BLOCK for block in blocks):
            raise UsageError(f"A block has at most {MAX_BLOCK} bytes; split what is larger.")
        async with self._turn:
            if after and after.done():
                after.result()
            growth = self._grow(blocks, encode, durable)
            length = growth.peaks.length
        await asyncio.shield(growth.written)
        return length

    def _grow(
        self, blocks: Sequence[bytes], encode: Callable[[int, int, bytes], bytes] | None, durable: bool
    ) -> "_Growth":
        """Put blocks on their way to the disk."""
        self._check_own()
        growth = self._growth
        start = growth.peaks.length if growth else self.length
        if start + len(blocks) > MAX_LENGTH:
            raise UsageError(f"A log holds at most {MAX_LENGTH} blocks.")
        stored = [encode(start + at, self.fork, block) for at, block in enumerate(blocks)] if encode else blocks
        written = self.store.commit(durable=durable, failed=self._growth_failed)
        if growth is None or growth.head:
            growth = self._growth = _Growth(Peaks(growth.peaks.roots if growth else self.roots), written)
            self.store.before_sending(partial(self._seal, growth))
            written.add_done_callback(partial(self._grown, growth))
        made = len(growth.peaks.added)
        growth.peaks.append(stored)
        # Not in the cache before they are on disk: the disk may refuse them.
        self.store.put_nodes(self.id, growth.peaks.added[made:] if made else growth.peaks.added)
        self.store.put_blocks(self.id, start, stored)
        return growth

    def _seal(self, growth: "_Growth") -> None:
        """Sign what is about to be written."""
        peaks = growth.peaks
        growth.durable = self.store.durable
        growth.head = Head(self.fork, peaks.length, self._sign(peaks, self.fork), self._contiguous(peaks.length))
        self.store.put_head(self.id, growth.head)

    def _grown(self, growth: "_Growth", written: "asyncio.Future[None]") -> None:
        if written.exception() or not growth.head:
            return
        if self._growth is growth:
            self._growth = None
        start = self.length
        self._nodes.learn(growth.peaks.added)
        self._set_head(growth.peaks, growth.head.fork, growth.head.signature, synced=growth.durable)
        self.blocks.set(start, self.length - start)
        if not growth.durable:
            self.synced.follow()
        self.notify(ev.Appended())

    def _growth_failed(self, _: Exception) -> None:
        self._growth = None
        self._nodes.forget()

    async def _settled(self) -> None:
        """Wait until what is on its way to the disk is there, or has failed."""
        while self._growth:
            await asyncio.wait([self._growth.written])

    def _contiguous(self, length: int) -> int:
        """How many blocks from the first on are here, once the log has grown to a length."""
        return length if self.blocks.contiguous == self.length else self.blocks.contiguous

    async def truncate(self, length: int, fork: int | None) -> None:
        """Cut the end off, which makes a new fork of the log."""

        async def change() -> None:
            self._check_own()
            new_fork = self.fork + 1 if fork is None else fork
            if not 0 <= length <= self.length:
                raise UsageError(f"A log of {self.length} blocks cannot be cut to {length}.")
            if not self.fork < new_fork < MAX_FORK:
                raise UsageError(f"A new fork of this log is at least {self.fork + 1}, not {new_fork}.")
            peaks = Peaks([self._own(index) for index in flat.roots(length)])
            self._delete_from(length)
            signature = self._sign(peaks, new_fork)
            self._cutting = Head(new_fork, length, signature, 0)
            self._put_head()
            try:
                await self.store.commit(durable=True)
            except StoreError as error:
                self.notify(ev.WriteFailed(error))  # of what `accept` did not take meanwhile
                raise
            finally:
                self._cutting = None
            self._nodes.forget()
            self._set_head(peaks, new_fork, signature)
            self.blocks.truncate(length)
            self.notify(ev.Truncated(length, new_fork))

        await self._alone(change)

    def _check_own(self) -> None:
        if self.synced.failure:
            raise self.synced.failure
        if not self.key_pair or not self.manifest or self.conflict:
            raise NotWritable(
                "This log is frozen: its author signed two histories."
                if self.conflict
                else "Only its author can change a log."
            )

    def _sign(self, peaks: Peaks, fork: int) -> bytes:
        assert self.key_pair
        assert self.manifest
        return self.manifest.sign(self.key_pair, self.key, peaks.hash(), peaks.length, fork)

    async def _alone(self, change: Callable[[], Awaitable[R]]) -> R:
        """Make one change after the other, and to its end even if its caller is cancelled."""

        async def locked() -> R:
            async with self._turn:
                await self._settled()
                return await change()

        task = asyncio.get_running_loop().create_task(locked())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    # Changes that peers prove

    def authenticate(self, fork: int) -> Callable[[Peaks, bytes], None]:
        """What raises `InvalidProof` unless this log's author signed a tree under `fork`."""

        def check(peaks: Peaks, signature: bytes) -> None:
            if self.manifest:
                self.manifest.verify(signature, self.key, peaks.hash(), peaks.length, fork, peaks.roots)
            else:
                verify_bare(signature, self.key, peaks.hash(), peaks.length, fork)

        return check

    def set_manifest(self, manifest: Manifest) -> None:
        """Learn who may sign. Raises `InvalidProof` if it is not the manifest of this key."""
        if manifest.key != self.key:
            raise InvalidProof("The manifest is not that of this log's key.")
        self.manifest = manifest
        self.store.execute("UPDATE core SET manifest = ? WHERE id = ?", (manifest.encode(), self.id))

    def accept(self, proof: Proof) -> None:
        """Keep what a peer has proved. Raises `InvalidProof`, and then nothing of it is kept."""
        end = self.length + (proof.upgrade.length if proof.upgrade else 0)
        if proof.block and proof.block.index >= end:
            raise InvalidProof(f"Block {proof.block.index} of a log of {self.length} blocks.")
        if self._cutting and (proof.upgrade or (proof.block and proof.block.index >= self._cutting.length)):
            return  # what comes after the cut is gone with it
        shown = verify(proof, self.roots, self.find, self.authenticate(self.fork))
        self._check_prologue(shown)
        index = proof.block.index if proof.block and not self.blocks.has(proof.block.index) else None
        if shown.peaks and proof.upgrade:
            if shown.peaks.length > MAX_LENGTH:
                raise InvalidProof(f"A log has at most {MAX_LENGTH} blocks.")
            self._set_head(shown.peaks, self.fork, proof.upgrade.signature)
        self._keep(shown, proof, index)
        if shown.peaks:
            self.notify(ev.Appended())

    def _check_prologue(self, shown: Verified) -> None:
        """Raises `InvalidProof` if the log would not begin with the tree that its manifest names."""
        prologue = self.manifest.prologue if self.manifest else None
        if prologue and shown.peaks and self.length < prologue.length <= shown.peaks.length:
            nodes = {node.index: node for node in shown.nodes}
            roots = [nodes.get(index) for index in flat.roots(prologue.length)]  # absent from an upgrade past it
            if None not in roots and tree_hash([root for root in roots if root]) != prologue.hash:
                raise InvalidProof(f"The first {prologue.length} blocks are not the prologue of this log.")

    def _keep(self, shown: Verified, proof: Proof, index: int | None) -> None:
        """`index` is that of a block that is new here."""
        self._nodes.put(shown.nodes)
        if proof.block and index is not None:
            self.store.put_blocks(self.id, index, [proof.block.value])
            self.blocks.set(index)
        self.store.before_sending(self._put_head)  # once for all that goes to the disk together
        self._commit_soon()
        if index is not None:
            self._downloaded(index)

    def _downloaded(self, index: int) -> None:
        self.notify(ev.Downloaded(index))
        if self.wanted:
            for waiting in self.wanted.pop(index, ()):
                if not waiting.done():
                    waiting.set_result(None)

    def keep_nodes(self, nodes: Sequence[MerkleNode]) -> None:
        """Keep nodes of the tree, which are proven."""
        self._nodes.put(nodes)
        self._commit_soon()

    def keep_blocks(self, start: int, blocks: Sequence[bytes], nodes: Sequence[MerkleNode]) -> None:
        """Keep blocks from `start` on as peers have sent them, and the nodes over them; all of it is proven."""
        new = [index for index in range(start, start + len(blocks)) if not self.blocks.has(index)]
        self._nodes.put(nodes)
        self.store.put_blocks(self.id, start, blocks)
        self.blocks.set(start, len(blocks))
        self._put_head()
        self._commit_soon()
        for index in new:
            self._downloaded(index)

    def reorganize(self, peaks: Peaks, fork: int, signature: bytes, nodes: Sequence[MerkleNode], common: int) -> None:
        """Follow the author to a later fork, of which `common` blocks are those of this one; see `Reorganization`."""
        self._delete_from(common)
        self.blocks.truncate(common)
        self._set_head(peaks, fork, signature)
        self._nodes.forget()
        self._nodes.put(nodes)
        self._put_head()
        self._commit_soon()
        self.notify(ev.Truncated(common, fork))
        if peaks.length > common:
            self.notify(ev.Appended())

    def freeze(self, first: Evidence, second: Evidence) -> "asyncio.Future[None]":
        """Stop at two heads that its author signed and that disagree; the future ends when that is on disk."""
        self._set_conflict(first, second)
        both = encode_conflict(first, second)
        self.store.execute("UPDATE core SET conflict = ? WHERE id = ?", (both, self.id))
        written = self.store.commit(durable=True)
        self.notify(ev.ConflictFound(first, second))
        return written

    async def dispute(self, one: Evidence, other: Evidence) -> None:
        """Freeze at two heads that somebody shows, unless those of an earlier conflict agree on no more.

        Raises `InvalidProof` if they contradict nothing.
        """
        if one.key != self.key or one.fork != self.fork:
            raise InvalidProof("These heads are of another log, or of another fork of it.")
        agreed = contradiction(one, other)
        if self.conflict is None or self.agreed is None or agreed < self.agreed:
            await self.freeze(one, other)

    def _set_conflict(self, first: Evidence, second: Evidence) -> None:
        self.conflict = (first, second)
        self.agreed = agreement(self.conflict)

    def _put_head(self) -> None:
        growth = self._growth
        head = self._cutting or (growth.head if growth else Head(self.fork, self.length, self.signature, 0))
        if head:
            contiguous = min(self._contiguous(head.length), head.length)
            self.store.put_head(self.id, head._replace(contiguous=contiguous))

    def _commit_soon(self) -> None:
        self.store.commit_soon(self._commit_failed)

    def _commit_failed(self, error: Exception) -> None:
        """Go back to what the disk has; what is missing then is fetched again."""
        log.error("The log %s goes back to what is on disk: %s", short_key(self.key), error)
        try:
            row = self.store.core(self.discovery_key)
            assert row
            self._load(row.head, synced=self.synced.length == self.length)
        except MachineError as damage:
            self.fail(damage)
        else:
            self.notify(ev.WriteFailed(error))

    def _delete_from(self, length: int) -> None:
        """Forget the blocks from `length` on, and every node over one of them."""
        self.store.delete(self.id, blocks=(length, self.length), nodes=(2 * length, max(2 * self.length, 1)))
        if length:
            index = 2 * length - 2
            while flat.left_span(index) or flat.right_span(index) < 2 * self.length:
                index = flat.parent(index)
                if flat.right_span(index) >= 2 * length:
                    self.store.delete(self.id, nodes=(index, index + 1))

    def _own(self, index: int) -> MerkleNode:
        node = self.find(index)
        if node is None:
            raise self.damaged(f"node {index} of its tree")
        return node

    # Waiting

    async def clear(self, start: int, end: int) -> None:
        """Forget blocks, to make room; their place in the log stays."""

        async def change() -> None:
            self.store.delete(self.id, blocks=(start, end))
            self.blocks.clear(start, end - start)
            self._put_head()
            await self.store.commit()
            self.notify(ev.Cleared(start, end))

        await self._alone(change)

    async def changed(self) -> None:
        """Wait until the head changes."""
        change = asyncio.get_running_loop().create_future()
        self._changes.add(change)
        try:
            await change
        finally:
            self._changes.discard(change)

    async def want(self, index: int) -> None:
        """Wait until a peer has sent the block `index`."""
        waiting = asyncio.get_running_loop().create_future()
        all_waiting = self.wanted.setdefault(index, set())
        all_waiting.add(waiting)
        if len(all_waiting) == 1:
            self.notify(ev.BlockRequested())
        try:
            await waiting
        finally:
            all_waiting.discard(waiting)
            if not all_waiting and self.wanted.get(index) is all_waiting:
                del self.wanted[index]
                self.notify(ev.BlockReleased())

    def notify(self, event: ev.LogEvent) -> None:
        """Report what has happened to all listeners."""
        if isinstance(event, (ev.Appended, ev.Truncated)):
            for change in self._changes:
                if not change.done():
                    change.set_result(None)
        for listener in tuple(self.listeners):
            listener(event)

    def fail(self, error: MachineError) -> None:
        """The store cannot be read: whoever waits for this log gets the error."""
        self._give_up(error)
        self.notify(ev.StorageFailed(error))

    def _give_up(self, error: LinkupError) -> None:
        for waiting in (*self._changes, *(one for block in self.wanted.values() for one in block)):
            if not waiting.done():
                waiting.set_exception(error)

    async def close(self) -> None:
        """Wait for changes under way; who waits for blocks or a newer head gets `NodeClosed`."""
        self._give_up(NodeClosed("The store was closed before it came."))
        await self._settled()
        await asyncio.gather(*self._running, return_exceptions=True)
        with contextlib.suppress(StoreError):  # which whoever waits for it gets
            await self.synced.wait()
