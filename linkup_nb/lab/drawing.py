"""A network of the lab as the page draws it, and the same in words."""

from collections.abc import Callable, Iterable, Sequence
from math import cos, pi, sin
from typing import Literal

import msgspec

from linkup_nb.lab.state import EdgeKind, NetEdge, NetPeer, NetState, PeerState
from linkup_nb.notebook.charts.card import listed
from linkup_nb.notebook.charts.ids import count
from linkup_nb.rooms.names import clean

MAX_PEERS = 128  # that are drawn
MAX_EDGES = 600  # that are drawn: first what is not usual
MAX_LISTED = 12  # peers or pairs in a line of the words
MAX_NAME = 12  # characters of a peer's name

_MIDDLE = (240.0, 196.0)  # of a drawing of 480 by 392
_RING = 140.0  # from the middle to the peers that were there first
_OUTER = 24.0  # from one ring to the next, for those who came later
_LARGEST, _SMALLEST = 11.0, 3.0  # radius of a peer
_NUMBERED = 64  # peers up to which each has its number beside it
_WEIGHT = {EdgeKind.CUT: 0, EdgeKind.CONNECTED: 1, EdgeKind.SLOW: 2, EdgeKind.KNOWS: 3}


class NetPeerEntry(msgspec.Struct, frozen=True):
    """A peer: where it stands, and what is said of it beside it and when one points at it."""

    n: int
    x: float
    y: float
    label: str
    state: Literal["alive", "dead", "sybil", "liar"]
    keeps: bool
    about: str


class NetEdgeEntry(msgspec.Struct, frozen=True):
    """What is between two peers, `a` < `b`."""

    a: int
    b: int
    kind: Literal["knows", "connected", "slow", "cut"]
    about: str


class NetPicture(msgspec.Struct, frozen=True):
    """All that is drawn, and the same in words; places are in units of a drawing of 480 by 392."""

    peers: list[NetPeerEntry]
    edges: list[NetEdgeEntry]
    radius: float
    words: list[str]


def draw(state: NetState, first: int) -> NetPicture:
    """The drawing of a network that had `first` peers when it was drawn first: those never move."""
    shown = state.peers[:MAX_PEERS]
    drawn = {peer.n for peer in shown}
    edges = [edge for edge in state.edges if edge.a in drawn and edge.b in drawn]
    edges = _chosen(sorted(edges, key=lambda edge: (_WEIGHT[edge.kind], edge.a, edge.b)))
    first = max(1, min(first, MAX_PEERS))
    return NetPicture(
        [_peer(peer, first, len(shown) <= _NUMBERED) for peer in shown],
        [NetEdgeEntry(edge.a, edge.b, edge.kind.value, _about(edge)) for edge in reversed(edges)],
        round(min(_LARGEST, max(_SMALLEST, 0.6 * pi * _RING / first)), 1),
        [*words(state), *_more(len(state.peers) - len(shown), len(state.edges) - len(edges))],
    )


def _chosen(edges: list[NetEdge]) -> list[NetEdge]:
    """At most `MAX_EDGES`: what is not usual, and of the rest some from everywhere."""
    usual = [edge for edge in edges if edge.kind is EdgeKind.KNOWS]
    unusual = edges[: len(edges) - len(usual)][:MAX_EDGES]
    room = MAX_EDGES - len(unusual)
    every = -(-len(usual) // room) if room else 0
    return [*unusual, *(usual[::every] if every else [])]


def words(state: NetState) -> list[str]:
    """All that a drawing claims, in at most six lines."""
    alive = sum(peer.state is not PeerState.DEAD for peer in state.peers)
    dead = f", {len(state.peers) - alive} dead" if alive < len(state.peers) else ""
    lines = [f"Network of {count(len(state.peers), 'peer')}: {alive} alive{dead}."]
    for kind, name in ((EdgeKind.CONNECTED, "Connected"), (EdgeKind.SLOW, "Slow"), (EdgeKind.CUT, "Cut")):
        pairs = [edge for edge in state.edges if edge.kind is kind]
        if pairs:
            lines.append(f"{name}: {listed(list(map(_pair, pairs)), MAX_LISTED)}.")
    knows = sum(edge.kind is EdgeKind.KNOWS for edge in state.edges)
    lines[0] += f" {count(knows, 'pair')} know{'s' if knows == 1 else ''} each other." if knows else ""
    odd = _numbers("Dead", state, lambda peer: peer.state is PeerState.DEAD)
    odd += _numbers("sybils", state, lambda peer: peer.state is PeerState.SYBIL)
    odd += _numbers("liars", state, lambda peer: peer.state is PeerState.LIAR)
    if odd:
        lines.append("; ".join(odd) + ".")
    return lines + [f"{one}." for one in _numbers("Keep announcements", state, lambda peer: bool(peer.keeps))]


def _numbers(name: str, state: NetState, holds: Callable[[NetPeer], bool]) -> list[str]:
    found = [peer.n for peer in state.peers if holds(peer)]
    return [f"{name}: {listed(found, MAX_LISTED)}"] if found else []


def _more(peers: int, edges: int) -> Iterable[str]:
    if peers or edges:
        yield f"Not drawn: {count(peers, 'peer')} and {count(edges, 'line')}."


def _peer(peer: NetPeer, first: int, numbered: bool) -> NetPeerEntry:
    x, y = _place(peer.n, first)
    name = "" if peer.name in (f"peer {peer.n}", f"node {peer.n}") else clean(peer.name)[:MAX_NAME]
    keeps = f"; keeps announcements of {count(len(peer.keeps), 'topic')}" if peer.keeps else ""
    return NetPeerEntry(
        peer.n,
        x,
        y,
        f"{peer.n} {name}".strip() if numbered else "",
        peer.state.value,
        bool(peer.keeps),
        f"peer {peer.n}{f', {name}' if name else ''}: {peer.state.value}, id {peer.id}{keeps}",
    )


def _place(number: int, first: int) -> tuple[float, float]:
    """On the ring in the order of the numbers; who came later stands outside of it, between two of them."""
    ring, place = divmod(number, first)
    angle = 2 * pi * (place + (0.5 if ring % 2 else 0.0)) / first - pi / 2
    radius = _RING + _OUTER * min(ring, 2)
    return round(_MIDDLE[0] + radius * cos(angle), 1), round(_MIDDLE[1] + radius * sin(angle), 1)


def _about(edge: NetEdge) -> str:
    between = {
        EdgeKind.KNOWS: "know each other",
        EdgeKind.CONNECTED: "are connected",
        EdgeKind.SLOW: f"are {_faults(edge)} apart",
        EdgeKind.CUT: "are cut off from each other",
    }
    return f"{edge.a} and {edge.b} {between[edge.kind]}"


def _pair(edge: NetEdge) -> str:
    faults = f" ({_faults(edge)})" if edge.kind is EdgeKind.SLOW else ""
    return f"{edge.a}-{edge.b}{faults}"


def _faults(edge: NetEdge) -> str:
    parts: Sequence[str] = [
        *([f"{edge.delay:g} s"] if edge.delay else []),
        *([f"{edge.loss * 100:g} % lost"] if edge.loss else []),
    ]
    return ", ".join(parts) or "a slow rate"
