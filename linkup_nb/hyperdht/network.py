"""What the nodes of one network have in common."""

from dataclasses import dataclass

from linkup_nb.connection.udp_socket import UdpSocket
from linkup_nb.connection.udx_socket import OpenSocket
from linkup_nb.wire.dht.search import ALPHA
from linkup_nb.wire.dht.table import K


@dataclass(frozen=True, slots=True)
class Network:
    """`k` nodes are in a bucket, in a reply, and keep a record; `alpha` are queried at a time.

    `open_socket` makes the sockets of its nodes: those of a network within one process need no system.
    """

    k: int = K
    alpha: int = ALPHA
    open_socket: OpenSocket = UdpSocket


USUAL = Network()
"""As all networks of HyperDHT are, the public one and private ones."""
