"""The swarm, its connections and the doctor's report as the value of a cell."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from linkup_nb.connection.connection import Connection
from linkup_nb.connection.frames import Part
from linkup_nb.connection.tap import Frame, Tap
from linkup_nb.discovery.check import Report
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.discovery.view import Hop, NetworkView, QueryView
from linkup_nb.hyperdht.view import DhtView
from linkup_nb.notebook.reprs.html import MAX_LISTED, paragraph, table, titled
from linkup_nb.rooms.member import milliseconds
from linkup_nb.rooms.topic import short_topic
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import short_key

MAX_CHECKS = 40  # rows of a doctor's report
MAX_SENTENCES = 480  # characters of a cell of a doctor's report


def draw(thing: object) -> str | None:
    """The HTML of any of these, and of tuples of them; `None` for other tuples."""
    return next(drawer for kind, drawer in _DRAWN.items() if isinstance(thing, kind))(thing)


def _swarm(swarm: Swarm) -> str:
    title = f"{len(swarm.connections)} connections on {len(swarm.topics)} topics"
    discovery = " ".join(one.describe() for one in swarm.discovery)
    counted = table(("counted", "times"), list(swarm.counters.items())) if swarm.counters else ""
    return titled(title, discovery) + table(_PEER_HEADER, [_peer_row(peer) for peer in swarm.peers]) + counted


def _peer(peer: PeerInfo) -> str:
    return table(_PEER_HEADER, [_peer_row(peer)])


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
    return titled("Connection", state) + table(("", ""), rows)


def _tap(tap: Tap) -> str | None:
    """Before there is a frame of which there could be a picture."""
    if tap.frames:
        return None
    state = "closed" if tap.closed else "open"
    title = f"Tap on {short_key(tap.connection.remote_public_key)}, {state}"
    return titled(title, "no frame so far")


def _frames(frames: Sequence[Frame]) -> str:
    """The latest ones, oldest first."""
    rows = [_frame_row(frame) for frame in frames[-MAX_LISTED:]]
    more = paragraph(f"… and {len(frames) - MAX_LISTED:,} before") if len(frames) > MAX_LISTED else ""
    return more + table(("", "time", "", "frame", "bytes", "messages"), rows)


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
    return titled(title, worst.seen if worst else "") + table(header, rows, most=MAX_CHECKS, width=MAX_SENTENCES)


def _dht(view: NetworkView) -> str:
    kept = sum(view.stored.values())
    state = f"{len(view.nodes)} nodes known; ours keeps {kept} announcements"
    return _network(view, f"Kademlia node at {_address(view.address)}", state)


def _hyperdht(view: DhtView) -> str:
    seen_as = f", seen as {_address(view.public_address)} by {view.nat.seen_by}" if view.public_address else ""
    role = "only sends requests" if view.ephemeral else "keeps things for others"
    state = f"{len(view.nodes)} nodes known; ours {role}; firewall: {view.nat.firewall.name.lower()}"
    return _network(view, f"HyperDHT node at {_address(view.address)}{seen_as}", state)


def _network(view: NetworkView, title: str, state: str) -> str:
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
    known = table(("bits in common", "id", "address", "last seen", "round trip"), nodes)
    return titled(title, state) + known + (_query(view.last_query) if view.last_query else "")


def _query(query: QueryView) -> str:
    title = f"Last query: {query.command} near {query.target.hex()[:8]}…"
    answered = sum(hop.rtt is not None for hop in query.hops)
    state = f"{len(query.hops)} nodes queried, {answered} replied, {len(query.closest)} nearest found"
    return titled(title, state) + _hops(query.hops)


def _hops(hops: Sequence[Hop]) -> str:
    rows = [
        (
            number,
            _address(hop.address),
            _address(hop.named_by) or "known before",
            hop.shared_bits,
            f"{1000 * hop.at:.1f} ms",
            milliseconds(hop.rtt) or "no reply",
            hop.error or "",
        )
        for number, hop in enumerate(hops, 1)
    ]
    return table(_HOP_HEADER, rows)


_HOP_HEADER = ("hop", "queried", "named by", "bits in common", "after", "replied in", "error")


def _tuple(value: tuple[object, ...]) -> str | None:
    """Tuples of ours are tables; others are drawn as ever."""
    if value and all(isinstance(item, PeerInfo) for item in value):
        return table(_PEER_HEADER, [_peer_row(item) for item in value if isinstance(item, PeerInfo)])
    if value and all(isinstance(item, Frame) for item in value):
        return _frames([item for item in value if isinstance(item, Frame)])
    if value and all(isinstance(item, Hop) for item in value):
        return _hops([item for item in value if isinstance(item, Hop)])
    return None


_DRAWN: dict[type, Callable[[Any], str | None]] = {
    Connection: _connection,
    DhtView: _hyperdht,
    Frame: _frame,
    NetworkView: _dht,
    PeerInfo: _peer,
    Report: _report,
    Swarm: _swarm,
    Tap: _tap,
    tuple: _tuple,
}


def _clock(time: float | None) -> str:
    return f"{datetime.fromtimestamp(time):%H:%M:%S}" if time else ""


def _address(address: tuple[str, int] | None) -> str:
    return f"{address[0]}:{address[1]}" if address else ""
