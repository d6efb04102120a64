"""Publishes to a page: each of its views has a cursor, and gets the rows between it and the end."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge, went_wrong
from linkup_nb.notebook.chat.feed import MAX_AVATARS, Feed, Feeds, Line
from linkup_nb.notebook.chat.state import describe, expression, pictures
from linkup_nb.notebook.chat.updates import AvatarPicture, DeliveryEntry, Row, Rows, RowUpdate, Selection, StateUpdate
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room

MAX_VIEWS = 32  # views of one panel that are kept up to date; the one whose request is oldest is forgotten
BATCH = 500  # rows of one message to the page
BATCH_SIZE = 1_048_576  # characters of text and HTML after which a batch goes out as it is
BATCH_TIME = 0.02  # seconds of rendering after which it does, so that the node's loop stays free
COALESCE = 0.05  # seconds for which changes are gathered

log = logging.getLogger("linkup_nb")


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


class Publisher:
    """Sends `StateUpdate`, `AvatarPicture`, `Rows` and `RowUpdate` to a page while it has views; on the node's loop."""

    def __init__(self, node: Node, feeds: Feeds, shown: Shown, bridge: Bridge, node_expression: str) -> None:
        self._node = node
        self._feeds = feeds
        self._shown = shown
        self._bridge = bridge
        self._node_expression = node_expression
        self._views: dict[str, Cursor] = {}
        self._avatars: set[str] = set()
        self._state: StateUpdate | None = None
        self._deliveries: dict[int, int] = {}
        self._changed = asyncio.Event()

    def subscribe(self, view: str, cursor: Cursor) -> None:
        """A view has come, or lacks something: send it all that is missing after `cursor`."""
        self._views.pop(view, None)
        self._views[view] = cursor
        if len(self._views) > MAX_VIEWS:
            del self._views[next(iter(self._views))]
        self._avatars.clear()
        self._state = None
        self.wake()

    def unsubscribe(self, view: str) -> None:
        """A view is gone."""
        self._views.pop(view, None)

    def wake(self, *_: object) -> None:
        """Something may be new."""
        self._changed.set()

    def delivered(self, feed: Feed, line: Line) -> None:
        """One of our messages has reached its readers."""
        if feed.room is self._shown.room and line.message:
            self._deliveries[line.seq] = line.message.recipients
            self.wake()

    async def run(self) -> None:
        """Publish what is new, for ever: at once, then at most every `COALESCE` seconds."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                if self._views:
                    await self._publish()
            except Exception as error:
                log.exception("The news could not be sent to the page.")
                self._bridge.fail(went_wrong(error))
            await asyncio.sleep(COALESCE)

    async def _publish(self) -> None:
        self._send_state()
        feed = self._feeds.of(self._shown.room)
        self._send_deliveries(feed)
        # Not the rows that come meanwhile: those are gathered for the next time.
        goal = Cursor(feed.epoch, feed.end)
        while batch := self._next_batch(feed, goal):
            self._send_rows(feed, *batch)
            await asyncio.sleep(0)

    def _send_deliveries(self, feed: Feed) -> None:
        # Rows that no view has yet will carry it themselves.
        sent = max((cursor.end for cursor in self._views.values() if cursor.epoch == feed.epoch), default=0)
        rows = [DeliveryEntry(seq=seq, recipients=number) for seq, number in self._deliveries.items() if seq < sent]
        self._deliveries.clear()
        if rows:
            self._bridge.send(RowUpdate(room=_hex(feed.room), rows=rows))

    def _send_state(self) -> None:
        shown = self._shown
        state = describe(
            self._node,
            self._feeds,
            shown.room,
            finding=shown.finding,
            selection=self._selection(),
            recording=shown.recording,
        )
        if state != self._state:
            self._send_avatars([state.me.avatar, *(peer.avatar for peer in state.peers)])
            self._bridge.send(state)
            self._state = state

    def _selection(self) -> Selection | None:
        message, seq = self._shown.selection, self._shown.selected_seq
        if not message or seq is None or message.topic != (self._shown.room and self._shown.room.topic):
            return None
        python = expression(self._node_expression, self._node, message)
        return Selection(seq=seq, expression=python)

    def _next_batch(self, feed: Feed, goal: Cursor) -> tuple[Cursor, list[str]] | None:
        """A cursor that has not reached the goal, and the views that stand there."""
        if feed.room is not self._shown.room or feed.epoch != goal.epoch:
            return None  # it counts no more, and what counts now has woken us
        views = defaultdict(list)
        for view, cursor in self._views.items():
            if cursor.epoch != goal.epoch or not feed.first <= cursor.end <= feed.end or cursor.end < goal.end:
                views[cursor].append(view)
        return next(iter(views.items()), None)

    def _send_rows(self, feed: Feed, cursor: Cursor, views: list[str]) -> None:
        reset = cursor.epoch != feed.epoch or not feed.first <= cursor.end <= feed.end
        start = feed.first if reset else cursor.end
        rows = self._prepared(feed, start)
        self._send_avatars(row.avatar for row in rows)
        update = Rows(
            room=_hex(feed.room),
            epoch=feed.epoch,
            reset=reset,
            rows=rows,
            oldest=feed.first,
            last_seq=feed.end - 1,
            seen=feed.seen if reset else None,
        )
        # One message serves all views when they stand at one place, as they do unless one has just come.
        together = len(views) == len(self._views)
        for view in [None] if together else views:
            self._bridge.send(msgspec.structs.replace(update, view=view))
        self._views |= dict.fromkeys(views, Cursor(feed.epoch, start + len(rows)))

    def _prepared(self, feed: Feed, start: int) -> list[Row]:
        avatars = pictures(self._node, feed.room)
        deadline = time.monotonic() + BATCH_TIME
        prepared: list[Row] = []
        size = 0
        for line in feed.since(start, BATCH):
            prepared.append(feed.prepare(line, avatars))
            size += line.size
            if size > BATCH_SIZE or time.monotonic() > deadline:
                break
        return prepared

    def _send_avatars(self, names: Iterable[str | None]) -> None:
        for name in names:
            if name and name not in self._avatars and (picture := self._feeds.avatars.find(name)):
                if len(self._avatars) >= MAX_AVATARS:
                    self._avatars.clear()  # some are sent again then
                self._avatars.add(name)
                mime, data = picture
                self._bridge.send(AvatarPicture(avatar=name, mime=mime, data=data))


def _hex(room: Room | None) -> str | None:
    return room.topic.hex() if room else None
