"""The store: what was written is there, one process at a time, and every refusal is a sentence."""

import os
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from linkup_nb.errors import MachineError, StoreError, StoreInUse, StoreVersion
from linkup_nb.hypercore import storage, writer
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.storage import PENDING_HIGH_WATER, SMALL_BLOCK, TOGETHER, VERSION, Store
from linkup_nb.hypercore.writer import Head

OPEN = """
import asyncio, pathlib, sys
from linkup_nb.hypercore.storage import Store
async def main(): Store.open(pathlib.Path(sys.argv[1]))
asyncio.run(main())
"""
NODE = MerkleNode(4, 10, b"h" * 32)
HEAD = Head(1, 3, b"signed", 2)


def open_elsewhere(folder: Path) -> str:
    """Open the store in another process; what that prints."""
    return subprocess.run([sys.executable, "-c", OPEN, str(folder)], capture_output=True, text=True, check=False).stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


async def test_what_was_written_is_there_after_opening_again(folder: Path) -> None:
    store = Store.open(folder)
    first, second = await store.add_core(b"d1", b"k1"), await store.add_core(b"d2", b"k2")
    store.put_nodes(second.id, [NODE])
    store.put_blocks(second.id, 7, [b"seven", b"eight"])
    store.put_head(second.id, HEAD)
    await store.close()

    store = Store.open(folder)
    assert [(row.key, row.head) for row in store.cores()] == [(b"k1", Head(0, 0, b"", 0)), (b"k2", HEAD)]
    assert (store.node(second.id, 4), store.node(first.id, 4)) == (NODE, None)
    assert (store.block(second.id, 8), store.block(second.id, 9)) == (b"eight", None)
    assert store.blocks(second.id, 7, 9) == [b"seven", b"eight"]
    await store.close()


async def test_what_is_put_is_read_before_it_is_on_disk(folder: Path) -> None:
    store = Store.open(folder)
    core = (await store.add_core(b"d", b"k")).id
    store.put_blocks(core, 0, [b"a", b"b", b"c"])
    await store.flush()

    store.delete(core, blocks=(1, 2))
    store.put_nodes(core, [NODE])
    store.put_blocks(core, 5, [b"f"])

    assert [store.block(core, index) for index in range(6)] == [b"a", None, b"c", None, None, b"f"]
    assert sorted(store.held(core, 0, 10)) == [0, 2, 5]
    assert store.blocks(core, 0, 3) is None
    store.delete(core, nodes=(0, 5))
    assert store.node(core, 4) is None
    await store.close()


async def test_putting_again_what_was_deleted(folder: Path) -> None:
    store = Store.open(folder)
    core = (await store.add_core(b"d", b"k")).id
    store.put_blocks(core, 0, [b"old"])
    await store.flush()
    store.delete(core, blocks=(0, 9))
    store.put_blocks(core, 0, [b"new"])

    assert store.block(core, 0) == b"new"
    await store.flush()
    assert store.block(core, 0) == b"new"
    await store.close()


async def test_small_blocks_are_read_together_and_large_ones_are_not(folder: Path) -> None:
    store = Store.open(folder)
    first, core = (await store.add_core(b"d1", b"k1")).id, (await store.add_core(b"d2", b"k2")).id
    most, large = bytes(SMALL_BLOCK), bytes(SMALL_BLOCK + 1)
    store.put_blocks(first, 0, [b"another log"])
    store.put_blocks(core, 0, [b"a", most, large, b"", b"cut off", b"over"])
    await store.flush()

    store.delete(core, blocks=(4, 5))
    store.put_blocks(core, 5, [b"new", large])
    wanted = {0: b"a", 1: most, 3: b"", 5: b"new"}
    assert store.small_blocks(core, [5, 3, 2, 1, 0, 4, 6, 7]) == wanted
    written = store.commit()  # from now on it is being written, and then on disk
    assert store.small_blocks(core, range(8)) == wanted
    await written
    assert store.small_blocks(core, range(TOGETHER)) == wanted
    assert store.small_blocks(core, []) == {}
    await store.close()


async def test_commits_that_overlap_are_all_written(folder: Path) -> None:
    store = Store.open(folder)
    core = (await store.add_core(b"d", b"k")).id
    written = []
    for index in range(50):
        store.put_blocks(core, index, [b"%d" % index])
        written.append(store.commit(durable=index % 2 == 0))

    for future in written:
        await future
    assert store.blocks(core, 0, 50) == [b"%d" % index for index in range(50)]
    await store.close()


async def test_the_log_of_writes_does_not_grow_without_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT", 256 * 1024)
    monkeypatch.setattr(writer, "BULK_CHECKPOINT", 1024 * 1024)
    monkeypatch.setattr(writer, "MAX_LOG", 4 * 1024 * 1024)
    store = Store.open(folder)
    core = (await store.add_core(b"d", b"k")).id
    log = folder / "logs.sqlite3-wal"

    for index in range(40):
        store.put_blocks(core, index, [bytes([index]) * 500_000])
        await store.commit()
        assert log.stat().st_size < writer.MAX_LOG + 1024 * 1024
    for index in range(40, 200):
        store.put_blocks(core, index, [bytes([index]) * 5_000])
        await store.commit(durable=True)

    assert log.stat().st_size < writer.BULK_CHECKPOINT
    assert [store.block(core, index) for index in range(40)] == [bytes([index]) * 500_000 for index in range(40)]
    await store.close()


async def test_a_second_process_is_told_who_has_the_store(folder: Path) -> None:
    store = Store.open(folder)
    said = open_elsewhere(folder)

    assert "StoreInUse" in said
    assert f"in use by process {os.getpid()}" in said
    with pytest.raises(StoreInUse):
        Store.open(folder)
    await store.close()
    await Store.open(folder).close()


async def test_a_store_of_another_version_is_refused_and_left_alone(folder: Path) -> None:
    await Store.open(folder).close()
    with sqlite3.connect(folder / "logs.sqlite3") as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")

    with pytest.raises(StoreVersion, match=f"has version {VERSION + 1}, and this linkup_nb reads version {VERSION}"):
        Store.open(folder)


def test_a_database_of_something_else_is_refused(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / "logs.sqlite3") as database:
        database.execute("CREATE TABLE other (x)")

    with pytest.raises(StoreVersion, match="not one of linkup_nb's"):
        Store.open(folder)


def test_a_file_that_is_no_database_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "logs.sqlite3").write_bytes(b"not a database at all" * 100)

    with pytest.raises(StoreError, match="cannot be used"):
        Store.open(folder)


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path / "file" / "store")


async def test_a_full_disk_loses_nothing_and_can_be_written_once_there_is_room(folder: Path) -> None:
    store = Store.open(folder)
    core = (await store.add_core(b"d", b"k")).id
    store.put_blocks(core, 0, [b"kept"])
    await store.flush()
    pages = store._writer.connection.execute("PRAGMA page_count").fetchone()[0]
    store._writer.connection.execute(f"PRAGMA max_page_count = {pages}")

    store.put_blocks(core, 1, [bytes(100_000)])
    with pytest.raises(StoreError, match=r"disk .* is full"):
        await store.commit()

    assert (store.block(core, 0), store.block(core, 1)) == (b"kept", None)
    store._writer.connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.put_blocks(core, 1, [bytes(100_000)])
    await store.commit()
    assert store.block(core, 1) == bytes(100_000)
    await store.close()


async def test_too_much_unwritten_asks_for_patience(folder: Path) -> None:
    store = Store.open(folder)
    core = (await store.add_core(b"d", b"k")).id
    store.put_blocks(core, 0, [bytes(PENDING_HIGH_WATER // 16)] * 17)
    assert store.congested

    await store.flush()
    assert not store.congested
    await store.close()


async def test_a_store_holds_so_many_logs_and_no_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MAX_CORES", 2)
    store = Store.open(folder)
    for name in (b"1", b"2"):
        await store.add_core(name, name)
    with pytest.raises(StoreError, match="at most 2 logs"):
        await store.add_core(b"3", b"3")
    assert len(store.cores()) == 2
    await store.close()


async def test_a_damaged_database_is_the_machines_fault_whatever_is_read(folder: Path) -> None:
    store = Store.open(folder)
    core = (await store.add_core(b"d", b"k")).id
    store.put_blocks(core, 0, [bytes(4000)] * 8)
    store.put_nodes(core, [MerkleNode(0, 4000, bytes(32))])
    await store.close()
    file = folder / "logs.sqlite3"
    whole = file.read_bytes()
    store = Store.open(folder)
    file.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))

    for read in (partial(store.node, core, 0), partial(store.block, core, 0), partial(store.nodes, core, 0, 8)):
        with pytest.raises(MachineError, match=r"The store in .* cannot be used: .*malformed"):
            read()
    await store.close()
