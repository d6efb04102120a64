"""What `lu.chat()` shows."""

from typing import Any

import ipywidgets
from IPython.display import display

from linkup_nb.errors import UsageError
from linkup_nb.node import Node
from linkup_nb.notebook import cells
from linkup_nb.notebook.chat.transcript import Transcript
from linkup_nb.notebook.comms import free_comm
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room

SAVED = "The chat: run this cell to open it."


class Panel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The chat of a node, to show in a notebook; `node`, `room` and `selection` are the live objects behind it.

    `node_expression` is the Python that gives the node, shown for a message that is clicked.
    """

    def __init__(self, node: Node, node_expression: str = "panel.node") -> None:
        self._node = node
        self._transcript = Transcript(node, node_expression)
        self._sidecar: Any = None
        self._shown_in: int | None = None
        super().__init__([self._transcript])
        free_comm(self)

    @property
    def node(self) -> Node:
        """The node whose chat this is."""
        return self._node

    @property
    def room(self) -> Room | None:
        """The room that is shown."""
        return self._transcript.shown.room

    @property
    def selection(self) -> Message | None:
        """The message that was clicked last."""
        return self._transcript.shown.selection

    def show(self) -> None:
        """Show it in the output of the cell that runs; does nothing outside of IPython."""
        if cells.shell():
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
        self._transcript.close()
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
