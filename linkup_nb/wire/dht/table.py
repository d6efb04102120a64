"""The routing table of a DHT node: many contacts near its own id, few far away.

As in the Kademlia paper (Maymounkov and Mazières 2002, section 2.2), with the sizes of the npm package `dht-rpc`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from linkup_nb.wire.dht.rpc import ID_SIZE, Address, node_id
from linkup_nb.wire.dht.scope import Scope, scope

K = 20  # nodes in a bucket, and nodes that store a record; in private networks too
MAX_PER_HOST = 16  # nodes of one host other than this machine: the ports of one stranger cannot fill the table


@dataclass(slots=True, eq=False)
class Contact:
    """A node that has replied to us. Times are in seconds, on a clock that never goes back."""

    address: Address
    id: bytes
    number: int  # the id, for distances
    added: float
    seen: float  # when it last replied
    pinged: float  # when it was last sent a request, or replied
    rtt: float | None = None  # seconds, of its last reply
    doubtful: bool = False  # it has let a request go by, and has not answered since


class Table:
    """Contacts, in buckets of `k` by how many leading bits their ids share with `own_id`."""

    def __init__(self, own_id: bytes, k: int = K) -> None:
        self.own_id = own_id
        self._k = k
        self._number = int.from_bytes(own_id, "big")
        self._contacts: dict[Address, Contact] = {}
        self._buckets: dict[int, dict[Address, Contact]] = {}
        self._hosts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._contacts)

    def __iter__(self) -> Iterator[Contact]:
        return iter(tuple(self._contacts.values()))

    def __contains__(self, address: Address) -> bool:
        return address in self._contacts

    def get(self, address: Address) -> Contact | None:
        """The contact at this address."""
        return self._contacts.get(address)

    def wants(self, address: Address) -> bool:
        """Whether a node is unknown, and its bucket has room."""
        return len(self._bucket(node_id(address))) < self._k and self._acceptable(address)

    def rival(self, address: Address) -> Contact | None:
        """If only a full bucket keeps this node out: the contact in it that was pinged longest ago.

        Ping it; if it does not reply, `remove` it and add the other (section 2.2 of the paper).
        """
        bucket = self._bucket(node_id(address))
        if len(bucket) < self._k or not self._acceptable(address):
            return None
        return min(bucket.values(), key=lambda contact: (contact.pinged, contact.added))

    def replied(self, address: Address, now: float, rtt: float | None = None) -> bool:
        """Add or refresh a node that has replied, after `rtt` seconds. `False` if there is no room for it."""
        contact = self._contacts.get(address)
        if contact is None:
            if not self.wants(address):
                return False
            id_ = node_id(address)
            contact = Contact(address, id_, int.from_bytes(id_, "big"), now, now, now)
            self._add(contact)
        contact.seen = contact.pinged = now
        contact.doubtful = False
        if rtt is not None:
            contact.rtt = rtt
        return True

    def doubt(self, address: Address) -> bool:
        """A node has not answered in time: name it to nobody until it does. True if that is news."""
        contact = self._contacts.get(address)
        if contact is None or contact.doubtful:
            return False
        contact.doubtful = True
        return True

    def remove(self, address: Address) -> None:
        """Remove a node, if it is there."""
        contact = self._contacts.pop(address, None)
        if contact is not None:
            del self._bucket(contact.id)[address]
            self._hosts[address[0]] -= 1
            if not self._hosts[address[0]]:
                del self._hosts[address[0]]

    def closest(self, target: bytes, count: int | None = None) -> list[Address]:
        """The addresses of the `count` contacts closest to a 32-byte target, closest first; exact, over all buckets.

        `None` is for as many as a bucket holds.
        """
        goal = int.from_bytes(target, "big")
        count = self._k if count is None else count
        nearest: list[tuple[int, Address]] = []
        for group in self._groups((self._number ^ goal).bit_length()):
            nearest += sorted((contact.number ^ goal, contact.address) for contact in group if not contact.doubtful)
            if len(nearest) >= count:
                break
        return [address for _, address in nearest[:count]]

    def _groups(self, bucket: int) -> Iterator[Iterable[Contact]]:
        """All contacts; those in one group are nearer to any target in this bucket than those in the next."""
        yield self._buckets.get(bucket, {}).values()
        yield chain.from_iterable(each.values() for at, each in self._buckets.items() if at < bucket)
        for at in range(bucket + 1, 8 * ID_SIZE + 1):
            yield self._buckets.get(at, {}).values()

    def oldest(self) -> list[Contact]:
        """All contacts, those pinged longest ago first."""
        return sorted(self._contacts.values(), key=lambda contact: contact.pinged)

    def recentre(self, own_id: bytes) -> None:
        """Change our own id, and keep the contacts for which its buckets have room."""
        contacts = self.oldest()[::-1]
        self.own_id, self._number = own_id, int.from_bytes(own_id, "big")
        self._contacts, self._buckets, self._hosts = {}, {}, Counter()
        for contact in contacts:
            if self.wants(contact.address):
                self._add(contact)

    def _add(self, contact: Contact) -> None:
        self._contacts[contact.address] = contact
        self._bucket(contact.id)[contact.address] = contact
        self._hosts[contact.address[0]] += 1

    def _bucket(self, id_: bytes) -> dict[Address, Contact]:
        return self._buckets.setdefault((self._number ^ int.from_bytes(id_, "big")).bit_length(), {})

    def _acceptable(self, address: Address) -> bool:
        host = address[0]
        crowded = self._hosts[host] >= MAX_PER_HOST and scope(host) is not Scope.MACHINE
        return address not in self._contacts and not crowded and node_id(address) != self.own_id
