"""The rooms with memory of a node, over one swarm; cores are copied to those only who have proven to know a room."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.loops import Events
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.book import Book, BookEntry
from linkup_nb.rooms.memory.invite import Invite
from linkup_nb.rooms.memory.keys import RoomKeys, new_nonce, short_id
from linkup_nb.rooms.memory.links import RoomLinks
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.rooms.names import check_name
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import KeyPair


class MemoryRooms(Events):
    """The rooms that are named in `path`/rooms.json. Emits `room`, `message` (a room, a message) and `update`."""

    def __init__(self, path: Path, store: Corestore, swarm: Swarm, *, identity: KeyPair, name: str) -> None:
        super().__init__(asyncio.get_running_loop())
        self._path = path
        self._book = Book(path / "rooms.json")
        self._store = store
        self._swarm = swarm
        self._identity = identity
        self._device = swarm.key_pair
        self._name = name
        self._links = RoomLinks(store)
        self._rooms: dict[bytes, MemoryRoom] = {}
        self._sessions: dict[bytes, RoomSession] = {}
        self._changing = asyncio.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="linkup_nb rooms")
        swarm.on("connection", self._connected)

    @property
    def rooms(self) -> tuple[MemoryRoom, ...]:
        """The rooms that are joined."""
        return tuple(self._rooms.values())

    async def open(self) -> None:
        """Join the rooms of the profile again."""
        await asyncio.to_thread(self._book.load)
        for entry in self._book.entries:
            if not entry.left:
                await self._enter(entry)

    async def create(self, name: str) -> MemoryRoom:
        """A new room, of which we are the founder. Raises `InvalidName`."""
        nonce = new_nonce()
        keys = RoomKeys.found(self._identity.public_key, nonce)
        room = await self._join(keys, check_name(name))
        await self._sessions[keys.topic].write([blocks.Room(room.name, nonce)])
        return room

    async def join(self, invite: Invite, name: str | None = None) -> MemoryRoom:
        """The room of an invite. Returns once it is saved and being announced, whoever is there."""
        assert isinstance(invite.credential, RoomKeys)
        return await self._join(invite.credential, name or invite.name or short_id(invite.topic)[:6])

    async def leave(self, room: MemoryRoom) -> None:
        """Say that we leave, and join the room no more; what is here of it stays."""
        async with self._changing:
            if self._rooms.get(room.topic) is not room:
                return
            session = self._sessions[room.topic]
            await session.write([blocks.Leave()])
            entry = self._book.get(room.topic)
            assert entry is not None
            await self._save(msgspec.structs.replace(entry, left=True))
            del self._rooms[room.topic], self._sessions[room.topic]
            self._links.remove(session)
            await self._swarm.leave(room.topic)
            await room.close()
        self.emit("update")

    async def introduce(self, name: str, avatar: bytes) -> None:
        """Tell everybody in the rooms how we are called and what we look like."""
        self._name = name
        for session in tuple(self._sessions.values()):
            await session.write([blocks.Icon(name, avatar)])

    async def close(self) -> None:
        """Stop taking part in all rooms."""
        for room in self.rooms:
            await room.close()
        self._executor.shutdown()

    async def _join(self, keys: RoomKeys, name: str) -> MemoryRoom:
        async with self._changing:
            if room := self._rooms.get(keys.topic):
                return room
            known = self._book.get(keys.topic)
            entry = msgspec.structs.replace(known, left=False) if known else BookEntry(keys.secret, name)
            await self._save(entry)
            return await self._enter(entry)

    async def _enter(self, entry: BookEntry) -> MemoryRoom:
        keys = RoomKeys(entry.secret)
        folder = self._path / "rooms"
        await asyncio.to_thread(partial(folder.mkdir, mode=0o700, exist_ok=True))
        session = RoomSession(
            self._store,
            keys,
            identity=self._identity,
            device=self._device,
            index=folder / f"{keys.topic.hex()}.sqlite3",
            executor=self._executor,
            number=entry.numbers.get(short_id(self._device.public_key), 0),
            renumber=partial(self._renumber, keys.topic),
        )
        await session.open(self._name)
        room = MemoryRoom(entry.name, session, self)
        self._rooms[keys.topic], self._sessions[keys.topic] = room, session
        for event in ("message", "change"):
            room.on(event, partial(self.emit, event, room))
        room.on("update", partial(self.emit, "update"))
        self._links.add(session)
        await self._swarm.join(keys.topic)
        self.emit("room", room)
        return room

    async def _renumber(self, topic: bytes, number: int) -> None:
        entry = self._book.get(topic)
        assert entry is not None
        numbers = entry.numbers | {short_id(self._device.public_key): number}
        await self._save(msgspec.structs.replace(entry, numbers=numbers))

    def _connected(self, connection: Connection, _: PeerInfo) -> None:
        self._links.connected(connection)

    async def _save(self, entry: BookEntry) -> None:
        await asyncio.to_thread(self._book.put, entry)
