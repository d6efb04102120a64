"""One log of a store: its head, its tree, the blocks that are here. What a user holds is a `Core`, a view of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from linkup_nb.errors import InvalidProof, NodeClosed, NotWritable, StoreError, UsageError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.bitfield import Bitfield
from linkup_nb.hypercore.evidence import Evidence, decode_conflict, encode_conflict
from linkup_nb.hypercore.manifest import Manifest, verify_bare
from linkup_nb.hypercore.merkle import Node, Peaks, leaf_hash, parent
from linkup_nb.hypercore.nodes import Nodes
from linkup_nb.hypercore.proof import Proof, Verified, Wanted, prove, verify
from linkup_nb.hypercore.storage import MAX_LENGTH, CoreRow, Store
from linkup_nb.hypercore.writer import Head
from linkup_nb.wire.keys import KeyPair, short_key

MAX_FORK = 2**53  # as far as JavaScript counts
MAX_BLOCK = 15 * 1024 * 1024  # bytes; a block and its proof have to fit one frame of a secret stream

_AUDIT_STRIDE = 256  # blocks checked before others may run

log = logging.getLogger("linkup_nb")
R = TypeVar("R")


class Listener(Protocol):
    """Somebody whom a log tells what happens to it."""

    def told(self, event: str, *details: Any) -> None:
        """`append`, `truncate` (length, fork), `download` (index), `clear` (start, end), `want`, `peer`, `conflict`.

        Also `unwant` when nobody waits for a block any more, and `unwritten` (error): what has come was not written,
        and is gone again.
        """


@dataclass(frozen=True, slots=True)
class Audit:
    """What checking every hash and the signature of a log has shown."""

    blocks: int
    nodes: int
    faults: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether everything was as it should be."""
        return not self.faults


class _Growth:
    """What is appended together: the tree with it, the batch that has it, the head over it once that is sent."""

    def __init__(self, peaks: Peaks, written: "asyncio.Future[None]") -> None:
        self.peaks = peaks
        self.written = written
        self.head: Head | None = None


class Log:
    """The state of one log, shared by all views of it and by its replication. All of it is for the store's loop."""

    def __init__(self, store: Store, row: CoreRow, key_pair: KeyPair | None = None) -> None:
        self.store = store
        self.id = row.id
        self.key = row.key
        self.discovery_key = row.discovery_key
        self.manifest = Manifest.decode(row.manifest) if row.manifest else None
        self.key_pair = key_pair
        self.conflict = decode_conflict(row.conflict) if row.conflict else None
        self.listeners: set[Listener] = set()
        # Held by who appends what refers to places in this log, whichever view of it they use.
        self.write_lock = asyncio.Lock()
        self.wanted: dict[int, set[asyncio.Future[None]]] = {}
        self._changes: set[asyncio.Future[None]] = set()
        self._turn = asyncio.Lock()
        self._growth: _Growth | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._load(row.head)

    def _load(self, head: Head) -> None:
        self._nodes = Nodes(self.store, self.id)
        roots = [self.find(index) for index in flat.roots(head.length)]
        if None in roots:
            raise StoreError(f"the log {short_key(self.key)} in {self.store.path} has lost parts of its tree")
        self.blocks = Bitfield(head.contiguous, lambda start, end: self.store.held(self.id, start, end))
        self._set_head(Peaks([root for root in roots if root]), head.fork, head.signature)

    def _set_head(self, peaks: Peaks, fork: int, signature: bytes) -> None:
        self.roots = tuple(peaks.roots)
        self.length = peaks.length
        self.byte_length = peaks.byte_length
        self.fork = fork
        self.signature = signature

    @property
    def writable(self) -> bool:
        """Whether this log can be appended to here."""
        return self.key_pair is not None and self.conflict is None

    @property
    def busy(self) -> bool:
        """Whether its author is changing it: nothing that a peer says of its head is taken then."""
        return self._growth is not None or self._turn.locked()

    def find(self, index: int) -> Node | None:
        """The tree node `index`."""
        return self._nodes.find(index)

    def block(self, index: int) -> bytes | None:
        """The block `index`, encrypted if the log is."""
        return self.store.block(self.id, index)

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
        encrypts. With `durable=False` they survive a crash but not yet a power cut. Nothing is added if `after`, an
        append to another log of this store, fails.
        """
        if any(len(block) > MAX_BLOCK for block in blocks):
            raise UsageError(f"a block has at most {MAX_BLOCK} bytes; split what is larger")
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
            raise UsageError(f"a log holds at most {MAX_LENGTH} blocks")
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
        growth.head = Head(self.fork, peaks.length, self._sign(peaks, self.fork), self._contiguous(peaks.length))
        self.store.put_head(self.id, growth.head)

    def _grown(self, growth: "_Growth", written: "asyncio.Future[None]") -> None:
        if written.exception() or not growth.head:
            return
        if self._growth is growth:
            self._growth = None
        start = self.length
        self._nodes.learn(growth.peaks.added)
        self._set_head(growth.peaks, growth.head.fork, growth.head.signature)
        self.blocks.set(start, self.length - start)
        self._tell("append")

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
                raise UsageError(f"a log of {self.length} blocks cannot be cut to {length}")
            if not self.fork < new_fork < MAX_FORK:
                raise UsageError(f"a new fork of this log is at least {self.fork + 1}, not {new_fork}")
            peaks = Peaks([self._own(index) for index in flat.roots(length)])
            self._delete_from(length)
            signature = self._sign(peaks, new_fork)
            self.store.put_head(self.id, Head(new_fork, length, signature, min(self.blocks.contiguous, length)))
            await self.store.commit(durable=True)
            self._nodes.forget()
            self._set_head(peaks, new_fork, signature)
            self.blocks.truncate(length)
            self._tell("truncate", length, new_fork)

        await self._alone(change)

    def _check_own(self) -> None:
        if not self.key_pair or not self.manifest or self.conflict:
            raise NotWritable(
                "this log is frozen: its author signed two histories"
                if self.conflict
                else "only its author can change a log"
            )

    def _sign(self, peaks: Peaks, fork: int) -> bytes:
        assert self.key_pair
        assert self.manifest
        return self.manifest.sign(self.key_pair, self.key, peaks.hash(), peaks.length, fork)

    async def _alone(self, change: Callable[[], Awaitable[R]]) -> R:
        """Make one change after the other, and to its end even if who asked for it is cancelled."""

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
            raise InvalidProof("the manifest is not that of this log's key")
        self.manifest = manifest
        self.store.execute("UPDATE core SET manifest = ? WHERE id = ?", (manifest.encode(), self.id))

    def accept(self, proof: Proof) -> None:
        """Keep what a peer has proved. Raises `InvalidProof`, and then nothing of it is kept."""
        end = self.length + (proof.upgrade.length if proof.upgrade else 0)
        if proof.block and proof.block.index >= end:
            raise InvalidProof(f"block {proof.block.index} of a log of {self.length} blocks")
        shown = verify(proof, self.roots, self.find, self.authenticate(self.fork))
        if shown.peaks and proof.upgrade:
            if shown.peaks.length > MAX_LENGTH:
                raise InvalidProof(f"a log has at most {MAX_LENGTH} blocks")
            self._set_head(shown.peaks, self.fork, proof.upgrade.signature)
        self._keep(shown, proof)
        if shown.peaks:
            self._tell("append")

    def _keep(self, shown: Verified, proof: Proof) -> None:
        self._nodes.put(shown.nodes)
        index = None
        if proof.block and not self.blocks.has(proof.block.index):
            index = proof.block.index
            self.store.put_blocks(self.id, index, [proof.block.value])
            self.blocks.set(index)
        self._put_head()
        self._commit_soon()
        if index is not None:
            self._tell("download", index)
            for waiting in self.wanted.pop(index, ()):
                if not waiting.done():
                    waiting.set_result(None)

    def reorganize(self, peaks: Peaks, fork: int, signature: bytes, nodes: Sequence[Node], common: int) -> None:
        """Follow the author to a later fork, of which `common` blocks are those of this one; see `Reorganization`."""
        self._delete_from(common)
        self.blocks.truncate(common)
        self._set_head(peaks, fork, signature)
        self._nodes.forget()
        self._nodes.put(nodes)
        self._put_head()
        self._commit_soon()
        self._tell("truncate", common, fork)
        if peaks.length > common:
            self._tell("append")

    def freeze(self, first: Evidence, second: Evidence) -> None:
        """Stop at two heads that its author signed and that disagree."""
        self.conflict = (first, second)
        both = encode_conflict(first, second)
        self.store.execute("UPDATE core SET conflict = ? WHERE id = ?", (both, self.id))
        self.store.commit(durable=True)
        self._tell("conflict", first, second)

    def _put_head(self) -> None:
        growth = self._growth
        head = growth.head if growth else Head(self.fork, self.length, self.signature, 0)
        if head:
            self.store.put_head(self.id, head._replace(contiguous=self._contiguous(head.length)))

    def _commit_soon(self) -> None:
        self.store.commit_soon(self._commit_failed)

    def _commit_failed(self, error: Exception) -> None:
        """Go back to what the disk has; what is missing then is fetched again."""
        log.error("the log %s goes back to what is on disk: %s", short_key(self.key), error)
        row = self.store.core(self.discovery_key)
        assert row
        self._load(row.head)
        self._tell("unwritten", error)

    def _delete_from(self, length: int) -> None:
        """Forget the blocks from `length` on, and every node over one of them."""
        self.store.delete(self.id, blocks=(length, self.length), nodes=(2 * length, max(2 * self.length, 1)))
        if length:
            index = 2 * length - 2
            while flat.left_span(index) or flat.right_span(index) < 2 * self.length:
                index = flat.parent(index)
                if flat.right_span(index) >= 2 * length:
                    self.store.delete(self.id, nodes=(index, index + 1))

    # Proofs and checks

    def prove(self, wanted: Wanted) -> Proof:
        """Answer a peer. Raises `InvalidRequest` for what cannot be shown; a block that is not here is empty."""
        block = self.block(wanted.block[0]) if wanted.block else None
        return prove(wanted, self.length, self.find, block=block or b"", signature=self.signature)

    def evidence(self, index: int | None = None) -> Evidence:
        """The head, and the block `index` under it, for anybody who knows the key. Raises `UsageError` if not here."""
        if not self.length:
            raise UsageError("an empty log proves nothing")
        if not self.manifest:
            raise UsageError("a log without a manifest, as the oldest are, has no proofs to pass on")
        if index is not None and not (0 <= index < self.length and self.blocks.has(index)):
            raise UsageError(f"block {index} is not here; get it first")
        block = None if index is None else (index, 0)
        return Evidence(self.key, self.fork, self.manifest, self.prove(Wanted(block=block, upgrade=(0, self.length))))

    async def audit(self) -> Audit:
        """Hash every block and node that is here again, and check the signature; changes nothing."""
        faults: list[str] = []
        blocks = nodes = 0
        length = self.length
        for index in range(length):
            block = self.block(index) if self.blocks.has(index) else None
            node = self.find(2 * index)
            if block is not None:
                blocks += 1
                if not node or (node.size, node.hash) != (len(block), leaf_hash(block)):
                    faults.append(f"block {index} is not the one that was signed")
            elif self.blocks.has(index):
                faults.append(f"block {index} is missing")
            odd = 2 * index + 1
            for number, found in ((2 * index, node), (odd, self.find(odd))):
                if found:
                    nodes += 1
                    faults += self._audit_parent(number, found, length)
            if index % _AUDIT_STRIDE == 0:
                await asyncio.sleep(0)
        if length and self.manifest:
            try:
                self.authenticate(self.fork)(Peaks(self.roots), self.signature)
            except InvalidProof as error:
                faults.append(str(error))
        return Audit(blocks, nodes, tuple(faults))

    def _audit_parent(self, index: int, node: Node, length: int) -> Iterable[str]:
        if not index & 1 or flat.right_span(index) >= 2 * length:
            return
        left, right = (self.find(child) for child in flat.children(index))
        if left and right and parent(left, right) != node:
            yield f"node {index} is not the parent of its children"

    def _own(self, index: int) -> Node:
        node = self.find(index)
        if node is None:
            raise StoreError(f"the log {short_key(self.key)} in {self.store.path} has lost node {index} of its tree")
        return node

    # Waiting

    async def clear(self, start: int, end: int) -> None:
        """Forget blocks, to make room; their place in the log stays."""

        async def change() -> None:
            self.store.delete(self.id, blocks=(start, end))
            self.blocks.clear(start, end - start)
            self._put_head()
            await self.store.commit()
            self._tell("clear", start, end)

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
            self._tell("want")
        try:
            await waiting
        finally:
            all_waiting.discard(waiting)
            if not all_waiting and self.wanted.get(index) is all_waiting:
                del self.wanted[index]
                self._tell("unwant")

    def _tell(self, event: str, *details: Any) -> None:
        if event in ("append", "truncate"):
            for change in self._changes:
                if not change.done():
                    change.set_result(None)
        for listener in tuple(self.listeners):
            listener.told(event, *details)

    async def close(self) -> None:
        """Wait for changes under way; who waits for others' gets `NodeClosed`."""
        for waiting in (*self._changes, *(one for block in self.wanted.values() for one in block)):
            if not waiting.done():
                waiting.set_exception(NodeClosed("the store was closed before it came"))
        await self._settled()
        await asyncio.gather(*self._running, return_exceptions=True)
