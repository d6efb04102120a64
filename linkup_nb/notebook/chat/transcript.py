"""The widget that draws the chat: the modules of `static/` in the page, and a `Conversation` in the kernel."""

from linkup_nb.node import Node
from linkup_nb.notebook.chat.conversation import Conversation
from linkup_nb.notebook.chat.publisher import Shown
from linkup_nb.notebook.static import widgets
from linkup_nb.notebook.widget import BridgedWidget


class Transcript(BridgedWidget[Conversation]):
    """The chat of one node."""

    _esm = widgets.module("transcript")
    _css = widgets.styles()

    def __init__(self, node: Node, node_expression: str) -> None:
        super().__init__(node, lambda bridge: Conversation(node, bridge, node_expression))

    @property
    def shown(self) -> Shown:
        """The room, and the message that was clicked."""
        return self.tab.shown
