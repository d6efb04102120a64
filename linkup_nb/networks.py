"""Which networks a node looks for peers in, by the bootstrap peers that are named for it."""

import re
from pathlib import Path

from linkup_nb.connection.addresses import offline
from linkup_nb.discovery.check import Bootstrap
from linkup_nb.discovery.local import Local
from linkup_nb.discovery.protocol import Discovery
from linkup_nb.errors import UsageError
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.doctor import knock_on as knock_on_hyperdht
from linkup_nb.kademlia.discovery import Kademlia, parse_peer
from linkup_nb.kademlia.discovery import knock_on as knock_on_kademlia
from linkup_nb.wire.keys import KEY_SIZE
from linkup_nb.wire.udx.events import Address

OF_HYPERDHT = "hyperdht:"  # before the host:port of a peer of HyperDHT; the others are of a Kademlia network


def discoveries(named: str, *, state: Path, relay: str = "") -> list[Discovery]:
    """`Local()`, and a discovery for each kind of network that has bootstrap peers in `named`.

    A peer is "host:port" or "hyperdht:host:port"; between several stand spaces or commas. Whoever names none is on the
    public HyperDHT, unless `LINKUP_OFFLINE` forbids it; the nodes that are known there are kept in the file `state`.
    `relay` is the key in hexadecimal of a relay for peers of HyperDHT that cannot reach us otherwise.
    Raises `UsageError` for a peer that cannot be one.
    """
    chosen: list[Discovery] = [Local(), *private_networks(named, relay=relay)]
    if not (named_peers(named) or offline()):
        chosen.append(HyperDHT(state=state, relay_through=parse_relay(relay) or None))
    return chosen


def private_networks(named: str, *, relay: str = "") -> list[Discovery]:
    """A discovery for each kind of network with bootstrap peers in `named`; raises `UsageError` as `discoveries`."""
    hyperdht = peers_of_hyperdht(named)
    kademlia = _peers_of_kademlia(named)
    chosen: list[Discovery] = [Kademlia(kademlia)] if kademlia else []
    if hyperdht:
        chosen.append(HyperDHT(hyperdht, relay_through=parse_relay(relay) or None))
    return chosen


async def knock_on(named: str) -> list[Bootstrap]:
    """Whether each of the bootstrap peers in `named` replies now; raises `UsageError` as `discoveries`.

    Asked without being a node of their networks, for whoever only wants to know.
    """
    return [*await knock_on_kademlia(_peers_of_kademlia(named)), *await knock_on_hyperdht(peers_of_hyperdht(named))]


def peers_of_hyperdht(named: str) -> list[Address]:
    """Those of the bootstrap peers in `named` that are of a HyperDHT network; raises `UsageError` as `discoveries`."""
    peers = re.split(r"[\s,]+", named)
    return [parse_peer(peer.removeprefix(OF_HYPERDHT)) for peer in peers if peer.startswith(OF_HYPERDHT)]


def _peers_of_kademlia(named: str) -> list[Address]:
    return [parse_peer(peer) for peer in named_peers(named) if not peer.startswith(OF_HYPERDHT)]


def named_peers(named: str) -> list[str]:
    """The bootstrap peers in a text, with spaces or commas between; raises `UsageError` for what cannot be one."""
    peers = [peer for peer in re.split(r"[\s,]+", named) if peer]
    for peer in peers:
        parse_peer(peer.removeprefix(OF_HYPERDHT))
    return peers


def parse_relay(text: str) -> bytes:
    """The 32 bytes of a relay's key, nothing for none; raises `UsageError` for what is no key."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b"?"
    if len(key) not in (0, KEY_SIZE):
        raise UsageError(
            f"A relay is named by its key, {2 * KEY_SIZE} hexadecimal digits; `linkup-nb relay` prints it."
        )
    return key
