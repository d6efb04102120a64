"""A picture of a node of a DHT, of whichever kind, taken at one moment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from linkup_nb.wire.dht.rpc import Address, Failure


@dataclass(frozen=True, slots=True)
class Hop:
    """A node that was queried: the node that named it (`None`: we knew it), when, and how long it took to answer.

    Times are in seconds, `at` since the query began, `rtt` is `None` without an answer.
    """

    address: Address
    distance: int
    named_by: Address | None
    at: float
    rtt: float | None
    error: int = Failure.NONE


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
class TableView:
    """The routing table of the node with this id: whom it knows, nearest first."""

    id: bytes
    nodes: tuple[KnownNode, ...]

    @property
    def by_shared_bits(self) -> Mapping[int, tuple[KnownNode, ...]]:
        """Those whose ids begin with the same number of bits as its own, by this number, largest first."""
        groups: dict[int, list[KnownNode]] = {}
        for node in self.nodes:
            groups.setdefault(node.shared_bits, []).append(node)
        return {shared: tuple(groups[shared]) for shared in sorted(groups, reverse=True)}

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[KnownNode]:
        return iter(self.nodes)

    def __repr__(self) -> str:
        return f"<TableView of {self.id.hex()[:8]}: {len(self.nodes)} nodes known>"


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
class NetworkView:
    """A node at one moment; `nodes` are those in its table, nearest first."""

    address: Address
    id: bytes | None  # by which others know it, if it keeps things for them
    nodes: tuple[KnownNode, ...]
    last_query: QueryView | None
    stored: Mapping[str, int]  # how much it keeps, by kind
    counters: Mapping[str, int]  # what was dropped or refused, by reason

    def __repr__(self) -> str:
        host, port = self.address
        return f"<{type(self).__name__} of {host}:{port}: {len(self.nodes)} nodes known>"


@runtime_checkable
class OnDht(Protocol):
    """A discovery with a node of a DHT."""

    def view(self) -> NetworkView | None:
        """The node at this moment; `None` before it is started."""
