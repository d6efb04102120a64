"""A message as the page's row: its Markdown made safe, its file looked at, what others made of it."""

import logging
import re
import time
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import PurePosixPath

from linkup_nb.notebook.chat import markup, updates
from linkup_nb.notebook.chat.media import OTHER, attachment, output_picture, size_in_drive
from linkup_nb.notebook.chat.tables import table_of
from linkup_nb.notebook.chat.updates import Quote, Reaction, Row
from linkup_nb.rooms.avatar import media_type
from linkup_nb.rooms.frames import frame_size, has_frame
from linkup_nb.rooms.memory.message import InDrive, RoomMessage, RoomNotice, RoomOutputMessage
from linkup_nb.rooms.memory.moderator import MUTED
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage, UnknownMessage
from linkup_nb.rooms.names import clean, escape_markdown
from linkup_nb.rooms.room import Room
from linkup_nb.wire.keys import short_key, z32decode

MAX_AVATARS = 256  # pictures of at most 64 KiB that are kept for the page
MAX_AUTHORS = 512  # authors whose rendering is metered
RENDER_FREE = 0.002  # seconds of processor time that every message may take to render
RENDER_BURST = 2.0  # seconds over that which one author may take at once; after it their messages are shown as typed
RENDER_SHARE = 0.05  # seconds that they earn back a second
MAX_QUOTE = 120  # characters of a message that a reply to it shows
MAX_REACTIONS = 40  # symbols on one message that are shown
MAX_NAMES = 10  # of those who reacted with one symbol
MAX_SYMBOL = 16  # characters of a reaction that are shown

NOTICES = {
    "hello": "joined",
    "leave": "left",
    "room": "made this room",
    "topic": "set the subject: {message}",
    "channel": "made the channel {name}",
    "role": "made {member} a {role}",
    "admit": "let {member} in",
    "remove": "removed {member}",
}
"""What a notice says after the name of who wrote it; the other kinds are not shown."""

_EMPHASIS = re.compile(r"\*\*|~~|`+")  # of Markdown, where a quote shows one line as plain text

log = logging.getLogger("linkup_nb")


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
        html = render_safely(text) if balance > 0 else markup.escape(text)
        balance -= max(0.0, time.thread_time() - start - RENDER_FREE)
        self._accounts[author] = (balance, now)
        if len(self._accounts) > MAX_AUTHORS:
            del self._accounts[next(iter(self._accounts))]
        return html


def render_safely(text: str) -> str:
    """Safe HTML of Markdown, which is shown as typed if it cannot be rendered."""
    try:
        return markup.render(text)
    except Exception:
        # Whatever text makes Markdown or Pygments fail, the rest of the room must be shown.
        log.exception("a message could not be rendered")
        return markup.escape(text)


class Renderer:
    """Makes rows of the messages of a room."""

    def __init__(self, avatars: Avatars, meter: Meter) -> None:
        self.avatars = avatars
        self._meter = meter

    def row(
        self, room: Room | None, message: Message, id: str, place: str, pictures: Mapping[bytes, bytes | None]
    ) -> Row:
        """The row of a message; `pictures` are the avatars by their owner's key."""
        row = Row(
            id=id,
            place=place,
            kind="unknown",
            name=message.name,
            key=message.key.hex(),
            avatar=self.avatars.name(pictures.get(message.key)),
            time=round(message.timestamp.timestamp() * 1000),
            own=message.own,
        )
        if room and room.shares_name(message.name):
            row.short = message.short_key
        if isinstance(message, RoomNotice):
            row.kind = "notice"
            row.html = markup.render(notice(message))
            return row
        if isinstance(message, RoomMessage) and isinstance(room, MemoryRoom):
            self._add_memory(row, room, message)
            if row.retracted or row.hidden not in (None, MUTED):
                return row
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
                    row.source = text if row.actions else None
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
                if isinstance(message, InDrive):
                    row.file.version = message.version
                    row.file.drive = message.name
            case RoomOutputMessage():
                self._fill_output(row, message)
            case UnknownMessage(type=kind):
                text = f"A message of a type that this version does not know: **{escape_markdown(kind)}**"
                row.html = markup.render(text)
            case _:
                row.text = "A message that cannot be shown."

    def _fill_output(self, row: Row, message: RoomOutputMessage) -> None:
        """The best of what a cell showed that is harmless: its picture, a table, Markdown, else its text."""
        row.kind = "output"
        if message.path and has_frame(message.path):
            name = f"table{PurePosixPath(message.path).suffix}"
            row.file = updates.Attachment(name=name, size=frame_size(message.metadata), mime=OTHER, inline=False)
        data = {mime: value for mime, value in message.data.items() if isinstance(value, str)}
        if picture := output_picture(message):
            row.kind = "image"
            row.file = updates.Attachment(
                name=picture.name,
                size=len(picture.data) or size_in_drive(message),
                mime=picture.mime,
                inline=True,
                width=picture.width,
                height=picture.height,
            )
        elif "text/html" in data and (table := table_of(data["text/html"])):
            row.html = table
        elif "text/markdown" in data:
            row.html = self._meter.render(data["text/markdown"], message.key)
        else:
            row.html = markup.preformatted(data.get("text/plain", ""))

    def _add_memory(self, row: Row, room: MemoryRoom, message: RoomMessage) -> None:
        """What others made of a message, and what the reader may do with it."""
        row.unread = message.unread
        row.mention = message.mentions_me
        if message.late:
            row.received = round(message.received.timestamp() * 1000)
        row.edited, row.retracted, row.hidden = message.edited, message.retracted, message.hidden
        if message.own:
            row.delivery = delivery_words(len(message.held_by), len(message.read_by))
        if message.to:
            row.reply = quote(room, message.to)
        row.reactions = [
            Reaction(
                symbol=clean(symbol)[:MAX_SYMBOL],
                raw=symbol,
                count=len(who),
                own=room.me in who,
                names=[room.name_of(key) for key in who[:MAX_NAMES]],
            )
            for symbol, who in list(message.reactions.items())[:MAX_REACTIONS]
        ]
        if message.refused:
            row.warning = "Its author says that it answers what came later: its place cannot be right."
        elif message.heads and message.missing:
            row.warning = "It answers something that is not here."
        row.actions = actions(room, message)


def quote(room: MemoryRoom, id: str) -> Quote:
    """The line of what a reply answers."""
    found = room.find(id)
    if found is None:
        return Quote(id=id, name="", text="")
    text = ""
    match found:
        case RoomMessage(retracted=True) | RoomMessage(hidden=str()):
            text = ""
        case TextMessage(text=said):
            lines = [line for line in said[: 4 * MAX_QUOTE].splitlines() if line.strip()]
            text = clean(_EMPHASIS.sub("", lines[0]) if lines else "")[:MAX_QUOTE]
        case FileMessage(file_name=name):
            text = name
        case RoomOutputMessage(data=data):
            text = clean(str(data.get("text/plain", ""))[: 4 * MAX_QUOTE])[:MAX_QUOTE]
    return Quote(id=id, name=found.name, text=text)


def actions(room: MemoryRoom, message: RoomMessage) -> list[str]:
    """What the reader may do with a message, in the order of the menu."""
    found: list[str] = []
    writes = not room.read_only
    if not message.retracted:
        found += ["reply", "react", "copy"] if writes else ["copy"]
        if writes and message.own and isinstance(message, TextMessage):
            found.append("edit")
        if writes and message.own:
            found.append("retract")
    found.append("verify")
    if not message.own:
        found += ["hide", "mute", "block"]
        if room.may_remove(message.key):
            found.append("remove")
    return found


def delivery_words(held: int, read: int) -> str:
    """How far a message of one's own has come."""
    if not held:
        return "kept here, nobody has it yet"
    return f"held by {held} · read by {read}" if read else f"held by {held}"


def recipients_words(recipients: int) -> str:
    """The same of a message in a LinkUp room."""
    return f"✓ sent to {recipients}" if recipients else "nobody was here"


def notice(message: RoomNotice) -> str:
    """A notice of a room in Markdown."""
    fields = {name: escape_markdown(clean(str(value))[:MAX_QUOTE]) for name, value in message.fields.items()}
    if "member" in message.fields:
        fields["member"] = f"**{_short(str(message.fields['member']))}**"
    words = NOTICES.get(message.kind, message.kind)
    try:
        return f"**{escape_markdown(message.name)}** {words.format_map(fields)}"
    except (KeyError, ValueError, IndexError):
        return f"**{escape_markdown(message.name)}** {message.kind}"


def _short(key: str) -> str:
    try:
        return short_key(z32decode(key))
    except Exception:  # noqa: BLE001  # a stranger wrote it
        return "somebody"
