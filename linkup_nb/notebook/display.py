"""How our objects look as the value of a cell: small tables, everything escaped, never more than a screenful."""

import html
import sys
from collections.abc import Callable, Iterable, Sequence

from linkup_nb.chat.member import Member, milliseconds
from linkup_nb.chat.message import AudioMessage, FileMessage, IconMessage, Message, TextMessage, UnknownMessage
from linkup_nb.chat.names import clean, short_key
from linkup_nb.chat.room import Room
from linkup_nb.chat.topic import short_topic
from linkup_nb.node import Node

MAX_LISTED = 12  # rows of a table
MAX_CELL = 120  # characters of a table's cell
MAX_EXACT = 160  # characters of a file's line, or of its name

# Drawn by `display_store` and `display_swarm`, which are imported with the first of them: a chat alone does without.
_STORED = {
    "hypercore.core": ("Core", "CoreInfo"),
    "hypercore.corestore": ("Corestore",),
    "hypercore.download": ("Download",),
    "hyperdrive.comparison": ("Comparison",),
    "hyperdrive.drive": ("Change", "Drive", "DriveInfo"),
    "hyperdrive.entry": ("Entry",),
    "hyperdrive.history": ("Changes", "Event"),
    "hyperdrive.serve": ("DriveServer",),
}
_SWARMING = {
    "swarm.check": ("Report",),
    "swarm.connection": ("Connection",),
    "swarm.dht_view": ("DhtView", "QueryView"),
    "swarm.discovery": ("PeerInfo",),
    "swarm.swarm": ("Swarm",),
    "swarm.tap": ("Frame", "Tap"),
}

LEFT = "text-align:left"
CODE = "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px)"


class Exact(str):
    """A path, or what else of a file's, of which every character has to show."""


def register() -> None:
    """Teach IPython to show our objects; does nothing outside of it."""
    # Not imported: where IPython runs it is loaded, and elsewhere it would take 50 ms.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell and shell.display_formatter:
        drawers = shell.display_formatter.formatters["text/html"]
        for kind, draw in _DRAWN.items():
            drawers.for_type(kind, draw)
        drawers.for_type(tuple, _swarming)
        for draw, modules in ((_stored, _STORED), (_swarming, _SWARMING)):
            for module, names in modules.items():
                for name in names:
                    drawers.for_type_by_name(f"linkup_nb.{module}", name, draw)


def _stored(thing: object) -> str:
    from linkup_nb.notebook import display_store

    return display_store.draw(thing)


def _swarming(thing: object) -> str | None:
    from linkup_nb.notebook import display_swarm

    return display_swarm.draw(thing)


def _node(node: Node) -> str:
    if not node.rooms:
        return titled(str(node), node.status.text)
    rooms = [(room.name, short_topic(room.topic), len(room), len(room.peers)) for room in node.rooms]
    title = f"{node.name} ({short_key(node.public_key)})"
    return titled(title, node.status.text) + table(("room", "topic", "messages", "people"), rooms)


def _room(room: Room) -> str:
    said = f"{len(room):,} messages"
    people = [(member.label, member.status.value, milliseconds(member.rtt)) for member in room.peers]
    return titled(f"{room.name} ({short_topic(room.topic)})", said) + table(("person", "", "round trip"), people)


def _member(member: Member) -> str:
    return titled(f"{member.name} ({member.short_key})", member.status.value)


def _message(message: Message) -> str:
    match message:
        case TextMessage(text=text):
            # Markdown and Pygments take 50 ms to import, for which a node that starts need not wait.
            from linkup_nb.notebook import markup

            body = markup.render(text)
        case FileMessage(file_name=name):
            body = paragraph(f"{name}, {message.size:,} bytes: evaluate its .data")
        case AudioMessage() | IconMessage():
            body = paragraph(f"{message.size:,} bytes")
        case UnknownMessage(type=kind, fields=fields):
            body = paragraph(f"A message of type {kind}") + table(("field", "value"), list(fields.items()))
        case _:
            body = ""
    return titled(f"{message.name} ({message.short_key})", f"{message.timestamp:%Y-%m-%d %H:%M:%S} UTC") + body


_DRAWN: dict[type, Callable[..., str | None]] = {Member: _member, Message: _message, Node: _node, Room: _room}


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
    cut = text if len(text) <= MAX_EXACT else text[:MAX_EXACT] + "…"
    return html.escape("".join(c if c.isprintable() or c == "\t" else _escape(c) for c in cut))


def _escape(character: str) -> str:
    return character.encode("unicode-escape", "surrogatepass").decode()
