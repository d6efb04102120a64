"""The channels of a room: labels on its messages, each with a topic; all members are in all of them."""

import asyncio
import os
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple, Protocol, overload

from linkup_nb.errors import UsageError
from linkup_nb.loops import from_any_loop
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import Kind
from linkup_nb.rooms.memory.message import RoomFileMessage, RoomMessage, RoomOutputMessage, RoomTextMessage
from linkup_nb.rooms.memory.reading import IndexReader
from linkup_nb.rooms.memory.rows import BlockRow, Place, State
from linkup_nb.rooms.memory.timeline import Timeline
from linkup_nb.rooms.names import clean
from linkup_nb.wire.rooms import MAX_CHANNEL_NAME

MAX_CHANNELS_IN_ROOM = 100  # of one room: the first ones in its order


class ChannelInfo(NamedTuple):
    """A channel as the room knows it; with an `invite` it is a room of its own."""

    name: str
    topic: str
    invite: str | None
    made: Place
    changed: Place


class RoomChannels:
    """The channels that members have made: the first `MAX_CHANNELS_IN_ROOM` in the order of the room, as last changed.

    Whoever makes a channel that is there already changes its topic.
    """

    def __init__(self, index: IndexReader) -> None:
        self._known: dict[str, ChannelInfo] = {}
        for row in index.latest(Kind.CHANNEL)[::-1]:
            self.take(row)

    @property
    def all(self) -> tuple[ChannelInfo, ...]:
        """In the order in which they were made."""
        return tuple(sorted(self._known.copy().values(), key=lambda channel: channel.made))

    def take(self, row: BlockRow) -> None:
        """A block about a channel has come."""
        if row.body is None or row.state & (State.REFUSED | State.OUT_OF_ORDER):
            return
        _, body = blocks.decode(row.body).body()
        if not isinstance(body, blocks.ChannelBody) or not (name := channel_name(body.name)):
            return
        place = (row.t, row.tie, row.seq)
        known = self._known.get(name)
        if known is None:
            self._add(ChannelInfo(name, clean(body.topic), body.invite, place, place))
        elif place > known.changed:
            self._known[name] = known._replace(topic=clean(body.topic), invite=body.invite, changed=place)
        elif place < known.made:
            self._known[name] = known._replace(made=place)

    def _add(self, channel: ChannelInfo) -> None:
        if len(self._known) >= MAX_CHANNELS_IN_ROOM:
            last = max(self._known.values(), key=lambda one: one.made)
            if channel.made > last.made:
                return
            del self._known[last.name]
        self._known[channel.name] = channel

    def check_new(self, name: str) -> str:
        """The name of a channel that somebody wants to make. Raises `UsageError`."""
        if not (cleaned := channel_name(name)):
            raise UsageError(f"The name of a channel has 1 to {MAX_CHANNEL_NAME} characters: choose another.")
        if cleaned not in self._known and len(self._known) >= MAX_CHANNELS_IN_ROOM:
            raise UsageError(f"A room has at most {MAX_CHANNELS_IN_ROOM} channels: make another room.")
        return cleaned

    def get(self, name: str) -> ChannelInfo:
        """A channel by its name, "" for the main one. Raises `UsageError` for one that is not here."""
        if not name:
            return ChannelInfo("", "", None, (0, 0, 0), (0, 0, 0))
        known = self._known.get(channel_name(name))
        if known is None:
            raise UsageError(f"There is no channel {name!r} here: `room.channels` are those that there are.")
        return known


def channel_name(name: str) -> str:
    """A name as it is shown and compared; "" for one that no channel can have."""
    cleaned = clean(name).removeprefix("#").strip()
    return cleaned if len(cleaned) <= MAX_CHANNEL_NAME else ""


class ChannelRoom(Protocol):
    """What a view of a channel needs of its room."""

    _loop: asyncio.AbstractEventLoop

    @property
    def typing(self) -> Mapping[str, tuple[Member, ...]]:
        """Who is typing, by channel."""

    def messages_in(self, channel: str) -> Timeline:
        """What people said in a channel."""

    def unread_in(self, channel: str) -> int:
        """How many messages of a channel you have not read."""

    @overload
    def send(  # type: ignore[overload-overlap]  # a text is always taken for one
        self, text: str, *, to: RoomMessage | None = None, channel: str = ""
    ) -> Coroutine[Any, Any, RoomTextMessage]: ...
    @overload
    def send(self, text: object, *, channel: str = "") -> Coroutine[Any, Any, RoomOutputMessage]: ...

    async def send_file(
        self, file: str | os.PathLike[str] | tuple[str, bytes], *, channel: str = ""
    ) -> RoomFileMessage:
        """Send a file."""

    async def search(
        self, text: str, *, channel: str | None = None, before: RoomMessage | None = None, limit: int = 50
    ) -> tuple[RoomMessage, ...]:
        """Find messages."""

    async def mark_read(self, message: RoomMessage | None = None, *, channel: str | None = None) -> None:
        """Count messages as read."""

    async def set_typing(self, channel: str = "") -> None:
        """Let the others know that you are typing."""


class RoomChannel:
    """One channel of a room: its messages, and what you send there. `name` is "" for the main one.

    With an `invite` it is a room of its own: `node.join(channel.invite)`.
    """

    def __init__(self, room: ChannelRoom, info: ChannelInfo) -> None:
        self._room = room
        self._loop = room._loop
        self.name, self.topic, self.invite = info.name, info.topic, info.invite

    def __repr__(self) -> str:
        return f"<RoomChannel {self.name!r}, {len(self)} messages, {self.unread} unread>"

    def __len__(self) -> int:
        return len(self.messages)

    @overload
    def __getitem__(self, index: int) -> RoomMessage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[RoomMessage, ...]: ...
    def __getitem__(self, index: int | slice) -> RoomMessage | tuple[RoomMessage, ...]:
        return self.messages[index]

    @property
    def messages(self) -> Timeline:
        """What people said here, oldest first, as it is at this moment."""
        return self._room.messages_in(self.name)

    @property
    def unread(self) -> int:
        """How many of them you have not read."""
        return self._room.unread_in(self.name)

    @property
    def typing(self) -> tuple[Member, ...]:
        """Who is typing here."""
        return self._room.typing.get(self.name, ())

    @overload
    def send(  # type: ignore[overload-overlap]  # a text is always taken for one
        self, text: str, *, to: RoomMessage | None = None
    ) -> Coroutine[Any, Any, RoomTextMessage]: ...
    @overload
    def send(self, text: object) -> Coroutine[Any, Any, RoomOutputMessage]: ...
    def send(self, text: Any, *, to: RoomMessage | None = None) -> Coroutine[Any, Any, RoomMessage]:
        """Send a text here, or anything as a cell would show it. Raises what `room.send` raises."""
        return self._room.send(text, to=to, channel=self.name)

    @from_any_loop
    async def send_file(self, file: str | os.PathLike[str] | tuple[str, bytes]) -> RoomFileMessage:
        """Send a file here. Raises what `room.send_file` raises."""
        return await self._room.send_file(file, channel=self.name)

    @from_any_loop
    async def search(self, text: str, *, before: RoomMessage | None = None, limit: int = 50) -> tuple[RoomMessage, ...]:
        """The messages of this channel in which these words stand, see `room.search`."""
        return await self._room.search(text, channel=self.name, before=before, limit=limit)

    @from_any_loop
    async def mark_read(self) -> None:
        """Count everything that is here as read."""
        await self._room.mark_read(channel=self.name)

    @from_any_loop
    async def set_typing(self) -> None:
        """Let the others know that you are typing here, see `room.set_typing`."""
        await self._room.set_typing(self.name)
