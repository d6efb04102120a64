"""What a network of the lab is at one moment, for those who draw it."""

from dataclasses import dataclass
from enum import StrEnum


class PeerState(StrEnum):
    """What a peer of the lab is."""

    ALIVE = "alive"
    DEAD = "dead"
    SYBIL = "sybil"
    LIAR = "liar"


class EdgeKind(StrEnum):
    """What is between two peers; the last one that holds."""

    KNOWS = "knows"  # `a` has `b` in its routing table, or each the other
    CONNECTED = "connected"
    SLOW = "slow"  # `net.link` has set faults, whether or not they know each other
    CUT = "cut"  # they know each other or are connected, and `net.partition` lets no datagram through


@dataclass(frozen=True, slots=True)
class NetPeer:
    """A peer: its number, the first 8 bits of its id in a network of 8 bits, else the first 8 bytes, and its name."""

    n: int
    id: int
    name: str
    state: PeerState
    keeps: frozenset[bytes]  # the topics of the announcements that it keeps for others


@dataclass(frozen=True, slots=True)
class NetEdge:
    """What is between two peers, `a` < `b`; of the smaller number to the larger and back."""

    a: int
    b: int
    kind: EdgeKind
    delay: float = 0.0  # seconds added each way
    loss: float = 0.0  # the part of all datagrams, 0 to 1


@dataclass(frozen=True, slots=True)
class NetState:
    """All peers by number, and all edges by the numbers of their ends."""

    peers: tuple[NetPeer, ...]
    edges: tuple[NetEdge, ...]
