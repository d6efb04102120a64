"""What the beginning of a file looks like. Files are strangers': nothing of one is run, and never all of it is read."""

import asyncio
import csv
import html
import io
import json
import math
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from linkup_nb.errors import LinkupError, UsageError
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.notebook.chat.markup import clean, preformatted, render
from linkup_nb.notebook.chat.media import vet
from linkup_nb.notebook.explorer.requests import Preview
from linkup_nb.rooms.frames import parquet_table

MAX_TEXT = 256 * 1024  # bytes of a text, or of a table as text, that are read
MAX_MEDIA = 10 * 1_048_576  # bytes of a picture, a sound or a Parquet file that is read
MAX_UNPACKED = 64 * 1_048_576  # bytes that the first rows of a Parquet file may swell to
MAX_ROWS = 200
MAX_COLUMNS = 40
MAX_CELL = 200  # characters
HEX_BYTES = 2048
PATIENCE = 20.0  # seconds for a peer to send what is needed

_CODE = {".py": "python", ".js": "javascript", ".ts": "typescript", ".json": "json", ".html": "html", ".css": "css"}
_CODE |= {".sh": "bash", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".sql": "sql", ".c": "c", ".rs": "rust"}
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp"}
_SOUNDS = {".mp3", ".ogg", ".wav", ".flac", ".webm", ".m4a"}

NOBODY = "Nobody who has it is here: it is shown as soon as somebody is. Select it again to try."


async def preview(view: DriveView, entry: Entry, python: str) -> Preview:
    """Read the beginning of a file, and draw it."""
    suffix = PurePosixPath(entry.path).suffix.lower()
    size = await view.size(entry)
    shown = Preview(kind="none", html="", mime="", note="", size=size, stored=100, python=python)
    if entry.linkname is not None:
        shown.note = f"A link to {clean(entry.linkname)[:MAX_CELL]}."
        return shown
    if size == 0:
        shown.note = "This file is empty."
        return shown
    here, total = await view.stored(entry)
    shown.stored = 100 * here // max(1, total)
    whole = suffix in PICTURES | _SOUNDS | {".parquet"}
    if whole and size > MAX_MEDIA:
        shown.note = f"This is over {MAX_MEDIA // 1_048_576} MiB: save it to look at it."
        return shown
    try:
        async with asyncio.timeout(PATIENCE):
            data = b"".join([piece async for piece in view.stream(entry, 0, size if whole else min(size, MAX_TEXT))])
    except TimeoutError:
        shown.note = NOBODY
        return shown
    return await asyncio.to_thread(_draw, shown, entry.path, suffix, data)


def _draw(shown: Preview, path: str, suffix: str, data: bytes) -> Preview:
    more = shown.size > len(data)
    media = vet(path, data) if suffix in PICTURES | _SOUNDS else None
    if media and media.kind != "file":
        shown.kind, shown.mime, shown.data = ("picture" if media.kind == "image" else "sound"), media.mime, data
        return shown
    shown.kind = "html"
    try:
        if suffix == ".parquet":
            shown.html, shown.note = _parquet(data)
            return shown
        text = data.decode(errors="ignore" if more else "strict")
        if "\0" in text:
            raise ValueError("no text")
        shown.html, shown.note = _text(text, suffix, more)
    except (ValueError, ArithmeticError, RecursionError, csv.Error, LinkupError) as error:
        shown.html = _hex(data)
        what = f"It cannot be read as its name says ({clean(str(error))[:MAX_CELL]}). " if suffix == ".parquet" else ""
        shown.note = f"{what}The first {min(len(data), HEX_BYTES):,} of {shown.size:,} bytes."
    return shown


def _text(text: str, suffix: str, more: bool) -> tuple[str, str]:
    if suffix in (".csv", ".tsv"):
        read = csv.reader(io.StringIO(text), delimiter="\t" if suffix == ".tsv" else ",")
        lines = list(islice(read, MAX_ROWS + 2))
        return _table(lines[0] if lines else [], lines[1:], more)
    if suffix in (".jsonl", ".ndjson"):
        rows = [
            json.loads(line) for line in text.split("\n")[: MAX_ROWS + 1] if line.strip() and (not more or "}" in line)
        ]
        if rows and all(isinstance(row, dict) for row in rows):
            columns = list(dict.fromkeys(str(key) for row in rows for key in row))
            return _table(columns, [[row.get(column) for column in columns] for row in rows], more)
    note = f"The first {MAX_TEXT // 1024} KiB." if more else ""
    if suffix in (".md", ".markdown"):
        return render(text), note
    if language := _CODE.get(suffix):
        fence = "`" * (3 + max((len(run) for run in text.split("\n") if set(run) == {"`"}), default=0))
        return render(f"{fence}{language}\n{text}\n{fence}"), note
    return preformatted(text), note


def _parquet(data: bytes) -> tuple[str, str]:
    try:
        first, count = parquet_table(data, MAX_UNPACKED, MAX_ROWS)
    except UsageError:
        return "", "To see Parquet files: run %pip install pyarrow, then restart the kernel."
    rows = [list(row.values()) for row in first.to_pylist()]
    table, _ = _table(list(first.schema.names), rows, False)
    return table, f"{count:,} rows, {len(first.schema)} columns; the first {len(rows):,} are shown."


def _table(columns: list[Any], rows: list[list[Any]], more: bool) -> tuple[str, str]:
    """HTML of a table; its numbers stand on the right."""
    shown = rows[:MAX_ROWS]
    width = min(max(map(len, [columns, *shown]), default=0), MAX_COLUMNS)
    numbers = [_are_numbers([row[at] for row in shown if at < len(row)]) for at in range(width)]
    head = "".join(_cell("th", columns[at] if at < len(columns) else "", numbers[at]) for at in range(width))
    body = "".join(
        f"<tr>{''.join(_cell('td', row[at] if at < len(row) else '', numbers[at]) for at in range(width))}</tr>"
        for row in shown
    )
    left = []
    if more or len(rows) > MAX_ROWS:
        left.append(f"the first {len(shown)} rows")
    if max(map(len, [columns, *shown]), default=0) > MAX_COLUMNS:
        left.append(f"the first {MAX_COLUMNS} columns")
    note = f"Shown are {' and '.join(left)}." if left else f"{len(shown):,} {'row' if len(shown) == 1 else 'rows'}."
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", note


def _cell(tag: str, value: Any, number: bool) -> str:
    text = clean("" if value is None else value if isinstance(value, str) else str(value))
    text = text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…"
    side = ' class="lu-right"' if number else ""
    return f"<{tag}{side}>{html.escape(text)}</{tag}>"


def _are_numbers(values: list[Any]) -> bool:
    there = [value for value in values if value not in ("", None)]
    return bool(there) and all(map(_is_number, there))


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, int) or not math.isinf(value))
    )


def _hex(data: bytes) -> str:
    lines = []
    for start in range(0, min(len(data), HEX_BYTES), 16):
        row = data[start : start + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<47}  {letters}")
    return f'<pre class="lu-code"><code>{html.escape(chr(10).join(lines))}</code></pre>'
