"""What keeps a node of HyperDHT from its network, or us from being found there."""

import asyncio
from collections.abc import Mapping
from functools import partial

from linkup_nb.connection.addresses import offline, resolve
from linkup_nb.discovery.check import Bootstrap, Check, Outcome, count, knock
from linkup_nb.errors import PeerTimeout
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.dht.nat import NatSample
from linkup_nb.wire.dht.rpc import Address, Internal
from linkup_nb.wire.dht.scope import scope

# For a peer that wants to reach us, by kind of firewall: outcome, finding, cause and advice.
_FIREWALLS: dict[Firewall, tuple[Outcome, str, str, str]] = {
    Firewall.OPEN: (Outcome.OK, "A datagram of anybody reaches us.", "", ""),
    Firewall.CONSISTENT: (Outcome.OK, "All see us at one address: holes can be punched through our NAT.", "", ""),
    Firewall.RANDOM: (
        Outcome.WARNING,
        "Each sees us at another port.",
        "Our NAT gives every connection another port, so peers behind one like it cannot reach us, nor we them.",
        "Forward a UDP port to this machine, or use another network.",
    ),
    Firewall.UNKNOWN: (
        Outcome.WARNING,
        "Too few nodes have reported where they see us.",
        "",
        "Look again in a minute.",
    ),
}


async def examine(node: DhtNode, announced: Mapping[bytes, int]) -> list[Check]:
    """Look at the bootstrap nodes, at our place in the network, and at where we are announced."""
    return [*await _bootstrap(node), _network(node), _public_address(node.nat), _announced(announced)]


async def _bootstrap(node: DhtNode) -> list[Bootstrap]:
    """Those that are named by their addresses; the names, which stand for the same nodes, only if none replies."""
    addresses = [(host, port) for host, port in node.bootstrap if scope(host)]
    found = await _knock(node, addresses)
    if not any(check.rtt is not None for check in found):
        found += await _knock(node, [address for address in node.bootstrap if address not in addresses])
    return found


async def knock_on(peers: list[Address]) -> list[Bootstrap]:
    """Whether each of these bootstrap nodes replies. Whoever knocks serves nobody: no node keeps it as one."""
    node = DhtNode((), port=0, ephemeral=True)
    await node.open()
    try:
        return await _knock(node, peers)
    finally:
        await node.close()


async def _knock(node: DhtNode, addresses: list[Address]) -> list[Bootstrap]:
    return list(
        await asyncio.gather(*(knock(host, port, partial(_ping, node, host, port)) for host, port in addresses))
    )


async def _ping(node: DhtNode, host: str, port: int) -> float:
    found = await resolve(host, port)
    if not found:
        raise PeerTimeout(f"No host is called {host}: check the name.")
    return (await node.request(found[0], Internal.PING, internal=True)).rtt


def _network(node: DhtNode) -> Check:
    known = len(node.view().nodes)
    if not known and node.bootstrap:
        cause = "LINKUP_OFFLINE keeps it on this machine." if offline() else "No bootstrap node has replied yet."
        return Check("hyperdht", Outcome.OFF if offline() else Outcome.FAILED, "No node of HyperDHT is known.", cause)
    role = "only sends requests" if node.id is None else "keeps things for others"
    return Check("hyperdht", Outcome.OK, f"{count(known, 'node')} known; ours {role}, at port {node.address[1]}.")


def _public_address(nat: NatSample) -> Check:
    outcome, seen, cause, advice = _FIREWALLS[nat.firewall]
    where = f"{nat.host}:{nat.port}" if nat.address else nat.host or "nowhere in particular"
    if not nat.seen_by:
        return Check("public address", Outcome.OFF, "No node has reported yet where it sees us.")
    others = "1 host sees" if nat.seen_by == 1 else f"{nat.seen_by} hosts see"
    return Check("public address", outcome, f"{others} us at {where}. {seen}", cause, advice)


def _announced(announced: Mapping[bytes, int]) -> Check:
    if not announced:
        return Check("announced", Outcome.OFF, "No topic is to be announced.")
    missing = sum(not nodes for nodes in announced.values())
    fewest = min(announced.values())
    if missing:
        seen = f"{missing} of {count(len(announced), 'topic')} not announced at any node."
        return Check("announced", Outcome.WARNING, seen, "The network has not been entered, or nobody has replied.")
    return Check(
        "announced", Outcome.OK, f"{count(len(announced), 'topic')}, each at {count(fewest, 'node')} at least."
    )
