"""What a tap has seen: a lane for each type of message, up what was sent and down what came, over time.

Of a UDX stream also its congestion window and its round trip, each in a panel of its own under the same time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from linkup_nb.connection.tap import Direction, Frame, Measure, Tap
from linkup_nb.notebook.charts.card import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    WIDTH,
    Picture,
    Row,
    Spec,
    blocks,
    card,
    labels,
    legend,
    listed,
    rules,
    steps,
)
from linkup_nb.notebook.charts.ids import count
from linkup_nb.notebook.charts.line import Line
from linkup_nb.rooms.names import clean
from linkup_nb.wire.keys import short_key

MAX_TYPES = 8  # lanes; the types with the fewest bytes share the last
MAX_BINS = 20  # pieces of the time, in each of which the bytes of a lane are added up
MAX_MEASURES = 40  # that are drawn
MAX_TYPE = 24  # characters of a type

_LEFT, _RIGHT = 196, WIDTH - 12
_LANE, _HALF = 36, 14  # pixels of a lane, and of its longest bar
_PANEL = 54  # pixels of a panel
_LEAST = 1.5  # pixels of the shortest bar
_OTHERS = "other types"
_MILLISECONDS = 10  # a tap of less is shown in microseconds


class _Passed(NamedTuple):
    """What has passed of one type, or of all."""

    frames: Counter[Direction]
    size: Counter[Direction]


def traffic(tap: Tap) -> Picture | None:
    """The picture of the frames that a tap keeps; `None` before there is one."""
    frames, measures = tap.frames, tap.measures
    if not frames:
        return None
    start = min(time for time in (frames[0].time, *(one.time for one in measures[:1])))
    span = max([frames[-1].time, *(one.time for one in measures[-1:])]) - start
    unit, scale = ("ms", 1e3) if span * 1e3 >= _MILLISECONDS else ("µs", 1e6)
    line = Line(0, max(1, round(span * scale)), _LEFT, _RIGHT)

    def at(time: float) -> float:
        return line.x((time - start) * scale)

    types = _types(frames)
    passed = {name: _Passed(Counter(), Counter()) for name in dict.fromkeys(types.values())}
    for frame in frames:
        one = passed[types[_type(frame)]]
        one.frames[frame.direction] += 1
        one.size[frame.direction] += frame.size
    lanes = {name: 22 + _LANE * number for number, name in enumerate(passed)}
    end = 22 + _LANE * len(lanes) - 16
    layers: list[Spec | None] = [
        rules([{"x": _LEFT, "x2": _RIGHT, "y": y, "y2": y} for y in lanes.values()], colour="#c9d1d8"),
        blocks(_bars(frames, types, lanes, at), ("type", "direction", "bytes", "frames")),
        labels([{"x": 0, "y": y - 7, "label": name} for name, y in lanes.items()], bold=True),
        labels([{"x": 0, "y": y + 7, "label": _told(passed[name])} for name, y in lanes.items()], colour=INK, size=10),
    ]
    lines = [_summary(tap, frames, span), *_each(passed)]
    if measures:
        drawn = _thinned(measures)
        kib = [(at(one.time), one.window / 1024) for one in drawn]
        rtt = [(at(one.time), one.rtt * 1e3) for one in drawn if one.rtt is not None]
        layers += _panel("congestion window", "KiB", kib, end + 16)
        layers += _panel("round trip", "ms", rtt, end + 16 + _PANEL + 14) if rtt else []
        end += (_PANEL + 14) * (2 if rtt else 1) + 6
        lines.append(_measured(measures))
    layers += line.axis(6, end)[::-1]
    layers.append(labels([{"x": 0, "y": end + 10, "label": f"{unit} since the first"}], colour=GREY))
    kinds: list[Row] = [
        {"shape": "square", "fill": BLUE, "size": 80, "label": "↑ sent"},
        {"shape": "square", "fill": ORANGE, "size": 80, "label": "↓ received"},
    ]
    layers += legend(kinds, end + 34)
    title = f"Tap on {short_key(tap.connection.remote_public_key)}"
    return card(end + 42, title, _subtitle(tap, frames), layers, lines)


def _type(frame: Frame) -> str:
    """What a frame carries: the type of its messages, or what kind of frame it is."""
    named = list(dict.fromkeys(clean(part.type)[:MAX_TYPE] or clean(part.protocol)[:MAX_TYPE] for part in frame.parts))
    if not named:
        return frame.kind.value
    return named[0] if len(named) == 1 else f"{named[0]} and others"


def _types(frames: Sequence[Frame]) -> dict[str, str]:
    """The lane of each type, most bytes first."""
    sizes: Counter[str] = Counter()
    for frame in frames:
        sizes[_type(frame)] += frame.size
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    kept = ordered if len(ordered) <= MAX_TYPES else ordered[: MAX_TYPES - 1]
    return {name: name if name in kept else _OTHERS for name in ordered}


def _bars(
    frames: Sequence[Frame], types: dict[str, str], lanes: dict[str, int], at: Callable[[float], float]
) -> list[Row]:
    wide = (_RIGHT - _LEFT) / MAX_BINS
    sizes: Counter[tuple[str, Direction, int]] = Counter()
    counts: Counter[tuple[str, Direction, int]] = Counter()
    for frame in frames:
        place = min(int((at(frame.time) - _LEFT) / wide), MAX_BINS - 1)
        where = (types[_type(frame)], frame.direction, place)
        sizes[where] += frame.size
        counts[where] += 1
    most = max(sizes.values())
    rows: list[Row] = []
    for name, direction, place in sorted(sizes, key=lambda where: (lanes[where[0]], where[1], where[2])):
        size = sizes[name, direction, place]
        high = max(_LEAST, size / most * _HALF) * (-1 if direction is Direction.SENT else 1)
        x = round(_LEFT + place * wide, 1)
        rows.append(
            {
                "type": name,
                "direction": direction.value,
                "bytes": size,
                "frames": counts[name, direction, place],
                "x": x + 1,
                "x2": round(x + wide - 1, 1),
                "y": lanes[name],
                "y2": round(lanes[name] + high, 1),
                "fill": BLUE if direction is Direction.SENT else ORANGE,
            }
        )
    return rows


def _told(passed: _Passed) -> str:
    arrows = {Direction.SENT: "↑", Direction.RECEIVED: "↓"}
    ways = [way for way in arrows if passed.frames[way]]
    return "  ".join(f"{arrows[way]} {passed.size[way]:,} B in {passed.frames[way]:,}" for way in ways)


def _each(passed: dict[str, _Passed]) -> list[str]:
    """What of each type was sent, and what came."""
    lines = []
    for way in Direction:
        told = [
            f"{name} {count(one.size[way], 'byte')} in {count(one.frames[way], 'frame')}"
            for name, one in passed.items()
            if one.frames[way]
        ]
        lines.append(f"{way.value.capitalize()}: {listed(told, MAX_TYPES) or 'nothing'}.")
    return lines


def _summary(tap: Tap, frames: Sequence[Frame], span: float) -> str:
    size = sum(frame.size for frame in frames)
    peer = short_key(tap.connection.remote_public_key)
    return f"Tap on {peer}: {count(len(frames), 'frame')} of {count(size, 'byte')} in {span:.3g} s{_dropped(tap)}."


def _subtitle(tap: Tap, frames: Sequence[Frame]) -> str:
    state = "closed" if tap.closed else "open"
    return f"{state}; {count(len(frames), 'frame')}{_dropped(tap)}; .frames has them one by one"


def _dropped(tap: Tap) -> str:
    return f", {tap.dropped:,} before them dropped" if tap.dropped else ""


def _thinned(measures: Sequence[Measure]) -> list[Measure]:
    """At most `MAX_MEASURES` of them, the last too."""
    every = -(-len(measures) // (MAX_MEASURES - 1)) if len(measures) > MAX_MEASURES else 1
    return [*measures[:-1:every], measures[-1]]


def _panel(name: str, unit: str, values: list[tuple[float, float]], top: float) -> list[Spec | None]:
    """A value over time, from 0 up to its most."""
    most = max(value for _, value in values) or 1
    bottom = top + _PANEL
    rows: list[Row] = [
        {"x": x, "y": round(bottom - value / most * (_PANEL - 12), 1), "value": round(value, 3)} for x, value in values
    ]
    rows.append(rows[-1] | {"x": _RIGHT})
    return [
        rules([{"x": _LEFT, "x2": _RIGHT, "y": bottom, "y2": bottom}], colour=GREY),
        labels([{"x": 0, "y": top + 12, "label": name}], bold=True),
        labels([{"x": 0, "y": top + 26, "label": f"0 to {_rounded(most)} {unit}"}], size=10),
        steps(rows, BLUE),
    ]


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _measured(measures: Sequence[Measure]) -> str:
    windows = [one.window for one in measures]
    rtts = [one.rtt for one in measures if one.rtt is not None]
    trips = f"; round trip from {_rounded(min(rtts) * 1e3)} to {_rounded(max(rtts) * 1e3)} ms" if rtts else ""
    return f"Congestion window from {min(windows):,} to {max(windows):,} bytes, {windows[-1]:,} at last{trips}."
