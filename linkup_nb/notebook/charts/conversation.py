"""The order of a conversation: a row for each message, a lane for each author, lines up to what the author had seen.

Rows are in the order that all members come to, which is not that of the clocks. What one sees of a message's heads is
the latest message of the same feed that is shown.
"""

from itertools import pairwise

from linkup_nb.notebook.charts.card import (
    BLUE,
    CROSSED,
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    WIDTH,
    Picture,
    Row,
    card,
    fit,
    labels,
    legend,
    points,
    rules,
)
from linkup_nb.notebook.charts.ids import count
from linkup_nb.rooms.memory.message import RoomMessage, RoomNotice
from linkup_nb.rooms.memory.timeline import Timeline
from linkup_nb.rooms.message import AudioMessage, FileMessage, TextMessage
from linkup_nb.rooms.names import clean

MAX_MESSAGES = 25  # rows: the newest
MAX_TEXT = 20  # characters of a message, and of a name
MAX_LANES = 8  # authors with a lane of their own; the others share the last

_ROW, _LANE = 24, 22  # pixels
_NAME = 90  # pixels for a name
_OTHERS = "others"
_STYLES: tuple[Row, ...] = (
    {"shape": "circle", "fill": BLUE, "size": 110},
    {"shape": "square", "fill": ORANGE, "size": 110},
    {"shape": "triangle-up", "fill": GREEN, "size": 110},
    {"shape": "diamond", "fill": VERMILION, "size": 130},
    {"shape": "triangle-down", "fill": BLUE, "size": 110},
    {"shape": "cross", "fill": ORANGE, "size": 110},
    {"shape": CROSSED, "fill": GREEN, "size": 80},
    {"shape": "circle", "fill": GREY, "size": 60},
)


def conversation(timeline: Timeline) -> Picture | None:
    """The picture of the newest messages of a timeline; `None` for an empty one."""
    messages = timeline.last(MAX_MESSAGES)
    if not messages:
        return None
    first = len(timeline) - len(messages) + 1
    lanes = _lanes(messages)
    named = dict(sorted(lanes.values()))
    text_x = 40 + _LANE * len(named)
    rows: list[Row] = [
        {
            "number": first + place,
            "author": _name(message),
            "text": _text(message),
            "state": _state(message),
            "x": 34 + _LANE * lanes[message.key][0],
            "y": 14 + _ROW * place,
        }
        | _STYLES[lanes[message.key][0]]
        for place, message in enumerate(messages)
    ]
    heads = [_heads(messages, place) for place in range(len(messages))]
    after = [[rows[head] for head in found] for found in heads]
    settled = sum(message.settled for message in messages)
    line_y = 14 + _ROW * settled - _ROW / 2
    end = 14 + _ROW * len(rows)
    layers = [
        rules(_chains(messages, rows), width=5, colour="#dbe4ea"),
        rules(
            [
                {"x": row["x"], "y": row["y"], "x2": head["x"], "y2": head["y"]}
                for row, found in zip(rows, after, strict=True)
                for head in found
            ],
            width=1.5,
        ),
        rules([{"x": 0, "x2": WIDTH, "y": line_y, "y2": line_y}] if 0 < settled < len(rows) else [], dash=(4, 3)),
        points(rows, ("number", "author", "text", "state")),
        labels([{"x": 16, "y": row["y"], "label": str(row["number"])} for row in rows], align="right", colour=GREY),
        labels([{"x": text_x, "y": row["y"], "label": fit(row["author"], _NAME)} for row in rows], bold=True),
        labels([{"x": text_x + _NAME + 6, "y": row["y"], "label": row["text"]} for row in rows]),
        labels([{"x": WIDTH, "y": row["y"], "label": row["state"]} for row in rows], align="right", colour=INK),
        *_legends(named, end),
    ]
    what = f"the last {len(rows)} of {len(timeline):,}" if first > 1 else "all"
    title = f"Order of {count(len(timeline), 'message')}"
    told = [_told(row, found) for row, found in zip(rows, after, strict=True)]
    lines = [f"{title} by {count(len(set(lanes)), 'author')}, oldest first, {what} shown.", "; ".join(told) + "."]
    lines.append(_settled(first, settled, len(rows)))
    if unseen := sum(len(message.heads) for message in messages) - sum(map(len, heads)):
        lines.append(f"{count(unseen, 'head')} more {'is' if unseen == 1 else 'are'} of what is not shown.")
    subtitle = f"{what} shown; lines lead to what was seen"
    if 0 < settled < len(rows):
        subtitle += "; settled above the dashes"
    return card(end + 22 * (1 + (len(named) > 4)) - 8, title, subtitle, layers, lines)


def _lanes(messages: tuple[RoomMessage, ...]) -> dict[bytes, tuple[int, str]]:
    """The lane of each author, by key, and whose it is: in the order in which they first spoke."""
    lanes: dict[bytes, tuple[int, str]] = {}
    keys = list(dict.fromkeys(message.key for message in messages))
    names = {message.key: _name(message) for message in messages}
    for number, key in enumerate(keys):
        shared = len(keys) > MAX_LANES and number >= MAX_LANES - 1
        lanes[key] = (MAX_LANES - 1, _OTHERS) if shared else (number, names[key])
    return lanes


def _name(message: RoomMessage) -> str:
    return clean(message.name)[:MAX_TEXT] or message.short_key


def _text(message: RoomMessage) -> str:
    if message.hidden:
        return "(hidden)"
    if message.retracted:
        return "(taken back)"
    match message:
        case TextMessage(text=text):
            found = text
        case FileMessage(file_name=name):
            found = name
        case AudioMessage():
            found = "(a clip)"
        case RoomNotice(kind=kind):
            found = f"({kind})"
        case _:
            found = "(an output)"
    found = clean(found[: 8 * MAX_TEXT])
    return found if len(found) <= MAX_TEXT else found[: MAX_TEXT - 1] + "…"


def _state(message: RoomMessage) -> str:
    words = {"late": message.late, "refused": message.refused, "disputed": message.disputed}
    return ", ".join(word for word, holds in words.items() if holds)


def _heads(messages: tuple[RoomMessage, ...], place: int) -> list[int]:
    """Which of the messages before one its author had newly seen, by their places."""
    found = []
    for feed, length in sorted(messages[place].heads.items()):
        places = [number for number in range(place) if _block(messages[number])[0] == feed]
        seen = [number for number in places if _block(messages[number])[1] < length]
        if seen:
            found.append(seen[-1])
    return sorted(found)


def _block(message: RoomMessage) -> tuple[str, int]:
    feed, _, seq = message.id.partition("/")
    return feed, int(seq)


def _chains(messages: tuple[RoomMessage, ...], rows: list[Row]) -> list[Row]:
    """From each message to the one before it in the same feed."""
    feeds: dict[str, list[Row]] = {}
    for message, row in zip(messages, rows, strict=True):
        feeds.setdefault(_block(message)[0], []).append(row)
    chains = [pair for of_feed in feeds.values() for pair in pairwise(of_feed)]
    return [{"x": one["x"], "y": one["y"], "x2": row["x"], "y2": row["y"]} for one, row in chains]


def _told(row: Row, heads: list[Row]) -> str:
    after = f" after {', '.join(str(head['number']) for head in heads)}" if heads else ""
    state = f" ({row['state']})" if row["state"] else ""
    return f"{row['number']} {row['author']}: {row['text']}{after}{state}"


def _settled(first: int, settled: int, shown: int) -> str:
    if settled == shown:
        return "All of it is settled: nobody can write above it any more."
    if not settled:
        return "Nothing of it is settled: others may still write above it."
    return f"Settled up to {first + settled - 1}; others may still write above what follows."


def _legends(named: dict[int, str], y: float) -> list[dict[str, object] | None]:
    entries = [_STYLES[lane] | {"label": fit(name, _NAME)} for lane, name in named.items()]
    return [*legend(entries[:4], y), *legend(entries[4:], y + 22)]
