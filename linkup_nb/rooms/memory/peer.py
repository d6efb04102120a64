"""One peer in one room: it proves that it knows the room's secret, then the two tell each other of all feeds.

Until the peer has proven itself it is sent nothing of the room, and none of the room's cores is copied to it.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from linkup_nb.channels import Channels
from linkup_nb.errors import ProtocolError
from linkup_nb.loops import Tasks
from linkup_nb.rooms.memory.keys import RoomKeys
from linkup_nb.wire import rooms as wire
from linkup_nb.wire.protomux import Channel
from linkup_nb.wire.rate_limit import Bucket, Rate
from linkup_nb.wire.rooms import FeedKeys, Opening, channel_id, membership_proof

MAX_UNPROVEN = 64  # feeds that one peer has named, whose hello is being waited for

BURST = 10
RATES = {  # messages a second of one peer; what is over is dropped, for each of these says all that is to be said
    wire.MessageType.FEEDS: Rate(20, BURST),
    wire.MessageType.PRESENCE: Rate(1, BURST),
    wire.MessageType.TYPING: Rate(1, BURST),
    wire.MessageType.READ: Rate(1, BURST),
    wire.MessageType.SKELETON_REQUEST: Rate(100, BURST),
    wire.MessageType.CONFLICT: Rate(1, BURST),
}
FLOOD = 10  # times these rates at which a peer is disconnected: that is no accident


class Hosted(Protocol):
    """What a peer needs of the room."""

    keys: RoomKeys
    clock: Callable[[], int]

    @property
    def flags(self) -> int:
        """What we say of ourselves when the room is opened."""

    def introductions(self) -> list[bytes]:
        """The keys of one's own feed, and of all feeds whose hello is verified."""

    async def prove(self, key: bytes, until: "asyncio.Future[None]") -> None:
        """Fetch the hello of a feed that a peer has named; returns when it is verified, wrong, or did not come."""

    def proven(self, peer: "RoomPeer") -> None:
        """The peer knows the secret."""

    def received(self, peer: "RoomPeer", message: wire.Message) -> None:
        """The peer sent a message other than feeds."""

    def drained(self, peer: "RoomPeer") -> None:
        """The peer has read what was sent to it."""

    def gone(self, peer: "RoomPeer") -> None:
        """The peer has left the room, or the connection has ended."""


class RoomPeer:
    """The channel of a room on one connection; `device` is the peer's key."""

    def __init__(self, room: Hosted, channels: Channels) -> None:
        self.channels = channels
        self.device = channels.connection.remote_public_key
        self.proven = False
        self.flags = 0
        self.clock_ahead = 0.0  # seconds by which the peer's clock is ahead of ours
        self.named: set[bytes] = set()
        """Keys of the feeds that the peer has named."""
        self._room = room
        self._queue: list[bytes] = []
        self._proving = 0
        self.dropped = 0
        """Messages that came too often."""
        now = time.monotonic()
        self._buckets = {kind: Bucket(rate, now) for kind, rate in RATES.items()}
        self._floods = {
            kind: Bucket(Rate(FLOOD * rate.per_second, FLOOD * rate.burst), now) for kind, rate in RATES.items()
        }
        self._tasks = Tasks()
        self._left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection, secret = channels.connection, room.keys.secret
        proof = membership_proof(connection.handshake_hash, secret, initiator=connection.initiator)
        opening = Opening(proof, room.clock() // 1000, room.flags)
        id = channel_id(connection.handshake_hash, secret)
        self._channel: Channel = channels.open(wire.PROTOCOL, id, bytes(opening), self)

    def send(self, message: wire.Message) -> bool:
        """Send a message, once the peer has proven itself; after `False`, large ones wait until it is `drained`."""
        return not self.proven or self.channels.send(self._channel, int(message.type), bytes(message))

    def name(self, keys: list[bytes]) -> None:
        """Let the peer know of feeds."""
        for start in range(0, len(keys), wire.MAX_FEED_KEYS):
            self.send(FeedKeys(tuple(keys[start : start + wire.MAX_FEED_KEYS])))

    def close(self) -> None:
        """Leave the room as far as this peer is concerned."""
        self.channels.close(self._channel)
        self._end()

    # What the channel calls

    def opened(self, handshake: bytes) -> None:
        """Check the peer's proof; a wrong one, our own repeated too, ends the connection."""
        connection, secret = self.channels.connection, self._room.keys.secret
        opening = Opening.decode(handshake)
        if opening.proof != membership_proof(connection.handshake_hash, secret, initiator=not connection.initiator):
            raise ProtocolError("The peer opened a room's channel without knowing the room.")
        self.proven = True
        self.flags = opening.flags
        self.clock_ahead = opening.clock / 1000 - self._room.clock() / 1e6
        self._room.proven(self)
        self.name(self._room.introductions())

    def received(self, type: int, payload: bytes) -> None:
        """Handle a message of the peer; one that comes too often is dropped."""
        if not self._in_time(type):
            return
        message = wire.decode(type, payload)
        if isinstance(message, FeedKeys):
            self._named(message.keys)
        elif message is not None:
            self._room.received(self, message)

    def drained(self) -> None:
        """What was sent has gone out."""
        self._room.drained(self)

    def ended(self) -> None:
        """The channel is closed."""
        self._end()

    def _in_time(self, number: int) -> bool:
        kind = next((kind for kind in RATES if kind == number), None)
        if kind is None:
            return True
        now = time.monotonic()
        if not self._floods[kind].take(now):
            name = kind.name.lower()
            raise ProtocolError(f"The peer sends over {FLOOD} times as many {name} messages as a room takes.")
        if self._buckets[kind].take(now):
            return True
        self.dropped += 1
        return False

    def _named(self, keys: tuple[bytes, ...]) -> None:
        new = [key for key in dict.fromkeys(keys) if key not in self.named]
        if len(self.named) + len(new) > wire.MAX_FEED_KEYS:
            raise ProtocolError(f"The peer named over {wire.MAX_FEED_KEYS} feeds of one room.")
        self.named.update(new)
        self._queue += new
        self._prove_next()

    def _prove_next(self) -> None:
        while self._queue and self._proving < MAX_UNPROVEN:
            self._proving += 1
            self._tasks.start(self._prove(self._queue.pop(0)), "waiting for the hello of a feed")

    async def _prove(self, key: bytes) -> None:
        try:
            await self._room.prove(key, self._left)
        finally:
            self._proving -= 1
        self._prove_next()

    def _end(self) -> None:
        self.proven = False
        self._queue.clear()
        if not self._left.done():
            self._left.set_result(None)
        self._room.gone(self)
