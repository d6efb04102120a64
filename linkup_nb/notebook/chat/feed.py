"""The rows of a transcript: made once for each message, shown by every panel of the node."""

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from linkup_nb.loops import Events
from linkup_nb.node import Node
from linkup_nb.notebook.chat import markup
from linkup_nb.notebook.chat.media import attachment
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


class Row:
    """One line of the transcript. `fields` is what the page gets, and exists once the row was rendered."""

    __slots__ = ("delivered", "fields", "message", "seq", "size")

    def __init__(self, seq: int, message: Message | None, fields: dict[str, object] | None = None) -> None:
        self.seq = seq
        self.message = message
        self.fields = fields
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

    `epoch` changes when earlier row numbers mean nothing any more. Emits `changed`, and `delivered` (a Row).
    """

    def __init__(self, room: Room | None, avatars: Avatars, meter: Meter) -> None:
        super().__init__(asyncio.get_running_loop())
        self.room = room
        self.seen: int | None = None
        self._avatars = avatars
        self._meter = meter
        self._start()
        if room:
            for message in room.messages:
                self._append(message)
            room.on("message", self._append)
            room.on("delivery", self._delivered)
            room.on("clear", self._clear)

    def _start(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.unread = 0
        self._rows: list[Row] = []
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
        return self._first + len(self._rows)

    def since(self, seq: int, count: int) -> Sequence[Row]:
        """At most `count` rows from `seq` on."""
        start = max(0, seq - self._first)
        return self._rows[start : start + count]

    def row(self, seq: int) -> Row | None:
        """The row with this number, if it is still kept."""
        return self._rows[seq - self._first] if self._first <= seq < self.end else None

    def notice(self, text: str) -> None:
        """Add a row of our own: Markdown, with no author."""
        html = markup.render(text)
        fields: dict[str, object] = {"seq": self.end, "kind": "notice", "time": round(time.time() * 1000), "html": html}
        self._add(Row(self.end, None, fields), len(html))

    def read(self, seq: int) -> None:
        """Somebody has seen the rows up to `seq`."""
        seq = min(seq, self.end - 1)
        if self.seen is None or seq > self.seen:
            self.seen = seq
            self.unread = sum(1 for row in self.since(seq + 1, MAX_ROWS) if row.message and not row.message.own)
            self.emit("changed")

    def prepare(self, row: Row, pictures: Mapping[bytes, bytes | None]) -> dict[str, object]:
        """What the page gets of a row, rendered the first time; `pictures` are the avatars by their owner's key."""
        if row.fields is None:
            assert row.message
            row.fields = self._render(row, row.message, pictures)
            self._grow(row, sum(len(str(row.fields.get(part, ""))) for part in ("html", "text")))
        return row.fields

    def stop(self) -> None:
        """Follow the room no more."""
        if self.room:
            self.room.remove_listener("message", self._append)
            self.room.remove_listener("delivery", self._delivered)
            self.room.remove_listener("clear", self._clear)

    def _append(self, message: Message) -> None:
        self._places[message.index] = self.end
        self.unread += not message.own
        self._add(Row(self.end, message), 0)

    def _add(self, row: Row, size: int) -> None:
        self._rows.append(row)
        self._grow(row, size)
        self.emit("changed")

    def _grow(self, row: Row, size: int) -> None:
        row.size += size
        self._bytes += size
        oldest = self.room[0].index if self.room and len(self.room) else -1
        while len(self._rows) > 1 and self._is_over(self._rows[0], oldest):
            gone = self._rows.pop(0)
            self._first += 1
            self._bytes -= gone.size
            if gone.message:
                self._places.pop(gone.message.index, None)

    def _is_over(self, row: Row, oldest: int) -> bool:
        forgotten = row.message is not None and row.message.index < oldest
        return forgotten or len(self._rows) > MAX_ROWS or self._bytes > MAX_ROWS_BYTES

    def _delivered(self, message: Message) -> None:
        row = self.row(self._places.get(message.index, -1))
        if row:
            row.message = message
            row.delivered = True
            if row.fields:
                row.fields["recipients"] = message.recipients
            self.emit("delivered", row)

    def _clear(self) -> None:
        self.seen = None
        self._start()
        self.emit("changed")

    def _render(self, row: Row, message: Message, pictures: Mapping[bytes, bytes | None]) -> dict[str, object]:
        fields: dict[str, object] = {
            "seq": row.seq,
            "name": message.name,
            "key": message.key.hex(),
            "avatar": self._avatars.name(pictures.get(message.key)),
            "time": round(message.timestamp.timestamp() * 1000),
        }
        if message.own:
            fields |= {"own": True, "recipients": message.recipients if row.delivered else None}
        if self.room and self.room.shares_name(message.name):
            fields["short"] = message.short_key
        return fields | self._body(message)

    def _body(self, message: Message) -> dict[str, object]:
        match message:
            case TextMessage(text=text):
                plain = markup.plain(text)
                if plain is not None:
                    return {"kind": "text", "text": plain}
                return {"kind": "text", "html": self._meter.render(text, message.key)}
            case FileMessage() | AudioMessage():
                file = attachment(message)
                about = {"name": file.name, "size": len(file.data), "mime": file.mime, "inline": file.kind != "file"}
                if file.width:
                    about |= {"width": file.width, "height": file.height}
                return {"kind": file.kind, "file": about}
            case UnknownMessage(type=kind):
                text = f"A message of a type that this version does not know: **{escape_markdown(kind)}**"
                return {"kind": "unknown", "html": markup.render(text)}
        return {"kind": "unknown", "text": "A message that cannot be shown."}


class Feeds(Events):
    """The feeds of one node, and the room that its panels showed last.

    Emits `changed` (a Feed) and `delivered` (a Feed, a Row).
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
            feed.on("delivered", lambda row: self.emit("delivered", feed, row))
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
