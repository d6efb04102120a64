"""A widget whose page talks to an object on the node's loop."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anywidget

from linkup_nb.node import Node
from linkup_nb.notebook.bridge import Bridge, refuse
from linkup_nb.notebook.comms import free_comm

OPEN_TIMEOUT = 10.0  # seconds that a busy node may take to open a panel
CLOSED = "This node is closed: run the cell again."


class Tab(Protocol):
    """The kernel's half of a widget, which registers its handlers with a bridge; lives on the node's loop."""

    def close(self) -> None:
        """Answer no more, and send the page nothing more."""


T = TypeVar("T", bound=Tab)
R = TypeVar("R")


class BridgedWidget(anywidget.AnyWidget, Generic[T]):
    """A widget of one node. All goes by custom messages: traits are saved in notebooks, and peers' words must not be.

    Messages from the page come on the kernel's threads and are only passed on; the node's thread sends all others.
    """

    def __init__(self, node: Node, open_tab: Callable[[Bridge], T]) -> None:
        super().__init__()
        free_comm(self)
        self._node_loop = node.loop
        self._bridge = Bridge(self.send)
        self.tab = _on_loop(self._node_loop, lambda: open_tab(self._bridge))
        self.on_msg(self._from_page)

    def close(self) -> None:
        """Remove it from the page."""
        if self.comm is not None:
            self._pass_on(self._end)
        super().close()

    def _call(self, work: Callable[..., object], *arguments: object) -> None:
        """Do something on the node's loop, and wait for it; raises what it raises."""
        _on_loop(self._node_loop, lambda: work(*arguments))

    def _end(self) -> None:
        self.tab.close()
        self._ending = asyncio.ensure_future(self._bridge.close())

    def _from_page(self, _: object, content: object, buffers: list[memoryview]) -> None:
        if not self._pass_on(self._bridge.receive, content, buffers):
            refuse(self.send, content, CLOSED)

    def _pass_on(self, call: Callable[..., None], *arguments: object) -> bool:
        try:
            self._node_loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            return False
        return True


def _on_loop(loop: asyncio.AbstractEventLoop, make: Callable[[], R]) -> R:
    async def run() -> R:
        return make()

    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    return make() if here is loop else asyncio.run_coroutine_threadsafe(run(), loop).result(OPEN_TIMEOUT)
