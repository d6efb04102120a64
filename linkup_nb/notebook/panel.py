"""What `lu.chat()` shows."""

from typing import Any

import ipywidgets
from IPython.display import display

from linkup_nb.connection.tap import Tap
from linkup_nb.errors import UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.node import Node
from linkup_nb.notebook import cells
from linkup_nb.notebook.comms import free_comm
from linkup_nb.notebook.tabs import TabsWidget
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room
from linkup_nb.swarm.swarm import Swarm

SAVED = "The chat: run this cell to open it."


class Panel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The chat of a node, and the window on its parts; `node`, `room`, `selection` and `tap` are the live objects.

    `node_expression` is the Python that gives the node, shown for what is clicked.
    """

    def __init__(self, node: Node, node_expression: str = "panel.node") -> None:
        self._node = node
        self._tabs = TabsWidget(node, node_expression)
        self._sidecar: Any = None
        self._shown_in: int | None = None
        super().__init__([self._tabs])
        free_comm(self)

    @property
    def node(self) -> Node:
        """The node whose chat this is."""
        return self._node

    @property
    def room(self) -> Room | None:
        """The room that is shown."""
        return self._tabs.tab.chat.shown.room

    @property
    def selection(self) -> Any:
        """What was clicked last: a message, a file, a change, a peer, a frame of the tap; `None` for nothing."""
        return self._tabs.tab.selection

    @property
    def drive(self) -> Drive | None:
        """The drive that was looked at last in the Drive tab."""
        return self._tabs.tab.explorer.shown

    @property
    def versions(self) -> tuple[int, ...]:
        """The version of it that was looked at last, or the two that were compared."""
        return self._tabs.tab.explorer.versions

    @property
    def tap(self) -> Tap | None:
        """The tap that was switched on last in the Swarm tab."""
        return self._tabs.tab.swarm.tap

    def show(self, what: Room | Message | DriveView | Swarm | None = None) -> None:
        """Show it in the output of the cell that runs, which does nothing outside of IPython; or move what it shows.

        `panel.show(room)`, `panel.show(room[-1])`, `panel.show(drive[12])` and `panel.show(node.swarm)` move every view
        of it there. Raises `UsageError` for what is none of this node's.
        """
        if what is not None:
            self._tabs.look(what)
        elif cells.shell():
            self._draw()
            self._shown_in = cells.number()

    def dock(self, title: str) -> None:
        """Show it beside the notebook. Raises `UsageError` where the package `sidecar` is missing."""
        try:
            from sidecar import Sidecar
        except ImportError:
            raise UsageError(
                "This needs the package sidecar: run %pip install sidecar, then reload the page."
            ) from None
        sidecar = Sidecar(title=title)
        free_comm(sidecar)
        with sidecar:
            self.show()
        self._sidecar = sidecar

    def close(self) -> None:
        """Remove it from the page; the node goes on."""
        if self._sidecar:
            self._sidecar.close()
        self._tabs.close()
        super().close()

    def __repr__(self) -> str:
        return "<Panel>"

    def _ipython_display_(self) -> None:
        # As the value of the cell in which it was shown already it is not shown once more.
        if self._shown_in != cells.number():
            self._draw()

    def _draw(self) -> None:
        display(self._repr_mimebundle_(), raw=True)  # type: ignore[no-untyped-call]

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        # The text is saved into the notebook, so it names nobody.
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return bundle | {"text/plain": SAVED}
