"""What `lu.chat()` shows."""

from typing import Any

import ipywidgets

from linkup_nb.errors import UsageError
from linkup_nb.node import Node
from linkup_nb.notebook.chat.transcript import Transcript
from linkup_nb.notebook.comms import free_comm
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room


class Panel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The chat of a node, to show in a notebook; `node`, `room` and `selection` are the live objects behind it.

    `node_expression` is the Python that gives the node, shown for a message that is clicked.
    """

    def __init__(self, node: Node, node_expression: str = "panel.node") -> None:
        self._node = node
        self._transcript = Transcript(node, node_expression)
        self._sidecar: Any = None
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

    def dock(self, title: str) -> None:
        """Show it beside the notebook. Raises `UsageError` where the package `sidecar` is missing."""
        try:
            from sidecar import Sidecar
        except ImportError:
            raise UsageError(
                "This needs the package sidecar: run %pip install sidecar, then reload the page."
            ) from None
        from IPython.display import display

        sidecar = Sidecar(title=title)
        free_comm(sidecar)
        with sidecar:
            display(self)  # type: ignore[no-untyped-call]
        self._sidecar = sidecar

    def close(self) -> None:
        """Remove it from the page; the node goes on."""
        if self._sidecar:
            self._sidecar.close()
        self._transcript.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Panel of {self._node!r}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        # A docked panel that is also a cell's value is not drawn a second time.
        return {"text/plain": repr(self)} if self._sidecar else super()._repr_mimebundle_(**kwargs)
