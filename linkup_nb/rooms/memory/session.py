"""A room as this node takes part in it: its feeds, and the peers who have proven that they know it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from linkup_nb.channels import Channels
from linkup_nb.errors import NotAvailable
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import Events, Timers
from linkup_nb.rooms.memory.admission import Admission
from linkup_nb.rooms.memory.arrivals import Taken
from linkup_nb.rooms.memory.block import Body, InviteUsed, Kind, decode
from linkup_nb.rooms.memory.exchange import Exchange
from linkup_nb.rooms.memory.export import FeedExport, header
from linkup_nb.rooms.memory.feeds import RoomFeeds
from linkup_nb.rooms.memory.hello import sign_hello
from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.invites import Invites
from linkup_nb.rooms.memory.keys import RoomKeys, place_of, short_id
from linkup_nb.rooms.memory.marks import Marks
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.rows import FeedRow, Row, State
from linkup_nb.rooms.memory.search import Query
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
        clock: Callable[[], int] | None = None,
        share_reads: bool = True,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.keys = keys
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
        self._clock = clock
        self.exchange = Exchange(self, identity.public_key, share_reads=share_reads)
        self._timers = Timers()
        self._new_feeds: list[bytes] = []
        self._drives: dict[bytes, Drive] = {}
        self._drive_cores: set[bytes] = set()
        self.refuses: Callable[[bytes], bool] = lambda identity: False
        """Whether the devices of an identity are not spoken with in this room."""
        self.invites = Invites(lambda identity, place: False)
        self.admission = Admission(
            keys.topic, keys.secret, self.invites, self._use_invite, lambda who: self.refuses(who)
        )
        self.index: Index
        self.feeds: RoomFeeds
        self.drive: Drive

    async def open(self, name: str) -> None:
        """Open one's own feed and drive, writing the hello if they are new, and all feeds that are known."""
        self._name = name
        own = await self._open_own()
        self.index = await self._loop.run_in_executor(self._executor, Index, self._index_path)
        clock = {} if self._clock is None else {"clock": self._clock}
        self.feeds = RoomFeeds(self._store, self.keys, self.index, self.identity.public_key, self._executor, **clock)
        self.feeds.on("taken", self._taken)
        self.feeds.on("feed", self._introduced)
        for event in ("conflict", "limit"):
            self.feeds.on(event, lambda _: self.emit("update"))
        self.feeds.on("follow", lambda _: self._copy())
        await self.exchange.open()
        kept = await self._loop.run_in_executor(self._executor, self.index.meta, "drive cores") or b""
        self._drive_cores = {kept[at : at + KEY_SIZE] for at in range(0, len(kept), KEY_SIZE)}
        await self._share(self.drive.key)
        await self._share(await self.drive.content_key())
        for row in self.index.latest(Kind.INVITE) + self.index.latest(Kind.USED):
            self._take_invite(row)
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
        await self.admission.close()
        for peer in tuple(self.peers):
            peer.close()
        await self.feeds.close()
        # Not on its thread: when a kernel ends, the interpreter starts no more work on threads.
        await self.exchange.close()
        self.index.close()
        for drive in (self.drive, *self._drives.values()):
            await drive.close()

    async def write(self, bodies: list[Body], *, channel: str = "") -> list[Row]:
        """Write blocks; see `RoomFeeds.write`.

        The first time after opening, and after a conflict, it is made sure that the own feed is as long here as
        anywhere: if it is not, and nobody sends the rest in time, another one is begun.
        """
        async with self._checking:
            own = self.feeds.own
            if own is not None and (not self._own_is_safe or own.conflict):
                await self._make_safe(own)
        return await self._append(bodies, channel)

    async def _append(self, bodies: list[Body], channel: str = "") -> list[Row]:
        rows = await self.feeds.write(bodies, channel=channel)
        own = self.feeds.own
        if own is not None:
            await asyncio.to_thread(self._marks.put, own.key, own.length)
        return rows

    async def _make_safe(self, own: Core) -> None:
        with suppress(NotAvailable):
            if self.peers:
                await own.update(timeout=OWN_FEED_TIMEOUT)
        complete = await self.feeds.own_is_read(OWN_BLOCKS_TIMEOUT)
        if own.conflict or not complete or own.length < self._marks.get(own.key):
            self._number += 1
            await self._renumber(self._number)
            own = await self._open_own()
            await self._share(self.drive.key)
            await self._share(await self.drive.content_key())
            await self.feeds.write_to(own)
            if not own.length:
                await self._append([self._hello(own)])
        self._own_is_safe = True

    async def mark_read(self, id: str | None = None, channel: str | None = None) -> None:
        """Count the message of this id as read, or all of a channel, or all that are here."""
        place = place_of(id) if id else (None, 0)
        await self.on_index(partial(self.index.mark_read, *place, channel=channel))
        self.exchange.reading_changed()

    async def on_index(self, work: Callable[[], T]) -> T:
        """Do something on the thread that writes the index."""
        return await self.feeds.on_thread(work)

    async def search(self, query: Query, **filters: Any) -> list[Row]:
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
        came = [self._take_invite(row) for row in taken.rows if row.kind in (Kind.INVITE, Kind.USED)]
        if any(came):
            self.admission.retry()
        self.emit("taken", taken)
        if came:
            self.emit("update")

    def _take_invite(self, row: Row) -> bool:
        author = self.feed_of(row.tie).identity
        if author is None or row.body is None or row.state & (State.REFUSED | State.OUT_OF_ORDER):
            return False
        _, body = decode(row.body).body()
        return self.invites.take((row.t, row.tie, row.seq), author, body)

    async def _use_invite(self, id: bytes, identity: bytes) -> None:
        await self.write([InviteUsed(z32encode(id), z32encode(identity))])

    def feed_of(self, tie: int) -> FeedRow:
        """The feed of a row."""
        return self.feeds.by_tie(tie)

    def core_of(self, id: str) -> Core | None:
        """The open core of the feed that a message stands in."""
        return self.feeds.core(self.feed_of(place_of(id)[0]).key)

    async def load(self, drive: bytes, path: str, version: int, timeout: float) -> bytes:
        """A file of a drive of the room, as it was at a version. Raises `NotAvailable` if nobody sends it in time."""
        if drive == self.drive.key:
            data = await self.drive[version].get(path)
        else:
            async with asyncio.timeout(timeout):
                theirs = await self._drive_of_another(drive)
                while theirs.version < version:
                    await theirs.update()
                data = await theirs[version].get(path)
        if data is None:
            raise NotAvailable("The version of the drive that this message names does not have its file.")
        return data

    async def _drive_of_another(self, key: bytes) -> Drive:
        if key not in self._drives:
            self._drives[key] = await Drive.open(self._store, key, encryption_key=self.keys.encryption_key)
            await self._share(key)
        drive = self._drives[key]
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
        return wire.SHARES_READ_MARKS if self.exchange.share_reads else 0

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
        self.exchange.proven(peer)
        self.emit("update")

    def has(self, key: bytes) -> bool:
        """Whether a core is one of the room's: a feed, or of a drive that was opened here."""
        return self.feeds.core(key) is not None or key in self._drive_cores

    def received(self, peer: RoomPeer, message: wire.Message) -> None:
        """The peer sent a message other than feeds."""
        self.exchange.received(peer, message)

    def gone(self, peer: RoomPeer) -> None:
        """The peer has left."""
        if peer in self.peers:
            self.peers.discard(peer)
            self.exchange.gone(peer)
        self.emit("update")


def _write_lines(file: IO[str], lines: list[dict[str, Any]]) -> None:
    file.write("".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines))
