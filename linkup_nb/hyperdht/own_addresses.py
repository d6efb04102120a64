"""Where peers may reach us, as far as we know: the addresses that a handshake announces."""

from linkup_nb.connection.addresses import lan_addresses
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.udx.events import Address


def local_addresses(node: DhtNode) -> tuple[Address, ...]:
    """Where peers in our own network reach us."""
    host, port = node.address
    if host == "0.0.0.0":
        return tuple((address, port) for address in lan_addresses()) or (("127.0.0.1", port),)
    return ((host, port),)


def named_addresses(node: DhtNode) -> tuple[Address, ...]:
    """All addresses that we announce to a peer."""
    everywhere = (node.public_address,) if is_open(node) and node.public_address else ()
    return (*everywhere, *local_addresses(node))


def is_open(node: DhtNode) -> bool:
    """Whether a datagram of anybody reaches us."""
    return node.nat.firewall == Firewall.OPEN and node.public_address is not None
