"""The HTML of a cell's value: small tables, never more than a screenful; the one place that escapes."""

import html
from collections.abc import Iterable, Sequence

from linkup_nb.rooms.names import clean

MAX_LISTED = 12  # rows of a table
MAX_CELL = 120  # characters of a table's cell
MAX_EXACT = 160  # characters of a file's line, or of its name

LEFT = "text-align:left"
CODE = "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px)"


class Exact(str):
    """A path, or what else of a file's, of which every character has to show."""


def titled(title: str, rest: str) -> str:
    """A name in bold, and a line about it."""
    return f"<p><strong>{cell(title)}</strong><br>{cell(rest)}</p>"


def paragraph(text: str) -> str:
    """One line of text."""
    return f"<p>{cell(text)}</p>"


def table(
    header: Sequence[str], rows: Sequence[Iterable[object]], *, most: int = MAX_LISTED, width: int = MAX_CELL
) -> str:
    """The first rows, and how many there are beyond them; nothing for no row."""
    shown = [tuple(row) for row in rows[:most]]
    if not shown:
        return ""
    styles = [_style(column) for column in zip(*shown, strict=True)]
    names = "".join(f"<th{style}>{cell(name)}</th>" for name, style in zip(header, styles, strict=True))
    head = f"<thead><tr>{names}</tr></thead>" if any(header) else ""
    body = "".join(
        f"<tr>{''.join(_data(*data, width) for data in zip(row, styles, strict=True))}</tr>" for row in shown
    )
    return f"<table>{head}<tbody>{body}</tbody></table>{and_more(len(rows), most)}"


def _style(column: Sequence[object]) -> str:
    """Numbers stay on the right, where JupyterLab has everything."""
    digits = [str(value).replace(",", "").isdigit() for value in column if value != ""]
    return "" if digits and all(digits) else f' style="{LEFT}"'


def _data(value: object, style: str, width: int) -> str:
    if isinstance(value, Exact):
        return f'<td style="{LEFT};{CODE}">{exact(value)}</td>'
    return f"<td{style}>{cell(value, width)}</td>"


def and_more(count: int, shown: int = MAX_LISTED) -> str:
    """A line for those that are not shown, if there are any."""
    return paragraph(f"… and {count - shown:,} more") if count > shown else ""


def cell(value: object, width: int = MAX_CELL) -> str:
    """Text of a cell: on one line, cut, escaped."""
    text = clean(str(value))
    return html.escape(text if len(text) <= width else text[:width] + "…")


def exact(text: str) -> str:
    """Text of a file or of its name, in which every character shows: what cannot be seen, as `\\u202e`."""
    return html.escape(legible(text if len(text) <= MAX_EXACT else text[:MAX_EXACT] + "…"))


def legible(text: str) -> str:
    """Text in which every character shows, not escaped."""
    return "".join(c if c.isprintable() or c == "\t" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode-escape", "surrogatepass").decode()
