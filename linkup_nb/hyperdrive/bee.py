"""Bees: sorted keys and values on a core, with every earlier version still there.

Format: the npm package `hyperbee` 2.27. The version of a bee is the length of its core; block 0 is a header.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from linkup_nb.arguments import content, number
from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.hypercore.core import GET_TIMEOUT, Core
from linkup_nb.hypercore.storage import TOGETHER
from linkup_nb.hyperdrive.protobuf import field, fields
from linkup_nb.hyperdrive.scan import PAGE, Bounds, RangeScan
from linkup_nb.hyperdrive.tree import Block, Tree, TreeChange, TreeNode
from linkup_nb.hyperdrive.whole import whole
from linkup_nb.loops import from_any_loop
from linkup_nb.wire.keys import KEY_SIZE

MAX_CACHED_BLOCKS = 16384  # decoded blocks in memory, of one bee
MAX_CACHED_BYTES = 64 * 1024 * 1024  # of them
MAX_CACHED_NODES = 65536  # tree nodes in memory, of one version

_PROTOCOL, _METADATA, _CONTENT_FEED = 1, 2, 1
_KEY = "a key"
_NUMBER = "the number of a block"
_NAME = b"hyperbee"


class BeeEntry(NamedTuple):
    """A key, its value (`None` once deleted), and the number of the block that holds them."""

    seq: int
    key: bytes
    value: bytes | None


class Difference(NamedTuple):
    """A key that differs between two versions, with its entry in each, `None` where it is not there."""

    key: bytes
    before: BeeEntry | None
    after: BeeEntry | None


class Bee:
    """Sorted keys and values; keys and values are bytes.

    With `version`, the past: a bee that stays as it was then and cannot be changed.
    """

    def __init__(
        self,
        core: Core,
        *,
        version: int | None = None,
        metadata: bytes | None = None,
        timeout: float | None = GET_TIMEOUT,
    ) -> None:
        self.core = core
        self._at = version
        self._metadata = metadata
        self._timeout = timeout
        self._loop = core.loop
        self._blocks = _Cache()
        self._tree: tuple[int, int, Tree] | None = None
        self._writing: tuple[int, int, Tree] | None = None
        self._turn = core.write_lock

    def __repr__(self) -> str:
        return f"Bee({self.core.id[:8]}…, version {self.version}{', past' if self._at is not None else ''})"

    @property
    def version(self) -> int:
        """The length of the core that this version takes in."""
        return self.core.length if self._at is None else self._at

    # Reading

    @from_any_loop
    async def get(self, key: bytes) -> BeeEntry | None:
        """The entry of a key."""
        key = content(key, _KEY)
        tree = await self._open(self.version)
        seq = await tree.find(key) if tree else None
        return _entry(await self._load(seq)) if seq is not None else None

    async def range(
        self,
        *,
        gt: bytes | None = None,
        gte: bytes | None = None,
        lt: bytes | None = None,
        lte: bytes | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> AsyncIterator[BeeEntry]:
        """The entries of a range of keys in order, at most `limit`, of the version there is when this begins."""
        bounds = Bounds(*(None if key is None else content(key, _KEY) for key in (gt, gte, lt, lte)))
        limit = None if limit is None else number(limit, "a limit")
        version, left, more = self.version, limit, True
        while more and (left is None or left > 0):
            page, more = await self._page(version, bounds, PAGE if left is None else min(left, PAGE), reverse)
            for entry in page:
                yield entry
            if page:
                after = page[-1].key
                left = None if left is None else left - len(page)
                bounds = bounds._replace(lt=after, lte=None) if reverse else bounds._replace(gt=after, gte=None)

    @from_any_loop
    async def _page(self, version: int, bounds: Bounds, limit: int, reverse: bool) -> tuple[list[BeeEntry], bool]:
        """Some entries, and whether there may be more."""
        tree = await self._open(version)
        if tree is None:
            return [], False
        scan = RangeScan(tree, self._load, self._load_together, bounds, limit, reverse)
        await scan.run()
        return [_entry(block) for block in scan.found], scan.full

    async def history(
        self, start: int = 1, end: int | None = None, *, reverse: bool = False
    ) -> AsyncIterator[BeeEntry]:
        """Every change from block `start` to before `end`, oldest first, or newest; deletions have no value."""
        start = number(start, _NUMBER)
        stop = self.version if end is None else min(number(end, _NUMBER), self.version)
        for seq in range(stop - 1, max(start, 1) - 1, -1) if reverse else range(max(start, 1), stop):
            yield await self._change(seq)

    @from_any_loop
    async def _change(self, seq: int) -> BeeEntry:
        return _entry(await self._load(seq))

    async def diff(self, version: int, *, prefix: bytes = b"") -> AsyncIterator[Difference]:
        """What has changed from an earlier or later version to this one, in the order of the keys."""
        version = self._check(version, max(self.core.length, 1))
        for difference in await self._differences(version, content(prefix, "a prefix")):
            yield difference

    @from_any_loop
    async def _differences(self, version: int, prefix: bytes) -> list[Difference]:
        """Looks up the keys of all blocks between the versions, so it costs what has changed, not what there is."""
        low, high = sorted((max(version, 1), max(self.version, 1)))
        keys = {block.key for block in [await self._load(seq) for seq in range(low, high)]}
        then, now = await self._open(version), await self._open(self.version)
        found = []
        for key in sorted(key for key in keys if key.startswith(prefix)):
            before = await then.find(key) if then else None
            after = await now.find(key) if now else None
            if before != after:
                entries = [_entry(await self._load(seq)) if seq is not None else None for seq in (before, after)]
                found.append(Difference(key, *entries))
        return found

    def checkout(self, version: int) -> "Bee":
        """This bee as it was at a version. Raises `UsageError` for one that never was."""
        version = self._check(version, self.version)
        past = Bee(self.core, version=version, timeout=self._timeout)
        past._blocks = self._blocks
        return past

    def _check(self, version: int, newest: int) -> int:
        if not 0 <= number(version, "a version") <= newest:
            raise UsageError(
                f"The newest version is {newest}, and there has never been a version {version}."
                if self.core.writable or version < 0
                else f"Version {version} is not here: the newest known is {newest}; update() requests more from peers."
            )
        return version

    def snapshot(self) -> "Bee":
        """This bee as it is now, whatever is put later."""
        return self.checkout(self.version)

    @from_any_loop
    async def content_feed(self) -> bytes | None:
        """The core of contents that the header names, or `None`. Raises `DecodeError` for what is no bee."""
        header = dict(fields(await self.core.get(0, timeout=self._timeout)))
        if header.get(_PROTOCOL) != _NAME:
            raise DecodeError(f"The core {self.core.id} is not a bee.")
        feed = dict(fields(header.get(_METADATA, b""))).get(_CONTENT_FEED)
        if feed and len(feed) < KEY_SIZE:
            raise DecodeError(f"The header of {self.core.id} names a core by {len(feed)} bytes, not {KEY_SIZE}.")
        return feed

    # Writing

    @from_any_loop
    async def put(self, key: bytes, value: bytes = b"") -> None:
        """Set the value of a key; on disk when this returns."""
        async with self.batch() as batch:
            await batch.put(key, value)

    @from_any_loop
    async def delete(self, key: bytes) -> bool:
        """Remove a key; whether it was there. Its past stays."""
        async with self.batch() as batch:
            return await batch.delete(key)

    def batch(self, *, after: "asyncio.Future[int] | None" = None) -> "BeeBatch":
        """Many changes, written at once or not at all: `async with bee.batch() as batch: await batch.put(…)`.

        Nothing is written if `after`, an append to another core of this store, fails.
        """
        if self._at is not None:
            raise UsageError("The past of a bee cannot be changed.")
        return BeeBatch(self, after)

    async def _open(self, version: int) -> Tree | None:
        """The tree of a version; the latest one stays in memory."""
        if version < 2:
            return None
        state = (version, self.core.fork)
        if self._tree and self._tree[:2] == state and self._tree[2].loaded < MAX_CACHED_NODES:
            return self._tree[2]
        if self.core.fork and self._tree and self._tree[1] != self.core.fork:
            self._blocks.clear()
        tree = await self._read_tree(version)
        if version == self.version:
            self._tree = (*state, tree)
        return tree

    async def _read_tree(self, version: int) -> Tree:
        """The tree of a version; inside of a batch it has no root, and is made from the one before the batch."""
        start = await whole(version, self.core.length, self._load)
        root = TreeNode.of(await self._load(start - 1), 0) if start > 1 else TreeNode([], [], [])
        tree = Tree(root, self._load)
        for seq in range(start, version):
            block = await self._load(seq)
            if block.value is None:
                await tree.delete(block.key)
            else:
                await tree.put(seq, block.key)
        tree.loaded += version - start
        return tree

    async def _take_writing(self) -> Tree | None:
        """The latest tree, for a batch to change: one that no reader walks over."""
        written, self._writing = self._writing, None
        state = (self.version, self.core.fork)
        if written and written[:2] == state and written[2].loaded < MAX_CACHED_NODES:
            return written[2]
        return await self._read_tree(self.version) if self.version > 1 else None

    async def _load_together(self, seqs: Sequence[int]) -> dict[int, Block]:
        """Those of a few blocks that need not be waited for; `_load` the others."""
        known, lacking = {}, []
        for seq in seqs:
            block = self._blocks.get(seq)
            if block:
                known[seq] = block
            else:
                lacking.append(seq)
        if len(lacking) > 1:
            for seq, data in (await self.core.small_blocks(lacking[:TOGETHER])).items():
                with suppress(DecodeError):  # of a block that may never be looked at
                    block = known[seq] = Block.decode(seq, data)
                    self._blocks.add(block, len(data))
        return known

    async def _load(self, seq: int) -> Block:
        block = self._blocks.get(seq)
        if block is None:
            data = await self.core.get(seq, timeout=self._timeout)
            block = Block.decode(seq, data)
            self._blocks.add(block, len(data))
        return block


class BeeBatch:
    """Changes of a bee that are written together."""

    def __init__(self, bee: Bee, after: "asyncio.Future[int] | None") -> None:
        self._bee = bee
        self._after = after
        self._loop = bee._loop
        self._changes: list[TreeChange] = []
        self._tree: Tree | None = None
        self._start = 0
        self._open = False

    @from_any_loop
    async def __aenter__(self) -> "BeeBatch":
        await self._bee._turn.acquire()
        try:
            self._bee.core.check_open()
            self._start = max(self._bee.version, 1)
            self._tree = await self._bee._take_writing()
            self._open = True
        except BaseException:
            self._bee._turn.release()
            raise
        return self

    @from_any_loop
    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._open = False
        try:
            if kind is None and self._changes:
                await self._write()
        finally:
            self._bee._turn.release()

    @from_any_loop
    async def get(self, key: bytes) -> BeeEntry | None:
        """The entry of a key, with the changes of this batch."""
        key = self._key(key)
        seq = await self._tree.find(key) if self._tree else None
        if seq is None:
            return None
        if seq >= self._start:
            change = self._changes[seq - self._start]
            return BeeEntry(seq, change.key, change.value)
        return _entry(await self._bee._load(seq))

    @from_any_loop
    async def put(self, key: bytes, value: bytes = b"") -> None:
        """Set the value of a key."""
        key, value = self._key(key), content(value, "a value")
        seq = self._start + len(self._changes)
        if self._tree is None:
            self._tree = Tree(TreeNode([], [], []), self._load)
        await self._tree.put(seq, key)
        self._changes.append(TreeChange(seq, key, value, self._tree.root))

    @from_any_loop
    async def delete(self, key: bytes) -> bool:
        """Remove a key; whether it was there."""
        key = self._key(key)
        if not self._tree or not await self._tree.delete(key):
            return False
        self._changes.append(TreeChange(self._start + len(self._changes), key, None, self._tree.root))
        return True

    def _key(self, key: bytes) -> bytes:
        if not self._open:
            raise UsageError("A batch is used inside of `async with bee.batch() as batch`.")
        return content(key, _KEY)

    async def _load(self, seq: int) -> Block:
        return await self._bee._load(seq)

    async def _write(self) -> None:
        bee, changes = self._bee, self._changes
        for change in changes[:-1]:
            change.drop_superseded()
        blocks = [change.encode() for change in changes]
        if bee.version == 0:
            metadata = b"" if bee._metadata is None else field(_METADATA, bee._metadata)
            blocks.insert(0, field(_PROTOCOL, _NAME) + metadata)
        await bee.core.append(blocks, after=self._after)
        assert self._tree
        self._tree.loaded += len(changes)
        bee._writing = (bee.version, bee.core.fork, self._tree)


def _entry(block: Block) -> BeeEntry:
    return BeeEntry(block.seq, block.key, block.value)


class _Cache(dict[int, Block]):
    """Decoded blocks; the oldest are forgotten when they become too many or too large."""

    _size = 0

    def add(self, block: Block, size: int) -> None:
        """Keep a block that has this many bytes."""
        if len(self) >= MAX_CACHED_BLOCKS or self._size + size > MAX_CACHED_BYTES:
            self._forget()
        if size <= MAX_CACHED_BYTES // 8:
            self[block.seq] = block
            self._size += size

    def _forget(self) -> None:
        for seq in list(self)[: len(self) // 2 + 1]:
            del self[seq]
        self._size = sum(len(block.key) + len(block.value or b"") + len(block.nodes) for block in self.values())
