"""The node's own thread, and what a notebook calls: `start`, `chat`, `run`.

A task on the kernel's loop stands still while a cell runs; one on a thread of its own goes on.
"""

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from concurrent.futures import wait
from typing import TYPE_CHECKING, TypeVar

from linkup_nb.control.server import serve
from linkup_nb.errors import UsageError
from linkup_nb.loops import LoopThread, at_exit
from linkup_nb.node import Node
from linkup_nb.notebook.register import register
from linkup_nb.rooms.profile import profile_path
from linkup_nb.rooms.status import Level

if TYPE_CHECKING:
    from linkup_nb.notebook.panel import Panel

START_TIMEOUT = 30.0  # seconds that a node may take to open
CLOSE_TIMEOUT = 3.0  # seconds that all nodes may take to close when the kernel ends

T = TypeVar("T")


class _NodeThread(LoopThread):
    """A thread with a loop, and the one node that lives on it."""

    def __init__(self, profile: str, bootstrap: Sequence[str]) -> None:
        super().__init__(f"linkup_nb {profile}")
        self.bootstrap = tuple(bootstrap)
        try:
            self.node: Node = self.call(self._open(profile)).result(START_TIMEOUT)
        except BaseException:
            self.stop()
            raise

    @property
    def closed(self) -> bool:
        """Whether the node has been closed."""
        return self.node.status.level is Level.OFF

    async def _open(self, profile: str) -> Node:
        node = Node(profile_path(profile), bootstrap=self.bootstrap)
        await node.open()
        if control := await serve(node):
            node.once("closing", control.close)
        return node


_running: dict[str, _NodeThread] = {}
_docked: dict[str, "Panel"] = {}
_starting = threading.Lock()


def start(profile: str = "default", *, bootstrap: Sequence[str] | None = None) -> Node:
    """The node of a profile, open, on a thread of its own; the same one when called again.

    `bootstrap` names peers of a private network as "host:port". Raises `ProfileInUse` while another process holds the
    profile, `UsageError` if the node runs already with other bootstrap peers. `await node.close()` ends it.
    """
    register()
    with _starting:
        running = _running.get(profile)
        if running and not running.closed:
            if bootstrap is not None and tuple(bootstrap) != running.bootstrap:
                raise UsageError(
                    f"The node of profile {profile!r} runs already, with other bootstrap peers: close it first, with"
                    " lu.run(lu.start().close())."
                )
            return running.node
        if running:
            running.stop()
        _running[profile] = _NodeThread(profile, bootstrap or ())
        return _running[profile].node


def chat(profile: str = "default", *, sidecar: bool = False) -> "Panel":
    """Start the node of a profile, and show its chat; a fresh view of the same node when called again.

    It is shown in the output of the cell that calls this. With `sidecar`, which needs the package of that name, it is
    docked beside the notebook instead, in place of one that was docked before. Raises `UsageError` if the package is
    missing, and what `start` raises.
    """
    from linkup_nb.notebook.panel import Panel

    node = start(profile)
    handle = "lu.start()" if profile == "default" else f"lu.start({profile!r})"
    panel = Panel(node, handle)
    if sidecar:
        panel.dock("LinkUp" if profile == "default" else f"LinkUp: {profile}")
        if profile in _docked:
            _docked[profile].close()
        _docked[profile] = panel
    else:
        panel.show()
    return panel


def running_nodes() -> dict[str, Node]:
    """The open nodes of this kernel, by the names of their profiles."""
    return {name: thread.node for name, thread in _running.items() if not thread.closed}


def run(awaitable: Awaitable[T]) -> T:
    """Block until `awaitable` is done, inside a cell or a widget's callback, and return its result.

    Elsewhere `await` does the same without blocking. Raises `UsageError` on a node's own thread, which would wait for
    itself.
    """

    async def finish() -> T:
        return await awaitable

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(finish())
    if any(loop is running.loop for running in _running.values()):
        raise UsageError("lu.run() would wait for the thread that it blocks: use await here.")
    _nest(loop)
    return loop.run_until_complete(finish())


def _nest(loop: asyncio.AbstractEventLoop) -> None:
    try:
        import nest_asyncio2 as nest_asyncio
    except ImportError:
        import nest_asyncio
    nest_asyncio.apply(loop)


def _close_all() -> None:
    closing = [thread.call(thread.node.close()) for thread in _running.values() if not thread.closed]
    wait(closing, CLOSE_TIMEOUT)


at_exit(_close_all)
