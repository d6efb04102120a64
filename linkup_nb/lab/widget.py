"""A network of the lab in a cell: drawn, and drawn anew whenever it changes."""

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import anywidget
import msgspec
import traitlets

from linkup_nb.errors import NodeClosed
from linkup_nb.lab.drawing import draw
from linkup_nb.lab.state import NetState
from linkup_nb.notebook.static import widgets


class Observed(Protocol):
    """A network that says when it has changed."""

    @property
    def state(self) -> NetState:
        """All peers and what is between them; raises `NodeClosed` once it has ended."""

    def on(self, event: str, f: Callable[..., Any]) -> Any:
        """Call `f(state)` at each "update"."""


class NetView(anywidget.AnyWidget):
    """The drawing of a network. What it shows is a trait and stays in the saved notebook: nobody's words are in it."""

    _esm = widgets.module("net_view")
    _css = widgets.styles()
    picture = traitlets.Dict(help="What is drawn: peers, edges, and the same in words.").tag(sync=True)

    def __init__(self, network: Observed) -> None:
        state = network.state
        self._first = len(state.peers)
        super().__init__(picture=self._drawn(state))
        network.on("update", self._update)

    @property
    def words(self) -> str:
        """What it shows, in words."""
        return "\n".join(self.picture["words"])

    def _update(self, state: NetState) -> None:
        self.picture = self._drawn(state)

    def _drawn(self, state: NetState) -> dict[str, Any]:
        drawn = msgspec.to_builtins(draw(state, self._first))
        assert isinstance(drawn, dict)
        return drawn


_views: WeakKeyDictionary[Observed, NetView] = WeakKeyDictionary()


def bundle(network: Observed) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What a cell shows of a network, by MIME type: a live drawing, and the same in words; `None` once it has ended."""
    try:
        view = _views.get(network)
        if view is None:
            view = _views[network] = NetView(network)
        else:
            view._update(network.state)
    except NodeClosed:
        return None
    found = view._repr_mimebundle_()
    return (found[0] | {"text/plain": view.words}, found[1]) if found else None
