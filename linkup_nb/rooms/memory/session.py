"""A room as this node takes part in it: its feeds, and the peers who have proven that they know it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO, Any, TypeVar

from linkup_nb.channels import Channels
from linkup_nb.errors import NotAvailable, UsageError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.loops import Events, Tasks, Timers
from linkup_nb.rooms.memory.admission import Admission
from linkup_nb.rooms.memory.arrivals import Taken
from linkup_nb.rooms.memory.block import Body, InviteUsedBody, Kind, decode
from linkup_nb.rooms.memory.disputes import Disputes
from linkup_nb.rooms.memory.exchange import Exchange
from linkup_nb.rooms.memory.export import FeedExport, header
from linkup_nb.rooms.memory.feeds import RoomFeeds
from linkup_nb.rooms.memory.hello import sign_hello
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.invites import Invites
from linkup_nb.rooms.memory.keys import RoomKeys, place_of, short_id
from linkup_nb.rooms.memory.marks import Marks
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.rows import BlockRow, FeedRow, Place, State
from linkup_nb.rooms.memory.runs import Runs
from linkup_nb.rooms.memory.search import WordQuery
from linkup_nb.wire import rooms as wire
from linkup_nb.wire.keys import KEY_SIZE, KeyPair, z32encode

OWN_FEED_TIMEOUT = 1.5  # seconds for a member to say how long our own feed is, before the first write
NAMED_TOGETHER = 0.1  # seconds for which new feeds are gathered, for peers take so many messages a second
OWN_BLOCKS_TIMEOUT = 10.0  # seconds for our own blocks, of which a backup lost some, to come from members
EXPORTED_TOGETHER = 500  # lines that are written to an export at a time


T = TypeVar("T")


async def _forget(_: int) -> None:
    """A session that no profile keeps."""


class RoomSession(Events):
    """One room of a node, open. Emits `taken` (a Taken) when the index has changed, and `update` for its peers.

    Emits `conflict` (a key) when a feed turns out to be rewritten.

    `number` counts the feeds that this device has had in the room: one that was given up is never written again.
    `renumber` keeps another number, before a feed of it is made.
    """

    def __init__(
        self,
        store: Corestore,
        keys: RoomKeys,
        *,
        identity: KeyPair,
        device: KeyPair,
        index: Path,
        executor: Executor,
        number: int = 0,
        renumber: Callable[[int], Awaitable[None]] = _forget,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        share_reads: bool = True,
        via: tuple[str, ...] = (),
        away: bool = False,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.keys = keys
        self.via = via
        """The bootstrap peers of the networks in which members meet, which invites name."""
        self.identity = identity
        self.device = device
        self.peers: set[RoomPeer] = set()
        self.closed = False
        self._store = store
        self._number = number
        self._renumber = renumber
        self._marks = Marks()
        self._name = ""
        self._own_is_safe = False
        self._checking = asyncio.Lock()
        self._index_path = index
        self._executor = executor
        self.clock = clock
        """Microseconds since 1970, by the clock of this device."""
        self.exchange = Exchange(self, identity.public_key, share_reads=share_reads, away=away)
        self.runs = Runs(self._core_of_tag)
        self._timers = Timers()
        self._new_feeds: list[bytes] = []
        self._drives: dict[bytes, Drive] = {}
        self._tasks = Tasks()
        self._drive_cores: set[bytes] = set()
        self.refuses: Callable[[bytes], bool] = lambda identity: False
        """Whether the devices of an identity are not spoken with in this room."""
        self.invites = Invites(lambda identity, place: False)
        self.admission = Admission(
            keys.topic, keys.secret, self.invites, self._use_invite, lambda who: self.refuses(who), clock
        )
        self.index: Index
        self.feeds: RoomFeeds
        self.disputes: Disputes
        self.drive: Drive

    async def open(self, name: str) -> None:
        """Open one's own feed and drive, writing the hello if they are new, and all feeds that are known."""
        self._name = name
        own = await self._open_own()
        self.index = await self._loop.run_in_executor(self._executor, Index, self._index_path)
        self.feeds = RoomFeeds(
            self._store,
            self.keys,
            self.index,
            self.identity.public_key,
            self._executor,
            self.runs.fetch,
            clock=self.clock,
        )
        self.feeds.on("taken", self._taken)
        self.feeds.on("feed", self._introduced)
        self.feeds.on("conflict", lambda key: self.emit("conflict", key))
        for event in ("conflict", "limit"):
            self.feeds.on(event, lambda _: self.emit("update"))
        self.disputes = Disputes(self.feeds, self.peers)
        self.feeds.on("follow", lambda _: self._copy())
        await self.exchange.open()
        kept = await self._loop.run_in_executor(self._executor, self.index.meta, "drive cores") or b""
        self._drive_cores = {kept[at : at + KEY_SIZE] for at in range(0, len(kept), KEY_SIZE)}
        await self._share(self.drive.key)
        await self._share(await self.drive.content_key())
        self._load_invites()
        await self.feeds.open(own)
        if not own.length and not self._marks.get(own.key):
            await self._append([self._hello(own)])

    async def _open_own(self) -> Core:
        space = self._store.namespace(wire.PROTOCOL).namespace(self.keys.topic.hex())
        whose = f"{short_id(self.device.public_key)}/{self._number}"
        key = self.keys.encryption_key
        self.drive = await Drive.open(space.namespace(f"drive/{whose}"), encryption_key=key)
        return await space.core(name=f"feed/{whose}", encryption_key=key, forks=False)

    def _hello(self, own: Core) -> Body:
        return sign_hello(
            self.keys.topic, own.key, self.drive.key, identity=self.identity, device=self.device, name=self._name
        )

    async def close(self) -> None:
        """Leave the peers, and stop reading."""
        self.closed = True
        self._timers.close()
        self.exchange.leave()
        await self.disputes.close()
        await self.admission.close()
        await self._tasks.cancel()
        for peer in tuple(self.peers):
            peer.close()
        await self.feeds.close()
        # Not on its thread: when a kernel ends, the interpreter starts no more work on threads.
        await self.exchange.close()
        self.index.close()
        for drive in (self.drive, *self._drives.values()):
            await drive.close()

    async def write(self, bodies: list[Body], *, channel: str = "") -> list[BlockRow]:
        """Write blocks; see `RoomFeeds.write`.

        The first time after opening, and after a conflict, it is made sure that the own feed is as long here as
        anywhere: if it is not, and nobody sends the rest in time, another one is begun.
        """
        async with self._checking:
            own = self.feeds.own
            if own is not None and (not self._own_is_safe or own.conflict):
                await self._make_safe(own)
        return await self._append(bodies, channel)

    async def _append(self, bodies: list[Body], channel: str = "") -> list[BlockRow]:
        rows = await self.feeds.write(bodies, channel=channel)
        own = self.feeds.own
        if own is not None:
            await asyncio.to_thread(self._marks.put, own.key, own.length)
        return rows

    async def _make_safe(self, own: Core) -> None:
        with suppress(NotAvailable):
            if self.peers and not own.conflict:
                await own.update(timeout=OWN_FEED_TIMEOUT)
        complete = not own.conflict and await self.feeds.own_is_read(OWN_BLOCKS_TIMEOUT)
        if not complete or own.length < self._marks.get(own.key):
            self._number += 1
            await self._renumber(self._number)
            own = await self._open_own()
            await self._share(self.drive.key)
            await self._share(await self.drive.content_key())
            await self.feeds.write_to(own)
            if not own.length:
                await self._append([self._hello(own), *await self.on_index(self._founding)])
        self._own_is_safe = True

    def _founding(self) -> list[Body]:
        """What says that we founded the room: who comes later may not get it from a feed that was given up."""
        founding = self.index.meta("founding") if self.index.meta("founder") == self.identity.public_key else None
        body = decode(founding).body()[1] if founding else None
        return [body] if body else []

    async def mark_read(self, id: str | None = None, channel: str | None = None) -> None:
        """Count the message of this id as read, or all of a channel, or all that are here."""
        place = place_of(id) if id else (None, 0)
        await self.on_index(partial(self.index.mark_read, *place, channel=channel))
        self.exchange.reading_changed()

    async def mark_rows_read(self, channel: str, ids: Sequence[str], since: Place | None, until: Place | None) -> None:
        """Count the messages of these ids as read, and all of a channel from one place to another."""
        places = [place_of(id) for id in ids]
        await self.on_index(partial(self.index.mark_rows_read, channel, places, since, until))
        self.exchange.reading_changed()

    async def on_index(self, work: Callable[[], T]) -> T:
        """Do something on the thread that writes the index."""
        return await self.feeds.on_thread(work)

    async def prune(self, before: int) -> int:
        """Delete here what others said below a t; how many blocks that were."""
        own = {row.tie for row in self.feeds.members if row.identity == self.identity.public_key}
        places = await self.on_index(partial(self.index.prunable, before, own))
        for tie, group in groupby(places, lambda place: place[0]):
            if core := self.feeds.core(self.feed_of(tie).key):
                for start, end in _ranges([seq for _, seq in group if seq]):
                    await core.clear(start, end)
        # The rows go last: what ends in between is begun again.
        await self.on_index(partial(self.index.prune, places))
        return len(places)

    async def search(self, query: WordQuery, **filters: Any) -> list[BlockRow]:
        """The rows that match, last first; see `Index.search`."""
        await self._loop.run_in_executor(self._executor, self.index.make_searchable)
        return await asyncio.to_thread(self.index.search, query.words, query.like, **filters)

    async def export(self, name: str, path: Path) -> int:
        """Write everything that has a place to a file, see `rooms.memory.export`; how many blocks that were."""
        refused = int(State.REFUSED | State.OUT_OF_ORDER)
        rows = [row for row in await asyncio.to_thread(self.index.timeline) if not row.state & refused]
        exports = {tie: i for i, tie in enumerate(dict.fromkeys(row.tie for row in rows))}
        cores = {tie: self.feeds.core(self.feed_of(tie).key) for tie in exports}
        feeds = {tie: FeedExport(exports[tie], core, self.keys.encryption_key) for tie, core in cores.items() if core}
        with await asyncio.to_thread(path.open, "w", encoding="utf-8") as file:
            lines = [header(name, self.keys.topic), *[await feed.head() for feed in feeds.values()]]
            for row in rows:
                if row.tie in feeds:
                    lines.append(await feeds[row.tie].line(row.seq))
                if len(lines) >= EXPORTED_TOGETHER:
                    await asyncio.to_thread(_write_lines, file, lines)
                    lines = []
            await asyncio.to_thread(_write_lines, file, lines)
        return len(rows)

    def _taken(self, taken: Taken) -> None:
        if taken.ruled:
            came = self._load_invites()
        else:
            came = [self._take_invite(row) for row in self.shown(taken) if row.kind in (Kind.INVITE, Kind.USED)]
        if any(came):
            self.admission.retry()
        self.emit("taken", taken)
        if came:
            self.emit("update")

    def _load_invites(self) -> list[bool]:
        """Take over what the index says of invites, and nothing else."""
        self.invites.clear()
        return [self._take_invite(row) for row in self.index.latest(Kind.INVITE) + self.index.latest(Kind.USED)]

    def _take_invite(self, row: BlockRow) -> bool:
        author = self.feed_of(row.tie).identity
        if author is None or row.body is None or row.state & (State.REFUSED | State.OUT_OF_ORDER):
            return False
        _, body = decode(row.body).body()
        return self.invites.take((row.t, row.tie, row.seq), author, body)

    async def _use_invite(self, id: bytes, identity: bytes) -> None:
        if not self.feeds.ruling.may_write(self.identity.public_key):
            raise UsageError("Who may only read a room lets nobody in: nobody would see who came.")
        await self.write([InviteUsedBody(z32encode(id), z32encode(identity))])

    def shown(self, taken: Taken) -> list[BlockRow]:
        """The new rows that are in the room, and not above the end of their feed."""
        ends = {tie: self.feeds.end_of(self.feed_of(tie)) for tie in {row.tie for row in taken.rows}}
        return [row for row in taken.rows if (end := ends[row.tie]) is None or row.seq < end]

    def feed_of(self, tie: int) -> FeedRow:
        """The feed of a row."""
        return self.feeds.by_tie(tie)

    def core_of(self, id: str) -> Core | None:
        """The open core of the feed that a message stands in."""
        return self.feeds.core(self.feed_of(place_of(id)[0]).key)

    def _core_of_tag(self, tag: bytes) -> Core | None:
        return next((self.feeds.core(row.key) for row in self.feeds.rows if row.key.startswith(tag)), None)

    async def put(self, path: str, data: bytes) -> int:
        """Put a file into one's own drive of the room; the version that has it."""
        async with self.drive.batch() as batch:
            await batch.put(path, data)
        return self.drive.version

    async def file(self, drive: bytes, path: str, version: int, timeout: float) -> tuple[DriveView, Entry]:
        """A drive of the room as it was at a version, and a file in it. Raises `NotAvailable`.

        Waits at most `timeout` seconds for somebody who has that version of the drive.
        """
        try:
            async with asyncio.timeout(timeout):
                view = await self._at(drive, version)
                entry = await view.entry(path)
        except TimeoutError:
            raise NotAvailable("Nobody who is here has this file: it comes when somebody does.") from None
        if entry is None or entry.blob is None:
            raise NotAvailable("The version of the drive that this message names does not have its file.")
        return view, entry

    def holders(self, drive: bytes) -> set[bytes]:
        """The identities of those who have a drive of somebody else open with us."""
        found = self._drives.get(drive)
        devices = {peer.public_key for peer in found.peers} if found else set()
        return {feed.identity for feed in self.feeds.members if feed.identity and feed.device in devices}

    async def _at(self, drive: bytes, version: int) -> DriveView:
        if drive == self.drive.key:
            return self.drive[version]
        theirs = await self._drive_of_another(drive)
        while theirs.version < version:
            await theirs.update()
        return theirs[version]

    async def drive_of(self, key: bytes) -> Drive:
        """A drive of the room, fetched from now on as far as it is read; its beginning may be still to come."""
        if key == self.drive.key:
            return self.drive
        if key not in self._drives:
            self._drives[key] = await Drive.open(self._store, key, encryption_key=self.keys.encryption_key)
            await self._share(key)
            self._tasks.start(self._share_contents(self._drives[key]), "sharing the contents of a member's drive")
        return self._drives[key]

    async def _share_contents(self, drive: Drive) -> None:
        """The key of the contents is known once the beginning of the drive has come."""
        await drive.bee.core.wait_for_length(1, timeout=None)
        await self._share(await drive.content_key())

    async def _drive_of_another(self, key: bytes) -> Drive:
        drive = await self.drive_of(key)
        await self._share(await drive.content_key())
        return drive

    async def _share(self, key: bytes) -> None:
        """Let the members have a core, also after a restart."""
        if key not in self._drive_cores:
            self._drive_cores.add(key)
            kept = b"".join(sorted(self._drive_cores))
            await self._loop.run_in_executor(self._executor, self.index.set_meta, "drive cores", kept)
        self._copy()

    def meet(self, channels: Channels) -> RoomPeer:
        """Open the room on a connection; the peer may know the room or not."""
        return RoomPeer(self, channels)

    def _introduced(self, feed: FeedRow) -> None:
        self._new_feeds.append(feed.key)
        self._timers.start("name", NAMED_TOGETHER, self._name_feeds)
        self.emit("feed", feed)
        self.emit("update")

    def _name_feeds(self) -> None:
        keys, self._new_feeds = self._new_feeds, []
        for peer in self.peers:
            peer.name(keys)

    def _copy(self) -> None:
        for peer in self.peers:
            self.emit("copy", peer.channels.connection)

    # What a peer calls

    @property
    def flags(self) -> int:
        """What we say of ourselves when the room is opened."""
        return wire.SERVES_RUNS | (wire.SHARES_READ_MARKS if self.exchange.share_reads else 0)

    def introductions(self) -> list[bytes]:
        """The keys of one's own feed, and of all feeds whose hello is verified."""
        own = self.feeds.own
        assert own is not None
        return [own.key, *(row.key for row in self.feeds.members if row.key != own.key)]

    async def prove(self, key: bytes, until: "asyncio.Future[None]") -> None:
        """Fetch the hello of a feed that a peer has named, while the peer is here."""
        await self.feeds.prove(key, until)

    def proven(self, peer: RoomPeer) -> None:
        """The peer knows the secret: it may have every feed and drive of the room."""
        device = peer.device
        if any(row.device == device and row.identity and self.refuses(row.identity) for row in self.feeds.members):
            peer.close()
            return
        self.peers.add(peer)
        self.emit("copy", peer.channels.connection)
        self.runs.proven(peer)
        self.exchange.proven(peer)
        self.disputes.proven(peer)
        self.emit("update")

    def has(self, key: bytes) -> bool:
        """Whether a core is one of the room's: a feed, or of a drive that was opened here."""
        return self.feeds.core(key) is not None or key in self._drive_cores

    def received(self, peer: RoomPeer, message: wire.Message) -> None:
        """The peer sent a message other than feeds."""
        if isinstance(message, wire.SkeletonRequest | wire.Skeleton | wire.RunRequest | wire.Run):
            self.runs.received(peer, message)
        elif isinstance(message, wire.Conflict):
            self.disputes.received(peer, message)
        else:
            self.exchange.received(peer, message)

    def drained(self, peer: RoomPeer) -> None:
        """The peer has read what was sent to it."""
        self.runs.drained(peer)

    def gone(self, peer: RoomPeer) -> None:
        """The peer has left."""
        if peer in self.peers:
            self.peers.discard(peer)
            self.runs.gone(peer)
            self.exchange.gone(peer)
            self.disputes.gone(peer)
        self.emit("update")


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The runs of consecutive numbers in a sorted list."""
    start = at = 0
    while at < len(numbers):
        at += 1
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[start], numbers[at - 1] + 1
            start = at


def _write_lines(file: IO[str], lines: list[dict[str, Any]]) -> None:
    file.write("".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines))
