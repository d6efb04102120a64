"""Looking at a network of the lab: who is there, and what is between them."""

from collections.abc import Iterator, Sequence

from linkup_nb.lab.peer import LabPeer
from linkup_nb.lab.state import EdgeKind, NetEdge, NetPeer, NetState
from linkup_nb.lab.switch import Link, Switch

Pair = tuple[int, int]
NO_FAULTS = Link()


def observe(peers: Sequence[LabPeer], switch: Switch, bits: int) -> NetState:
    """All peers and edges at this moment; call it on the network's loop."""
    hosts = {peer.host for peer in peers}
    known, connected = set(_known(peers)), set(_connected(peers))
    slow = {pair for pair in switch.links if pair[0] < pair[1]}
    return NetState(
        tuple(_peer(peer, bits, hosts) for peer in peers),
        tuple(_edge(pair, pair in connected, switch) for pair in sorted(known | connected | slow)),
    )


def _peer(peer: LabPeer, bits: int, hosts: set[str]) -> NetPeer:
    peer.note_name()
    stored = peer.dht.store.announced_from if peer.dht and peer.is_alive else {}
    keeps = frozenset(target for target, sources in stored.items() if sources & hosts - {peer.host})
    return NetPeer(peer.number, int.from_bytes(peer.id[: min(8, bits // 8)], "big"), peer.name, peer.state, keeps)


def _edge(pair: Pair, connected: bool, switch: Switch) -> NetEdge:
    link = switch.links.get(pair)
    if switch.is_cut(*pair):
        kind = EdgeKind.CUT
    elif link:
        kind = EdgeKind.SLOW
    else:
        kind = EdgeKind.CONNECTED if connected else EdgeKind.KNOWS
    faults = link or NO_FAULTS
    return NetEdge(*pair, kind, faults.delay, faults.loss)


def _known(peers: Sequence[LabPeer]) -> Iterator[Pair]:
    by_address = {peer.address: peer.number for peer in peers}
    for peer in peers:
        if peer.dht and peer.is_alive:
            for address in peer.dht.contacts:
                if (other := by_address.get(address)) is not None:
                    yield _ordered(peer.number, other)


def _connected(peers: Sequence[LabPeer]) -> Iterator[Pair]:
    by_key = {key: peer.number for peer in peers for key in peer.keys}
    for peer in peers:
        if peer.node and peer.is_alive:
            for swarm in (peer.node.swarm, peer.node.linkup_swarm):
                for connection in swarm.connections:
                    if (other := by_key.get(connection.remote_public_key)) is not None:
                        yield _ordered(peer.number, other)


def _ordered(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)
