"""What tests of nodes and rooms share: how to wait, and a stranger who may write whatever bytes they like."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import linkup_nb as lu
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.loops import Events
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.linkup.state import RoomState

PATIENCE = 30.0  # seconds


async def until(condition: Callable[[], bool], *emitters: Events, patience: float = PATIENCE) -> None:
    """Wait until a condition holds, looked at whenever one of the emitters reports anything."""
    changed = asyncio.Event()
    events = ("message", "update", "delivery", "clear", "disconnection", "change")
    for emitter in emitters:
        for event in events:
            emitter.on(event, lambda *_: changed.set())
    async with asyncio.timeout(patience):
        while not condition():
            changed.clear()
            await changed.wait()


MakeNode = Callable[[str], Awaitable[lu.Node]]


class Stranger:
    """A peer without a chat: what it writes is up to the test."""

    def __init__(self) -> None:
        self.swarm = lu.Swarm(discovery=[lu.Local(mdns=False)])
        self.received: list[dict[str, Any]] = []
        self.connections: asyncio.Queue[lu.Connection] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self.swarm.on("connection", self._connected)

    async def _connected(self, connection: lu.Connection, _peer: object) -> None:
        self.connections.put_nowait(connection)
        async for data in connection:
            self.received.append(json.loads(data))
            self._arrived.set()

    async def meet(self, room: lu.Room) -> lu.Connection:
        """Be found by the room's node, and return the connection to it."""
        await self.swarm.join(room.topic, client=False)
        return await asyncio.wait_for(self.connections.get(), PATIENCE)

    async def receives(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The first message of that type with these fields."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for message in self.received:
                    if message["type"] == kind and fields.items() <= message.items():
                        return message
                self._arrived.clear()
                await self._arrived.wait()


def _state(room: lu.Room) -> RoomState:
    assert isinstance(room, LinkUpRoom)
    return room._state


def receive(room: lu.Room, message: lu.Message) -> None:
    """Have a message arrive in a room, as its lobby does."""
    room.emit("message", _state(room).add(message))


def add_member(room: lu.Room, key: bytes, name: str, avatar: bytes | None = None, *peers: PeerInfo) -> None:
    """Have a room know a member; `peers` are those on its topic now."""
    _state(room).members.update(key, name, avatar)
    if _state(room).set_peers(peers):
        room.emit("update")


def said(topic: bytes, text: str, **changes: Any) -> bytes:
    """A text as LinkUp writes it, some fields changed."""
    fields = {
        "type": "message",
        "name": "stranger",
        "message": text,
        "topic": topic.hex(),
        "timestamp": 1_700_000_000_000,
    }
    return json.dumps(fields | changes).encode()
