"""The rows of a transcript: made once for each message, shown by every panel of the node."""

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from linkup_nb.loops import Events
from linkup_nb.node import Node
from linkup_nb.notebook.chat import markup, updates
from linkup_nb.notebook.chat.media import attachment
from linkup_nb.notebook.chat.updates import Row
from linkup_nb.rooms.avatar import media_type
from linkup_nb.rooms.linkup.state import MAX_MESSAGES
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage, UnknownMessage
from linkup_nb.rooms.names import escape_markdown
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.status import Level

MAX_ROWS = MAX_MESSAGES + 1_000  # rows of one room: its messages, and our answers to commands among them
MAX_ROWS_BYTES = 32 * 1_048_576  # characters of one room's text and HTML that are kept for the page
MAX_AVATARS = 256  # pictures of at most 64 KiB that are kept for the page
MAX_AUTHORS = 512  # authors whose rendering is metered
RENDER_FREE = 0.002  # seconds of processor time that every message may take to render
RENDER_BURST = 2.0  # seconds over that which one author may take at once; after it their messages are shown as typed
RENDER_SHARE = 0.05  # seconds that they earn back a second

log = logging.getLogger("linkup_nb")


class Line:
    """One line of the transcript. `row`, the page's form of it, exists once the line was rendered."""

    __slots__ = ("delivered", "message", "row", "seq", "size")

    def __init__(self, seq: int, message: Message | None, row: Row | None = None) -> None:
        self.seq = seq
        self.message = message
        self.row = row
        self.size = 0
        self.delivered = bool(message and message.recipients)


class Avatars:
    """The pictures that the page may need, by their content's hash; those that came last are kept."""

    def __init__(self) -> None:
        self._pictures: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}

    def name(self, picture: bytes | None) -> str | None:
        """What a picture is called from now on."""
        if not picture:
            return None
        name = self._names.get(picture)
        if name is None:
            name = self._names[picture] = blake2b(picture, digest_size=12).hexdigest()
            self._pictures[name] = picture
            if len(self._pictures) > MAX_AVATARS:
                del self._names[self._pictures.pop(next(iter(self._pictures)))]
        return name

    def find(self, name: str) -> tuple[str, bytes] | None:
        """The media type and the bytes of a picture; `None` if it was forgotten."""
        picture = self._pictures.get(name)
        return (media_type(picture), picture) if picture else None


class Meter:
    """How much processor time each author's Markdown may take: a stranger who sends the worst is shown as typed."""

    def __init__(self) -> None:
        self._accounts: dict[bytes, tuple[float, float]] = {}

    def render(self, text: str, author: bytes) -> str:
        """Safe HTML of what `author` wrote."""
        now = time.monotonic()
        balance, at = self._accounts.pop(author, (RENDER_BURST, now))
        balance = min(RENDER_BURST, balance + (now - at) * RENDER_SHARE)
        start = time.thread_time()
        html = _render(text) if balance > 0 else markup.escape(text)
        balance -= max(0.0, time.thread_time() - start - RENDER_FREE)
        self._accounts[author] = (balance, now)
        if len(self._accounts) > MAX_AUTHORS:
            del self._accounts[next(iter(self._accounts))]
        return html


def _render(text: str) -> str:
    try:
        return markup.render(text)
    except Exception:
        # Whatever text makes Markdown or Pygments fail, the rest of the room must be shown.
        log.exception("a message could not be rendered")
        return markup.escape(text)


class Feed(Events):
    """The rows of one room, or the answers to commands while there is no room.

    `epoch` changes when earlier row numbers mean nothing any more. Emits `changed`, and `delivered` (a Line).
    """

    def __init__(self, room: Room | None, avatars: Avatars, meter: Meter) -> None:
        super().__init__(asyncio.get_running_loop())
        self.room = room
        self.seen: int | None = None
        self._avatars = avatars
        self._meter = meter
        self._start()
        if room:
            for message in room.messages[-MAX_MESSAGES:]:
                self._append(message)
            room.on("message", self._append)
            room.on("delivery", self._delivered)
            room.on("clear", self._clear)

    def _start(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.unread = 0
        self._lines: list[Line] = []
        self._first = 0
        self._bytes = 0
        self._places: dict[int, int] = {}  # message index -> seq

    @property
    def first(self) -> int:
        """The oldest row's number."""
        return self._first

    @property
    def end(self) -> int:
        """The number that the next row will get."""
        return self._first + len(self._lines)

    def since(self, seq: int, count: int) -> Sequence[Line]:
        """At most `count` lines from `seq` on."""
        start = max(0, seq - self._first)
        return self._lines[start : start + count]

    def line(self, seq: int) -> Line | None:
        """The line with this number, if it is still kept."""
        return self._lines[seq - self._first] if self._first <= seq < self.end else None

    def notice(self, text: str) -> None:
        """Add a line of our own: Markdown, with no author."""
        html = markup.render(text)
        row = Row(seq=self.end, kind="notice", time=round(time.time() * 1000), html=html)
        self._add(Line(self.end, None, row), len(html))

    def read(self, seq: int) -> None:
        """Somebody has seen the rows up to `seq`."""
        seq = min(seq, self.end - 1)
        if self.seen is None or seq > self.seen:
            self.seen = seq
            lines = self.since(seq + 1, MAX_ROWS)
            self.unread = sum(1 for line in lines if line.message and not line.message.own)
            self.emit("changed")

    def prepare(self, line: Line, pictures: Mapping[bytes, bytes | None]) -> Row:
        """The page's row for a line, rendered on first use; `pictures` are the avatars by their owner's key."""
        if line.row is None:
            assert line.message
            line.row = self._render(line, line.message, pictures)
            self._grow(line, len(line.row.html or "") + len(line.row.text or ""))
        return line.row

    def stop(self) -> None:
        """Follow the room no more."""
        if self.room:
            self.room.remove_listener("message", self._append)
            self.room.remove_listener("delivery", self._delivered)
            self.room.remove_listener("clear", self._clear)

    def _append(self, message: Message) -> None:
        self._places[message.index] = self.end
        self.unread += not message.own
        self._add(Line(self.end, message), 0)

    def _add(self, line: Line, size: int) -> None:
        self._lines.append(line)
        self._grow(line, size)
        self.emit("changed")

    def _grow(self, line: Line, size: int) -> None:
        line.size += size
        self._bytes += size
        oldest = self.room[0].index if self.room and len(self.room) else -1
        while len(self._lines) > 1 and self._is_over(self._lines[0], oldest):
            gone = self._lines.pop(0)
            self._first += 1
            self._bytes -= gone.size
            if gone.message:
                self._places.pop(gone.message.index, None)

    def _is_over(self, line: Line, oldest: int) -> bool:
        forgotten = line.message is not None and line.message.index < oldest
        return forgotten or len(self._lines) > MAX_ROWS or self._bytes > MAX_ROWS_BYTES

    def _delivered(self, message: Message) -> None:
        line = self.line(self._places.get(message.index, -1))
        if line:
            line.message = message
            line.delivered = True
            if line.row:
                line.row.recipients = message.recipients
            self.emit("delivered", line)

    def _clear(self) -> None:
        self.seen = None
        self._start()
        self.emit("changed")

    def _render(self, line: Line, message: Message, pictures: Mapping[bytes, bytes | None]) -> Row:
        row = Row(
            seq=line.seq,
            kind="unknown",
            name=message.name,
            key=message.key.hex(),
            avatar=self._avatars.name(pictures.get(message.key)),
            time=round(message.timestamp.timestamp() * 1000),
            own=message.own,
            recipients=message.recipients if line.delivered else None,
        )
        if self.room and self.room.shares_name(message.name):
            row.short = message.short_key
        self._fill(row, message)
        return row

    def _fill(self, row: Row, message: Message) -> None:
        """Fill in the content of a message."""
        match message:
            case TextMessage(text=text):
                row.kind = "text"
                row.text = markup.plain(text)
                if row.text is None:
                    row.html = self._meter.render(text, message.key)
            case FileMessage() | AudioMessage():
                file = attachment(message)
                row.kind = file.kind
                row.file = updates.Attachment(
                    name=file.name,
                    size=message.size,
                    mime=file.mime,
                    inline=file.kind != "file",
                    width=file.width,
                    height=file.height,
                )
            case UnknownMessage(type=kind):
                text = f"A message of a type that this version does not know: **{escape_markdown(kind)}**"
                row.html = markup.render(text)
            case _:
                row.text = "A message that cannot be shown."


class Feeds(Events):
    """The feeds of one node, and the room that its panels showed last.

    Emits `changed` (a Feed) and `delivered` (a Feed, a Line).
    """

    def __init__(self, node: Node) -> None:
        super().__init__(asyncio.get_running_loop())
        self.avatars = Avatars()
        self.shown_last: Room | None = None
        self._node = node
        self._meter = Meter()
        self._feeds: dict[Room | None, Feed] = {}
        node.on("room", self.of)
        node.on("update", self._prune)
        for room in (None, *node.rooms):
            self.of(room)

    def of(self, room: Room | None) -> Feed:
        """The feed of a room; for `None`, that of a panel without rooms."""
        feed = self._feeds.get(room)
        if not feed:
            feed = self._feeds[room] = Feed(room, self.avatars, self._meter)
            feed.on("changed", lambda: self.emit("changed", feed))
            feed.on("delivered", lambda line: self.emit("delivered", feed, line))
        return feed

    def _prune(self) -> None:
        if not self._node.rooms and self._node.status.level is Level.OFF:
            _of_nodes.pop(self._node, None)
            return
        for room in [room for room in self._feeds if room and room not in self._node.rooms]:
            self._feeds.pop(room).stop()


_of_nodes: dict[Node, Feeds] = {}


def feeds_of(node: Node) -> Feeds:
    """The one set of feeds that all panels of a node show; call it on the node's loop."""
    if node not in _of_nodes:
        _of_nodes[node] = Feeds(node)
    return _of_nodes[node]
