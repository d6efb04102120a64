"""A bisection: a row for each look, with the versions that were still possible before it."""

from linkup_nb.hyperdrive.history import Bisection
from linkup_nb.notebook.charts.card import (
    BLUE,
    GREY,
    ROW,
    SHADE,
    VERMILION,
    WIDTH,
    Picture,
    Row,
    blocks,
    card,
    labels,
    legend,
    points,
)
from linkup_nb.notebook.charts.ids import count
from linkup_nb.notebook.charts.line import Line

_LEFT, _RIGHT = 96, WIDTH - 16
_HOLDS: Row = {"shape": "square", "fill": VERMILION, "size": 80}
_NOT: Row = {"shape": "circle", "fill": BLUE, "size": 80}


def bisection(found: Bisection) -> Picture:
    """The picture of what a bisection has found, and how."""
    line = Line(found.start, found.end, _LEFT, _RIGHT)
    marks: list[Row] = []
    bands: list[Row] = []
    low, high = found.start, found.end
    for number, look in enumerate(found.looks):
        y = 14 + ROW * number
        x, x2 = line.x(low), line.x(high)
        bands.append({"x": x - 2, "x2": x2 + 2, "y": y - 5, "y2": y + 5, "fill": SHADE, "from": low, "to": high})
        answer = "holds" if look.holds else "does not"
        mark: Row = {"look": number + 1, "version": look.version, "answer": answer, "x": line.x(look.version), "y": y}
        marks.append(mark | (_HOLDS if look.holds else _NOT))
        low, high = (low, look.version) if look.holds else (look.version + 1, high)
    end = 14 + ROW * len(marks) - 4
    layers = [
        *line.axis(4, end),
        blocks(bands, ("from", "to")),
        points(marks, ("look", "version", "answer")),
        labels([{"x": 14, "y": row["y"], "label": str(row["look"])} for row in marks], align="right", colour=GREY),
        labels([{"x": 24, "y": row["y"], "label": f"{row['version']:,}"} for row in marks], bold=True),
        labels([{"x": 0, "y": end + 10, "label": "version"}], colour=GREY),
        *legend([_HOLDS | {"label": "holds"}, _NOT | {"label": "does not hold"}], end + 34),
    ]
    title = f"It holds from version {int(found):,} on"
    among = count(found.end - found.start + 1, "version")
    subtitle = f"{count(len(marks), 'look')} among {among}; the bands are what was left"
    looks = ", ".join(f"{look.version:,} {'yes' if look.holds else 'no'}" for look in found.looks)
    lines = [f"{title}: found in {count(len(marks), 'look')} among {among}.", f"Looks: {looks}."]
    return card(end + 42, title, subtitle, layers, lines)
