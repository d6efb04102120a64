"""Refreshing the routing tables of a network until each is as full as it can be."""

import random
from collections import Counter
from collections.abc import Collection, Mapping

from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.rpc import ID_SIZE, Internal, node_id

BITS = 8 * ID_SIZE
MAX_ROUNDS = 8  # refreshes of one bucket; a search may miss what nobody knows that it asks


async def settle(nodes: Collection[DhtNode], among: Collection[DhtNode], chance: random.Random) -> None:
    """Refresh each bucket of `nodes` that could be fuller, `among` all nodes there are; one after the other.

    As in the Kademlia paper (section 2.3) by a search for a random id in the bucket. What searches do not find is
    pinged, as any node may.
    """
    for _ in range(MAX_ROUNDS):
        wanting = [(node, shared) for node in nodes for shared in _wanting(node, among)]
        if not wanting:
            return
        for node, shared in wanting:
            if shared in _wanting(node, among):
                await node.query(Internal.FIND_NODE, _id_in(node.table.id, shared, chance), internal=True).finished()
    for node in nodes:
        for shared in _wanting(node, among):
            for other in among:
                if other is not node and _shared(node.table.id, node_id(other.address)) == shared:
                    await node.send_request(other.address, Internal.PING, internal=True, retries=0)


def _wanting(node: DhtNode, among: Collection[DhtNode]) -> list[int]:
    """The numbers of shared bits of which the node knows fewer others than there are, and than it has room for."""
    own = node.table.id
    there = Counter(_shared(own, node_id(other.address)) for other in among if other is not node)
    known = _sizes(node)
    return sorted(shared for shared, count in there.items() if known.get(shared, 0) < min(count, node.network.k))


def _sizes(node: DhtNode) -> Mapping[int, int]:
    return Counter(contact.shared_bits for contact in node.table)


def _shared(one: bytes, other: bytes) -> int:
    return BITS - (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_length()


def _id_in(own: bytes, shared: int, chance: random.Random) -> bytes:
    """A random id that shares so many leading bits with ours, and no more."""
    rest = BITS - shared - 1
    differs = int.from_bytes(own, "big") >> rest ^ 1
    return (differs << rest | chance.getrandbits(rest)).to_bytes(ID_SIZE, "big")
