"""The scope of an address, and which addresses named by others are used: none of our network named by a remote host."""

from enum import IntEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address

from linkup_nb.wire.dht.rpc import Address


class Scope(IntEnum):
    """From where an address can be reached; the larger includes the smaller."""

    NOWHERE = 0  # not the address of one host
    MACHINE = 1  # 127.0.0.0/8
    SITE = 2  # private (RFC 1918), link-local (RFC 3927) and shared (RFC 6598) addresses
    WORLD = 3


@lru_cache(4096)
def scope(host: str) -> Scope:
    """The scope of an IPv4 address; host names, multicast and the like reach nowhere."""
    try:
        address = IPv4Address(host)
    except AddressValueError:
        return Scope.NOWHERE
    if address.is_loopback:
        return Scope.MACHINE
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        return Scope.NOWHERE
    return Scope.WORLD if address.is_global else Scope.SITE


def may_follow(named: Address, named_by: Address) -> bool:
    """Whether to send to an address that the host at `named_by` has named."""
    host, port = named
    reaches = scope(host)
    return 0 < port < 65536 and reaches is not Scope.NOWHERE and reaches >= scope(named_by[0])
