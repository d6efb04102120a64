"""What every picture has to keep to, and a way to ask what one shows."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from linkup_nb.notebook.charts.card import MAX_LINES, MAX_ROWS, PAPER, VEGA_LITE, WIDTH, Picture

Row = dict[str, Any]
FORBIDDEN = {"url", "href", "transform", "expr", "signal", "params", "usermeta"}


def kept(draw: Callable[[], Picture | None]) -> Picture:
    """The picture that is drawn, which keeps to the rules of all, and is the same when drawn again."""
    picture, again = draw(), draw()
    assert picture
    assert again
    text = json.dumps(picture.spec, allow_nan=False)
    assert text == json.dumps(again.spec)
    assert picture.text == again.text
    assert len(rows(picture)) <= MAX_ROWS
    assert FORBIDDEN.isdisjoint(_keys(picture.spec))
    assert picture.spec["background"] == PAPER
    assert picture.spec["description"] == picture.text.splitlines()[0]
    assert 1 <= len(picture.text.splitlines()) <= MAX_LINES
    places = [row[x] for row in rows(picture) for x in ("x", "x2") if x in row]
    assert all(-1 <= place <= WIDTH + 1 for place in places), "something stands outside of the card"
    data, metadata = picture.bundle()
    assert set(data) == {VEGA_LITE, "text/plain"}
    assert metadata[VEGA_LITE]["embed_options"]["actions"]["editor"] is False
    return picture


def rows(picture: Picture, **where: Any) -> list[Row]:
    """The rows of data that have these values."""
    every = [row for data in _all(picture.spec, "values") for row in data]
    return [row for row in every if all(row.get(name) == value for name, value in where.items())]


def marks(picture: Picture, **where: Any) -> list[Row]:
    """Those that are marks, rather than lines and labels."""
    return [row for row in rows(picture, **where) if "shape" in row]


def shown(picture: Picture) -> set[str]:
    """All labels of a picture."""
    return {str(row["label"]) for row in rows(picture) if "label" in row}


def _all(thing: Any, name: str) -> Iterator[Any]:
    if isinstance(thing, dict):
        for key, value in thing.items():
            if key == name:
                yield value
            else:
                yield from _all(value, name)
    elif isinstance(thing, list):
        for value in thing:
            yield from _all(value, name)


def _keys(thing: Any) -> set[str]:
    if isinstance(thing, dict):
        return set(thing) | {key for value in thing.values() for key in _keys(value)}
    return {key for value in thing for key in _keys(value)} if isinstance(thing, list) else set()
