"""Networks of DHT nodes on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht.rpc import Address, distance, node_id

HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds until a test that still waits has failed


async def start(
    bootstrap: Sequence[Address] = (),
    *,
    ephemeral: bool | None = False,
    host: str = HOST,
    state: Path | None = None,
) -> DhtNode:
    """A node that has entered the network."""
    node = DhtNode(bootstrap, host=host, port=0, ephemeral=ephemeral, state=state)
    await node.open()
    await node.ready()
    return node


@asynccontextmanager
async def network(count: int) -> AsyncIterator[list[DhtNode]]:
    """So many nodes that keep things for others; the first is the bootstrap node."""
    nodes = [await start()]
    try:
        for first in range(1, count, 10):
            size = min(10, count - first)
            nodes += await asyncio.gather(*(start([nodes[0].address]) for _ in range(size)))
        yield nodes
    finally:
        await asyncio.gather(*(node.close() for node in nodes))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no event reports."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def by_distance(addresses: Sequence[Address], target: bytes) -> list[Address]:
    """All of them, those nearest to a target first."""
    return sorted(addresses, key=lambda address: distance(node_id(address), target))
