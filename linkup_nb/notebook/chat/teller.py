"""Telling the page what is new: each view has a cursor, and gets what lies between it and the end."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from linkup_nb.node import Node
from linkup_nb.notebook.chat.feed import MAX_AVATARS, Feed, Feeds, Row
from linkup_nb.notebook.chat.state import describe, expression, pictures
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room

MAX_VIEWS = 32  # views of one panel that are told what is new; the one that asked longest ago is forgotten
BATCH = 500  # rows of one message to the page
BATCH_SIZE = 1_048_576  # characters of text and HTML after which a batch goes out as it is
BATCH_TIME = 0.02  # seconds of rendering after which it does, so that the node's loop stays free
COALESCE = 0.05  # seconds for which changes are gathered

log = logging.getLogger("linkup_nb")

SendToPage = Callable[[dict[str, Any], list[bytes] | None], None]


class Cursor(NamedTuple):
    """What a view has: the rows of `epoch` below `end`."""

    epoch: str | None
    end: int


@dataclass
class Shown:
    """What one panel shows."""

    room: Room | None
    selection: Message | None = None
    selected_seq: int | None = None
    recording: bool = False
    finding: str = ""  # of the doctor, while nobody else is there


class Teller:
    """Sends `state`, `avatar`, `rows` and `row_update` to a page while it has views; lives on the node's loop."""

    def __init__(self, node: Node, feeds: Feeds, shown: Shown, send: SendToPage, node_expression: str) -> None:
        self._node = node
        self._feeds = feeds
        self._shown = shown
        self._send = send
        self._node_expression = node_expression
        self._views: dict[str, Cursor] = {}
        self._avatars: set[str] = set()
        self._state: dict[str, object] | None = None
        self._deliveries: dict[int, int] = {}
        self._news = asyncio.Event()

    def welcome(self, view: str, cursor: Cursor) -> None:
        """A view has come, or has found that it lacks something: tell it all that it does not have."""
        self._views.pop(view, None)
        self._views[view] = cursor
        if len(self._views) > MAX_VIEWS:
            del self._views[next(iter(self._views))]
        self._avatars.clear()
        self._state = None
        self.wake()

    def dismiss(self, view: str) -> None:
        """A view is gone."""
        self._views.pop(view, None)

    def wake(self, *_: object) -> None:
        """Something may be new."""
        self._news.set()

    def delivered(self, feed: Feed, row: Row) -> None:
        """One of our messages has reached its readers."""
        if feed.room is self._shown.room and row.message:
            self._deliveries[row.seq] = row.message.recipients
            self.wake()

    async def run(self) -> None:
        """Tell what is new, for ever: at once, then at most every `COALESCE` seconds."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                if self._views:
                    await self._tell()
            except Exception as error:
                log.exception("the page could not be told what is new")
                self._send({"type": "error", "text": f"This went wrong in the kernel: {error!r}"}, None)
            await asyncio.sleep(COALESCE)

    async def _tell(self) -> None:
        self._tell_state()
        feed = self._feeds.of(self._shown.room)
        self._tell_deliveries(feed)
        # Not the rows that come meanwhile: those are gathered for the next time.
        goal = Cursor(feed.epoch, feed.end)
        while batch := self._next_batch(feed, goal):
            self._tell_rows(feed, *batch)
            await asyncio.sleep(0)

    def _tell_deliveries(self, feed: Feed) -> None:
        # Rows that no view has yet will say it themselves.
        told = max((cursor.end for cursor in self._views.values() if cursor.epoch == feed.epoch), default=0)
        rows = [{"seq": seq, "recipients": number} for seq, number in self._deliveries.items() if seq < told]
        self._deliveries.clear()
        if rows:
            self._send({"type": "row_update", "room": _hex(feed.room), "rows": rows}, None)

    def _tell_state(self) -> None:
        state = describe(self._node, self._feeds, self._shown.room, self._shown.finding) | {
            "selection": self._selection(),
            "recording": self._shown.recording,
        }
        if state != self._state:
            self._tell_avatars(_avatars_of(state))
            self._send(state, None)
            self._state = state

    def _selection(self) -> dict[str, object] | None:
        message = self._shown.selection
        if not message or message.topic != (self._shown.room and self._shown.room.topic):
            return None
        python = expression(self._node_expression, self._node, message)
        return {"seq": self._shown.selected_seq, "expression": python}

    def _next_batch(self, feed: Feed, goal: Cursor) -> tuple[Cursor, list[str]] | None:
        """A cursor that has not reached the goal, and the views that stand there."""
        if feed.room is not self._shown.room or feed.epoch != goal.epoch:
            return None  # it counts no more, and what counts now has woken us
        views = defaultdict(list)
        for view, cursor in self._views.items():
            if cursor.epoch != goal.epoch or not feed.first <= cursor.end <= feed.end or cursor.end < goal.end:
                views[cursor].append(view)
        return next(iter(views.items()), None)

    def _tell_rows(self, feed: Feed, cursor: Cursor, views: list[str]) -> None:
        reset = cursor.epoch != feed.epoch or not feed.first <= cursor.end <= feed.end
        start = feed.first if reset else cursor.end
        rows = self._prepared(feed, start)
        end = start + len(rows)
        self._tell_avatars(row.get("avatar") for row in rows)
        message: dict[str, Any] = {
            "type": "rows",
            "room": _hex(feed.room),
            "epoch": feed.epoch,
            "reset": reset,
            "rows": rows,
            "oldest": feed.first,
            "last_seq": feed.end - 1,
        }
        if reset:
            message["seen"] = feed.seen
        # One message serves all views when they stand at one place, as they do unless one has just come.
        together = len(views) == len(self._views)
        for view in [None] if together else views:
            self._send(message if view is None else message | {"view": view}, None)
        self._views |= dict.fromkeys(views, Cursor(feed.epoch, end))

    def _prepared(self, feed: Feed, start: int) -> list[dict[str, object]]:
        avatars = pictures(self._node, feed.room)
        deadline = time.monotonic() + BATCH_TIME
        prepared: list[dict[str, object]] = []
        size = 0
        for row in feed.since(start, BATCH):
            prepared.append(feed.prepare(row, avatars))
            size += row.size
            if size > BATCH_SIZE or time.monotonic() > deadline:
                break
        return prepared

    def _tell_avatars(self, names: Iterable[object]) -> None:
        for name in names:
            if isinstance(name, str) and name not in self._avatars and (picture := self._feeds.avatars.find(name)):
                if len(self._avatars) >= MAX_AVATARS:
                    self._avatars.clear()  # some are told again then
                self._avatars.add(name)
                mime, data = picture
                self._send({"type": "avatar", "avatar": name, "mime": mime}, [data])


def _avatars_of(state: Mapping[str, Any]) -> list[object]:
    return [state["me"]["avatar"], *(peer["avatar"] for peer in state["peers"])]


def _hex(room: Room | None) -> str | None:
    return room.topic.hex() if room else None
