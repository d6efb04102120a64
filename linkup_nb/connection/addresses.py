"""Which addresses are ours, and which of those that strangers give us are worth a packet."""

import asyncio
import os
import socket
from ipaddress import ip_address

MAX_ADDRESSES = 8  # addresses of one peer that are kept, dialled or announced
RESOLVE_TIMEOUT = 5.0  # seconds for the name of a host that the user gave us


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


async def resolve(host: str, port: int) -> list[tuple[str, int]]:
    """The IPv4 addresses of a host that the user named; none if it is unknown, or elsewhere when `offline()`."""
    if may_dial(host, port):
        return [(host, port)]
    if offline() and host != "localhost":
        return []
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM
            )
    except (OSError, UnicodeError):
        return []
    return [(str(address[0]), int(address[1])) for *_, address in found]


def is_loopback(host: str) -> bool:
    """Whether this literal IPv4 address is on this machine only."""
    return host.startswith("127.")
