"""Which networks a node looks for peers in, by the bootstrap peers that are named for it."""

import re
from pathlib import Path

from linkup_nb.connection.addresses import offline
from linkup_nb.discovery.local import Local
from linkup_nb.discovery.protocol import Discovery
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.kademlia.discovery import Kademlia, parse_peer
from linkup_nb.wire.udx.events import Address

OF_HYPERDHT = "hyperdht:"  # before the host:port of a peer of HyperDHT; the others are of a Kademlia network


def discoveries(named: str, *, state: Path) -> list[Discovery]:
    """`Local()`, and a discovery for each kind of network that has bootstrap peers in `named`.

    A peer is "host:port" or "hyperdht:host:port"; between several stand spaces or commas. Whoever names none is on the
    public HyperDHT, unless `LINKUP_OFFLINE` forbids it; the nodes that are known there are kept in the file `state`.
    Raises `UsageError` for a peer that cannot be one.
    """
    peers = [peer for peer in re.split(r"[\s,]+", named) if peer]
    hyperdht = peers_of_hyperdht(named)
    kademlia = [parse_peer(peer) for peer in peers if not peer.startswith(OF_HYPERDHT)]
    chosen: list[Discovery] = [Local()]
    if kademlia:
        chosen.append(Kademlia(kademlia))
    if hyperdht:
        chosen.append(HyperDHT(hyperdht))
    if not (peers or offline()):
        chosen.append(HyperDHT(state=state))
    return chosen


def peers_of_hyperdht(named: str) -> list[Address]:
    """Those of the bootstrap peers in `named` that are of a HyperDHT network; raises `UsageError` as `discoveries`."""
    peers = re.split(r"[\s,]+", named)
    return [parse_peer(peer.removeprefix(OF_HYPERDHT)) for peer in peers if peer.startswith(OF_HYPERDHT)]
