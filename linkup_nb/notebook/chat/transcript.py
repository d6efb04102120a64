"""The widget that draws the chat: the modules of `static/` in the page, and here what carries its messages."""

import asyncio
from collections.abc import Callable
from functools import partial

import anywidget

from linkup_nb.node import Node
from linkup_nb.notebook.chat.conversation import Conversation, refuse
from linkup_nb.notebook.chat.teller import Shown
from linkup_nb.notebook.comms import free_comm
from linkup_nb.notebook.static import widgets

OPEN_TIMEOUT = 10.0  # seconds that a busy node may take to open a panel
CLOSED = "This node is closed: run the cell again."


class Transcript(anywidget.AnyWidget):
    """The chat of one node, as custom messages: nothing that a peer said is a trait, for traits are saved in notebooks.

    Messages from the page come on the kernel's threads and are only passed on; the node's thread sends all others.
    """

    _esm = widgets.module("transcript")
    _css = widgets.styles()

    def __init__(self, node: Node, node_expression: str) -> None:
        super().__init__()
        free_comm(self)
        self._node_loop = node._loop
        self._conversation = _on_loop(self._node_loop, partial(Conversation, node, self.send, node_expression))
        self.on_msg(self._from_page)

    @property
    def shown(self) -> Shown:
        """The room, and the message that was clicked."""
        return self._conversation.shown

    def close(self) -> None:
        """Remove it from the page."""
        if self.comm is not None:
            self._pass_on(self._conversation.close)
        super().close()

    def _from_page(self, _: object, content: object, buffers: list[memoryview]) -> None:
        if not self._pass_on(self._conversation.receive, content, buffers):
            refuse(self.send, content, CLOSED)

    def _pass_on(self, call: Callable[..., None], *arguments: object) -> bool:
        try:
            self._node_loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            return False
        return True


def _on_loop(loop: asyncio.AbstractEventLoop, make: Callable[[], Conversation]) -> Conversation:
    async def run() -> Conversation:
        return make()

    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    return make() if here is loop else asyncio.run_coroutine_threadsafe(run(), loop).result(OPEN_TIMEOUT)
