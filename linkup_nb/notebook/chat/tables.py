"""A table out of the HTML that somebody sent: its texts, in rows and columns, and nothing else of it."""

from collections.abc import Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from typing import NamedTuple

import nh3

from linkup_nb.notebook.chat.markup import clean

MAX_HTML = 1_048_576  # characters that are looked at
MAX_TAG = 4096  # characters of one tag; whoever sends a longer one sends no table
MAX_ROWS = 60  # as pandas shows
MAX_COLUMNS = 30
MAX_CELL = 200  # characters of a cell
_TAGS = {"table", "thead", "tbody", "tfoot", "tr", "th", "td"}
_HIDDEN = {"script", "style", "template", "title"}
_SPANS = {"colspan", "rowspan"}


class _Cell(NamedTuple):
    tag: str
    text: str
    columns: int = 1
    rows: int = 1


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[_Cell]] = []
        self._inside = 0
        self._cell: _Cell | None = None
        self._text: list[str] = []
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._skipped += 1
        elif tag == "table":
            self._inside += 1
        elif self._inside and tag == "tr":
            self.end_cell()
            self.rows.append([])
        elif self._inside and tag in ("td", "th"):
            self.end_cell()
            spans = dict(attrs)
            self._cell = _Cell(tag, "", _span(spans, "colspan", MAX_COLUMNS), _span(spans, "rowspan", MAX_ROWS))

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._skipped = max(0, self._skipped - 1)
        elif tag in ("td", "th", "tr", "table"):
            self.end_cell()
            self._inside -= tag == "table" and self._inside > 0

    def handle_data(self, data: str) -> None:
        if self._cell and not self._skipped:
            self._text.append(data)

    def end_cell(self) -> None:
        """Keep the cell that was begun, if there is one."""
        if self._cell is None:
            return
        text = " ".join(clean("".join(self._text)).split())
        if not self.rows:
            self.rows.append([])
        self.rows[-1].append(self._cell._replace(text=text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…"))
        self._cell = None
        self._text = []


def table_of(html: str) -> str | None:
    """Safe HTML of the first `MAX_ROWS` rows of the tables in some HTML; `None` if there are none."""
    html = html[:MAX_HTML]
    # What is wrong with it on purpose can cost a parser the square of its length; sanitised it is as HTML should be.
    if any("<" in part and len(part) - part.index("<") > MAX_TAG for part in html.split(">")):
        return None
    parser = _Tables()
    parser.feed(nh3.clean(html, tags=_TAGS, attributes={"td": _SPANS, "th": _SPANS}, clean_content_tags=_HIDDEN))
    parser.close()
    parser.end_cell()
    rows = [row for row in parser.rows if row]
    if not rows:
        return None
    grid = _grid(rows[:MAX_ROWS])
    right = {at for at in range(MAX_COLUMNS) if _are_numbers([row[at] for row in grid if at < len(row)])}
    lines = [
        f"<tr>{''.join(_drawn(cell, right=cell.tag == 'td' and at in right) for at, cell in enumerate(row))}</tr>"
        for row in grid
    ]
    more = len(rows) - MAX_ROWS
    lines += [f"<tr><td>… {more:,} more rows</td></tr>"] if more > 0 else []
    return f"<table>{''.join(lines)}</table>"


def _span(attributes: Mapping[str, str | None], name: str, most: int) -> int:
    text = attributes.get(name) or ""
    return min(max(1, int(text)), most) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _grid(rows: Sequence[Sequence[_Cell]]) -> list[list[_Cell]]:
    """The cells where they stand: one that spans several leaves the others empty, as an index of pandas does."""
    below: dict[int, int] = {}  # how many rows a cell above still reaches down, by column
    grid = []
    for row in rows:
        line: list[_Cell] = []

        def skip(line: list[_Cell] = line) -> None:
            while below.get(len(line)):
                below[len(line)] -= 1
                line.append(_Cell("td", ""))

        for cell in row:
            skip()
            if len(line) >= MAX_COLUMNS:
                line.append(_Cell("td", "…"))
                break
            for number in range(min(cell.columns, MAX_COLUMNS - len(line))):
                below[len(line)] = cell.rows - 1
                line.append(cell if number == 0 else _Cell(cell.tag, ""))
        else:
            skip()
        grid.append(line)
    return grid


def _are_numbers(cells: Sequence[_Cell]) -> bool:
    texts = [cell.text for cell in cells if cell.tag == "td" and cell.text not in ("", "…", "...", "NaN")]
    return bool(texts) and all(map(_is_number, texts))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").removesuffix("%"))
    except ValueError:
        return False
    return True


def _drawn(cell: _Cell, *, right: bool) -> str:
    side = ' class="lu-right"' if right else ""
    return f"<{cell.tag}{side}>{escape(cell.text)}</{cell.tag}>"
