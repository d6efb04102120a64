"""Which addresses are ours, and which of those that strangers give us are worth a packet."""

import os
from ipaddress import ip_address

MAX_ADDRESSES = 8  # addresses of one peer that are kept, dialled or announced


def offline() -> bool:
    """Whether `LINKUP_OFFLINE` keeps every packet of this process on loopback."""
    return os.environ.get("LINKUP_OFFLINE", "0") not in ("", "0")


def may_dial(host: object, port: object) -> bool:
    """Whether to dial an address that a stranger gave us: literal, unicast, a real port, on loopback when `offline()`.

    Names, also those of interfaces (`fe80::1%eth0`), are refused: looking one up would already send packets.
    """
    if not isinstance(host, str) or "%" in host or not isinstance(port, int) or not 0 < port < 65536:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if address.is_loopback:
        return True
    return not (offline() or address.is_unspecified or address.is_multicast or address.is_reserved)


def lan_addresses() -> tuple[str, ...]:
    """This machine's IPv4 addresses besides loopback, at most `MAX_ADDRESSES`; none when `offline()`."""
    if offline():
        return ()
    import ifaddr  # 40 ms that no offline or loopback-only swarm needs to pay

    found = {ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)}
    ours = (address for address in map(ip_address, found) if not address.is_loopback)
    ordered = sorted(ours, key=lambda address: (address.is_link_local, address.packed))
    return tuple(map(str, ordered))[:MAX_ADDRESSES]
