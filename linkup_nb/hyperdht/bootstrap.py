"""A node by which others enter a network of their own."""

import asyncio
from collections.abc import Callable

from linkup_nb.connection.addresses import lan_addresses, offline
from linkup_nb.hyperdht.node import DEFAULT_PORT, DhtNode


async def run_dht_bootstrap(
    host: str = "0.0.0.0", port: int = DEFAULT_PORT, *, ready: Callable[[str, int], object]
) -> None:
    """Run the first node of a network until cancelled; raises `UsageError` if the port cannot be had.

    `ready(host, port)` is called once it listens, with an address for others to name: this machine's on the LAN, if it
    listens on all.
    """
    host = "127.0.0.1" if offline() and host == "0.0.0.0" else host
    node = DhtNode((), host=host, port=port, ephemeral=False)
    await node.open()
    try:
        host, port = node.address
        ready(next(iter(lan_addresses()), "127.0.0.1") if host == "0.0.0.0" else host, port)
        await asyncio.get_running_loop().create_future()
    finally:
        await node.close()
