"""How a file differs between two versions, as lines for the page."""

import json
from typing import Any

from linkup_nb.hyperdrive.comparison import Comparison
from linkup_nb.notebook.chat.markup import clean
from linkup_nb.notebook.explorer.requests import Compared, DiffLine

MAX_LINES = 1_000  # of a comparison that the page gets
MAX_LINE = 400  # characters


def compared(comparison: Comparison, python: str) -> Compared:
    """A comparison in words and lines."""
    lines = list(_lines(comparison))
    minus, plus = comparison.counts
    noun = "line" if comparison.lines else "row"
    if comparison.same:
        summary = "The same in both versions."
    elif minus or plus:
        summary = f"+{plus:,} -{minus:,} {noun}{'' if plus + minus == 1 else 's'}"
    else:
        summary = f"{_size(comparison.before.size)} became {_size(comparison.after.size)}."
        hashes = [f"v{side.version}: SHA-256 {side.sha256 or 'none'}" for side in (comparison.before, comparison.after)]
        lines = [DiffLine(sign=" ", text=text) for text in hashes]
    if len(lines) > MAX_LINES:
        left = len(lines) - MAX_LINES
        lines = [*lines[:MAX_LINES], DiffLine(sign="@", text=f"{left:,} more")]
    return Compared(summary=summary, lines=lines, python=python)


def _lines(comparison: Comparison) -> list[DiffLine]:
    if comparison.lines:
        return [_line(text) for text in comparison.lines[2:]]
    head = [DiffLine(sign="@", text=_row(comparison.columns))] if comparison.columns else []
    removed = [DiffLine(sign="-", text=_row(row)) for row in comparison.removed]
    return head + removed + [DiffLine(sign="+", text=_row(row)) for row in comparison.added]


def _line(text: str) -> DiffLine:
    sign = text[:1]
    if sign == "@":
        return DiffLine(sign="@", text=text.strip("@ "))
    return DiffLine(sign="+" if sign == "+" else "-" if sign == "-" else " ", text=_cut(text[1:]))


def _row(row: Any) -> str:
    return _cut("  ".join(row) if isinstance(row, tuple) else json.dumps(row, sort_keys=True))


def _cut(text: str) -> str:
    text = clean(text)
    return text if len(text) <= MAX_LINE else text[:MAX_LINE] + "…"


def _size(size: int | None) -> str:
    return "No file" if size is None else f"{size:,} bytes"
