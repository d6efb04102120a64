"""The rooms with memory of a node, over one swarm; cores are copied to those only who have proven to know a room."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.errors import InvalidInvite
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.loops import Events, Tasks
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.admission import Candidate
from linkup_nb.rooms.memory.book import Book, BookEntry, Choices, WaitingEntry
from linkup_nb.rooms.memory.forgetting import free_room, index_path
from linkup_nb.rooms.memory.invite import MAX_VIA, Invite
from linkup_nb.rooms.memory.keys import RoomKeys, new_nonce, short_id
from linkup_nb.rooms.memory.links import RoomLinks
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.memory.writers import ALL
from linkup_nb.rooms.names import check_name
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import KeyPair


async def _stay(via: tuple[str, ...]) -> None:
    """Enter no other network."""


class MemoryRooms(Events):
    """The rooms that are named in `path`/rooms.json. Emits `room`, `message` (a room, a message) and `update`."""

    def __init__(
        self,
        path: Path,
        store: Corestore,
        swarm: Swarm,
        *,
        identity: KeyPair,
        name: str,
        share_reads: bool = True,
        via: tuple[str, ...] = (),
        enter: Callable[[tuple[str, ...]], Awaitable[None]] = _stay,
        shared: Callable[[bytes], bool] = lambda core: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self._path = path
        self._book = Book(path / "rooms.json")
        self._store = store
        self._swarm = swarm
        self._identity = identity
        self._device = swarm.key_pair
        self._name = name
        self._share_reads = share_reads
        self._away = False
        self._via = via
        """The bootstrap peers of our networks, which invites name."""
        self._enter_networks = enter
        self._clock = clock
        """Seconds since 1970, by the clock of this device."""
        self._links = RoomLinks(store, shared)
        self._rooms: dict[bytes, MemoryRoom] = {}
        self._sessions: dict[bytes, RoomSession] = {}
        self._candidates: dict[bytes, tuple[WaitingRoom, Candidate]] = {}
        self._tasks = Tasks()
        self._changing = asyncio.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="linkup_nb rooms")
        swarm.on("connection", self._connected)

    @property
    def rooms(self) -> tuple[MemoryRoom | WaitingRoom, ...]:
        """The rooms that are joined, then those that nobody has let us into yet."""
        return (*self._rooms.values(), *[room for room, _ in tuple(self._candidates.values())])

    def copy(self) -> None:
        """Copy what may be copied now on every connection: something has become `shared`."""
        self._links.copy()

    async def open(self) -> None:
        """Join the rooms of the profile again."""
        await asyncio.to_thread(self._book.load)
        via = [peer for entry in self._book.entries if not entry.left for peer in entry.via]
        via += [peer for waiting in self._book.waiting for peer in waiting.via]
        await self._enter_networks(tuple(dict.fromkeys(via)))
        for entry in self._book.entries:
            if entry.forgetting:
                await self._forget(entry)
            elif not entry.left:
                await self._enter(entry)
        for waiting in self._book.waiting:
            await self._ask(waiting)

    async def create(self, name: str, writers: str = ALL) -> MemoryRoom:
        """A new room, of which we are the founder, for all or for admitted writers. Raises `InvalidName`."""
        nonce = new_nonce()
        keys = RoomKeys.found(self._identity.public_key, nonce)
        room = await self._join(keys, check_name(name))
        await self._sessions[keys.topic].write([blocks.RoomBody(room.name, nonce, writers)])
        return room

    async def join(self, invite: Invite, name: str | None = None) -> MemoryRoom | WaitingRoom:
        """The room of an invite. Returns once it is saved and being announced, whoever is there.

        By a limited invite it is a WaitingRoom until a member lets us in. Raises `InvalidInvite` for an expired one.
        """
        name = name or invite.name or short_id(invite.topic)[:6]
        pairing = invite.credential
        await self._enter_networks(invite.via)
        if isinstance(pairing, RoomKeys):
            return await self._join(pairing, name, invite.via)
        if pairing.expires is not None and pairing.expires <= self._clock():
            raise InvalidInvite("This invite has expired: ask for another one.")
        async with self._changing:
            if room := self._rooms.get(invite.topic):
                return room
            known = self._book.get(invite.topic)
            if known and not known.forgotten:
                return await self._return(known)
            if waits := self._candidates.get(invite.topic):
                await self._give_up(waits[0])
            waiting = WaitingEntry(bytes(pairing), name, invite.via)
            await asyncio.to_thread(self._book.put_waiting, waiting)
            return await self._ask(waiting)

    async def leave(self, room: MemoryRoom, forget: bool) -> None:
        """Say that we leave, and join the room no more; what is here of it stays, unless it is to be forgotten."""
        async with self._changing:
            if self._rooms.get(room.topic) is not room:
                return
            session = self._sessions[room.topic]
            await session.write([blocks.LeaveBody()])
            entry = self._book.get(room.topic)
            assert entry is not None
            entry = msgspec.structs.replace(entry, left=True, forgetting=forget)
            await self._save(entry)
            del self._rooms[room.topic], self._sessions[room.topic]
            self._links.remove(session)
            await self._swarm.leave(room.topic)
            await room.close()
            if forget:
                await self._forget(entry)
        self.emit("update")

    async def rename(self, room: MemoryRoom, name: str) -> None:
        """Keep what we call a room."""
        entry = self._book.get(room.topic)
        assert entry is not None
        await self._save(msgspec.structs.replace(entry, name=name))

    async def keep(self, room: MemoryRoom, choices: Choices) -> None:
        """Keep what one has chosen for oneself in the room."""
        entry = self._book.get(room.topic)
        assert entry is not None
        await self._save(msgspec.structs.replace(entry, choices=choices))

    async def give_up(self, room: WaitingRoom) -> None:
        """Ask no more to be let into a room."""
        async with self._changing:
            if room.topic in self._candidates and self._candidates[room.topic][0] is room:
                await asyncio.to_thread(self._book.drop_waiting, room.topic)
                await self._give_up(room)
                await self._swarm.leave(room.topic)
        self.emit("update")

    async def introduce(self, name: str, avatar: bytes) -> None:
        """Tell everybody in the rooms how we are called and what we look like."""
        self._name = name
        for session in tuple(self._sessions.values()):
            await session.write([blocks.IconBody(name, avatar)])

    def set_share_reads(self, share: bool) -> None:
        """Let others see what we have read, and see what they have; or neither."""
        self._share_reads = share
        for session in self._sessions.values():
            session.exchange.share_reads = share

    def set_away(self, away: bool) -> None:
        """Let the others see that nobody is here, while we are connected; or that somebody is again."""
        self._away = away
        for session in self._sessions.values():
            session.exchange.set_away(away)

    async def close(self) -> None:
        """Stop taking part in all rooms."""
        await self._tasks.cancel()
        self._links.close()
        for waiting, _ in self._candidates.values():
            waiting.close()
        for room in self._rooms.values():
            await room.close()
        self._executor.shutdown()

    async def _join(self, keys: RoomKeys, name: str, via: tuple[str, ...] = ()) -> MemoryRoom:
        async with self._changing:
            if room := self._rooms.get(keys.topic):
                return room
            known = self._book.get(keys.topic)
            if known is None:
                known = BookEntry(keys.secret, name)
            elif known.forgotten:
                known = BookEntry(keys.secret, name, known.numbers)
            known = msgspec.structs.replace(known, via=tuple(dict.fromkeys((*via, *known.via)))[:MAX_VIA])
            room = await self._return(known)
            if waits := self._candidates.get(keys.topic):
                waits[0].answered(room=room)
                await self._give_up(waits[0])
            return room

    async def _return(self, entry: BookEntry) -> MemoryRoom:
        entry = msgspec.structs.replace(entry, left=False)
        await self._save(entry)
        return await self._enter(entry)

    async def _ask(self, waiting: WaitingEntry) -> WaitingRoom:
        invite, name = waiting.pairing, waiting.name
        candidate = Candidate(invite, self._identity.public_key)
        room = WaitingRoom(name, candidate, self)
        self._candidates[invite.topic] = room, candidate

        def admitted(secret: bytes) -> None:
            self._tasks.start(
                self._join(RoomKeys(secret), name, waiting.via), "entering a room that a member let us into"
            )

        candidate.on("admitted", admitted)
        candidate.on("refused", lambda sentence: room.answered(refusal=sentence))
        room.on("update", partial(self.emit, "update"))
        self._links.add_candidate(candidate)
        await self._swarm.join(invite.topic)
        self.emit("room", room)
        return room

    async def _give_up(self, room: WaitingRoom) -> None:
        _, candidate = self._candidates.pop(room.topic)
        self._links.remove_candidate(candidate)
        room.close()

    async def _enter(self, entry: BookEntry) -> MemoryRoom:
        keys = RoomKeys(entry.secret)
        folder = self._path / "rooms"
        await asyncio.to_thread(partial(folder.mkdir, mode=0o700, exist_ok=True))
        session = RoomSession(
            self._store,
            keys,
            identity=self._identity,
            device=self._device,
            index=index_path(folder, keys.topic),
            executor=self._executor,
            number=entry.numbers.get(short_id(self._device.public_key), 0),
            renumber=partial(self._renumber, keys.topic),
            share_reads=self._share_reads,
            via=tuple(dict.fromkeys((*entry.via, *self._via))),
            away=self._away,
            clock=lambda: int(self._clock() * 1e6),
        )
        await session.open(self._name)
        room = MemoryRoom(entry.name, session, self, entry.choices)
        self._rooms[keys.topic], self._sessions[keys.topic] = room, session
        for event in ("message", "change", "delivery", "typing"):
            room.on(event, partial(self.emit, event, room))
        room.on("update", partial(self.emit, "update"))
        self._links.add(session)
        await self._swarm.join(keys.topic)
        self.emit("room", room)
        return room

    async def _forget(self, entry: BookEntry) -> None:
        """Free what is here of a room. Our feed there is given up: of what it says nothing is known here any more."""
        keys = RoomKeys(entry.secret)
        await free_room(self._store, keys, index_path(self._path / "rooms", keys.topic), self._executor)
        device = short_id(self._device.public_key)
        numbers = entry.numbers | {device: entry.numbers.get(device, 0) + 1}
        await self._save(BookEntry(b"", "", numbers, left=True, forgotten=keys.topic))

    async def _renumber(self, topic: bytes, number: int) -> None:
        entry = self._book.get(topic)
        assert entry is not None
        numbers = entry.numbers | {short_id(self._device.public_key): number}
        await self._save(msgspec.structs.replace(entry, numbers=numbers))

    def _connected(self, connection: Connection, _: PeerInfo) -> None:
        self._links.connected(connection)

    async def _save(self, entry: BookEntry) -> None:
        await asyncio.to_thread(self._book.put, entry)
