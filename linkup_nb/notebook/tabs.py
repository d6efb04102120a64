"""The widget of the panel: the modules of `static/` in the page, and all tabs in the kernel."""

from typing import Literal

from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge, Update
from linkup_nb.notebook.chat.conversation import Conversation
from linkup_nb.notebook.explorer.tab import ExplorerTab
from linkup_nb.notebook.settings.tab import SettingsTab
from linkup_nb.notebook.static import widgets
from linkup_nb.notebook.swarm.tab import SwarmTab
from linkup_nb.notebook.widget import BridgedWidget
from linkup_nb.rooms.memory.message import RoomMessage
from linkup_nb.rooms.room import Room


class LookUpdate(Update, kw_only=True, tag="look"):
    """What a cell wants to be shown: a tab, and in it a message, or a version of a drive."""

    tab: Literal["chat", "drive", "swarm"]
    channel: str = ""
    target: str = ""
    drive: str = ""
    version: int = 0


class Tabs:
    """The tabs that share one widget and its bridge; lives on the node's loop."""

    def __init__(self, node: Node, bridge: Bridge, node_expression: str) -> None:
        self._node = node
        self._bridge = bridge
        self.selection: object = None
        """What was clicked last, in whichever tab."""
        self.chat = Conversation(node, bridge, node_expression, self._select)
        self.swarm = SwarmTab(node, bridge, node_expression, self._select)
        self.explorer = ExplorerTab(node, bridge, node_expression, self._select)
        SettingsTab(node, bridge)

    def look(self, what: object) -> None:
        """Have every view of the page show something. Raises `UsageError` for what is none of this node's."""
        node = self._node
        if isinstance(what, Room) and what in node.rooms:
            self.chat.show(what)
            self._bridge.send(LookUpdate(tab="chat"))
        elif isinstance(what, RoomMessage) and (room := _room_of(node, what)):
            self.chat.show(room, what.channel)
            self._bridge.send(LookUpdate(tab="chat", channel=what.channel, target=what.id))
        elif isinstance(what, DriveView) and self.explorer.has(what.id):
            self._bridge.send(LookUpdate(tab="drive", drive=what.id, version=what.version))
        elif what in (node.swarm, node.linkup_swarm):
            self._bridge.send(LookUpdate(tab="swarm"))
        else:
            raise UsageError(
                "This panel shows rooms, messages of rooms with memory, drives and swarms of its own node."
            )

    def close(self) -> None:
        """Answer no more, and send the page nothing more."""
        self.chat.close()
        self.swarm.close()
        self.explorer.close()

    def _select(self, what: object) -> None:
        self.selection = what


def _room_of(node: Node, message: RoomMessage) -> Room | None:
    return next((room for room in node.rooms if room.topic == message.topic), None)


class TabsWidget(BridgedWidget[Tabs]):
    """The chat of one node, and the window on all of its parts."""

    _esm = widgets.module("transcript")
    _css = widgets.styles()

    def __init__(self, node: Node, node_expression: str) -> None:
        super().__init__(node, lambda bridge: Tabs(node, bridge, node_expression))

    def look(self, what: object) -> None:
        """Have every view show something; see `Tabs.look`."""
        self._call(self.tab.look, what)
