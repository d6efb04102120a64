"""A picture of a node of the DHT, taken at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from linkup_nb.swarm.dht_query import Hop
from linkup_nb.wire.dht_nat import NatSample
from linkup_nb.wire.dht_rpc import Address


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node in the table."""

    address: Address
    id: bytes
    distance: int  # from our own id
    shared_bits: int  # leading bits that its id and ours have in common
    last_seen: float  # seconds ago
    rtt: float | None  # seconds, of its last reply


@dataclass(frozen=True, slots=True, repr=False)
class QueryView:
    """The last query, hop by hop, and the nodes nearest to its target, nearest first."""

    command: str
    target: bytes
    hops: tuple[Hop, ...]
    closest: tuple[Address, ...]

    def __repr__(self) -> str:
        # Not all of the target: it may be a topic, which is what others join by.
        return f"<QueryView {self.command} {self.target.hex()[:8]}: {len(self.hops)} hops>"


@dataclass(frozen=True, slots=True, repr=False)
class DhtView:
    """A node at one moment; `nodes` are those in its table, nearest first."""

    address: Address
    public_address: Address | None
    nat: NatSample
    id: bytes | None  # by which others know it, if it keeps things for them
    nodes: tuple[KnownNode, ...]
    last_query: QueryView | None
    stored: Mapping[str, int]  # how many announcements, relayed peers and values it keeps
    passed_on: Mapping[str, int]  # messages between two peers, by their command
    counters: Mapping[str, int]  # what was dropped or refused, by reason

    def __repr__(self) -> str:
        host, port = self.address
        return f"<DhtView of {host}:{port}: {len(self.nodes)} nodes known>"

    @property
    def ephemeral(self) -> bool:
        """Whether it only asks, and keeps nothing for others."""
        return self.id is None
