"""Nodes that were made to lie nearer to a target than all others, and keep nothing of what they are given there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.records import PeerRecord
from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.dht.store import DhtStore, K, Shelf, V


class _Void(Shelf[K, V]):
    def __init__(self) -> None:
        super().__init__(0, 0.0)

    def put(self, key: K, value: V, source: str, now: float) -> None:
        """Keep nothing."""


class ForgetfulStore(DhtStore):
    """Takes everything, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.forwards, self.mutable, self.immutable = _Void(), _Void(), _Void()

    def announce(
        self, target: bytes, record: PeerRecord, sender: Address, now: float, *, refresh: bytes | None = None
    ) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Sybils(Sequence[DhtNode]):
    """The nodes, their numbers in the network, and how many addresses were `tries` until theirs were found."""

    nodes: tuple[DhtNode, ...]
    numbers: tuple[int, ...]
    tries: int

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, index: int) -> DhtNode:  # type: ignore[override]
        return self.nodes[index]

    def __iter__(self) -> Iterator[DhtNode]:
        return iter(self.nodes)
