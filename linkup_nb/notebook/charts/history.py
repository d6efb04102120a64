"""The history of a drive: a lane for each path, over the versions; a line is where the file is there."""

from collections.abc import Sequence
from typing import Any

from linkup_nb.hyperdrive.history import Event, Operation
from linkup_nb.notebook.charts.card import (
    BLUE,
    CROSSED,
    GREEN,
    GREY,
    ROW,
    VERMILION,
    WIDTH,
    Picture,
    Row,
    card,
    labels,
    legend,
    points,
    rules,
)
from linkup_nb.notebook.charts.ids import count
from linkup_nb.notebook.charts.line import Line
from linkup_nb.notebook.reprs.html import legible

MAX_PATHS = 16  # lanes: the paths that have changed last
MAX_MARKS = 300  # changes that are drawn, the latest
MAX_PATH = 24  # characters of a path's name in a lane, its end
MAX_TOLD = 4  # paths in the words of a picture

_LEFT, _RIGHT = 158, WIDTH - 16
_LOOKS: dict[Operation, Row] = {
    Operation.PUT: {"shape": "triangle-up", "fill": BLUE},
    Operation.LINK: {"shape": "diamond", "fill": GREEN},
    Operation.DELETE: {"shape": CROSSED, "fill": VERMILION},
}
_SIZE, _CROWDED, _CROWD = 80, 40, 30  # square pixels of a mark, of one among more than so many


def history(changes: Sequence[Any]) -> Picture | None:
    """The picture of changes that have versions; `None` for others, and for none."""
    if not changes or not all(isinstance(change, Event) for change in changes):
        return None
    events: list[Event] = sorted(changes, key=lambda event: event.version)
    last = {event.path: event.version for event in events}
    newest = sorted(last, key=lambda path: (-last[path], path))
    paths = sorted(newest[:MAX_PATHS])
    lanes = {path: 14 + ROW * lane for lane, path in enumerate(paths)}
    line = Line(events[0].version, events[-1].version, _LEFT, _RIGHT)
    drawn = [event for event in events if event.path in lanes][-MAX_MARKS:]
    by_path = {path: [event for event in events if event.path == path] for path in last}
    marks: list[Row] = [
        {
            "version": event.version,
            "path": legible(event.path[-2 * MAX_PATH :]),
            "operation": event.operation.value,
            "bytes before": event.size_before,
            "bytes after": event.size_after,
            "x": line.x(event.version),
            "y": lanes[event.path],
            "size": _CROWDED if len(by_path[event.path]) > _CROWD else _SIZE,
        }
        | _LOOKS[event.operation]
        for event in drawn
    ]
    end = 14 + ROW * len(paths) - 4
    there = [
        {"x": line.x(start), "x2": line.x(stop), "y": lanes[path], "y2": lanes[path]}
        for path in paths
        for start, stop in _lives(by_path[path], events[-1].version)
    ]
    used = [operation for operation in _LOOKS if any(event.operation is operation for event in drawn)]
    layers = [
        *line.axis(6, end),
        rules(there, width=3, colour="#9db8c9"),
        points(marks, ("version", "path", "operation", "bytes before", "bytes after")),
        labels([{"x": 0, "y": lanes[path], "label": _lane(path)} for path in paths]),
        labels([{"x": 0, "y": end + 10, "label": "version"}], colour=GREY),
        *legend([_LOOKS[one] | {"size": _SIZE, "label": one.value} for one in used], end + 34),
    ]
    title = f"{count(len(events), 'change')} from version {events[0].version:,} to {events[-1].version:,}"
    hidden = [f"{len(last) - len(paths):,} more paths"] if len(last) > len(paths) else []
    hidden += [f"{len(events) - len(drawn):,} more changes"] if len(drawn) < len(events) else []
    subtitle = count(len(last), "path") + (f"; … and {' and '.join(hidden)}" if hidden else "")
    lines = [f"{title}, of {count(len(last), 'path')}."]
    lines += [f"{_lane(path)}: {_told(by_path[path])}." for path in newest[:MAX_TOLD]]
    if len(newest) > MAX_TOLD:
        lines.append(f"… and {len(newest) - MAX_TOLD:,} more.")
    return card(end + 42, title, subtitle, layers, lines)


def _lives(events: list[Event], end: int) -> list[tuple[int, int]]:
    """From which version to which a file was there."""
    found = []
    since = events[0].version if events[0].size_before is not None else None
    for event in events:
        if event.operation is Operation.DELETE:
            if since is not None:
                found.append((since, event.version))
            since = None
        elif since is None:
            since = event.version
    return found if since is None else [*found, (since, end)]


def _lane(path: str) -> str:
    """A path by its end, in which every character shows."""
    text = legible(path if len(path) <= MAX_PATH else "…" + path[1 - MAX_PATH :])
    return text if len(text) <= MAX_PATH else "…" + text[1 - MAX_PATH :]


def _told(events: list[Event]) -> str:
    first, last = events[0], events[-1]
    did = {Operation.PUT: "put", Operation.LINK: "linked", Operation.DELETE: "deleted"}
    size = "" if last.size_after is None else f", {count(last.size_after, 'byte')} then"
    if len(events) == 1:
        return f"{did[first.operation]} at {first.version:,}{size}"
    return (
        f"{len(events):,} changes, {did[first.operation]} at {first.version:,}, "
        f"at last {did[last.operation]} at {last.version:,}{size}"
    )
