"""A node that relays for peers between whom no hole can be punched."""

import asyncio
from collections.abc import Callable, Sequence

from linkup_nb.connection.addresses import offline
from linkup_nb.hyperdht.blind_relay import BlindRelay
from linkup_nb.hyperdht.holepunch import Punchers
from linkup_nb.hyperdht.listener import DhtListener
from linkup_nb.hyperdht.node import DEFAULT_PORT, DhtNode
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.udx.events import Address


async def run_relay(
    key_pair: KeyPair,
    bootstrap: Sequence[Address],
    host: str = "0.0.0.0",
    port: int = DEFAULT_PORT,
    *,
    ready: Callable[[bytes], object],
) -> None:
    """Relay in the network that is entered by `bootstrap` until cancelled, on a machine that everyone reaches.

    `ready(public_key)` is called once peers find it by that key. Raises `UsageError` if the port cannot be had.
    """
    host = "127.0.0.1" if offline() and host == "0.0.0.0" else host
    node = DhtNode(bootstrap, host=host, port=port, ephemeral=False)
    await node.open()
    relay = BlindRelay(node)
    listener = DhtListener(node, key_pair, Punchers(node), relay.refuses, relay.admit)
    try:
        await node.ready()
        await listener.open()
        ready(key_pair.public_key)
        await asyncio.get_running_loop().create_future()
    finally:
        await relay.close()
        await listener.close()
        await node.close()
