"""What this node holds of one LinkUp room. The lobby writes it, the room shows it."""

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import TypeVar

from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.errors import LinkupError
from linkup_nb.rooms.member import Member, Members
from linkup_nb.rooms.message import Answering, Message

MAX_MESSAGES = 10_000  # messages of one room that are kept; the oldest are dropped first
MAX_KEPT_BYTES = 128 * 1_048_576  # bytes of files, clips and texts of one room that are kept
MESSAGE_OVERHEAD = 512  # bytes that a message takes besides its content

M = TypeVar("M", bound=Message)


class RoomState:
    """The last messages of a room, the people in it, and why it is closed, if it is; used on the node's loop."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.members = Members()
        self.peers: tuple[Member, ...] = ()
        self.closed: LinkupError | None = None
        self.room: Answering | None = None
        self.next_index = 0  # of the next message
        self._bytes = 0
        self._changed = asyncio.Event()

    def add(self, message: M) -> M:
        """Keep a message; returns it with its index."""
        kept = dataclasses.replace(message, index=self.next_index, room=self.room)
        self.next_index += 1
        self.messages.append(kept)
        self._bytes += kept.size + MESSAGE_OVERHEAD
        while len(self.messages) > MAX_MESSAGES or (self._bytes > MAX_KEPT_BYTES and len(self.messages) > 1):
            self._bytes -= self.messages.pop(0).size + MESSAGE_OVERHEAD
        self._wake()
        return kept

    def replace(self, message: Message) -> None:
        """Put a message in the place of the one with its index, if that is still kept."""
        place = message.index - (self.next_index - len(self.messages))
        if place >= 0:
            self.messages[place] = message

    def clear(self) -> None:
        """Drop all messages; their indices are not used again."""
        self.messages = []
        self._bytes = 0

    async def wait_for(self, index: int) -> Message | None:
        """The message with this index, or the first one kept after it; `None` once the room is closed."""
        while index >= self.next_index or not self.messages:
            if self.closed:
                return None
            await self._changed.wait()
        return self.messages[max(0, index - self.messages[0].index)]

    def set_peers(self, peers: Iterable[PeerInfo]) -> bool:
        """Take over who is on the topic now; returns whether that changes what `peers` shows."""
        before, self.peers = self.peers, self.members.snapshot(peers)
        return self.peers != before

    def close(self, reason: LinkupError) -> None:
        """Let nothing be sent any more, because of `reason`."""
        self.closed = reason
        self.peers = ()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
