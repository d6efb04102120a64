"""Every LinkUp room of one node, over one swarm: what peers send is read here, and brought to its room."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar

from linkup_nb.connection.connection import WRITE_TIMEOUT, Connection
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.errors import DecodeError, InvalidImage, LinkupError, NodeClosed, UnknownRoom
from linkup_nb.loops import Events, Tasks
from linkup_nb.rooms.avatar import generated_avatar, scale_avatar
from linkup_nb.rooms.linkup.flow import Flow
from linkup_nb.rooms.linkup.messages import decode, encode
from linkup_nb.rooms.linkup.room import Room
from linkup_nb.rooms.message import IconMessage
from linkup_nb.rooms.names import short_key
from linkup_nb.rooms.profile import Profile
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.swarm.topic import SwarmTopic

MAX_FAULTS = 100  # messages of one connection that are not LinkUp's, after which it is closed
ICON_COST = 500  # messages that a new avatar counts as: it is decoded and drawn anew
MAX_STRANGER_PIXELS = 16_000_000  # of an avatar that a peer sends
LAST_WORDS = 2.0  # seconds for what was said to reach slow peers when the node closes
REFRESH = 0.02  # seconds for which changes among peers are gathered

NOT_LINKUP = "messages dropped: not LinkUp's"
UNKNOWN_TOPIC = "messages dropped: for a room that we are not in"
NOT_A_PICTURE = "avatars dropped: not a picture"

log = logging.getLogger("linkup_nb")
R = TypeVar("R")


class _Line:
    """One connected peer, as the lobby sees it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.key = connection.remote_public_key
        self.flow = Flow()
        self.faults = 0
        self.introduced: set[bytes] = set()  # topics on which it has our icon
        self.name: str | None = None
        self.avatar: bytes | None = None
        self.avatar_digest = b""


class Lobby(Events):
    """The rooms of a profile. Emits `room` (a Room), `message` (a Room, a Message) and `update`."""

    def __init__(self, profile: Profile, swarm: Swarm) -> None:
        super().__init__(asyncio.get_running_loop())
        self.avatar = b""
        self._profile = profile
        self._swarm = swarm
        self._rooms: dict[bytes, Room] = {}
        self._topics: dict[bytes, SwarmTopic] = {}
        self._lines: dict[bytes, _Line] = {}
        self._changing = asyncio.Lock()
        self._drawing = asyncio.Lock()  # one stranger's picture at a time: each may take 100 MB while it is decoded
        self._readers = Tasks()
        self._work = Tasks()
        self._sending: set[asyncio.Task[Any]] = set()
        self._refresh_at: asyncio.TimerHandle | None = None
        swarm.on("connection", self._connected)
        swarm.on("disconnection", self._disconnected)
        swarm.on("topic", self._on_topic)
        swarm.on("update", self._refresh_soon)

    @property
    def rooms(self) -> tuple[Room, ...]:
        """The rooms that we are in, in the order in which they were joined."""
        return tuple(self._rooms.values())

    @property
    def name(self) -> str:
        """What we call ourselves; our short key while we have not said."""
        return self._profile.name or short_key(self._swarm.public_key)

    async def open(self) -> None:
        """Join the rooms of the profile again."""
        await self._draw_avatar()
        for topic, name in self._profile.rooms.items():
            await self._enter(topic, name)

    async def join(self, topic: bytes, name: str) -> Room:
        """The room with this topic: saved first, then announced. One that we are in already is returned as it is."""
        async with self._changing:
            if room := self._rooms.get(topic):
                return room
            self._profile.add_room(topic, name)
            await self._save()
            return await self._enter(topic, name)

    async def leave(self, room: Room) -> None:
        """Forget a room, and be found there no more."""
        async with self._changing:
            if self._rooms.get(room.topic) is not room:
                return
            self._profile.remove_room(room.topic)
            await self._save()
            del self._rooms[room.topic], self._topics[room.topic]
            for line in self._lines.values():
                line.introduced.discard(room.topic)
            room.end(UnknownRoom(f"You have left {room.name!r}: join it again by its topic."))
            await self._swarm.leave(room.topic)
        self.emit("update")

    async def introduce(self, *, name: str | None = None, avatar: bytes | None = None) -> None:
        """Call ourselves by another name, or show another avatar: saved first, then sent to everybody here."""
        async with self._changing:
            if name is not None:
                self._profile.name = name
            if avatar is not None:
                self._profile.avatar = avatar
            await self._save()
            await self._draw_avatar()
        for room in self.rooms:
            room.call_us(self._swarm.public_key, self.name)
            for line in self._on(room.topic):
                self._introduce(line, room.topic)
        self.emit("update")

    async def close(self) -> None:
        """Give what was said a last chance to leave, then stop reading. The swarm is closed next."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_WORDS)
        if self._refresh_at:
            self._refresh_at.cancel()
        await self._readers.cancel()
        await self._work.cancel()
        for room in self.rooms:
            room.end(NodeClosed("this node has been closed; lu.start() makes a new one"))

    def envelope(self, topic: bytes) -> dict[str, Any]:
        """The fields of a message of ours that say who, where and when."""
        now = datetime.now(UTC)
        key = self._swarm.public_key
        return {"name": self.name, "key": key, "topic": topic, "timestamp": now, "received": now, "own": True}

    async def write(self, topic: bytes, data: bytes, timeout: float) -> int:
        """Write to everybody on the topic at once; returns to how many that went well."""
        return sum(await asyncio.gather(*(_write(line.connection, data, timeout) for line in self._on(topic))))

    def in_background(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run work that `close` waits for."""
        task = self._work.start(work, "sending")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def _save(self) -> None:
        await asyncio.to_thread(self._profile.save)

    async def _draw_avatar(self) -> None:
        self.avatar = self._profile.avatar or b""
        if not self.avatar:
            self.avatar = await asyncio.to_thread(generated_avatar, self.name, self._swarm.public_key)

    async def _enter(self, topic: bytes, name: str) -> Room:
        room = Room(self, topic, name)
        room.call_us(self._swarm.public_key, self.name)
        self._rooms[topic] = room
        try:
            self._topics[topic] = await self._swarm.join(topic)
        except BaseException:
            del self._rooms[topic]
            raise
        room.on("message", partial(self.emit, "message", room))
        room.on("update", partial(self.emit, "update"))
        self.emit("room", room)
        self._refresh_soon()
        return room

    def _on(self, topic: bytes) -> list[_Line]:
        joined = self._topics.get(topic)
        return [self._lines[key] for key in joined.peers if key in self._lines] if joined else []

    def _connected(self, connection: Connection, peer: PeerInfo) -> None:
        line = self._lines[peer.public_key] = _Line(connection)
        self._readers.start(self._read(line), "reading from a peer")
        for topic in peer.topics:
            self._greet(line, topic)
        self._refresh_soon()

    def _disconnected(self, connection: Connection, peer: PeerInfo) -> None:
        line = self._lines.get(peer.public_key)
        if line and line.connection is connection:
            del self._lines[peer.public_key]
        self._refresh_soon()

    def _on_topic(self, key: bytes, topic: bytes) -> None:
        if line := self._lines.get(key):
            self._greet(line, topic)
        self._refresh_soon()

    def _greet(self, line: _Line, topic: bytes) -> None:
        """A connected peer is known on a topic: each gets to know how the other looks there."""
        room = self._rooms.get(topic)
        if room and topic not in line.introduced:
            line.introduced.add(topic)
            self._introduce(line, topic)
            self._meet(line, room)

    def _introduce(self, line: _Line, topic: bytes) -> None:
        icon = encode(IconMessage(avatar=self.avatar, **self.envelope(topic)))
        self.in_background(_write(line.connection, icon, WRITE_TIMEOUT))

    async def _read(self, line: _Line) -> None:
        try:
            async for data in line.connection:
                await line.flow.take(len(data))
                try:
                    await self._take(line, data)
                except DecodeError as error:
                    self._swarm.count(NOT_LINKUP, line.key)
                    line.faults += 1
                    if line.faults == MAX_FAULTS:
                        reason = DecodeError(f"{MAX_FAULTS} messages were not LinkUp's, the last one {error}")
                        return await line.connection.close(reason)
        except Exception as error:
            log.exception("a message could not be handled")
            await line.connection.close(error)

    async def _take(self, line: _Line, data: bytes) -> None:
        message = decode(data, key=line.key, received=datetime.now(UTC))
        room = self._rooms.get(message.topic)
        if message.topic and not room:
            self._swarm.count(UNKNOWN_TOPIC, line.key)
            return
        line.name = message.name
        if isinstance(message, IconMessage):
            await self._take_avatar(line, message.avatar)
        if room:
            self._swarm.learn_topic(line.key, room.topic)
            self._meet(line, room)
        else:  # an icon that names no topic, as LinkUp sends it, is for every room; also for those found out later
            for shared in [room for room in self.rooms if line in self._on(room.topic)]:
                self._meet(line, shared)
        if room and not isinstance(message, IconMessage):
            room.keep(message)

    async def _take_avatar(self, line: _Line, image: bytes) -> None:
        digest = blake2b(image).digest()
        if not image or digest == line.avatar_digest:
            return
        line.avatar_digest = digest
        await line.flow.take(0, messages=ICON_COST)
        try:
            async with self._drawing:
                line.avatar = await asyncio.to_thread(scale_avatar, image, max_pixels=MAX_STRANGER_PIXELS)
        except InvalidImage:
            self._swarm.count(NOT_A_PICTURE, line.key)

    def _meet(self, line: _Line, room: Room) -> None:
        if line.name and room.meet(line.key, line.name, line.avatar):
            self._refresh_soon()

    def _refresh_soon(self) -> None:
        if not self._refresh_at:
            self._refresh_at = self._loop.call_later(REFRESH, self._refresh)

    def _refresh(self) -> None:
        self._refresh_at = None
        here: defaultdict[bytes, list[PeerInfo]] = defaultdict(list)
        for peer in self._swarm.peers:
            for topic in peer.topics:
                here[topic].append(peer)
        for room in self.rooms:
            room.show(here[room.topic])


async def _write(connection: Connection, data: bytes, timeout: float) -> bool:
    # A peer that is gone, or too slow, has been disconnected by its connection; the status shows it.
    with contextlib.suppress(LinkupError):
        await connection.write(data, timeout=timeout)
        return True
    return False
