"""The nodes that a node knows: the routing table of the package `kademlia`, searched exactly."""

import time
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from heapq import nsmallest
from itertools import chain

from kademlia.node import Node
from kademlia.routing import RoutingTable

from linkup_nb.kademlia.announcements import Address, pack_addresses, source_of
from linkup_nb.wire.dht.table import K

MAX_CONTACTS = 1000
CONTACTS_PER_SOURCE = 16  # of one host, which may serve a class; one stranger's ports cannot fill the table
RECHECK_AFTER = 60.0  # seconds; a node that has replied since then is not pinged
ID_SIZE = 20  # bytes, as the package has it


@lru_cache(4096)
def node_id(address: Address) -> bytes:
    """A node's place: a hash of its address, so that nobody can choose a place, or claim another node's."""
    return blake2b(pack_addresses([address]), digest_size=ID_SIZE, person=b"linkup_nb node").digest()


def node(address: Address) -> Node:
    """A node at this address, as the package has it."""
    return Node(node_id(address), *address)


class Contacts:
    """Nodes that have answered us, most of them close to `own_id`.

    When a bucket is full, `check(address)` is called: ping that node, and `remove` it if it does not reply.
    """

    def __init__(self, own_id: bytes, check: Callable[[Address], None]) -> None:
        self.own_id = own_id
        self._check = check
        self._table = RoutingTable(self, K, Node(own_id))
        self._replied_at: dict[Address, float] = {}

    def __len__(self) -> int:
        return sum(map(len, self._table.buckets))

    def __contains__(self, address: Address) -> bool:
        return not self._table.is_new_node(node(address))

    def wants(self, address: Address) -> bool:
        """Whether there is room for this node, which is not known yet."""
        if address in self or len(self) >= MAX_CONTACTS:
            return False
        source = source_of(address)
        return sum(source_of(other) == source for other in self.addresses()) < CONTACTS_PER_SOURCE

    def addresses(self) -> list[Address]:
        """Where they all are."""
        return [(contact.ip, contact.port) for contact in self._nodes()]

    def closest(self, place: bytes, count: int) -> list[Address]:
        """The `count` closest to a 20-byte place of all contacts, closest first."""
        goal = int.from_bytes(place, "big")
        nearest = nsmallest(count, self._nodes(), key=lambda contact: contact.long_id ^ goal)
        return [(contact.ip, contact.port) for contact in nearest]

    def replied(self, address: Address) -> None:
        """A node has answered: know it from now on, if there is room."""
        if address not in self and not self.wants(address):
            return
        self._replied_at[address] = time.monotonic()
        self._table.add_contact(node(address))

    def remove(self, address: Address) -> None:
        """A node does not answer any more."""
        self._table.remove_contact(node(address))
        self._replied_at.pop(address, None)

    def stale(self, seconds: float) -> list[Address]:
        """Contacts that were silent for so long."""
        addresses = self.addresses()
        self._replied_at = {address: self._replied_at[address] for address in addresses if address in self._replied_at}
        return [address for address in addresses if self.silence(address) > seconds]

    def recentre(self, own_id: bytes) -> None:
        """Our own place turned out to be another: keep most of the nodes that are close to that one."""
        nodes = list(self._nodes())
        self.own_id = own_id
        self._table = RoutingTable(self, K, Node(own_id))
        for contact in nodes:
            self._table.add_contact(contact)

    async def call_ping(self, contact: Node) -> None:
        """The name by which the package's table asks for a check of the oldest node in a full bucket."""
        if self.silence((contact.ip, contact.port)) > RECHECK_AFTER:
            self._check((contact.ip, contact.port))

    def _nodes(self) -> "chain[Node]":
        return chain.from_iterable(bucket.nodes.values() for bucket in self._table.buckets)

    def silence(self, address: Address) -> float:
        """Seconds since it last replied."""
        return time.monotonic() - self._replied_at.get(address, 0.0)
