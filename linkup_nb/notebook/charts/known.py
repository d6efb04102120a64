"""The nodes that a node knows, a row for each number of leading bits that they share with it.

A row's band is where the ids of that block lie: each is half of the one above, and all of them stand around the node.
"""

from collections.abc import Sequence

from linkup_nb.discovery.view import KnownNode, TableView
from linkup_nb.notebook.charts.card import (
    BLUE,
    GREY,
    ORANGE,
    ROW,
    SHADE,
    Picture,
    Row,
    blocks,
    card,
    fit,
    labels,
    legend,
    points,
    rules,
)
from linkup_nb.notebook.charts.ids import Ids, count

MAX_NODES = 300  # that are shown
MAX_BLOCKS = 30  # rows
_LEFT, _RIGHT = 86, 330  # of the line of ids
_NAMED = 136  # pixels for the names beside it
_KNOWN: Row = {"shape": "circle", "fill": BLUE, "size": 60}
_ME: Row = {"shape": "triangle-up", "fill": ORANGE, "size": 110}


def known(table: TableView) -> Picture | None:
    """The picture of a routing table; `None` for an empty one."""
    nodes = table.nodes
    if not nodes:
        return None
    me = int.from_bytes(table.id)
    ids = Ids([me, *(int.from_bytes(node.id) for node in nodes)], 8 * len(table.id))
    shown = sorted(nodes, key=lambda node: node.distance)[:MAX_NODES]
    most = min(max(node.shared_bits for node in nodes) + 1, MAX_BLOCKS)
    in_block = [[node for node in nodes if min(node.shared_bits, most - 1) == shared] for shared in range(most)]
    top = 24
    marks: list[Row] = [
        {
            "id": ids.name(int.from_bytes(node.id)),
            "x": _x(ids, int.from_bytes(node.id)),
            "y": top + ROW * min(node.shared_bits, most - 1),
            "role": "known",
            "shares": count(node.shared_bits, "bit"),
            "distance": ids.away(node.distance),
        }
        | _KNOWN
        for node in shown
    ]
    bands = [_band(ids, me, shared, top) for shared in range(most)]
    foot = top + ROW * most + 4
    mine: Row = {"id": ids.name(me), "x": _x(ids, me), "y": foot, "role": "oneself"} | _ME
    names = [_names(ids, block) for block in in_block]
    layers = [
        labels([{"x": 0, "y": 4, "label": "shares with it"}], colour=GREY),
        labels([{"x": _LEFT, "y": 4, "label": f"by {ids.what}"}], colour=GREY),
        labels([{"x": _RIGHT + 14, "y": 4, "label": "known, nearest first"}], colour=GREY),
        blocks(bands),
        rules([{"x": _x(ids, me), "y": top - 9, "x2": _x(ids, me), "y2": foot}], dash=(3, 3)),
        points([*marks, mine], ("id", "role", "shares", "distance")),
        labels([{"x": 0, "y": top + ROW * shared, "label": _shared(shared, most, nodes)} for shared in range(most)]),
        labels([{"x": _RIGHT + 14, "y": top + ROW * n, "label": fit(text, _NAMED)} for n, text in enumerate(names)]),
        labels([{"x": mine["x"] + 10, "y": foot, "label": mine["id"]}], bold=True),
        *legend([_KNOWN | {"label": "known"}, _ME | {"label": "oneself"}], foot + 24),
    ]
    title = f"{count(len(nodes), 'node')} known to {ids.name(me)}"
    lines = [
        f"{title}, by the leading bits that they share with it.",
        f"Shares {'; '.join(f'{_shared(n, most, nodes)} with {text}' for n, text in enumerate(names))}.",
        f"Names are {ids.what}.",
    ]
    hidden = f"; the {len(shown)} nearest are drawn" if len(shown) < len(nodes) else ""
    return card(foot + 32, title, f"a row for each block of ids, half as wide as the one above{hidden}", layers, lines)


def _x(ids: Ids, id: int) -> float:
    return round(_LEFT + ids.place(id) * (_RIGHT - _LEFT), 1)


def _band(ids: Ids, me: int, shared: int, top: int) -> Row:
    """Where the ids lie that share just so many leading bits."""
    width = ids.bits - shared - 1
    first = (me >> width ^ 1) << width
    x, x2 = _x(ids, first), _x(ids, first + (1 << width) - 1)
    y = top + ROW * shared
    return {"x": x, "x2": max(x2, x + 1), "y": y - 8, "y2": y + 8, "fill": SHADE, "shared": shared}


def _shared(shared: int, most: int, nodes: Sequence[KnownNode]) -> str:
    more = shared == most - 1 and max(node.shared_bits for node in nodes) > shared
    return f"{count(shared, 'bit')}{' or more' if more else ''}"


def _names(ids: Ids, block: list[KnownNode]) -> str:
    names = [ids.name(int.from_bytes(node.id)) for node in sorted(block, key=lambda node: node.distance)]
    if not names:
        return "none"
    for most in range(len(names), 0, -1):
        text = f"{len(names)}: {', '.join(names[:most])}{' …' if most < len(names) else ''}"
        if len(text) * 6 <= _NAMED:
            break
    return text
