import math

import msgspec

from linkup_nb.lab.drawing import MAX_EDGES, MAX_LISTED, MAX_NAME, MAX_PEERS, NetPicture, draw, words
from linkup_nb.lab.state import EdgeKind, NetEdge, NetPeer, NetState, PeerState

TOPIC = bytes(32)


def peer(n: int, state: PeerState = PeerState.ALIVE, *, name: str = "", keeps: bool = False) -> NetPeer:
    return NetPeer(n, n, name or f"peer {n}", state, frozenset([TOPIC] if keeps else []))


def network(count: int, *edges: NetEdge) -> NetState:
    return NetState(tuple(map(peer, range(count))), edges)


def places(picture: NetPicture) -> dict[int, tuple[float, float]]:
    return {peer.n: (peer.x, peer.y) for peer in picture.peers}


def test_the_words_say_who_is_there_and_what_is_between_them() -> None:
    state = NetState(
        (peer(0, PeerState.DEAD), peer(1), peer(2, keeps=True), peer(3, PeerState.SYBIL), peer(4, PeerState.LIAR)),
        (
            NetEdge(0, 1, EdgeKind.KNOWS),
            NetEdge(1, 2, EdgeKind.CONNECTED),
            NetEdge(1, 3, EdgeKind.SLOW, 0.2, 0.05),
            NetEdge(2, 4, EdgeKind.CUT),
            NetEdge(3, 4, EdgeKind.SLOW),
        ),
    )
    assert words(state) == [
        "Network of 5 peers: 4 alive, 1 dead. 1 pair knows each other.",
        "Connected: 1-2.",
        "Slow: 1-3 (0.2 s, 5 % lost), 3-4 (a slow rate).",
        "Cut: 2-4.",
        "Dead: 0; sybils: 3; liars: 4.",
        "Keep announcements: 2.",
    ]
    picture = draw(state, 5)
    assert picture.words == words(state)
    assert [one.state for one in picture.peers] == ["dead", "alive", "alive", "sybil", "liar"]
    assert [one.n for one in picture.peers if one.keeps] == [2]
    assert {(edge.a, edge.b): edge.kind for edge in picture.edges} == {
        (0, 1): "knows",
        (1, 2): "connected",
        (1, 3): "slow",
        (2, 4): "cut",
        (3, 4): "slow",
    }
    assert picture.edges[0].kind == "knows"  # below all others


def test_peers_stand_on_a_circle_by_number_and_never_move() -> None:
    ten = places(draw(network(10), 10))
    assert len({round(math.dist(place, (240, 196))) for place in ten.values()}) == 1
    assert ten[0] == (240.0, 56.0)
    assert math.dist(ten[0], ten[1]) == min(math.dist(ten[0], ten[n]) for n in range(1, 10))
    later = draw(network(25), 10)
    grown = places(later)
    assert {n: grown[n] for n in range(10)} == ten
    assert min(math.dist(grown[n], grown[m]) for n in range(25) for m in range(n)) > 2 * later.radius
    assert places(draw(NetState(tuple(peer(n, PeerState.DEAD) for n in range(10)), ()), 10)) == ten


def test_all_of_it_fits_into_the_drawing() -> None:
    for count in (1, 2, 30, 500):
        for entry in draw(network(count), max(1, count // 3)).peers:
            assert 0 < entry.x < 480
            assert 0 < entry.y < 392


def test_a_large_network_is_bounded_and_says_so() -> None:
    edges = [NetEdge(a, b, EdgeKind.KNOWS) for a in range(60) for b in range(a + 1, 60)]
    edges.append(NetEdge(0, 60, EdgeKind.CUT))
    picture = draw(network(MAX_PEERS + 12, *edges), MAX_PEERS + 12)
    assert len(picture.peers) == MAX_PEERS
    assert 0.4 * MAX_EDGES < len(picture.edges) <= MAX_EDGES
    assert picture.edges[-1].kind == "cut"
    assert max(edge.a for edge in picture.edges) > 50  # they are from everywhere
    assert picture.words[-1] == f"Not drawn: 12 peers and {len(edges) - len(picture.edges):,} lines."
    cut = draw(network(60, *(NetEdge(edge.a, edge.b, EdgeKind.CUT) for edge in edges[:-1])), 60)
    assert len(cut.edges) == MAX_EDGES
    assert f"… and {len(edges) - 1 - MAX_LISTED:,} more" in cut.words[1]


def test_a_name_is_shown_if_somebody_gave_it_and_is_only_text() -> None:
    evil = "<img src=x>\u202e" + "x" * 1000
    picture = draw(NetState((peer(0), peer(1, name="Ann"), peer(2, name=evil)), ()), 3)
    assert [entry.label for entry in picture.peers[:2]] == ["0", "1 Ann"]
    assert len(picture.peers[2].label) <= 2 + MAX_NAME
    assert "\u202e" not in str(picture)
    assert len(str(picture)) < 2_000


def test_one_state_has_one_drawing() -> None:
    edges = [NetEdge(0, 1, EdgeKind.KNOWS), NetEdge(0, 2, EdgeKind.CUT)]
    one, other = draw(network(3, *edges), 3), draw(network(3, *reversed(edges)), 3)
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
