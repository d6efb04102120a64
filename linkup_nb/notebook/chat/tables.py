"""A table out of the HTML that somebody sent: its texts, in rows and columns, and nothing else of it."""

from html import escape
from html.parser import HTMLParser

import nh3

MAX_HTML = 1_048_576  # characters that are looked at
MAX_TAG = 4096  # characters of one tag; whoever sends a longer one sends no table
MAX_ROWS = 60  # as pandas shows
MAX_COLUMNS = 30
MAX_CELL = 200  # characters of a cell
_TAGS = {"table", "thead", "tbody", "tfoot", "tr", "th", "td"}
_HIDDEN = {"script", "style", "template", "title"}


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[tuple[str, str]]] = []
        self._inside = 0
        self._cell: str | None = None
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
            self._cell = tag

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
        text = " ".join("".join(self._text).split())
        if not self.rows:
            self.rows.append([])
        self.rows[-1].append((self._cell, text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…"))
        self._cell = None
        self._text = []


def table_of(html: str) -> str | None:
    """Safe HTML of the first `MAX_ROWS` rows of the tables in some HTML; `None` if there are none."""
    html = html[:MAX_HTML]
    # What is wrong with it on purpose can cost a parser the square of its length; sanitised it is as HTML should be.
    if any("<" in part and len(part) - part.index("<") > MAX_TAG for part in html.split(">")):
        return None
    parser = _Tables()
    parser.feed(nh3.clean(html, tags=_TAGS, attributes={}, clean_content_tags=_HIDDEN))
    parser.close()
    parser.end_cell()
    rows = [row for row in parser.rows if row]
    if not rows:
        return None
    lines = []
    for row in rows[:MAX_ROWS]:
        cells = [f"<{tag}>{escape(text)}</{tag}>" for tag, text in row[:MAX_COLUMNS]]
        lines.append(f"<tr>{''.join(cells)}{'<td>…</td>' if len(row) > MAX_COLUMNS else ''}</tr>")
    more = len(rows) - MAX_ROWS
    lines += [f"<tr><td>… {more:,} more rows</td></tr>"] if more > 0 else []
    return f"<table>{''.join(lines)}</table>"
