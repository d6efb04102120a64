"""How a file differs between two versions, as lines or rows for the page."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from linkup_nb.hyperdrive.comparison import Comparison
from linkup_nb.notebook.chat.markup import clean
from linkup_nb.notebook.explorer.preview import MAX_CELL, MAX_COLUMNS, PICTURES
from linkup_nb.notebook.explorer.requests import Compared, DiffCell, DiffLine, DiffRow

MAX_LINES = 1_000  # of a comparison that the page gets, or rows
MAX_LINE = 400  # characters


def compared(comparison: Comparison, python: str) -> Compared:
    """A comparison in words and lines."""
    columns, rows = _table(comparison)
    lines = [] if rows else list(_lines(comparison))
    minus, plus = comparison.counts
    changed = sum(row.sign == "~" for row in rows)
    noun = "line" if comparison.lines else "row"
    if comparison.same:
        summary = "The same in both versions."
    elif changed:
        summary = f"{changed:,} {noun}{'' if changed == 1 else 's'} changed, +{plus - changed:,} -{minus - changed:,}"
    elif minus or plus:
        summary = f"+{plus:,} -{minus:,} {noun}{'' if plus + minus == 1 else 's'}"
    else:
        summary = f"{_size(comparison.before.size)} became {_size(comparison.after.size)}."
        hashes = [f"v{side.version}: SHA-256 {side.sha256 or 'none'}" for side in (comparison.before, comparison.after)]
        lines = [DiffLine(sign=" ", text=text) for text in hashes]
    if len(lines) > MAX_LINES:
        left = len(lines) - MAX_LINES
        lines = [*lines[:MAX_LINES], DiffLine(sign="@", text=f"{left:,} more")]
    elif len(rows) > MAX_LINES:
        summary += f"; the first {MAX_LINES:,} are shown"
    return Compared(
        summary=summary,
        lines=lines,
        columns=columns,
        differing=rows[:MAX_LINES],
        pictures=not comparison.same and PurePosixPath(comparison.path).suffix.lower() in PICTURES,
        python=python,
    )


def _table(comparison: Comparison) -> tuple[list[str], list[DiffRow]]:
    """The rows of a table that differ, cell by cell where both versions have a row that begins alike."""
    removed, added = comparison.removed, comparison.added
    if not all(isinstance(row, tuple | dict) for row in (*removed, *added)):
        return [], []
    columns = list(comparison.columns) or list(dict.fromkeys(str(name) for row in (*removed, *added) for name in row))
    columns = columns[:MAX_COLUMNS]
    old, new = ([_cells(row, columns) for row in rows] for rows in (removed, added))
    counts = [Counter(row[:1] for row in rows) for rows in (old, new)]
    partners = {row[:1]: row for row in old if counts[0][row[:1]] == 1}
    paired = {row[:1] for row in new if row[:1] in partners and counts[1][row[:1]] == 1}
    rows = [DiffRow(sign="-", cells=[DiffCell(text) for text in row]) for row in old if row[:1] not in paired]
    for row in new:
        if row[:1] not in paired:
            rows.append(DiffRow(sign="+", cells=[DiffCell(text) for text in row]))
            continue
        before = partners[row[:1]]
        width = max(len(row), len(before))
        pairs = zip(_wide(before, width), _wide(row, width), strict=True)
        rows.append(DiffRow(sign="~", cells=[DiffCell(now, None if now == was else was) for was, now in pairs]))
    return [_cell(name) for name in columns], rows


def _cells(row: Any, columns: Sequence[str]) -> tuple[str, ...]:
    values = row[:MAX_COLUMNS] if isinstance(row, tuple) else [row.get(name, "") for name in columns]
    return tuple(_cell(value if isinstance(value, str) else json.dumps(value)) for value in values)


def _wide(row: tuple[str, ...], width: int) -> tuple[str, ...]:
    return row + ("",) * (width - len(row))


def _cell(text: str) -> str:
    text = clean(text)
    return text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…"


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
