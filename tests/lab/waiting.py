"""Waiting in the tests of the lab, for what no event reports."""

import asyncio
from collections.abc import Callable

import linkup_nb as lu

PATIENCE = 60.0  # seconds until a test that still waits has failed
TOPIC = lu.lab.topic("library")
KEY_PAIR = lu.KeyPair.from_seed(bytes(32))


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def join(node: lu.Node, topic: bytes = TOPIC) -> None:
    """Join a topic, and wait until the node is announced and has looked."""
    joined = await node.swarm.join(topic)
    await joined.flushed()


def knows(node: lu.Node, other: lu.Node) -> bool:
    """Whether two peers are connected."""
    key = other.swarm.public_key
    return any(connection.remote_public_key == key for connection in node.swarm.connections)
