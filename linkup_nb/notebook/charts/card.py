"""The card on which every picture of a value stands: Vega-Lite and, always beside it, the same in words.

https://vega.github.io/vega-lite/docs/ version 5, which JupyterLab 4 draws by itself. Where things stand is computed
here, in pixels: a picture holds data and no transforms, loads nothing, and equal objects give equal JSON. The card is
light in both themes, for no grey has enough contrast on white and on JupyterLab's dark ground alike.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

VEGA_LITE = "application/vnd.vegalite.v5+json"
MAX_ROWS = 500  # rows of data in a picture
MAX_LINES = 6  # of a picture's words

WIDTH = 480  # pixels; 560 is cut off in a window of 1,000
MARGIN = 12  # pixels
ROW = 18  # pixels from one line of text to the next

# Told apart by the colour-blind too (https://jfly.uni-koeln.de/color/); none of them says anything alone.
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6e6e6e"
INK, PAPER, SHADE = "#222", "#ffffff", "#eef2f5"

CROSSED = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"  # the shape of an X

Row = dict[str, Any]
Spec = dict[str, Any]

_CHARACTER = 5.7  # pixels of one at the size of the labels, on average


class Picture(NamedTuple):
    """A picture of a value, and all that it claims in words."""

    spec: Spec
    text: str

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Data and metadata by MIME type; the menu beside the picture saves it, and sends it nowhere."""
        actions = {"export": True, "source": False, "compiled": False, "editor": False}
        return {VEGA_LITE: self.spec, "text/plain": self.text}, {VEGA_LITE: {"embed_options": {"actions": actions}}}


def card(height: int, title: str, subtitle: str, layers: Sequence[Spec | None], lines: Sequence[str]) -> Picture:
    """A picture of this height in pixels, of layers whose places are pixels; `lines` are what it claims."""
    return Picture(
        {"width": WIDTH, "height": height, "layer": present(layers)} | frame(title, subtitle, lines), words(lines)
    )


def frame(title: str, subtitle: str, lines: Sequence[str]) -> Spec:
    """What all pictures have in common."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": lines[0],
        "background": PAPER,
        "padding": MARGIN,
        "title": {
            "text": title,
            "subtitle": subtitle,
            "anchor": "start",
            "color": INK,
            "subtitleColor": INK,
            "fontSize": 13,
            "subtitleFontSize": 11,
            "offset": 8,
            "limit": WIDTH,
        },
        "config": {
            "view": {"stroke": None},
            "font": "system-ui, sans-serif",
            "axis": {"labelColor": INK, "titleColor": INK, "titleFontWeight": "normal", "gridColor": "#e3e3e3"},
        },
    }


def words(lines: Sequence[str]) -> str:
    """The words of a picture."""
    return "\n".join(lines[:MAX_LINES])


def present(layers: Sequence[Spec | None]) -> list[Spec]:
    """The layers that have something to show."""
    return [layer for layer in layers if layer]


def points(rows: Sequence[Row], tooltip: Sequence[str]) -> Spec | None:
    """Marks at (x, y) with their `shape`, `fill` and `size` (square pixels); `tooltip` names fields of the rows."""
    return _layer(
        rows,
        {"type": "point", "stroke": INK, "strokeWidth": 1, "opacity": 1},
        {"shape": _as_is("shape"), "fill": _as_is("fill"), "size": _as_is("size", "quantitative")},
        tooltip,
    )


def rules(rows: Sequence[Row], *, colour: str = GREY, width: float = 1, dash: Sequence[int] = ()) -> Spec | None:
    """Lines from (x, y) to (x2, y2)."""
    mark: Spec = {"type": "rule", "color": colour, "strokeWidth": width}
    if dash:
        mark["strokeDash"] = list(dash)
    return _layer(rows, mark, {"x2": {"field": "x2"}, "y2": {"field": "y2"}}, ())


def steps(rows: Sequence[Row], colour: str) -> Spec | None:
    """A line through (x, y) in that order, level from each to the next."""
    mark: Spec = {"type": "line", "interpolate": "step-after", "color": colour, "strokeWidth": 1.5}
    return _layer(rows, mark, {}, ())


def blocks(rows: Sequence[Row], tooltip: Sequence[str] = ()) -> Spec | None:
    """Rectangles from (x, y) to (x2, y2), with their `fill`."""
    encoding = {"x2": {"field": "x2"}, "y2": {"field": "y2"}, "fill": _as_is("fill")}
    return _layer(rows, {"type": "rect", "stroke": INK, "strokeWidth": 0.5, "opacity": 1}, encoding, tooltip)


def labels(
    rows: Sequence[Row], *, align: str = "left", size: int = 11, bold: bool = False, colour: str = INK, angle: int = 0
) -> Spec | None:
    """Each row's `label` at (x, y)."""
    mark: Spec = {"type": "text", "align": align, "baseline": "middle", "fontSize": size, "color": colour}
    if bold:
        mark["fontWeight"] = "bold"
    if angle:
        mark["angle"] = angle
    return _layer(rows, mark, {"text": {"field": "label"}}, ())


def legend(entries: Sequence[Row], y: float) -> list[Spec | None]:
    """Marks with their meaning (`label`) beside them, from left to right; a `glyph` stands in the mark."""
    rows: list[Row] = []
    x = 8.0
    for entry in entries:
        rows.append(entry | {"x": round(x, 1), "y": y})
        x += 18 + _CHARACTER * len(str(entry["label"])) + 14
    beside: list[Row] = [{"x": row["x"] + 9, "y": y, "label": row["label"]} for row in rows]
    inside: list[Row] = [{"x": row["x"], "y": y, "label": row["glyph"]} for row in rows if row.get("glyph")]
    marks: list[Row] = [{name: row[name] for name in ("x", "y", "shape", "fill", "size")} for row in rows]
    return [points(marks, ()), labels(beside), labels(inside, align="center", size=10, bold=True)]


def listed(items: Sequence[object], most: int) -> str:
    """The first items with commas between, and how many there are beyond them."""
    shown = ", ".join(map(str, items[:most]))
    return f"{shown} … and {len(items) - most:,} more" if len(items) > most else shown


def fit(text: str, pixels: float) -> str:
    """A label cut to about so many pixels."""
    most = int(pixels / _CHARACTER)
    return text if len(text) <= most else text[: max(1, most - 1)] + "…"


def _layer(rows: Sequence[Row], mark: Spec, encoding: Spec, tooltip: Sequence[str]) -> Spec | None:
    if not rows:
        return None
    places = {"x": _place("x"), "y": _place("y")}
    told = {"tooltip": [{"field": field, "type": "nominal", "title": field} for field in tooltip]} if tooltip else {}
    return {"data": {"values": list(rows)}, "mark": mark, "encoding": places | encoding | told}


def _place(field: str) -> Spec:
    return {"field": field, "type": "quantitative", "scale": None, "axis": None}


def _as_is(field: str, kind: str = "nominal") -> Spec:
    return {"field": field, "type": kind, "scale": None, "legend": None}
