"""How our objects look as the value of a cell: small tables, everything escaped, never more than a screenful."""

import html
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from linkup_nb.chat.member import Member, milliseconds
from linkup_nb.chat.message import AudioMessage, FileMessage, IconMessage, Message, TextMessage, UnknownMessage
from linkup_nb.chat.names import clean, short_key
from linkup_nb.chat.room import Room
from linkup_nb.chat.topic import short_topic
from linkup_nb.node import Node
from linkup_nb.swarm.connection import Connection
from linkup_nb.swarm.discovery import PeerInfo
from linkup_nb.swarm.swarm import Swarm

MAX_LISTED = 12  # rows of a table
MAX_CELL = 120  # characters of a table's cell


def register() -> None:
    """Teach IPython to show our objects; does nothing outside of it."""
    # Not imported: where IPython runs it is loaded, and elsewhere it would take 50 ms.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell and shell.display_formatter:
        for kind, draw in _DRAWN.items():
            shell.display_formatter.formatters["text/html"].for_type(kind, draw)


def _node(node: Node) -> str:
    if not node.rooms:
        return _titled(str(node), node.status.text)
    rooms = [(room.name, short_topic(room.topic), len(room), len(room.peers)) for room in node.rooms]
    title = f"{node.name} ({short_key(node.public_key)})"
    return _titled(title, node.status.text) + _table(("room", "topic", "messages", "people"), rooms)


def _room(room: Room) -> str:
    said = f"{len(room):,} messages"
    people = [(member.label, member.status.value, milliseconds(member.rtt)) for member in room.peers]
    return _titled(f"{room.name} ({short_topic(room.topic)})", said) + _table(("person", "", "round trip"), people)


def _member(member: Member) -> str:
    return _titled(f"{member.name} ({member.short_key})", member.status.value)


def _message(message: Message) -> str:
    match message:
        case TextMessage(text=text):
            # Markdown and Pygments take 50 ms to import, for which a node that starts need not wait.
            from linkup_nb.notebook import markup

            body = markup.render(text)
        case FileMessage(file_name=name):
            body = _paragraph(f"{name}, {message.size:,} bytes: evaluate its .data")
        case AudioMessage() | IconMessage():
            body = _paragraph(f"{message.size:,} bytes")
        case UnknownMessage(type=kind, fields=fields):
            body = _paragraph(f"A message of type {kind}") + _table(("field", "value"), list(fields.items()))
        case _:
            body = ""
    return _titled(f"{message.name} ({message.short_key})", f"{message.timestamp:%Y-%m-%d %H:%M:%S} UTC") + body


def _swarm(swarm: Swarm) -> str:
    title = f"{len(swarm.connections)} connections on {len(swarm.topics)} topics"
    discovery = " ".join(one.describe() for one in swarm.discovery)
    counted = _table(("counted", "times"), list(swarm.counters.items())) if swarm.counters else ""
    return _titled(title, discovery) + _table(_PEER_HEADER, [_peer_row(peer) for peer in swarm.peers]) + counted


def _peer(peer: PeerInfo) -> str:
    return _table(_PEER_HEADER, [_peer_row(peer)])


_PEER_HEADER = ("peer", "status", "address", "round trip", "sent", "received", "found by", "last error")


def _peer_row(peer: PeerInfo) -> tuple[object, ...]:
    return (
        short_key(peer.public_key),
        peer.status.value,
        _address(peer.address),
        milliseconds(peer.rtt),
        f"{peer.bytes_sent:,}",
        f"{peer.bytes_received:,}",
        ", ".join(sorted(peer.sources)),
        peer.last_error or "",
    )


def _connection(connection: Connection) -> str:
    state = f"closed: {connection.close_reason or 'an ordinary end'}" if connection.closed else "open"
    rows = [
        ("peer", short_key(connection.remote_public_key)),
        ("address", _address(connection.address)),
        ("we dialled", "yes" if connection.initiator else "no"),
        ("since", f"{datetime.fromtimestamp(connection.opened_at):%H:%M:%S}" if connection.opened_at else ""),
        ("round trip", milliseconds(connection.rtt)),
        ("bytes sent", f"{connection.bytes_sent:,}"),
        ("bytes received", f"{connection.bytes_received:,}"),
    ]
    return _titled("Connection", state) + _table(("", ""), rows)


_DRAWN: dict[type, Callable[..., str]] = {
    Connection: _connection,
    Member: _member,
    Message: _message,
    Node: _node,
    PeerInfo: _peer,
    Room: _room,
    Swarm: _swarm,
}


def _titled(title: str, rest: str) -> str:
    return f"<p><strong>{_cell(title)}</strong><br>{_cell(rest)}</p>"


def _paragraph(text: str) -> str:
    return f"<p>{_cell(text)}</p>"


def _table(header: Sequence[str], rows: Sequence[Iterable[object]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{_cell(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows[:MAX_LISTED])
    more = _paragraph(f"… and {len(rows) - MAX_LISTED} more") if len(rows) > MAX_LISTED else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: object) -> str:
    text = clean(str(value))
    return html.escape(text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…")


def _address(address: tuple[str, int] | None) -> str:
    return f"{address[0]}:{address[1]}" if address else ""
