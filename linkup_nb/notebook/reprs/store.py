"""How logs and drives look as the value of a cell."""

import json
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.core_info import CoreInfo
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.download import Download
from linkup_nb.hyperdrive.comparison import Comparison, Side
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.history import Change, Changes, Event
from linkup_nb.hyperdrive.serve import DriveServer
from linkup_nb.hyperdrive.view import DriveInfo, DriveView
from linkup_nb.notebook.reprs.html import (
    CODE,
    LEFT,
    MAX_LISTED,
    Exact,
    and_more,
    cell,
    exact,
    paragraph,
    table,
    titled,
)
from linkup_nb.wire.keys import short_key

MAX_LINES = 40  # of a text that differs
MAX_COLUMNS = 12  # of a table that differs

_LINE = "display:block;text-decoration:none;white-space:pre;min-height:1.3em;padding:0 8px;color:inherit"
_TINTS = {
    "-": "background:color-mix(in srgb,var(--jp-error-color1,#d32f2f) 16%,transparent)",
    "+": "background:color-mix(in srgb,var(--jp-success-color1,#388e3c) 16%,transparent)",
}
_TAGS = {"-": "del", "+": "ins"}


def draw(thing: object) -> str | None:
    """The HTML of any of our logs and drives, and of their results; `None` for what is drawn otherwise."""
    return next(drawer for kind, drawer in _DRAWN.items() if isinstance(thing, kind))(thing)


def _core(core: Core) -> str:
    state = "closed" if core.closed else "writable" if core.writable else "read-only"
    rows = [
        ("blocks", f"{core.length:,}"),
        ("here, from the first on", f"{core.contiguous_length:,}"),
        ("bytes", f"{core.byte_length:,}"),
        ("fork", core.fork),
        ("peers", core.peers),
    ]
    warning = paragraph("Frozen: its author signed two histories; .conflict has both") if core.conflict else ""
    return titled(f"Core {short_key(core.key)}", state) + warning + table(("", ""), rows)


def _core_info(info: CoreInfo) -> str:
    rows = [
        ("blocks", f"{info.length:,}"),
        ("here, from the first on", f"{info.contiguous_length:,}"),
        ("bytes", f"{info.byte_length:,}"),
        ("fork", info.fork),
        ("encrypted", _yes(info.encrypted)),
        ("peers", info.peers),
    ]
    return titled(f"Core {short_key(info.key)}", "writable" if info.writable else "read-only") + table(("", ""), rows)


def _store(store: Corestore) -> str:
    if store.closed:
        return titled("Corestore", f"{store.path}: closed")
    cores = store.cores
    rows = [
        (short_key(core.key), core.name or "", f"{core.length:,}", "writable" if core.writable else "read-only")
        for core in cores[:MAX_LISTED]
    ]
    title = titled("Corestore", f"{store.path}: {len(cores):,} cores")
    return title + table(("core", "name", "blocks", ""), rows) + and_more(len(cores))


def _drive(drive: DriveView) -> str:
    core = drive.bee.core
    state = "closed" if core.closed else "writable" if drive.writable else "read-only"
    rows = [
        ("version", f"{drive.version:,}"),
        ("here, from the first on", f"{min(core.contiguous_length, drive.version):,}"),
        ("peers", core.peers),
    ]
    return titled(f"Drive {short_key(drive.key)}", state) + table(("", ""), rows)


def _drive_info(info: DriveInfo) -> str:
    rows = [("version", f"{info.version:,}"), ("bytes", f"{info.byte_length:,}"), ("peers", info.peers)]
    return titled(f"Drive {short_key(info.key)}", "writable" if info.writable else "read-only") + table(("", ""), rows)


def _entry(entry: Entry) -> str:
    rows: list[tuple[str, object]] = [("version", f"{entry.version:,}")]
    if entry.linkname is not None:
        rows.append(("a symbolic link to", Exact(entry.linkname)))
    else:
        rows.append(("bytes", f"{entry.size:,}"))
    if entry.executable:
        rows.append(("executable", "yes"))
    if entry.metadata is not None:
        rows.append(("metadata", Exact(json.dumps(entry.metadata, ensure_ascii=False))))
    return f"<p><strong>{exact(entry.path)}</strong></p>{table(('', ''), rows)}"


def _changes(changes: Changes[Any]) -> str | None:
    """A table of what differs; a history is a picture, and as the tuple that `history[:20]` gives a table too."""
    if not changes:
        return paragraph("No changes.")
    return None if isinstance(changes[0], Event) else _listed(changes)


def _tuple(things: tuple[object, ...]) -> str | None:
    return _listed(things) if things and all(isinstance(thing, Event) for thing in things) else None


def _listed(changes: tuple[Any, ...]) -> str:
    header, row = (_EVENT, _event_row) if isinstance(changes[0], Event) else (_CHANGE, _change_row)
    return table(header, [row(change) for change in changes[:MAX_LISTED]]) + and_more(len(changes))


_EVENT = ("version", "change", "path", "bytes before", "bytes after")
_CHANGE = _EVENT[1:]


def _event_row(event: Event) -> list[object]:
    sizes = [_size(event.size_before), _size(event.size_after)]
    return [f"{event.version:,}", event.operation.value, Exact(event.path), *sizes]


def _change_row(change: Change) -> list[object]:
    what = "new" if change.before is None else "gone" if change.after is None else "changed"
    sizes = [_size(entry.size) if entry and entry.linkname is None else "" for entry in (change.before, change.after)]
    return [what, Exact(change.path), *sizes]


def _comparison(comparison: Comparison) -> str:
    before, after = comparison.before, comparison.after
    title = f"<p><strong>{exact(comparison.path)}</strong><br>{cell(f'version {before.version} → {after.version}')}"
    if comparison.same:
        return f"{title}: the same</p>"
    removed, added = comparison.counts
    title += f": {removed:,} {_what(comparison, removed)} removed, {added:,} added</p>" if removed or added else "</p>"
    if comparison.lines:
        return title + _diff(comparison.lines[2:])
    if removed or added:
        return title + _rows(comparison)
    sides = [(f"version {side.version}", _size(side.size), _hash(side)) for side in (before, after)]
    return title + table(("", "bytes", "SHA-256"), sides)


def _what(comparison: Comparison, count: int) -> str:
    return f"{'line' if comparison.lines else 'row'}{'' if count == 1 else 's'}"


def _diff(lines: Sequence[str]) -> str:
    shown = "".join(_line(line[:1], exact(line)) for line in lines[:MAX_LINES])
    box = f"margin:4px 0;padding:4px 0;overflow-x:auto;border:1px solid var(--jp-border-color2,#8884);{CODE}"
    return f'<pre style="{box}">{shown}</pre>{and_more(len(lines), MAX_LINES)}'


def _line(sign: str, text: str) -> str:
    if sign in _TINTS:
        return f'<{_TAGS[sign]} style="{_LINE};{_TINTS[sign]}">{text}</{_TAGS[sign]}>'
    return f'<span style="{_LINE}{";opacity:.6" if sign == "@" else ""}">{text}</span>'


def _rows(comparison: Comparison) -> str:
    """The rows that differ, under their columns: those of CSV, or the names that the objects have."""
    removed, added = comparison.removed, comparison.added
    half = MAX_LISTED // 2
    most = max(half, MAX_LISTED - len(added)), max(half, MAX_LISTED - len(removed))
    signed = [("-", row) for row in removed[: most[0]]] + [("+", row) for row in added[: most[1]]]
    columns: tuple[str, ...] = comparison.columns
    if not columns and all(isinstance(row, dict) for _, row in signed):
        columns = tuple(dict.fromkeys(chain.from_iterable(row for _, row in signed)))
    rows = [(sign, _values(row, columns)) for sign, row in signed]
    width = max(len(columns), *(len(values) for _, values in rows))
    shown = [*columns, *[""] * (width - len(columns))][:MAX_COLUMNS]
    if width > MAX_COLUMNS:
        shown.append(f"… and {width - MAX_COLUMNS:,} more")
    head = "".join(f'<th style="{LEFT}">{exact(name)}</th>' for name in ["", *shown])
    body = "".join(_row([sign, *values[:MAX_COLUMNS]], len(shown) + 1, _TINTS[sign]) for sign, values in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{and_more(len(removed) + len(added))}"


def _row(values: Sequence[str], width: int, tint: str) -> str:
    filled = [*values, *[""] * (width - len(values))]
    cells = "".join(f'<td style="{LEFT}">{exact(value)}</td>' for value in filled)
    return f'<tr style="{CODE};{tint}">{cells}</tr>'


def _values(row: Any, columns: Sequence[str]) -> list[str]:
    if isinstance(row, tuple):
        return [str(value) for value in row]
    if isinstance(row, dict) and columns:
        return [json.dumps(row[name], ensure_ascii=False) if name in row else "" for name in columns]
    return [json.dumps(row, ensure_ascii=False)]


def _download(download: Download) -> str:
    here, total = download.downloaded, download.total
    state = "all here" if download.finished else "cancelled" if download.cancelled else "fetching"
    bar = "width:24em;max-width:100%;accent-color:var(--jp-brand-color1,#1976d2)"
    return (
        titled(f"Blocks {download.start:,} to {download.end:,}", f"{here:,} of {total:,} are here: {state}")
        + f'<progress style="{bar}" value="{here}" max="{max(total, 1)}"></progress>'
    )


def _server(server: DriveServer) -> str:
    return titled(f"A drive on port {server.port}", "its .url is the address, with the token that it needs")


_DRAWN: dict[type, Callable[[Any], str | None]] = {
    Change: lambda change: _listed((change,)),
    Changes: _changes,
    Comparison: _comparison,
    Core: _core,
    CoreInfo: _core_info,
    Corestore: _store,
    Download: _download,
    DriveView: _drive,
    DriveInfo: _drive_info,
    DriveServer: _server,
    Entry: _entry,
    Event: lambda event: _listed((event,)),
    tuple: _tuple,
}


def _size(size: int | None) -> str:
    return "" if size is None else f"{size:,}"


def _hash(side: Side) -> str:
    return f"{side.sha256[:16]}…" if side.sha256 else "no file"


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
