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
from linkup_nb.swarm.check import Report
from linkup_nb.swarm.connection import Connection
from linkup_nb.swarm.dht_view import DhtView, QueryView
from linkup_nb.swarm.discovery import PeerInfo
from linkup_nb.swarm.frames import Part
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.swarm.tap import Frame, Tap

MAX_LISTED = 12  # rows of a table
MAX_CHECKS = 40  # rows of a doctor's report
MAX_CELL = 120  # characters of a table's cell
MAX_SENTENCES = 480  # characters of a cell of a doctor's report


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


_PEER_HEADER = (
    "peer",
    "status",
    "over",
    "address",
    "round trip",
    "since",
    "sent",
    "received",
    "topics",
    "found by",
    "last error",
)


def _peer_row(peer: PeerInfo) -> tuple[object, ...]:
    return (
        short_key(peer.public_key),
        peer.status.value,
        peer.transport or "",
        _address(peer.address),
        milliseconds(peer.rtt),
        _clock(peer.since),
        f"{peer.bytes_sent:,}",
        f"{peer.bytes_received:,}",
        ", ".join(map(short_topic, sorted(peer.topics))),
        ", ".join(sorted(peer.sources)),
        peer.last_error or "",
    )


def _connection(connection: Connection) -> str:
    state = f"closed: {connection.close_reason or 'an ordinary end'}" if connection.closed else "open"
    rows = [
        ("peer", short_key(connection.remote_public_key)),
        ("address", _address(connection.address)),
        ("we dialled", "yes" if connection.initiator else "no"),
        ("over", connection.transport),
        ("since", _clock(connection.opened_at)),
        ("round trip", milliseconds(connection.rtt)),
        ("bytes sent", f"{connection.bytes_sent:,}"),
        ("bytes received", f"{connection.bytes_received:,}"),
    ]
    return _titled("Connection", state) + _table(("", ""), rows)


def _tap(tap: Tap) -> str:
    state = "closed" if tap.closed else "open"
    title = f"Tap on {short_key(tap.connection.remote_public_key)}, {state}"
    dropped = f", {tap.dropped:,} earlier ones dropped" if tap.dropped else ""
    return _titled(title, f"{len(tap.frames):,} frames{dropped}") + _frames(tap.frames)


def _frames(frames: Sequence[Frame]) -> str:
    """The latest ones, oldest first."""
    rows = [_frame_row(frame) for frame in frames[-MAX_LISTED:]]
    more = _paragraph(f"… and {len(frames) - MAX_LISTED:,} before") if len(frames) > MAX_LISTED else ""
    return more + _table(("", "time", "", "frame", "bytes", "messages"), rows)


def _frame(frame: Frame) -> str:
    return _frames([frame])


def _frame_row(frame: Frame) -> tuple[object, ...]:
    parts = [_about(part) for part in frame.parts]
    parts += [f"… and {frame.omitted} more"] if frame.omitted else []
    direction = frame.direction.value
    return frame.number, _clock(frame.time), direction, frame.kind.value, f"{frame.size:,}", "; ".join(parts)


def _about(part: Part) -> str:
    return " ".join(filter(None, (part.protocol, part.type, f"({part.text})" if part.text else "")))


def _report(report: Report) -> str:
    rows = [(check.name, check.outcome.value, check.seen, check.cause, check.advice) for check in report.checks]
    worst = report.worst
    title = f"{worst.name}: {worst.outcome.value}" if worst else "All is well"
    header = ("looked at", "", "what was seen", "why", "what to try")
    return _titled(title, worst.seen if worst else "") + _table(header, rows, MAX_CHECKS, MAX_SENTENCES, _SENTENCES)


def _dht(view: DhtView) -> str:
    seen_as = f", seen as {_address(view.public_address)} by {view.nat.seen_by}" if view.public_address else ""
    role = "only asks" if view.ephemeral else "keeps things for others"
    state = f"{len(view.nodes)} nodes known; ours {role}; firewall: {view.nat.firewall.name.lower()}"
    nodes = [
        (
            node.shared_bits,
            short_key(node.id),
            _address(node.address),
            f"{node.last_seen:.0f} s ago",
            milliseconds(node.rtt),
        )
        for node in view.nodes
    ]
    table = _table(("bits in common", "id", "address", "last heard", "round trip"), nodes)
    title = f"HyperDHT node at {_address(view.address)}{seen_as}"
    return _titled(title, state) + table + (_query(view.last_query) if view.last_query else "")


def _query(query: QueryView) -> str:
    title = f"Last query: {query.command} near {query.target.hex()[:8]}…"
    answered = sum(hop.rtt is not None for hop in query.hops)
    state = f"{len(query.hops)} nodes asked, {answered} replied, {len(query.closest)} nearest found"
    hops = [
        (
            number,
            _address(hop.address),
            _address(hop.named_by) or "known before",
            256 - hop.distance.bit_length(),
            f"{1000 * hop.at:.1f} ms",
            milliseconds(hop.rtt) or "no reply",
            hop.error or "",
        )
        for number, hop in enumerate(query.hops, 1)
    ]
    return _titled(title, state) + _table(_HOP_HEADER, hops)


_HOP_HEADER = ("hop", "asked", "named by", "bits in common", "after", "replied in", "error")


def _tuple(value: tuple[object, ...]) -> str | None:
    """Tuples of ours are tables; others are drawn as ever."""
    if value and all(isinstance(item, PeerInfo) for item in value):
        return _table(_PEER_HEADER, [_peer_row(item) for item in value if isinstance(item, PeerInfo)])
    if value and all(isinstance(item, Frame) for item in value):
        return _frames([item for item in value if isinstance(item, Frame)])
    return None


_DRAWN: dict[type, Callable[..., str | None]] = {
    Connection: _connection,
    DhtView: _dht,
    Frame: _frame,
    Member: _member,
    Message: _message,
    Node: _node,
    PeerInfo: _peer,
    QueryView: _query,
    Report: _report,
    Room: _room,
    Swarm: _swarm,
    Tap: _tap,
    tuple: _tuple,
}


def _titled(title: str, rest: str) -> str:
    return f"<p><strong>{_cell(title)}</strong><br>{_cell(rest)}</p>"


def _paragraph(text: str) -> str:
    return f"<p>{_cell(text)}</p>"


# JupyterLab sets cells to the right, as suits numbers.
_SENTENCES = ' style="text-align: left"'


def _table(
    header: Sequence[str],
    rows: Sequence[Iterable[object]],
    most: int = MAX_LISTED,
    width: int = MAX_CELL,
    style: str = "",
) -> str:
    if not rows:
        return ""
    head = "".join(f"<th{style}>{_cell(name)}</th>" for name in header)
    cells = ("".join(f"<td{style}>{_cell(value, width)}</td>" for value in row) for row in rows[:most])
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    more = _paragraph(f"… and {len(rows) - most:,} more") if len(rows) > most else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: object, width: int = MAX_CELL) -> str:
    text = clean(str(value))
    return html.escape(text if len(text) <= width else text[:width] + "…")


def _clock(time: float | None) -> str:
    return f"{datetime.fromtimestamp(time):%H:%M:%S}" if time else ""


def _address(address: tuple[str, int] | None) -> str:
    return f"{address[0]}:{address[1]}" if address else ""
