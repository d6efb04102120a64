"""The feeds of one room: opened, read as their blocks come, and written.

A feed is read from its block 0, which says whose it is, then from near its end, so that the newest messages are there
first, then from the beginning. Every block goes through the index before anybody is notified of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from linkup_nb.errors import InvalidProof, LinkupError, NodeClosed, StoreError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.evidence import Evidence, agreement
from linkup_nb.loops import Events, Tasks
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.arrivals import MAX_AHEAD, Arrival, Arrivals, Taken, tips
from linkup_nb.rooms.memory.block import EARLIEST, Body
from linkup_nb.rooms.memory.faults import REWRITTEN, TWO_COPIES
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.rooms.memory.moderation import Ruling
from linkup_nb.rooms.memory.open_feed import OpenFeed, Writing, blocks_here, says_hello
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow

TAIL = 16  # blocks of each feed that a newcomer reads first
BULK = 512  # blocks of a feed from which on they are fetched in runs
BATCH = 256  # blocks of one feed that are taken together
GATHER = 0.01  # seconds for which arrivals are gathered into one transaction
HELLO_TIMEOUT = 30.0  # seconds for the hello of a feed that a peer has named
CLOCK_CHECK = 30.0  # seconds after which it is looked again whether a clock has come to blocks from its future
RETRY = 5.0  # seconds until blocks that the disk refused are offered again

# What of one feed is fetched without asking: the years of somebody who talks, not the disk of somebody who fills it.
MAX_FEED_BLOCKS = 100_000
MAX_FEED_BYTES = 128 * 1024 * 1024
BLOCKS_A_DAY = 5_000  # more since it was first seen here
BYTES_A_DAY = 4 * 1024 * 1024

T = TypeVar("T")


class RoomFeeds(Events):
    """Reads and writes the feeds of the room with these keys, in a store.

    `index` is used on the one thread of `executor`. Emits `follow` (a key) when a feed is open here, `forget` (a
    key) when it turned out to be none of the room's, `feed` (a FeedRow) when its hello has been verified, `taken`
    (a Taken) after each change of the index, when it is on disk, and `fault` (a StoreError) while the disk refuses.
    Emits `conflict` (a key) when a feed turns out to be rewritten, or to be so from an earlier block on, and `limit` (a
    key) when one is too long to fetch.
    """

    def __init__(
        self,
        store: Corestore,
        keys: RoomKeys,
        index: Index,
        identity: bytes,
        executor: Executor,
        fetch_runs: Callable[[Core, int, int], Awaitable[None]],
        *,
        clock: Callable[[], int],
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.keys = keys
        self.own: Core | None = None
        self.disputed: dict[bytes, str] = {}
        """The feeds that their authors have rewritten, and how."""
        self.too_long: set[bytes] = set()
        """The feeds of which no more is fetched until the user allows it."""
        self._allowed: set[bytes] = set()
        self._store = store
        self._index = index
        self._arrivals = Arrivals(index, keys.topic, identity)
        self._executor = executor
        self._fetch_runs = fetch_runs
        self._clock = clock
        self._open: dict[bytes, OpenFeed] = {}
        self._following = asyncio.Lock()  # a feed is not forgotten while it is followed anew
        self._limits: dict[bytes, int] = {}
        self._arriving: list[tuple[list[Arrival], asyncio.Future[None]]] = []
        self._writing: list[Writing] = []
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks = Tasks()
        self._closed = False

    @property
    def ruling(self) -> Ruling:
        """What the founder and the moderators have come to."""
        return self._arrivals.ruling

    def ignore(self, identities: frozenset[bytes]) -> None:
        """Count nothing of these as unread from now on."""
        self._arrivals.ignored = identities

    def limit(self, lengths: Mapping[bytes, int]) -> None:
        """Fetch nothing of these feeds at or above these lengths, and all of every other."""
        if lengths == self._limits:
            return
        before, self._limits = self._limits, dict(lengths)
        for key in before.keys() | lengths.keys():
            feed = self._open.get(key)
            if feed and before.get(key) != lengths.get(key):
                feed.fetch_anew()

    @property
    def rows(self) -> list[FeedRow]:
        """What is known of each feed."""
        return self._arrivals.feeds

    @property
    def members(self) -> list[FeedRow]:
        """The feeds whose hello has been verified."""
        return [row for row in self._arrivals.feeds if row.identity is not None]

    def by_tie(self, tie: int) -> FeedRow:
        """The feed of a row."""
        return self._arrivals.by_tie(tie)

    def core(self, key: bytes) -> Core | None:
        """The open core of a feed, if it is followed."""
        feed = self._open.get(key)
        return feed.core if feed else None

    async def open(self, own: Core) -> None:
        """Follow one's own feed and all that the index knows."""
        self._tasks.start(self._pump(), "taking the blocks of a room")
        await self.write_to(own)
        if own.length and all(row.key == own.key for row in self.rows):
            await self._find()
        for row in self.rows:
            if row.identity is not None:
                await self.follow(row.key)
            elif row.key not in self._open:  # it was still unproven when the room was closed
                await self.on_thread(self._arrivals.forget, row.key)

    async def _find(self) -> None:
        """The index was lost, and with it the keys of the feeds: those that say hello to this room are in the store."""
        for stored in await asyncio.to_thread(lambda: self._store.cores):
            if stored.length and stored.key not in self._open:
                core = await self._core(stored.key)
                found = await says_hello(core, self.keys.topic, timeout=0)
                await core.close()
                if found:
                    await self.follow(stored.key)

    async def _core(self, key: bytes) -> Core:
        return await self._store.core(key=key, encryption_key=self.keys.encryption_key, forks=False)

    async def write_to(self, own: Core) -> None:
        """Write to this feed from now on."""
        if not self._open.get(own.key):
            await self._follow(own)
        self.own = own

    async def follow(self, key: bytes) -> bool:
        """Fetch and read a feed from now on; returns whether it is one of the room's."""
        if self._closed or key in self._open:
            return key in self._open
        return await self._follow(await self._core(key))

    async def prove(self, key: bytes, until: "asyncio.Future[None]") -> None:
        """Follow a feed that somebody has named, who is gone at `until`.

        One whose hello is wrong, or does not come while anybody who has named it is here, is forgotten.
        """
        if not self._closed:
            await asyncio.wait([self._tasks.start(self._prove(key, until), "waiting for the hello of a feed")])

    async def _prove(self, key: bytes, until: "asyncio.Future[None]") -> None:
        if not await self.follow(key):
            return
        feed = self._open[key]
        feed.provers += 1
        hello = self._tasks.start(feed.introduced.wait(), "waiting for a hello")
        awaited: list[asyncio.Future[Any]] = [hello, until]
        await asyncio.wait(awaited, timeout=HELLO_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        hello.cancel()
        feed.provers -= 1
        if self._open.get(key) is not feed:
            return
        known = feed.introduced.is_set()
        if (known and self._arrivals.feed(key).rejected) or not (known or feed.provers):
            await self._give_up(feed)

    async def _give_up(self, feed: OpenFeed) -> None:
        if self._open.get(feed.key) is feed and not self._closed:
            del self._open[feed.key]
            await feed.close()
            async with self._following:
                if feed.key in self._open:  # somebody has named it again
                    return
                forgotten = await self.on_thread(self._arrivals.forget, feed.key)
            if forgotten:
                self.emit("forget", feed.key)
            else:
                await self.follow(feed.key)  # its hello came at the last moment

    async def _follow(self, core: Core) -> bool:
        rival = self._arrivals.rival(core.key)
        if rival and not await self._displaces(core, rival):
            return False
        async with self._following:
            has_place = await self.on_thread(self._arrivals.follow, core.key) and core.key not in self._open
            if has_place:
                feed = self._open[core.key] = OpenFeed(core)
        if not has_place:
            await core.close()
            return core.key in self._open
        if self._arrivals.feed(core.key).identity is not None:
            feed.introduced.set()
        for event in ("append", "download"):
            core.on(event, feed.wake)
        core.on("fork", lambda _: self._tasks.start(self._take_fork(feed.key), "keeping that a feed was cut"))
        if self._arrivals.feed(core.key).rewritten:
            self.disputed[core.key] = REWRITTEN
        core.on("conflict", lambda *_: self._tasks.start(self._take_conflict(feed), "judging two histories"))
        if core.conflict:
            await self._take_conflict(feed)
        self.emit("follow", core.key)
        feed.reader = self._tasks.start(self._read(feed), "reading a feed")
        return True

    async def _displaces(self, core: Core, rival: bytes) -> bool:
        """Whether a feed stands for its id instead of another one: only with its hello, for anybody can name a key."""
        if core.key > rival:
            await core.close()
            return False
        feed = self._open[core.key] = OpenFeed(core)
        self.emit("follow", core.key)
        shown = await says_hello(core, self.keys.topic, HELLO_TIMEOUT)
        del self._open[core.key]
        if not shown:
            await feed.close()
        elif other := self._open.pop(rival, None):
            await other.close()
        return shown

    async def write(self, bodies: Sequence[Body], *, channel: str = "") -> list[BlockRow]:
        """Append blocks to one's own feed; their rows, once they are on disk and in the index.

        What is written together is one append. Raises `UsageError` for what is too large, `StoreError` if the disk
        refuses: then nothing of it is written.
        """
        if self._closed:
            raise NodeClosed("This room has been closed: join it again.")
        written: asyncio.Future[list[BlockRow]] = self._loop.create_future()
        self._writing.append(Writing(bodies, channel, written))
        self._hurry.set()
        self._work.set()
        return await asyncio.shield(written)

    async def close(self) -> None:
        """Stop reading; what was written before is on disk. The index is closed by whoever opened it."""
        self._closed = True
        await self._tasks.cancel()
        for writing in self._writing:
            writing.written.set_exception(NodeClosed("This room has been closed: join it again."))
            writing.written.exception()  # perhaps nobody waits for it
        for feed in self._open.values():
            await feed.close()
        self._open.clear()

    async def on_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Do something on the thread that writes the index."""
        running = self._loop.run_in_executor(self._executor, partial(work, *arguments))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])  # the index is not closed while it is written
            raise

    # Arrivals and writes take turns, so that what is written comes after all that was shown before.

    async def _pump(self) -> None:
        while True:
            await self._work.wait()
            if not self._writing:
                with suppress(TimeoutError):  # whoever writes does not wait for what gathers
                    await asyncio.wait_for(self._hurry.wait(), GATHER)
            self._hurry.clear()
            self._work.clear()
            if self._writing and self._own_is_read():
                writing, self._writing = self._writing, []
                await self._write(writing)
            if self._arriving:
                arriving, self._arriving = self._arriving, []
                try:
                    await self._take([arrival for batch, _ in arriving for arrival in batch])
                except StoreError as error:
                    self.emit("fault", error)
                    await asyncio.sleep(RETRY)  # the readers offer the same blocks again
                for _, done in arriving:
                    if not done.done():
                        done.set_result(None)
                if self._writing:
                    self._work.set()

    async def own_is_read(self, timeout: float) -> bool:
        """Wait until all of one's own feed is here and indexed; returns whether it is, within `timeout` seconds."""
        changed = asyncio.Event()
        self.on("taken", notify := lambda _: changed.set())
        try:
            async with asyncio.timeout(timeout):
                while not self._own_is_read():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            self.remove_listener("taken", notify)
        return True

    def _own_is_read(self) -> bool:
        """What one writes next must stand above all that stands in one's own feed, after a power cut too."""
        own = self.own
        return own is not None and self._arrivals.feed(own.key).next == own.length

    async def dispute(self, key: bytes, one: Evidence, other: Evidence) -> None:
        """Somebody shows that a feed has two histories: read it no further than both agree, if that is so."""
        if feed := self._open.get(key):
            try:
                with suppress(InvalidProof, NodeClosed):
                    await feed.core.dispute(one, other)
            except StoreError as error:
                self.emit("fault", error)

    async def _take_fork(self, key: bytes) -> None:
        try:
            await self.on_thread(self._arrivals.rewrite, key)
        except StoreError as error:
            self.emit("fault", error)
        else:
            self._rewritten(key, REWRITTEN)

    async def _take_conflict(self, feed: OpenFeed) -> None:
        """Take what is above the point of dispute out of the room; where that is unknown, others have to show it."""
        conflict, taken = feed.core.conflict, None
        agreed = agreement(conflict) if conflict else None
        try:
            if agreed is not None:
                taken = await self.on_thread(self._arrivals.dispute, feed.key, agreed)
        except StoreError as error:
            self.emit("fault", error)
            return
        if taken:
            feed.fetch_anew()
            self.emit("taken", taken)
        self._rewritten(feed.key, TWO_COPIES, again=taken is not None)

    def _rewritten(self, key: bytes, reason: str, *, again: bool = False) -> None:
        if again or key not in self.disputed:
            self.disputed[key] = reason
            self.emit("conflict", key)

    def end_of(self, feed: FeedRow) -> int | None:
        """From which block on nothing of a feed is in the room; `None` for one that is whole."""
        return self._arrivals.end_of(feed)

    async def _take(self, arrivals: list[Arrival]) -> Taken:
        own = self.own.key if self.own else None
        taken = await self.on_thread(partial(self._arrivals.take, arrivals, now=self._clock(), own=own))
        for key, t in taken.waiting.items():
            if feed := self._open.get(key):
                feed.waits_until = t - MAX_AHEAD
        self.emit("taken", taken)
        for key in taken.introduced:
            if feed := self._open.get(key):
                feed.introduced.set()
            self.emit("feed", self._arrivals.feed(key))
        return taken

    async def _write(self, writing: list[Writing]) -> None:
        own = self.own
        assert own is not None
        batch: list[bytes] = []
        accepted: list[tuple[Writing, int, int]] = []
        heads = tips(self.rows, own.key, self.end_of)
        now, top = max(self._clock(), EARLIEST + 1), self._arrivals.top  # a clock without a battery begins in 1970
        for one in writing:
            encoded = []
            t = top
            try:
                for body in one.bodies:
                    t = max(now, t + 1)
                    encoded.append(blocks.encode(body, t=t, timestamp=now // 1000, heads=heads, channel=one.channel))
                    heads = {}
            except (LinkupError, TypeError, ValueError) as error:  # whoever wrote it is told, and others go on
                one.written.set_exception(error)
                continue
            accepted.append((one, len(batch), len(batch) + len(encoded)))
            batch += encoded
            top = t
        if not batch:
            return
        try:
            start = await own.append(batch) - len(batch)
            received = now // 1000
            taken = await self._take([Arrival(own.key, start + i, block, received) for i, block in enumerate(batch)])
        except LinkupError as error:
            for one, _, _ in accepted:
                one.written.set_exception(error)
            return
        rows = {row.seq: row for row in taken.rows}
        for one, first, last in accepted:
            one.written.set_result([rows[start + i] for i in range(first, last)])

    async def _read(self, feed: OpenFeed) -> None:
        """Fetch what is wanted of a feed, and take what is here, for as long as it is followed."""
        while True:
            feed.changed.clear()
            row = self._arrivals.feed(feed.key)
            if row.rejected:
                feed.introduced.set()
                return
            await self._fetch(feed, row)
            if (ahead := feed.waits_until - self._clock()) > 0:
                # Not by one long timer: a clock may be set.
                with suppress(TimeoutError):
                    await asyncio.wait_for(feed.changed.wait(), min(ahead / 1e6, CLOCK_CHECK))
                continue
            batch = await self._readable(feed, row)
            if batch:
                done: asyncio.Future[None] = self._loop.create_future()
                self._arriving.append((batch, done))
                self._work.set()
                await done
            else:
                await feed.changed.wait()

    async def _fetch(self, feed: OpenFeed, row: FeedRow) -> None:
        core = feed.core
        length = core.length if row.disputed is None else min(core.length, row.disputed)
        length = min(length, self._limits.get(feed.key, length))
        start = max(feed.fetched_to, row.next)
        if length <= start:
            return
        length = self._affordable(feed, row, length)
        if length <= start:
            return
        feed.downloads = [download for download in feed.downloads if not download.finished]
        if not row.next:
            start = 1
            feed.downloads.append(await core.download(0, 1))
        if length - start > TAIL:
            feed.downloads.append(await core.download(length - TAIL, length))
        feed.fetched_to = length
        if length - start < BULK or core is self.own:
            feed.downloads.append(await core.download(start, length))
        else:
            feed.bulk = self._tasks.start(self._fetch_bulk(feed, start, length), "fetching much of a feed")

    async def _fetch_bulk(self, feed: OpenFeed, start: int, end: int) -> None:
        """Fetch what there is in whole runs so, then the rest block by block."""
        await self._fetch_runs(feed.core, start, end)
        if not feed.core.closed:
            feed.downloads.append(await feed.core.download(start, end))

    def allow(self, key: bytes) -> None:
        """Fetch all of a feed, however long it is, until the room is closed."""
        self._allowed.add(key)
        if feed := self._open.get(key):
            feed.wake()

    def _affordable(self, feed: OpenFeed, row: FeedRow, length: int) -> int:
        """Up to which block a feed is fetched; its signed head says how long and how large it is before that."""
        core, most = feed.core, length
        asked = core is self.own or feed.key in self._allowed
        if not asked and (length > MAX_FEED_BLOCKS or core.byte_length > MAX_FEED_BYTES):
            hello = self._index.row_at(row.tie, 0)
            days = max(0.0, (self._clock() // 1000 - hello.received) / 86_400_000) if hello else 0.0
            too_large = core.byte_length > MAX_FEED_BYTES + BYTES_A_DAY * days
            most = max(1, feed.fetched_to) if too_large else int(MAX_FEED_BLOCKS + BLOCKS_A_DAY * days)
        if most >= length:
            self.too_long.discard(feed.key)
        elif feed.key not in self.too_long:
            self.too_long.add(feed.key)
            self.emit("limit", feed.key)
        return min(most, length)

    async def _readable(self, feed: OpenFeed, row: FeedRow) -> list[Arrival]:
        """What is here of what the index wants next: at the beginning, else at the end, else before the end."""
        core, now = feed.core, self._clock() // 1000
        starts = [row.next]
        if row.next and row.high > row.next:
            starts = [row.high, row.next]
        elif row.next and core.length - row.next > TAIL:
            starts = [core.length - TAIL, row.next]
        for start in starts:
            end = min(row.low, start + BATCH) if start < row.low else start + BATCH
            found = await blocks_here(core, start, min(end, core.length))
            if found:
                return [Arrival(feed.key, start + i, block, now) for i, block in enumerate(found)]
        return []
