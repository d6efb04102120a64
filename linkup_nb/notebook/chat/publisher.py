"""Publishes to a page: each of its views has a cursor, and gets the rows between it and the end."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge, went_wrong
from linkup_nb.notebook.chat.feed import Feed, Pictures
from linkup_nb.notebook.chat.feeds import Feeds
from linkup_nb.notebook.chat.rendering import MAX_AVATARS
from linkup_nb.notebook.chat.state import describe, expression, pictures
from linkup_nb.notebook.chat.updates import AvatarPicture, Rows, Selection, StateUpdate
from linkup_nb.notebook.open_views import OpenViews
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room

MOST = 200  # rows that changed and are sent as such; with more, the page gets a window anew
COALESCE = 0.05  # seconds for which changes are gathered
RESET_EVERY = 0.5  # seconds between two windows that are sent anew, as while thousands of rows come

log = logging.getLogger("linkup_nb")


class Cursor(NamedTuple):
    """What a view has: the changes of `epoch` up to `version`."""

    epoch: str | None
    version: int


@dataclass
class Shown:
    """What one panel shows."""

    room: Room | None
    channel: str = ""
    selection: Message | None = None
    selected: str | None = None  # the id of its row
    recording: bool = False
    finding: str = ""  # of the doctor, while nobody else is there


class Publisher:
    """Sends `StateUpdate`, `AvatarPicture` and `Rows` to a page while it has views; on the node's loop."""

    def __init__(self, node: Node, feeds: Feeds, shown: Shown, bridge: Bridge, node_expression: str) -> None:
        self._node = node
        self._feeds = feeds
        self._shown = shown
        self._bridge = bridge
        self._node_expression = node_expression
        self._views = OpenViews[Cursor]()
        self._avatars: set[str] = set()
        self._state: StateUpdate | None = None
        self._changed = asyncio.Event()

    def subscribe(self, view: str, cursor: Cursor) -> None:
        """A view has come, or lacks something: send it all that is missing after `cursor`."""
        self._views.open(view, cursor)
        self._avatars.clear()
        self._state = None
        self.wake()

    def unsubscribe(self, view: str) -> None:
        """A view is gone."""
        self._views.pop(view, None)

    def wake(self, *_: object) -> None:
        """Something may be new."""
        self._changed.set()

    async def run(self) -> None:
        """Publish what is new, for ever: at once, then at most every `COALESCE` seconds."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            pause = COALESCE
            try:
                if self._views:
                    pause = RESET_EVERY if await self._publish() else COALESCE
            except Exception as error:
                log.exception("The news could not be sent to the page.")
                self._bridge.fail(went_wrong(error))
            await asyncio.sleep(pause)

    async def _publish(self) -> bool:
        """Send what is new; whether a view that had rows got a window anew, for more had changed than can be told."""
        self._send_state()
        feed = self._feeds.of(self._shown.room, self._shown.channel)
        pictures = self.pictures()
        goal = Cursor(feed.epoch, feed.version)
        views = defaultdict(list)
        for view, cursor in self._views.items():
            if cursor != goal:
                views[cursor].append(view)
        reset = False
        for cursor, names in views.items():
            reset |= self._send_rows(feed, cursor, names, pictures) and cursor.epoch == feed.epoch
            await asyncio.sleep(0)
        return reset

    def pictures(self) -> Pictures:
        """The avatars of everybody in the room that is shown."""
        return pictures(self._node, self._shown.room)

    def _send_state(self) -> None:
        shown = self._shown
        state = describe(
            self._node,
            self._feeds,
            shown.room,
            shown.channel,
            finding=shown.finding,
            selection=self._selection(),
            recording=shown.recording,
            node_expression=self._node_expression,
        )
        if state != self._state:
            self.send_avatars([state.me.avatar, *(peer.avatar for peer in state.peers)])
            self._bridge.send(state)
            self._state = state

    def _selection(self) -> Selection | None:
        message, id = self._shown.selection, self._shown.selected
        if not message or id is None or message.topic != (self._shown.room and self._shown.room.topic):
            return None
        return Selection(id=id, expression=expression(self._node_expression, self._node, message))

    def _send_rows(self, feed: Feed, cursor: Cursor, views: list[str], pictures: Pictures) -> bool:
        """Whether it was a window."""
        reached = Cursor(feed.epoch, feed.version)
        news = feed.news(cursor.version, MOST, pictures) if cursor.epoch == feed.epoch else None
        window = feed.first(pictures) if news is None else None
        rows = window.rows if window else news or []
        self.send_avatars(row.avatar for row in rows)
        update = Rows(
            room=_hex(feed.room),
            channel=feed.channel,
            epoch=feed.epoch,
            after=cursor.version,
            version=reached.version,
            reset=window is not None,
            rows=rows,
            start=window is not None and window.start,
            end=window is not None and window.end,
            divider=window and window.divider,
            unread=feed.unread,
        )
        # One message serves all views when they stand at one place, as they do unless one has just come.
        together = len(views) == len(self._views)
        for view in [None] if together else views:
            self._bridge.send(msgspec.structs.replace(update, view=view))
        self._views |= dict.fromkeys(views, reached)
        return update.reset

    def send_avatars(self, names: Iterable[str | None]) -> None:
        """Send the page the pictures that it will need and does not have."""
        for name in names:
            if name and name not in self._avatars and (picture := self._feeds.avatars.find(name)):
                if len(self._avatars) >= MAX_AVATARS:
                    self._avatars.clear()  # some are sent again then
                self._avatars.add(name)
                mime, data = picture
                self._bridge.send(AvatarPicture(avatar=name, mime=mime, data=data))


def _hex(room: Room | None) -> str | None:
    return room.topic.hex() if room else None
