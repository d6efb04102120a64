"""Which values are shown as a picture, and the words that stand for it."""

from collections.abc import Callable
from typing import Any

from linkup_nb.connection.tap import Tap
from linkup_nb.discovery.view import QueryView, TableView
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.tree import Tree
from linkup_nb.hyperdrive.history import Bisection, Changes
from linkup_nb.notebook.charts.bisection import bisection
from linkup_nb.notebook.charts.card import Picture
from linkup_nb.notebook.charts.conversation import conversation
from linkup_nb.notebook.charts.history import history
from linkup_nb.notebook.charts.known import known
from linkup_nb.notebook.charts.look_up import look_up
from linkup_nb.notebook.charts.traffic import traffic
from linkup_nb.notebook.charts.tree import proof, tree
from linkup_nb.rooms.memory.timeline import Timeline


def picture(thing: object) -> Picture | None:
    """The picture of a value; `None` for one of which there is nothing to draw."""
    return next(draw for kind, draw in _DRAWN.items() if isinstance(thing, kind))(thing)


_DRAWN: dict[type, Callable[[Any], Picture | None]] = {
    Bisection: bisection,
    Changes: history,
    Evidence: proof,
    QueryView: look_up,
    TableView: known,
    Tap: traffic,
    Timeline: conversation,
    Tree: tree,
}
