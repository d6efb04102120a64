"""Every LinkUp room of one node, over one swarm: reads what peers send and routes it to its room."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

from linkup_nb.connection.connection import WRITE_TIMEOUT, Connection
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.errors import DecodeError, InvalidImage, LinkupError, MachineError, NodeClosed, UnknownRoom, UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import Events, Tasks
from linkup_nb.rooms.avatar import generated_avatar, scale_avatar
from linkup_nb.rooms.linkup.flow import Flow
from linkup_nb.rooms.linkup.messages import decode, encode
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.linkup.state import RoomState
from linkup_nb.rooms.message import IconMessage
from linkup_nb.rooms.profile import Profile
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.swarm.topic import SwarmTopic
from linkup_nb.wire.keys import short_key

MAX_FAULTS = 100  # messages of one connection that are not LinkUp's, after which it is closed
ICON_COST = 500  # messages that a new avatar counts as: it is decoded and scaled
MAX_STRANGER_PIXELS = 16_000_000  # of an avatar that a peer sends
LINGER = 2.0  # seconds for messages to reach slow peers when the node closes
REFRESH = 0.02  # seconds for which changes among peers are gathered

NOT_LINKUP = "messages dropped: not LinkUp's"
UNKNOWN_TOPIC = "messages dropped: for a room that we are not in"
NOT_A_PICTURE = "avatars dropped: not a picture"

log = logging.getLogger("linkup_nb")
R = TypeVar("R")


class _RoomPeer:
    """A connected peer, and what it has shown of itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.key = connection.remote_public_key
        self.flow = Flow()
        self.faults = 0
        self.introduced: set[bytes] = set()  # topics on which we have sent it our icon
        self.name: str | None = None
        self.avatar: bytes | None = None
        self.avatar_digest = b""


@dataclass(slots=True)
class _JoinedRoom:
    room: LinkUpRoom
    state: RoomState
    topic: SwarmTopic | None = None  # once the swarm has joined it


class RoomDrives(Protocol):
    """Where the files that one sends are kept."""

    def of_room(self, topic: bytes) -> Drive | None:
        """The drive of a room, if it has one."""

    async def put_for_room(self, topic: bytes, path: str, data: bytes) -> Drive:
        """Put a file into it. Raises `StoreError`."""

    async def enter_room(self, topic: bytes) -> None:
        """The room has been joined."""

    async def leave_room(self, topic: bytes) -> None:
        """The room has been left."""


class Lobby(Events):
    """The rooms of a profile. Emits `room` (a Room), `message` (a Room, a Message) and `update`."""

    def __init__(self, profile: Profile, swarm: Swarm) -> None:
        super().__init__(asyncio.get_running_loop())
        self.avatar = b""
        self.drives: RoomDrives | None = None
        self._profile = profile
        self._swarm = swarm
        self._joined: dict[bytes, _JoinedRoom] = {}  # by topic
        self._peers: dict[bytes, _RoomPeer] = {}  # by public key
        self._changing = asyncio.Lock()
        self._scaling = asyncio.Lock()  # one stranger's picture at a time: each may take 100 MB while it is decoded
        self._readers = Tasks()
        self._work = Tasks()
        self._sending: set[asyncio.Task[Any]] = set()
        self._refresh_at: asyncio.TimerHandle | None = None
        swarm.on("connection", self._connected)
        swarm.on("disconnection", self._disconnected)
        swarm.on("topic", self._on_topic)
        swarm.on("update", self._refresh_soon)

    @property
    def rooms(self) -> tuple[LinkUpRoom, ...]:
        """The joined rooms, in the order in which they were joined."""
        return tuple(joined.room for joined in self._joined.values())

    @property
    def name(self) -> str:
        """Our name; our short key while none is chosen."""
        return self._profile.name or short_key(self._swarm.public_key)

    async def open(self) -> None:
        """Join the rooms of the profile again."""
        await self._load_avatar()
        for topic, name in self._profile.rooms.items():
            await self._enter(topic, name)

    async def join(self, topic: bytes, name: str) -> LinkUpRoom:
        """The room with this topic: saved first, then announced. One that is joined already is returned as it is."""
        async with self._changing:
            if joined := self._joined.get(topic):
                return joined.room
            self._profile.add_room(topic, name)
            await self._save()
            return await self._enter(topic, name)

    async def leave(self, room: LinkUpRoom) -> None:
        """Forget a room and stop announcing its topic; does nothing for one that has been left."""
        async with self._changing:
            joined = self._joined.get(room.topic)
            if not joined or joined.room is not room:
                return
            self._profile.remove_room(room.topic)
            await self._save()
            del self._joined[room.topic]
            for peer in self._peers.values():
                peer.introduced.discard(room.topic)
            _close(joined, UnknownRoom(f"You have left {room.name!r}: join it again by its topic."))
            await self._swarm.leave(room.topic)
            if self.drives:
                await self.drives.leave_room(room.topic)
        self.emit("update")

    async def rename(self, room: LinkUpRoom, name: str) -> None:
        """Keep what we call a room; one that has been left is not joined again by it."""
        async with self._changing:
            joined = self._joined.get(room.topic)
            if not joined or joined.room is not room:
                return
            self._profile.add_room(room.topic, name)
            await self._save()

    async def introduce(self, *, name: str | None = None, avatar: bytes | None = None) -> None:
        """Change our name or avatar: saved first, then sent to every peer."""
        async with self._changing:
            if name is not None:
                self._profile.name = name
            if avatar is not None:
                self._profile.avatar = avatar
            await self._save()
            await self._load_avatar()
        for topic, joined in self._joined.items():
            joined.state.members.add_name(self._swarm.public_key, self.name)
            for peer in self._on(topic):
                self._send_icon(peer, topic)
        self.emit("update")

    async def close(self) -> None:
        """Wait `LINGER` seconds for messages under way, then stop reading; close the swarm next."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=LINGER)
        if self._refresh_at:
            self._refresh_at.cancel()
        await self._readers.cancel()
        await self._work.cancel()
        for joined in self._joined.values():
            _close(joined, NodeClosed("This node has been closed: lu.start() makes a new one."))

    def envelope(self, topic: bytes) -> dict[str, Any]:
        """The fields of a new message of ours that say who, where and when."""
        now = datetime.now(UTC)
        key = self._swarm.public_key
        return {"name": self.name, "key": key, "topic": topic, "timestamp": now, "received": now, "own": True}

    async def broadcast(self, topic: bytes, data: bytes, timeout: float) -> int:
        """Write to every peer on the topic at once; returns to how many that went well."""
        return sum(await asyncio.gather(*(_write(peer.connection, data, timeout) for peer in self._on(topic))))

    def drive(self, topic: bytes) -> Drive | None:
        """One's own drive of a room."""
        return self.drives.of_room(topic) if self.drives else None

    async def keep_file(self, topic: bytes, path: str, data: bytes) -> Drive | None:
        """Put a file into that drive; `None` where the disk refuses, for the message goes out all the same."""
        if self.drives:
            try:
                return await self.drives.put_for_room(topic, path, data)
            except (MachineError, UsageError) as error:
                log.warning("A file that is sent is kept in no drive: %s", error)
        return None

    def in_background(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """Run work that `close` waits for."""
        task = self._work.start(work, "sending")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def _save(self) -> None:
        await asyncio.to_thread(self._profile.save)

    async def _load_avatar(self) -> None:
        self.avatar = self._profile.avatar or b""
        if not self.avatar:
            self.avatar = await asyncio.to_thread(generated_avatar, self.name, self._swarm.public_key)

    async def _enter(self, topic: bytes, name: str) -> LinkUpRoom:
        state = RoomState()
        state.members.add_name(self._swarm.public_key, self.name)
        room = LinkUpRoom(topic, name, state, self)
        joined = self._joined[topic] = _JoinedRoom(room, state)
        try:
            joined.topic = await self._swarm.join(topic)
        except BaseException:
            del self._joined[topic]
            raise
        room.on("message", partial(self.emit, "message", room))
        room.on("update", partial(self.emit, "update"))
        if self.drives:
            await self.drives.enter_room(topic)
        self.emit("room", room)
        self._refresh_soon()
        return room

    def _on(self, topic: bytes) -> list[_RoomPeer]:
        joined = self._joined.get(topic)
        keys = joined.topic.peers if joined and joined.topic else ()
        return [self._peers[key] for key in keys if key in self._peers]

    def _connected(self, connection: Connection, info: PeerInfo) -> None:
        peer = self._peers[info.public_key] = _RoomPeer(connection)
        self._readers.start(self._read(peer), "reading from a peer")
        for topic in info.topics:
            self._introduce(peer, topic)
        self._refresh_soon()

    def _disconnected(self, connection: Connection, info: PeerInfo) -> None:
        peer = self._peers.get(info.public_key)
        if peer and peer.connection is connection:
            del self._peers[info.public_key]
        self._refresh_soon()

    def _on_topic(self, key: bytes, topic: bytes) -> None:
        if peer := self._peers.get(key):
            self._introduce(peer, topic)
        self._refresh_soon()

    def _introduce(self, peer: _RoomPeer, topic: bytes) -> None:
        """Send our icon to a peer that is now known on a topic, and show there what it has sent of itself."""
        joined = self._joined.get(topic)
        if joined and topic not in peer.introduced:
            peer.introduced.add(topic)
            self._send_icon(peer, topic)
            self._update_member(peer, joined)

    def _send_icon(self, peer: _RoomPeer, topic: bytes) -> None:
        icon = encode(IconMessage(avatar=self.avatar, **self.envelope(topic)))
        self.in_background(_write(peer.connection, icon, WRITE_TIMEOUT))

    async def _read(self, peer: _RoomPeer) -> None:
        try:
            async for data in peer.connection:
                await peer.flow.take(len(data))
                try:
                    await self._receive(peer, data)
                except DecodeError as error:
                    self._swarm.count(NOT_LINKUP, peer.key)
                    peer.faults += 1
                    if peer.faults == MAX_FAULTS:
                        reason = DecodeError(f"{MAX_FAULTS} messages were not LinkUp's. The last one: {error}")
                        return await peer.connection.close(reason)
        except Exception as error:
            log.exception("A message could not be handled.")
            await peer.connection.close(error)

    async def _receive(self, peer: _RoomPeer, data: bytes) -> None:
        message = decode(data, key=peer.key, received=datetime.now(UTC))
        joined = self._joined.get(message.topic)
        if message.topic and not joined:
            self._swarm.count(UNKNOWN_TOPIC, peer.key)
            return
        peer.name = message.name
        if isinstance(message, IconMessage):
            await self._receive_avatar(peer, message.avatar)
        if joined:
            self._swarm.learn_topic(peer.key, message.topic)
            self._update_member(peer, joined)
        else:  # an icon that names no topic, as LinkUp sends it, is for every room; also for those found out later
            for topic, shared in list(self._joined.items()):
                if peer in self._on(topic):
                    self._update_member(peer, shared)
        if joined and not isinstance(message, IconMessage):
            joined.room.emit("message", joined.state.add(message))

    async def _receive_avatar(self, peer: _RoomPeer, image: bytes) -> None:
        digest = blake2b(image).digest()
        if not image or digest == peer.avatar_digest:
            return
        peer.avatar_digest = digest
        await peer.flow.take(0, messages=ICON_COST)
        try:
            async with self._scaling:
                peer.avatar = await asyncio.to_thread(scale_avatar, image, max_pixels=MAX_STRANGER_PIXELS)
        except InvalidImage:
            self._swarm.count(NOT_A_PICTURE, peer.key)

    def _update_member(self, peer: _RoomPeer, joined: _JoinedRoom) -> None:
        if peer.name and joined.state.members.update(peer.key, peer.name, peer.avatar):
            self._refresh_soon()

    def _refresh_soon(self) -> None:
        if not self._refresh_at:
            self._refresh_at = self._loop.call_later(REFRESH, self._refresh)

    def _refresh(self) -> None:
        self._refresh_at = None
        here: defaultdict[bytes, list[PeerInfo]] = defaultdict(list)
        for info in self._swarm.peers:
            for topic in info.topics:
                here[topic].append(info)
        for topic, joined in list(self._joined.items()):
            if joined.state.set_peers(here[topic]):
                joined.room.emit("update")


def _close(joined: _JoinedRoom, reason: LinkupError) -> None:
    joined.state.close(reason)
    joined.room.emit("update")


async def _write(connection: Connection, data: bytes, timeout: float) -> bool:
    # A peer that is gone, or too slow, has been disconnected by its connection; the status shows it.
    with contextlib.suppress(LinkupError):
        await connection.write(data, timeout=timeout)
        return True
    return False
