"""A room, of whichever kind: its messages, the people in it, and what you send."""

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from linkup_nb.connection.connection import WRITE_TIMEOUT
from linkup_nb.errors import UsageError
from linkup_nb.loops import Events
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage
from linkup_nb.rooms.topic import short_topic

if TYPE_CHECKING:
    import pandas


class Room(Events, ABC):
    """A room that this node has joined; made by `node.create_room` and `node.join`.

    `room.messages`, `room[-1]` and `len(room)` are its messages, oldest first. `async for message in room` waits for
    the next ones. Emits `message` (a Message), `delivery` (our Message again, its `recipients` now known), `clear`, and
    `update` when the people in it have changed.
    """

    topic: bytes
    name: str

    def __repr__(self) -> str:
        return f"<Room {self.name!r} {short_topic(self.topic)}, {len(self)} messages, {len(self.peers)} peers>"

    @property
    @abstractmethod
    def messages(self) -> Sequence[Message]:
        """The messages kept here, oldest first."""

    @property
    @abstractmethod
    def peers(self) -> tuple[Member, ...]:
        """The others: connected, being connected to, and away."""

    @abstractmethod
    def __len__(self) -> int: ...

    def __bool__(self) -> bool:
        return True  # also before the first message: `if room:` asks whether there is a room

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...
    @abstractmethod
    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]: ...

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[Message]: ...

    @abstractmethod
    def shares_name(self, name: str) -> bool:
        """Whether two people of this room have used a name that looks like this: show short keys beside it then."""

    @overload
    def send(self, text: str, *, timeout: float = WRITE_TIMEOUT) -> Coroutine[Any, Any, TextMessage]: ...
    @overload
    def send(self, text: object, *, timeout: float = WRITE_TIMEOUT) -> Coroutine[Any, Any, Message]: ...
    @abstractmethod
    def send(self, text: object, *, timeout: float = WRITE_TIMEOUT) -> Coroutine[Any, Any, Message]:
        """Send a text in Markdown, or anything else as a cell would show it.

        Raises `UsageError` for what is empty or too large.
        """

    @abstractmethod
    async def send_file(
        self, file: str | os.PathLike[str] | tuple[str, bytes], *, timeout: float = WRITE_TIMEOUT
    ) -> FileMessage:
        """Send a file by its path, or as its name and bytes. Raises `UsageError` if there is no such file."""

    @abstractmethod
    async def send_audio(self, data: bytes, *, timeout: float = WRITE_TIMEOUT) -> AudioMessage:
        """Send a recorded clip, as the browser encoded it."""

    @abstractmethod
    async def leave(self) -> None:
        """Leave the room and forget it; its messages stay in this object."""

    @abstractmethod
    async def clear(self) -> None:
        """Delete the messages kept here; the others keep theirs."""

    def to_pandas(self) -> "pandas.DataFrame":
        """The messages as a table, one row each: time, name, key, kind, text, file, size (bytes), own, recipients.

        Raises `UsageError` if pandas is not installed.
        """
        columns = ["index", "time", "name", "key", "kind", "text", "file", "size", "own", "recipients"]
        return table(columns, ((message.index, *row_of(message), message.recipients) for message in self.messages))


def table(columns: list[str], rows: Iterable[tuple[object, ...]]) -> "pandas.DataFrame":
    """Rows as a table, by their first column. Raises `UsageError` if pandas is not installed."""
    try:
        import pandas
    except ImportError:
        raise UsageError("This needs pandas: run %pip install pandas, then try again.") from None
    return pandas.DataFrame(rows, columns=columns).set_index(columns[0])


def row_of(message: Message) -> tuple[object, ...]:
    """Of a message: time, name, key, kind, text, file, size (bytes), own."""
    kind = type(message).__name__.removeprefix("Room").removeprefix("LinkUp").removesuffix("Message").lower()
    text = message.text if isinstance(message, TextMessage) else None
    file = message.file_name if isinstance(message, FileMessage) else None
    start = (message.timestamp, message.name, message.key.hex(), kind, text, file)
    return (*start, message.size, message.own)
