"""Networks in one cell: `lu.lab.testnet(10)` has ten real peers in this process, and faults at hand."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linkup_nb.lab.network import LabNetwork
    from linkup_nb.lab.opening import testnet
    from linkup_nb.lab.state import EdgeKind, NetEdge, NetPeer, NetState, PeerState
    from linkup_nb.lab.topics import topic

_HOMES = {
    "EdgeKind": "state",
    "LabNetwork": "network",
    "NetEdge": "state",
    "NetPeer": "state",
    "NetState": "state",
    "PeerState": "state",
    "testnet": "opening",
    "topic": "topics",
}

__all__ = ["EdgeKind", "LabNetwork", "NetEdge", "NetPeer", "NetState", "PeerState", "testnet", "topic"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
