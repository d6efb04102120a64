"""One LinkUp room: what was said in it, who is there, and what you say."""

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

from linkup_nb.connection.connection import WRITE_TIMEOUT
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.errors import LinkupError, UsageError
from linkup_nb.loops import Events, from_any_loop
from linkup_nb.rooms.linkup.messages import check_size, encode
from linkup_nb.rooms.linkup.topic import short_topic
from linkup_nb.rooms.member import Member, Members
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage
from linkup_nb.rooms.names import file_name

if TYPE_CHECKING:
    import pandas

    from linkup_nb.rooms.linkup.lobby import Lobby

MAX_MESSAGES = 10_000  # messages of one room that are kept; the oldest go first
MAX_KEPT_BYTES = 128 * 1_048_576  # bytes of files, clips and texts of one room that are kept
MESSAGE_OVERHEAD = 512  # bytes that a message takes besides what was said

M = TypeVar("M", bound=Message)


class Room(Events):
    """A LinkUp room that this node has joined; made by `node.create_room` and `node.join`.

    `room.messages`, `room[-1]` and `len(room)` are what was said since then, oldest first. `async for message in room`
    waits for what comes next. Emits `message` (a Message), `delivery` (our Message again, its `recipients` now known),
    `clear`, and `update` when the people in it have changed.
    """

    def __init__(self, lobby: "Lobby", topic: bytes, name: str) -> None:
        super().__init__(asyncio.get_running_loop())
        self.topic = topic
        self.name = name
        self._lobby = lobby
        self._messages: list[Message] = []
        self._kept_bytes = 0
        self._next_index = 0
        self._arrived = asyncio.Event()
        self._people = Members()
        self._peers: tuple[Member, ...] = ()
        self._over: LinkupError | None = None

    def __repr__(self) -> str:
        return f"<Room {self.name!r} {short_topic(self.topic)}, {len(self)} messages, {len(self.peers)} peers>"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was said since this node joined, oldest first; at most `MAX_MESSAGES`, and `MAX_KEPT_BYTES` of data."""
        return tuple(self._messages)

    @property
    def peers(self) -> tuple[Member, ...]:
        """The others: who is here, whom we are connecting to, who was here."""
        return self._peers

    def __len__(self) -> int:
        return len(self._messages)

    def __bool__(self) -> bool:
        return True  # also before anything is said: `if room:` asks whether there is a room

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...
    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]:
        return self._messages[index] if isinstance(index, int) else tuple(self._messages[index])

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._follow(self._next_index)

    async def _follow(self, index: int) -> AsyncIterator[Message]:
        while message := await self._wait_for(index):
            yield message
            index = message.index + 1

    @from_any_loop
    async def _wait_for(self, index: int) -> Message | None:
        while index >= self._next_index or not self._messages:
            if self._over:
                return None
            await self._arrived.wait()
        return self._messages[max(0, index - self._messages[0].index)]

    def shares_name(self, name: str) -> bool:
        """Whether two people of this room have used a name that looks like this: show short keys beside it then."""
        return self._people.shares(name)

    @from_any_loop
    async def send(self, text: str, *, timeout: float = WRITE_TIMEOUT) -> TextMessage:
        """Say something, in Markdown; returns when it is written to everybody here.

        A peer that takes nothing for `timeout` seconds meanwhile is disconnected. Raises `UsageError` for a text that
        is empty or over `MAX_TEXT` bytes.
        """
        if not text.strip():
            raise UsageError("There is nothing to send: type a message first.")
        # A text typed on a page may hold half of an emoji, which UTF-8 cannot.
        whole = text.encode(errors="replace").decode()
        return await self._say(TextMessage(text=whole, **self._lobby.envelope(self.topic)), timeout)

    @from_any_loop
    async def send_file(
        self, file: str | os.PathLike[str] | tuple[str, bytes], *, timeout: float = WRITE_TIMEOUT
    ) -> FileMessage:
        """Send a file by its path, or as its name and bytes; returns when it is written to everybody here.

        Raises `FileTooLarge` over `MAX_FILE` bytes, `UsageError` if there is no such file.
        """
        name, data = file if isinstance(file, tuple) else await asyncio.to_thread(_read_file, Path(file))
        message = FileMessage(file_name=file_name(name), data=data, **self._lobby.envelope(self.topic))
        return await self._say(message, timeout)

    @from_any_loop
    async def send_audio(self, data: bytes, *, timeout: float = WRITE_TIMEOUT) -> AudioMessage:
        """Send a recorded clip, as the browser encoded it; returns when it is written to everybody here."""
        if not data:
            raise UsageError("The recording is empty: record again.")
        return await self._say(AudioMessage(data=data, **self._lobby.envelope(self.topic)), timeout)

    async def _say(self, message: M, timeout: float) -> M:
        if self._over:
            raise self._over.with_traceback(None)
        data = encode(message)
        kept = self.keep(message)
        # Shielded: once it stands in the room it goes out, also if whoever awaits this gives up.
        return await asyncio.shield(self._lobby.in_background(self._deliver(kept, data, timeout)))

    async def _deliver(self, message: M, data: bytes, timeout: float) -> M:
        delivered = dataclasses.replace(message, recipients=await self._lobby.write(self.topic, data, timeout))
        place = message.index - (self._next_index - len(self._messages))
        if place >= 0:
            self._messages[place] = delivered
        self.emit("delivery", delivered)
        return delivered

    @from_any_loop
    async def leave(self) -> None:
        """Leave the room and forget it; its messages stay in this object."""
        await self._lobby.leave(self)

    @from_any_loop
    async def clear(self) -> None:
        """Throw away the messages kept here; the others keep theirs."""
        self._messages = []
        self._kept_bytes = 0
        self.emit("clear")

    def to_pandas(self) -> "pandas.DataFrame":
        """The messages as a table, one row each: time, name, key, kind, text, file, size (bytes), own, recipients.

        Raises `UsageError` if pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UsageError("This needs pandas: run %pip install pandas, then try again.") from None
        columns = ["index", "time", "name", "key", "kind", "text", "file", "size", "own", "recipients"]
        table = pandas.DataFrame(map(_row, self.messages), columns=columns)
        return table.set_index("index")

    def keep(self, message: M) -> M:
        """Give the message its index and keep it; for the lobby."""
        kept = dataclasses.replace(message, index=self._next_index)
        self._next_index += 1
        self._messages.append(kept)
        self._kept_bytes += kept.size + MESSAGE_OVERHEAD
        while len(self._messages) > MAX_MESSAGES or (self._kept_bytes > MAX_KEPT_BYTES and len(self._messages) > 1):
            self._kept_bytes -= self._messages.pop(0).size + MESSAGE_OVERHEAD
        self._wake()
        self.emit("message", kept)
        return kept

    def meet(self, key: bytes, name: str | None = None, avatar: bytes | None = None) -> bool:
        """Note what somebody has shown of themselves; returns whether that was new. For the lobby."""
        return self._people.meet(key, name, avatar)

    def call_us(self, key: bytes, name: str) -> None:
        """Note what we call ourselves; for the lobby."""
        self._people.call(key, name)

    def show(self, peers: Iterable[PeerInfo]) -> None:
        """Take over who is on the topic now; for the lobby."""
        members = self._people.snapshot(peers)
        if members != self._peers:
            self._peers = members
            self.emit("update")

    def end(self, reason: LinkupError) -> None:
        """Nothing can be sent any more, because of `reason`; for the lobby."""
        self._over = reason
        self._peers = ()
        self._wake()
        self.emit("update")

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()


def _read_file(path: Path) -> tuple[str, bytes]:
    path = path.expanduser()
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}: check its path.")
    check_size(path.stat().st_size, "file")
    return path.name, path.read_bytes()


def _row(message: Message) -> tuple[object, ...]:
    kind = type(message).__name__.removesuffix("Message").lower()
    text = message.text if isinstance(message, TextMessage) else None
    file = message.file_name if isinstance(message, FileMessage) else None
    start = (message.index, message.timestamp, message.name, message.key.hex(), kind, text, file)
    return (*start, message.size, message.own, message.recipients)
