"""The feeds of one node, which all its panels show."""

import asyncio

from linkup_nb.loops import Events
from linkup_nb.node import Node
from linkup_nb.notebook.chat.feed import Feed, LineFeed
from linkup_nb.notebook.chat.history import HistoryFeed
from linkup_nb.notebook.chat.rendering import Avatars, Meter, Renderer
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.status import Level

MAX_LOOKED_AT = 128  # views of all panels of a node of which it is known whether somebody looks; the oldest goes


class Feeds(Events):
    """The feeds of one node by room and channel, and what its panels showed last.

    Emits `changed` (a Feed).
    """

    def __init__(self, node: Node) -> None:
        super().__init__(asyncio.get_running_loop())
        self.avatars = Avatars()
        self.shown_last: tuple[Room | None, str] = (None, "")
        self._looked_at: dict[str, bool] = {}
        self._node = node
        self._renderer = Renderer(self.avatars, Meter())
        self._feeds: dict[tuple[Room | None, str], Feed] = {}
        node.on("room", self.of)
        node.on("update", self._prune)
        for room in (None, *node.rooms):
            self.of(room)

    def of(self, room: Room | None, channel: str = "") -> Feed:
        """The feed of a room, or of one of its channels; for `None`, that of a panel without rooms."""
        feed = self._feeds.get((room, channel))
        if not feed:
            if isinstance(room, MemoryRoom):
                feed = HistoryFeed(room, channel, self._renderer)
            else:
                feed = LineFeed(room, self._renderer)
            self._feeds[room, channel] = feed
            feed.on("changed", lambda: self.emit("changed", feed))
        return feed

    def look(self, view: str, away: bool | None) -> None:
        """Somebody looks at a view, or nobody does; `None` for a view that is gone.

        The user is away while there are views, and nobody looks at any.
        """
        self._looked_at.pop(view, None)
        if away is not None:
            self._looked_at[view] = not away
            if len(self._looked_at) > MAX_LOOKED_AT:
                del self._looked_at[next(iter(self._looked_at))]
        if self._node.status.level is not Level.OFF:
            self._node.away = bool(self._looked_at) and not any(self._looked_at.values())

    def _prune(self) -> None:
        if not self._node.rooms and self._node.status.level is Level.OFF:
            _of_nodes.pop(self._node, None)
            return
        for key in [key for key in self._feeds if key[0] and key[0] not in self._node.rooms]:
            self._feeds.pop(key).stop()


_of_nodes: dict[Node, Feeds] = {}


def feeds_of(node: Node) -> Feeds:
    """The one set of feeds that all panels of a node show; call it on the node's loop."""
    if node not in _of_nodes:
        _of_nodes[node] = Feeds(node)
    return _of_nodes[node]


def shown_last(node: Node) -> tuple[Room | None, str]:
    """The room and the channel that a panel of a node showed last; from any thread."""
    feeds = _of_nodes.get(node)
    return feeds.shown_last if feeds else (None, "")
