"""What `linkup://` fetches from peers, and what it says when they do not send it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import DriveUnreachable
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.blobs import BLOCK_SIZE, BlobId
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import FILES, Entry
from linkup_nb.hyperdrive.filesystem import MAX_AHEAD, DriveFileSystem
from linkup_nb.wire.keys import z32encode
from tests.hyperdrive.conftest import BIG, OpenStore, arrived, downloaded
from tests.hyperdrive.threads import LoopThread

NOBODY = z32encode(b"\x07" * 32)


async def test_a_store_on_another_thread_replicates_over_a_connection_of_this_loop(
    url: str, drive: Drive, fs: DriveFileSystem, tmp_path: Path
) -> None:
    fs.pipe(f"{url}/big", BIG)
    server = await listen("127.0.0.1", 0, drive._source.store.replicate)
    async with Corestore(tmp_path / "here") as here:
        connection = await connect("127.0.0.1", server.port)
        here.replicate(connection)
        there = fsspec.filesystem("linkup", asynchronous=True, store=here)
        assert await there._cat_file(f"{drive.id}/big") == BIG
        await connection.close()
    await server.close()


def test_a_range_fetches_only_its_blocks(drive: Drive, far: Corestore, thread: LoopThread) -> None:
    fs = fsspec.filesystem("linkup", store=far)
    path = f"{drive.id}/big"
    assert fs.size(path) == len(BIG)
    assert downloaded(thread, far, drive) == []

    start = 50 * BLOCK_SIZE + 10
    assert fs.cat_file(path, start, start + 100) == BIG[start : start + 100]
    assert downloaded(thread, far, drive) == [50]
    assert fs.cat_file(path, -5) == BIG[-5:]
    assert downloaded(thread, far, drive) == [50, 159]
    starts, ends = [0, BLOCK_SIZE - 1, 100 * BLOCK_SIZE], [1, BLOCK_SIZE + 1, 102 * BLOCK_SIZE]
    ranges = [BIG[start:end] for start, end in zip(starts, ends, strict=True)]
    assert fs.cat_ranges([path] * 3, starts, ends) == ranges
    assert downloaded(thread, far, drive) == [0, 1, 50, 100, 101, 159]


def test_an_open_file_fetches_what_is_read_and_ahead_only_for_who_reads_on(
    drive: Drive, far: Corestore, thread: LoopThread
) -> None:
    fs = fsspec.filesystem("linkup", store=far)
    with fs.open(f"{drive.id}/big") as file:
        for block in (90, 20, 140):
            file.seek(block * BLOCK_SIZE)
            assert file.read(1000) == BIG[block * BLOCK_SIZE :][:1000]
        assert downloaded(thread, far, drive) == [20, 90, 140]

        file.seek(0)
        assert file.read(BLOCK_SIZE) == BIG[:BLOCK_SIZE]
        assert downloaded(thread, far, drive) == [0, 20, 90, 140]
        assert file.read(BLOCK_SIZE) == BIG[BLOCK_SIZE : 2 * BLOCK_SIZE]
        assert downloaded(thread, far, drive) == [0, 1, 2, 20, 90, 140]
        assert file.read() == BIG[2 * BLOCK_SIZE :]
        assert len(downloaded(thread, far, drive)) == 160


def test_the_first_rows_of_a_table_need_only_its_first_blocks(drive: Drive, far: Corestore, thread: LoopThread) -> None:
    thread.call(drive.put("/rows.csv", b"n,text\n" + b"1,a row of a table\n" * 500_000))
    thread.call(arrived(far, drive))
    options = {"store": far}
    table = pd.read_csv(f"linkup://{drive.id}/rows.csv", nrows=5, storage_options=options)
    assert list(table.n) == [1] * 5
    assert len(downloaded(thread, far, drive)) <= 8
    assert len(pd.read_csv(f"linkup://{drive.id}/rows.csv", storage_options=options)) == 500_000


def test_reading_ahead_has_a_bound(fs: DriveFileSystem, url: str) -> None:
    fs.pipe(f"{url}/big", BIG * 3)
    asked: list[int] = []
    with fs.open(f"{url}/big") as file:
        fetch = file.cache.fetcher

        def told(start: int, end: int) -> bytes:
            asked.append(end - start)
            return bytes(fetch(start, end))

        file.cache.fetcher = told
        while file.read(BLOCK_SIZE):
            assert len(file.cache._held) <= MAX_AHEAD + BLOCK_SIZE
    assert sum(asked) == 3 * len(BIG)
    assert max(asked) > MAX_AHEAD // 2


def test_blocks_that_javascript_cut_at_will_are_found_too(drive: Drive, far: Corestore, thread: LoopThread) -> None:
    """JavaScript's `createWriteStream` makes a block of each piece that it is given."""
    pieces = [b"a" * 10, b"b" * BLOCK_SIZE, b"c" * 5, b"d" * 60_000]
    whole = b"".join(pieces)

    async def write() -> None:
        core = (await drive._contents()).core
        blob = BlobId(core.length, len(pieces), core.byte_length, len(whole))
        await core.append(pieces)
        await core.append([b"z" * 10] * 5)
        await drive.bee.put(FILES + b"/odd", Entry("/odd", 0, blob).encode())
        odd = blob._replace(block_length=2, byte_length=10 + BLOCK_SIZE)  # as many as there would be of full ones
        await drive.bee.put(FILES + b"/even", Entry("/even", 0, odd).encode())
        await arrived(far, drive)

    thread.call(write())
    fs = fsspec.filesystem("linkup", store=far)
    for name, data in (("odd", whole), ("even", whole[: 10 + BLOCK_SIZE])):
        assert fs.cat(f"{drive.id}/{name}") == data
        for start in (0, 5, 10, 11, 100, BLOCK_SIZE, BLOCK_SIZE + 9, len(data) - 1):
            assert fs.cat_file(f"{drive.id}/{name}", start, start + 20) == data[start : start + 20]


def test_each_call_sees_the_newest_version_and_an_open_file_stays_as_it_was(
    drive: Drive, far: Corestore, thread: LoopThread
) -> None:
    fs = fsspec.filesystem("linkup", store=far)
    for n in range(5):
        thread.call(drive.put("/n", b"%d" % n))
        thread.call(arrived(far, drive))
        with fs.open(f"{drive.id}/n") as file:
            thread.call(drive.put("/n", b"later and longer"))
            thread.call(arrived(far, drive))
            assert file.read() == b"%d" % n
        assert fs.cat(f"{drive.id}/n") == b"later and longer"
    thread.call(drive.delete("/n"))
    thread.call(arrived(far, drive))
    assert not fs.exists(f"{drive.id}/n")
    assert fs.ls(drive.id, detail=False) == [f"{drive.id}/big"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda fs, url: fs.cat(f"{url}/a"),
        lambda fs, url: fs.ls(url),
        lambda fs, url: fs.exists(f"{url}/a"),
        lambda fs, url: fs.isfile(f"{url}/a"),
        lambda fs, url: fs.isdir(f"{url}/a"),
        lambda fs, url: fs.glob(f"{url}/*"),
        lambda fs, url: list(fs.walk(url)),
        lambda fs, url: fs.open(f"{url}/a"),
        lambda fs, url: fs.open(f"{url}/a", "wb"),
        lambda fs, url: pd.read_csv(f"{url}/a", storage_options={"timeout": 0.1}),
    ],
)
def test_a_drive_that_nobody_has_is_said_to_be_so_and_not_to_be_empty(
    open_store: OpenStore, ask: Callable[[DriveFileSystem, str], object]
) -> None:
    open_store()
    with pytest.raises(DriveUnreachable, match=r"No peer sent anything of Drive\(.*\) within 0.1 s; is anybody online"):
        ask(fsspec.filesystem("linkup", timeout=0.1), f"linkup://{NOBODY}")


def test_contents_that_nobody_has_are_said_to_be_missing(
    drive: Drive, far: Corestore, thread: LoopThread, tmp_path: Path
) -> None:
    thread.call(drive.clear("/big"))
    fs = fsspec.filesystem("linkup", store=far, timeout=0.3)
    assert fs.size(f"{drive.id}/big") == len(BIG)
    with pytest.raises(DriveUnreachable, match="No peer sent block 0"):
        fs.cat(f"{drive.id}/big")
    with fs.open(f"{drive.id}/big") as file, pytest.raises(DriveUnreachable, match="No peer sent block"):
        file.read(10)


def test_a_peer_that_has_left_does_not_take_its_drive_along(drive: Drive, far: Corestore, thread: LoopThread) -> None:
    fs = fsspec.filesystem("linkup", store=far, timeout=5)
    assert fs.cat_file(f"{drive.id}/big", 0, 10) == BIG[:10]
    thread.call(drive._source.store.close())
    assert fs.cat_file(f"{drive.id}/big", 0, 10) == BIG[:10]
    assert fs.ls(drive.id, detail=False) == [f"{drive.id}/big"]


async def test_a_silent_peer_does_not_hold_up_what_is_here(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as author, Corestore(tmp_path / "b") as store:
        drive = await Drive.open(author)
        await drive.put("/a", b"here")
        server = await listen("127.0.0.1", 0, author.replicate)
        connection = await connect("127.0.0.1", server.port)
        store.replicate(connection)
        fs = fsspec.filesystem("linkup", asynchronous=True, store=store, timeout=60)
        assert await fs._cat_file(f"{drive.id}/a") == b"here"
        await connection.close()

        held: list[Connection] = []
        silent = await listen("127.0.0.1", 0, held.append)
        store.replicate(await connect("127.0.0.1", silent.port))
        async with asyncio.timeout(30):
            assert [await fs._cat_file(f"{drive.id}/a") for _ in range(50)] == [b"here"] * 50
        await server.close()
        await silent.close()
