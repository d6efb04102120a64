"""What a panel shows of one room: windows of its rows, and what changes in them."""

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from linkup_nb.loops import Events
from linkup_nb.notebook.chat import markup
from linkup_nb.notebook.chat.changes import Changes
from linkup_nb.notebook.chat.rendering import Renderer, recipients_words
from linkup_nb.notebook.chat.updates import Row
from linkup_nb.rooms.linkup.state import MAX_MESSAGES
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room

WINDOW = 60  # rows that a page gets first
CONTEXT = 2  # rows above the first unread one
MAX_NOTICES = 100  # answers to commands that are kept
MAX_ROWS = MAX_MESSAGES + 1_000  # rows of one room: its messages, and our answers to commands among them
MAX_ROWS_BYTES = 32 * 1_048_576  # characters of one room's text and HTML that are kept for the page

Pictures = Mapping[bytes, bytes | None]
"""The avatars by their owner's key."""


class Window(NamedTuple):
    """Rows in order; whether nothing stands before and after them; the first one that is unread."""

    rows: list[Row]
    start: bool
    end: bool
    divider: str | None = None


class Feed(Events, ABC):
    """The rows of a room, or of one of its channels, for every panel of the node; `None` is no room.

    `epoch` changes when earlier places and versions mean nothing any more. Emits `changed`.
    """

    def __init__(self, room: Room | None, channel: str, renderer: Renderer) -> None:
        super().__init__(asyncio.get_running_loop())
        self.room = room
        self.channel = channel
        self._renderer = renderer
        self._restart()

    def _restart(self) -> None:
        self.epoch = secrets.token_hex(8)
        self._changes = Changes()

    @property
    def version(self) -> int:
        """How many changes there were in this epoch."""
        return self._changes.version

    def _touch(self, id: str) -> None:
        self._changes.add(id)
        self.emit("changed")

    def news(self, version: int, most: int, pictures: Pictures) -> list[Row] | None:
        """The rows that came or changed after a version; `None` if those are unknown, or more than `most`."""
        changed = self._changes.since(version)
        if changed is None or len(changed) > most:
            return None
        return [row for id in changed if (row := self.row(id, pictures))]

    @property
    @abstractmethod
    def unread(self) -> int:
        """How many rows nobody has read."""

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Whether there are no rows."""

    @abstractmethod
    def message(self, id: str) -> Message | None:
        """The message of a row."""

    @abstractmethod
    def row(self, id: str, pictures: Pictures) -> Row | None:
        """A row as it is now; `None` for one that is not here."""

    @abstractmethod
    def first(self, pictures: Pictures) -> Window:
        """What is shown first: from the first unread row on, with a little before it; or the newest."""

    @abstractmethod
    def before(self, place: str, count: int, pictures: Pictures) -> Window:
        """The rows that stand right before a place."""

    @abstractmethod
    def after(self, place: str, count: int, pictures: Pictures) -> Window:
        """The rows that stand right after a place."""

    @abstractmethod
    def around(self, id: str, count: int, pictures: Pictures) -> Window:
        """A row in the midst of its neighbours; the newest if it is not here."""

    @abstractmethod
    def newest(self, count: int, pictures: Pictures) -> Window:
        """The last rows."""

    @abstractmethod
    async def read(self, ids: Sequence[str], since: str | None, until: str | None) -> None:
        """Somebody has read these rows, and all from one place to another."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Add a row of our own: Markdown, with no author."""

    @abstractmethod
    def stop(self) -> None:
        """Follow the room no more."""


class _Line:
    """One row in memory. `row`, the page's form of it, exists once it was rendered."""

    __slots__ = ("delivered", "message", "row", "seq", "size")

    def __init__(self, seq: int, message: Message | None, row: Row | None = None) -> None:
        self.seq = seq
        self.message = message
        self.row = row
        self.size = 0
        self.delivered = bool(message and message.recipients)


def _name(seq: int) -> str:
    return f"{seq:012d}"


class LineFeed(Feed):
    """The rows of a LinkUp room, or the answers to commands while there is no room: all in memory, in their order.

    The id of a row is its place.
    """

    def __init__(self, room: Room | None, renderer: Renderer) -> None:
        super().__init__(room, "", renderer)
        if room:
            for message in room.messages[-MAX_MESSAGES:]:
                self._append(message)
            room.on("message", self._append)
            room.on("delivery", self._delivered)
            room.on("clear", self._clear)

    def _restart(self) -> None:
        super()._restart()
        self._lines: list[_Line] = []
        self._first = 0
        self._bytes = 0
        self._unread = 0
        self._seen: int | None = None
        self._own: dict[int, int] = {}

    @property
    def unread(self) -> int:
        """How many rows nobody has read."""
        return self._unread

    @property
    def empty(self) -> bool:
        """Whether there are no rows."""
        return not self._lines

    def message(self, id: str) -> Message | None:
        """The message of a row."""
        line = self._line(id)
        return line.message if line else None

    def row(self, id: str, pictures: Pictures) -> Row | None:
        """A row as it is now; `None` for one that is not here."""
        line = self._line(id)
        return self._rendered(line, pictures) if line else None

    def first(self, pictures: Pictures) -> Window:
        """What is shown first."""
        lines = self._lines if self._seen is not None else []
        foreign = (line.seq for line in lines if line.message and not line.message.own)
        unread = next((seq for seq in foreign if seq > (self._seen or 0)), None)
        if unread is None:
            return self.newest(WINDOW, pictures)
        window = self._window(max(self._first, unread - CONTEXT), WINDOW, pictures)
        return window._replace(divider=_name(unread))

    def before(self, place: str, count: int, pictures: Pictures) -> Window:
        """The rows that stand right before a place."""
        end = max(self._first, min(self._seq(place), self._end))
        start = max(self._first, end - count)
        return self._window(start, end - start, pictures)

    def after(self, place: str, count: int, pictures: Pictures) -> Window:
        """The rows that stand right after a place."""
        return self._window(max(self._first, self._seq(place) + 1), count, pictures)

    def around(self, id: str, count: int, pictures: Pictures) -> Window:
        """A row in the midst of its neighbours; the newest if it is not here."""
        if not self._line(id):
            return self.newest(count, pictures)
        return self._window(max(self._first, self._seq(id) - count // 2), count, pictures)

    def newest(self, count: int, pictures: Pictures) -> Window:
        """The last rows."""
        return self._window(max(self._first, self._end - count), count, pictures)

    async def read(self, ids: Sequence[str], since: str | None, until: str | None) -> None:
        """Somebody has read these rows, and so all before them."""
        read = min(max(map(self._seq, [*ids, *([until] if until else [])]), default=-1), self._end - 1)
        if read > (-1 if self._seen is None else self._seen):
            self._seen = read
            lines = self._lines[max(0, read + 1 - self._first) :]
            self._unread = sum(1 for line in lines if line.message and not line.message.own)
            self.emit("changed")

    def notice(self, text: str) -> None:
        """Add a row of our own: Markdown, with no author."""
        id = _name(self._end)
        row = Row(id=id, place=id, kind="notice", time=round(time.time() * 1000), html=markup.render(text))
        self._add(_Line(self._end, None, row), len(row.html or ""))

    def stop(self) -> None:
        """Follow the room no more."""
        if self.room:
            self.room.remove_listener("message", self._append)
            self.room.remove_listener("delivery", self._delivered)
            self.room.remove_listener("clear", self._clear)

    @property
    def _end(self) -> int:
        return self._first + len(self._lines)

    def _seq(self, id: str) -> int:
        return int(id) if id.isascii() and id.isdigit() else -1

    def _line(self, id: str) -> _Line | None:
        seq = self._seq(id)
        return self._lines[seq - self._first] if self._first <= seq < self._end else None

    def _window(self, start: int, count: int, pictures: Pictures) -> Window:
        # Rendering may drop lines: what is shown is taken first.
        lines = self._lines[start - self._first : start - self._first + count]
        at_start, at_end = start <= self._first, start + len(lines) >= self._end
        return Window([self._rendered(line, pictures) for line in lines], at_start, at_end)

    def _rendered(self, line: _Line, pictures: Pictures) -> Row:
        if line.row is None:
            assert line.message
            line.row = self._renderer.row(self.room, line.message, _name(line.seq), _name(line.seq), pictures)
            if line.delivered:
                line.row.delivery = recipients_words(line.message.recipients)
            self._grow(line, len(line.row.html or "") + len(line.row.text or ""))
        seen = -1 if self._seen is None else self._seen
        line.row.unread = bool(line.message and not line.message.own and line.seq > seen)
        return line.row

    def _append(self, message: Message) -> None:
        self._unread += not message.own
        if message.own:
            self._own[message.index] = self._end
        self._add(_Line(self._end, message), 0)

    def _add(self, line: _Line, size: int) -> None:
        self._lines.append(line)
        self._grow(line, size)
        self._touch(_name(line.seq))

    def _grow(self, line: _Line, size: int) -> None:
        line.size += size
        self._bytes += size
        oldest = self.room[0].index if self.room and len(self.room) else -1
        while len(self._lines) > 1 and self._is_over(self._lines[0], oldest):
            gone = self._lines.pop(0)
            self._first += 1
            self._bytes -= gone.size
            if gone.message:
                self._own.pop(gone.message.index, None)

    def _is_over(self, line: _Line, oldest: int) -> bool:
        forgotten = line.message is not None and line.message.index < oldest
        return forgotten or len(self._lines) > MAX_ROWS or self._bytes > MAX_ROWS_BYTES

    def _delivered(self, message: Message) -> None:
        line = self._line(_name(self._own.get(message.index, -1)))
        if line:
            line.message = message
            line.delivered = True
            if line.row:
                line.row.delivery = recipients_words(message.recipients)
            self._touch(_name(line.seq))

    def _clear(self) -> None:
        self._restart()
        self.emit("changed")
