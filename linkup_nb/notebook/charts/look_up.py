"""A look-up: who was asked, in which order, how near to the target each is, and who named whom.

Above stand all ids on one line, as numbers; below each is a row, as far to the right as it is near: one block further
for each leading bit that it shares with the target, for a block is half of the one before. There is no ring, on which
0 and 255 would touch.
"""

from linkup_nb.discovery.view import Hop, QueryView
from linkup_nb.notebook.charts.card import (
    BLUE,
    CROSSED,
    GREEN,
    GREY,
    ORANGE,
    ROW,
    SHADE,
    VERMILION,
    WIDTH,
    Picture,
    Row,
    Spec,
    blocks,
    card,
    labels,
    legend,
    listed,
    points,
    rules,
)
from linkup_nb.notebook.charts.ids import Ids, count, shelves

MAX_HOPS = 40  # rows of a look-up

_ROLES: dict[str, Row] = {
    "asker": {"shape": "triangle-up", "fill": GREY, "size": 90},
    "target": {"shape": "diamond", "fill": ORANGE, "size": 130},
    "asked": {"shape": "circle", "fill": BLUE, "size": 80},
    "nearest": {"shape": "square", "fill": GREEN, "size": 80},
    "silent": {"shape": CROSSED, "fill": VERMILION, "size": 100},
}
_SHELVES = 3  # rows of labels over the line
_LINE = 14 + 12 * _SHELVES  # where the line of ids stands
_TOP = _LINE + 68  # where the rows begin
_LEFT, _RIGHT = 84, 372  # the places of a row, between the name and the distance
_MIN_BITS = 8  # blocks of a row at least


def look_up(query: QueryView) -> Picture:
    """The picture of a query."""
    bits = 8 * len(query.asker)
    asker = int.from_bytes(query.asker)
    target = int.from_bytes(query.target[: len(query.asker)])
    hops = query.hops[:MAX_HOPS]
    ids = Ids([asker, target, *(target ^ hop.distance for hop in query.hops)], bits)
    names = {hop.address: ids.name(target ^ hop.distance) for hop in query.hops}
    nearest = [names[address] for address in query.closest if address in names]
    roles = ["silent" if hop.rtt is None else "nearest" if hop.address in query.closest else "asked" for hop in hops]

    everyone = [(target ^ hop.distance, role) for hop, role in zip(hops, roles, strict=True)]
    everyone = [*sorted(everyone), (asker, "asker"), (target, "target")]
    line: list[Row] = [
        {"id": ids.name(id), "x": round(8 + ids.place(id) * (WIDTH - 16), 1), "y": _LINE, "role": role} | _ROLES[role]
        for id, role in everyone
    ]
    rows = _rows(query, hops, roles, ids, target, names)
    height = _TOP + ROW * len(hops) + 26
    used = [role for role in _ROLES if role in {one for _, one in everyone}]
    more = len(query.hops) - len(hops)
    layers = [
        rules([{"x": 0, "y": _LINE, "x2": WIDTH, "y2": _LINE}]),
        labels(_over(line)),
        labels([{"x": 0, "y": _LINE + 14, "label": "0"}], colour=GREY),
        labels([{"x": WIDTH, "y": _LINE + 14, "label": "255" if ids.small else "ff…"}], align="right", colour=GREY),
        labels([{"x": WIDTH / 2, "y": _LINE + 14, "label": f"by {ids.what}"}], align="center", colour=GREY),
        *_ground(_ticks(query, ids), len(hops)),
        rules(_ways(rows), width=1.5),
        points(line + rows, ("id", "role", "step", "distance", "named by", "address")),
        labels([{"x": 16, "y": row["y"], "label": row["step"]} for row in rows], align="right", colour=GREY),
        labels([{"x": 26, "y": row["y"], "label": row["id"]} for row in rows], bold=True),
        labels([{"x": _RIGHT + 14, "y": row["y"], "label": row["distance"]} for row in rows]),
        *legend([_ROLES[role] | {"label": role} for role in used], height - 6),
    ]
    title = f"Look-up of {ids.name(target)} from {ids.name(asker)}"
    silent = [names[hop.address] for hop in query.hops if hop.rtt is None]
    lines = [
        f"{title}: asked {listed([names[hop.address] for hop in query.hops], MAX_HOPS) or 'nobody'}; "
        f"nearest {listed(nearest, MAX_HOPS) or 'nobody'}; {listed(silent, MAX_HOPS) or 'none'} silent.",
        f"Names are {ids.what}; distance is by XOR, so the earliest bit that differs counts most.",
    ]
    if hops:
        lines.insert(1, "Named by: " + ", ".join(f"{row['id']} by {row['named by']}" for row in rows) + ".")
    subtitle = f"{query.command}: {count(len(query.hops), 'node')} asked, {len(silent)} silent"
    return card(height, title, subtitle + (f" (the first {len(hops)} are shown)" if more else ""), layers, lines)


def _rows(
    query: QueryView, hops: tuple[Hop, ...], roles: list[str], ids: Ids, target: int, names: dict[tuple[str, int], str]
) -> list[Row]:
    most = _ticks(query, ids)
    return [
        {
            "id": names[hop.address],
            "x": _across(ids.shared(hop.distance), most),
            "y": _TOP + ROW * step,
            "role": role,
            "step": step + 1,
            "distance": ids.away(hop.distance) + (", no reply" if role == "silent" else ""),
            "named by": names.get(hop.named_by, "a node not asked") if hop.named_by else "the asker's table",
            "address": f"{hop.address[0]}:{hop.address[1]}",
        }
        | _ROLES[role]
        for step, (hop, role) in enumerate(zip(hops, roles, strict=True))
    ]


def _ticks(query: QueryView, ids: Ids) -> int:
    """How many blocks a row is wide: as many leading bits as the nearest shares, and one for the rest."""
    return max([_MIN_BITS, *(int(ids.shared(hop.distance)) + 1 for hop in query.hops if hop.distance)])


def _ground(ticks: int, hops: int) -> list[Spec | None]:
    """The heads of the columns, and the blocks behind the rows."""
    if not hops:
        return []
    top, end = _TOP - 11, _TOP + ROW * hops - 7
    places: list[Row] = [
        {"x": _across(bit, ticks), "y": top, "x2": _across(bit, ticks), "y2": end} for bit in range(ticks + 1)
    ]
    every = 1 + ticks // 12
    head = top - 24
    return [
        labels([{"x": 26, "y": head, "label": "asked"}], colour=GREY),
        labels([{"x": _LEFT, "y": head, "label": "shares this many leading bits with the target →"}], colour=GREY),
        labels([{"x": _RIGHT + 14, "y": head, "label": "distance"}], colour=GREY),
        labels(
            [{"x": place["x"], "y": top - 9, "label": bit} for bit, place in enumerate(places) if bit % every == 0],
            align="center",
            colour=GREY,
            size=10,
        ),
        blocks([{"x": _LEFT, "y": top, "x2": _RIGHT, "y2": end, "fill": SHADE}]),
        rules(places, colour="#c9d1d8"),
    ]


def _across(shared: float, ticks: int) -> float:
    return round(_LEFT + min(shared, ticks) / ticks * (_RIGHT - _LEFT), 1)


def _over(line: list[Row]) -> list[Row]:
    """The names over the line, on shelves, so that none stands over another."""
    line = sorted(line, key=lambda row: row["x"])
    found = shelves([row["x"] for row in line], [str(row["id"]) for row in line], _SHELVES)
    return [
        {"x": row["x"], "y": _LINE - 12 - 12 * shelf, "label": row["id"]}
        for row, shelf in zip(line, found, strict=True)
        if shelf is not None
    ]


def _ways(rows: list[Row]) -> list[Row]:
    """From each that named another to the one named."""
    by_name = {row["id"]: row for row in rows}
    named = [(by_name[row["named by"]], row) for row in rows if row["named by"] in by_name]
    return [{"x": one["x"], "y": one["y"], "x2": row["x"], "y2": row["y"]} for one, row in named]
