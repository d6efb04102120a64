"""A store that has lost parts of one log: its user is told, and the other logs on the same connection go on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import NotAvailable, StoreError
from linkup_nb.hypercore.corestore import Corestore

BLOCKS = [b"block %d" % index for index in range(10)]


@pytest.fixture
async def keys(tmp_path: Path) -> tuple[bytes, bytes]:
    """The keys of a log that is damaged in the tests, and of one that is not."""
    async with Corestore(tmp_path / "author") as store:
        cores = [await store.core(name=name) for name in ("damaged", "whole")]
        for core in cores:
            await core.append(BLOCKS)
        return cores[0].key, cores[1].key


def damage(folder: Path, statement: str) -> None:
    """Change the database behind the store's back, as a bad disk does."""
    with sqlite3.connect(folder / "logs.sqlite3") as connection:
        [core] = connection.execute("SELECT id FROM core WHERE name = 'damaged'").fetchone()
        connection.execute(statement, {"first": core << 42, "end": core + 1 << 42})
    connection.close()


@asynccontextmanager
async def replicated(author: Corestore, reader: Corestore) -> AsyncIterator[Connection]:
    server = await listen("127.0.0.1", 0, author.replicate)
    connection = await connect("127.0.0.1", server.port)
    reader.replicate(connection)
    yield connection
    await connection.close()
    await server.close()


LOST = {
    "a root": "DELETE FROM node WHERE place = :first + 7",
    "every node": "DELETE FROM node WHERE place >= :first AND place < :end",
    "a node": "DELETE FROM node WHERE place = :first + 4",
    "a block": "DELETE FROM block WHERE place = :first + 3",
    "every block": "DELETE FROM block WHERE place >= :first AND place < :end",
}


@pytest.mark.parametrize("statement", LOST.values(), ids=LOST)
async def test_one_damaged_log_does_not_stop_the_others(
    tmp_path: Path, keys: tuple[bytes, bytes], statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(tmp_path / "author", statement)
    async with (
        Corestore(tmp_path / "author") as author,
        Corestore(tmp_path / "reader") as reader,
        replicated(author, reader) as connection,
    ):
        damaged, whole = [await reader.core(key=key) for key in keys]

        with pytest.raises(NotAvailable):
            await damaged.get(3, timeout=0.5)
        assert [await whole.get(index, timeout=5) for index in range(10)] == BLOCKS

        assert not connection.closed
        assert "not replicated" in caplog.text


async def test_who_reads_a_lost_block_is_told_and_can_fetch_it_again(tmp_path: Path, keys: tuple[bytes, bytes]) -> None:
    async with (
        Corestore(tmp_path / "author") as author,
        Corestore(tmp_path / "reader") as reader,
        replicated(author, reader),
    ):
        copied = await reader.core(key=keys[0])
        await (await copied.download(0, 10)).done(timeout=5)
    damage(tmp_path / "author", LOST["a block"])

    async with Corestore(tmp_path / "author") as author, Corestore(tmp_path / "reader") as reader:
        core = await author.core(name="damaged")
        await reader.core(key=keys[0])
        with pytest.raises(StoreError, match=r"has lost block 3; `clear` it, and a `get` fetches it from a peer\."):
            await core.get(3)
        with pytest.raises(StoreError, match="has lost block 3"):
            [block async for block in core.read_stream()]

        async with replicated(author, reader):
            await core.clear(3)
            assert await core.get(3, timeout=5) == b"block 3"


async def test_who_waits_for_a_log_whose_store_fails_gets_the_error(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "author") as author, Corestore(tmp_path / "reader") as reader:
        core = await author.core(name="long")
        await core.append([b"block"] * 5000)
        copied = await reader.core(key=core.key)
        async with replicated(author, reader) as connection:
            await copied.update(timeout=5)
            waiting = [asyncio.create_task(copied.get(index, timeout=20)) for index in (5000, 5001)]
            download = await copied.download(0, 3000)
            disk, reader._store._reader = reader._store._reader, sqlite3.connect(":memory:")  # the tables are gone

            with pytest.raises(StoreError, match="cannot be used"):
                await download.done(timeout=20)
            for one in waiting:
                with pytest.raises(StoreError, match="cannot be used"):
                    await one
            assert not connection.closed
        reader._store._reader.close()
        reader._store._reader = disk
