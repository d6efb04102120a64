"""A store that strangers connect to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linkup_nb.connection.connection import Connection
from linkup_nb.connection.server import listen
from linkup_nb.hypercore.corestore import Corestore
from tests.hypercore.liar import Victim
from tests.hypercore.vectors import KEY


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    async with Corestore(tmp_path / "victim") as store:
        connections: asyncio.Queue[Connection] = asyncio.Queue()

        def take(connection: Connection) -> None:
            store.replicate(connection)
            connections.put_nowait(connection)

        server = await listen("127.0.0.1", 0, take)
        yield Victim(store, await store.core(key=KEY), server, connections)
        await server.close()
