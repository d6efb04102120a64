"""Real nodes and strangers on loopback, closed after each test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import linkup_nb as lu
from tests.rooms.nodes import MakeNode, Stranger


@pytest.fixture
async def make_node(tmp_path: Path) -> AsyncIterator[MakeNode]:
    """Opens a node of that name, on this machine only; closed after the test."""
    async with AsyncExitStack() as stack:

        async def make(name: str) -> lu.Node:
            node = lu.Node(tmp_path / name, name=name, discovery=[lu.Local(mdns=False)])
            return await stack.enter_async_context(node)

        yield make


@pytest.fixture
async def make_stranger() -> AsyncIterator[Callable[[], Stranger]]:
    """Strangers, gone after the test."""
    strangers: list[Stranger] = []

    def make() -> Stranger:
        strangers.append(Stranger())
        return strangers[-1]

    yield make
    await asyncio.gather(*(stranger.swarm.close() for stranger in strangers))
