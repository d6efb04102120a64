"""What a panel shows of a room with memory: pages that are read from its index as they are wanted."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence

from linkup_nb.notebook.chat import markup
from linkup_nb.notebook.chat.feed import CONTEXT, MAX_NOTICES, WINDOW, Feed, Pictures, Window
from linkup_nb.notebook.chat.rendering import NOTICES, Renderer
from linkup_nb.notebook.chat.updates import Row
from linkup_nb.rooms.memory.message import RoomMessage, RoomNotice
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.rows import Place
from linkup_nb.rooms.memory.timeline import Timeline

MAX_UNREAD = 1_000  # unread rows: with more, one begins at the newest, not at the first of them
MAX_RENDERED = 2_000  # rows of one channel that are kept as they were rendered
_T, _TIE, _SEQ = 14, 16, 10  # hexadecimal digits


class HistoryFeed(Feed):
    """One channel of a room with memory; the main one shows notices, too. Of its rows few are in memory.

    The id of a row is that of its message.
    """

    def __init__(self, room: MemoryRoom, channel: str, renderer: Renderer) -> None:
        self._memory = room
        super().__init__(room, channel, renderer)
        room.on("message", self._arrived)
        room.on("notice", self._arrived)
        room.on("change", self._arrived)
        room.on("delivery", self._arrived)
        room.on("moderated", self._moderated)
        room.on("typing", self._typing)

    def _restart(self) -> None:
        super()._restart()
        self._rendered: OrderedDict[str, Row] = OrderedDict()
        self._notices: OrderedDict[str, Row] = OrderedDict()

    @property
    def unread(self) -> int:
        """How many rows nobody has read."""
        return self._memory.unread_in(self.channel)

    @property
    def empty(self) -> bool:
        """Whether nobody has said anything; notices do not count."""
        return not self._notices and not self._memory.messages_in(self.channel).last(1)

    def message(self, id: str) -> RoomMessage | None:
        """The message of a row."""
        return self._memory.find(id)

    def row(self, id: str, pictures: Pictures) -> Row | None:
        """A row as it is now; `None` for one that is not here."""
        if id in self._notices:
            return self._notices[id]
        message = self._memory.find(id)
        return self._row(message, pictures) if message else None

    def first(self, pictures: Pictures) -> Window:
        """What is shown first."""
        unread = self._memory.first_unread(self.channel) if 0 < self.unread <= MAX_UNREAD else None
        if unread is None:
            return self.newest(WINDOW, pictures)
        context = self._timeline.before(unread, CONTEXT + 1)
        later = self._timeline.after(unread, WINDOW + 1)
        messages = [*context[-CONTEXT:], unread, *later[:WINDOW]]
        window = self._window(messages, pictures, start=len(context) <= CONTEXT, end=len(later) <= WINDOW)
        return window._replace(divider=unread.id)

    def before(self, place: str, count: int, pictures: Pictures) -> Window:
        """The rows that stand right before a place."""
        found = self._timeline.before(place_of_row(place), count + 1)
        return self._window(found[-count:], pictures, start=len(found) <= count, end=False)

    def after(self, place: str, count: int, pictures: Pictures) -> Window:
        """The rows that stand right after a place."""
        found = self._timeline.after(place_of_row(place), count + 1)
        return self._window(found[:count], pictures, start=False, end=len(found) <= count)

    def around(self, id: str, count: int, pictures: Pictures) -> Window:
        """A row in the midst of its neighbours; the newest if it is not here."""
        message = self._memory.find(id)
        if message is None:
            return self.newest(count, pictures)
        half = count // 2
        earlier, later = self._timeline.before(message, half + 1), self._timeline.after(message, half + 1)
        messages = [*earlier[-half:], message, *later[:half]]
        return self._window(messages, pictures, start=len(earlier) <= half, end=len(later) <= half)

    def newest(self, count: int, pictures: Pictures) -> Window:
        """The last rows."""
        found = self._timeline.last(count + 1)
        return self._window(found[-count:], pictures, start=len(found) <= count, end=True)

    async def read(self, ids: Sequence[str], since: str | None, until: str | None) -> None:
        """Somebody has read these rows, and all from one place to another."""
        start, end = (place_of_row(since), place_of_row(until)) if since and until else (None, None)
        await self._memory.mark_rows_read(self.channel, ids, start, end)
        for id in ids:
            self._rendered.pop(id, None)
        self.emit("changed")

    def notice(self, text: str) -> None:
        """Add a row of our own: Markdown, with no author."""
        last = self._timeline.last(1)
        t = max([time.time_ns() // 1000, *(message.t for message in last)])
        place = row_place((t, 2**63 - 1, self.version % 2**32))
        id = f"~{secrets.token_hex(8)}"
        row = Row(id=id, place=place, kind="notice", time=round(time.time() * 1000), html=markup.render(text))
        self._notices[id] = row
        if len(self._notices) > MAX_NOTICES:
            self._notices.popitem(last=False)
        self._touch(id)

    def stop(self) -> None:
        """Follow the room no more."""
        room = self._memory
        for event in ("message", "notice", "change", "delivery"):
            room.remove_listener(event, self._arrived)
        room.remove_listener("moderated", self._moderated)
        room.remove_listener("typing", self._typing)

    @property
    def _timeline(self) -> Timeline:
        return self._memory.timeline_in(self.channel)

    def _window(self, messages: Sequence[RoomMessage], pictures: Pictures, *, start: bool, end: bool) -> Window:
        rows = [row for message in messages if (row := self._row(message, pictures))]
        first = "" if start else rows[0].place if rows else "~"
        last = "~" if end else rows[-1].place if rows else ""
        between = [row for row in self._notices.values() if first <= row.place <= last]
        return Window(sorted([*rows, *between], key=lambda row: row.place), start, end)

    def _row(self, message: RoomMessage, pictures: Pictures) -> Row | None:
        if not self._shows(message):
            return None
        row = self._rendered.get(message.id)
        if row is None:
            row = self._renderer.row(self.room, message, message.id, row_place(message.place), pictures)
            self._rendered[message.id] = row
            if len(self._rendered) > MAX_RENDERED:
                self._rendered.popitem(last=False)
        return row

    def _shows(self, message: RoomMessage) -> bool:
        if isinstance(message, RoomNotice):
            return not self.channel and message.kind in NOTICES
        return message.channel == self.channel

    def _arrived(self, message: RoomMessage) -> None:
        self._rendered.pop(message.id, None)
        if self._shows(message):
            self._touch(message.id)

    def _typing(self) -> None:
        self.emit("changed")

    def _moderated(self) -> None:
        """Rows were withdrawn, have come back, or are hidden now."""
        notices = self._notices
        self._restart()
        self._notices = notices
        self.emit("changed")


def row_place(place: Place) -> str:
    """A place in the order as a string that compares alike."""
    t, tie, seq = place
    return f"{t:0{_T}x}{tie + 2**63:0{_TIE}x}{seq:0{_SEQ}x}"


def place_of_row(text: str) -> Place:
    """The place that such a string names; the beginning for one that is none."""
    try:
        t, tie, seq = (int(part, 16) for part in (text[:_T], text[_T : _T + _TIE], text[_T + _TIE :]))
    except ValueError:
        return (0, 0, 0)
    return (min(t, 2**53), min(tie, 2**64 - 1) - 2**63, min(seq, 2**40))
