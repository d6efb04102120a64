"""The store: names and keys, one replication a connection, opening and closing."""

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from linkup_nb.channels import Channels
from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import NodeClosed, StoreError, StoreInUse, UsageError
from linkup_nb.hypercore.corestore import Corestore, Namespace, open_stores
from linkup_nb.wire.keys import KeyPair, z32encode
from tests.hypercore.vectors import load

PRIMARY = b"\x09" * 32


@pytest.mark.parametrize(
    "known", load("corestore")["cores"], ids=lambda known: f"{known['namespacePath']}/{known['name']}"
)
async def test_names_give_javascripts_keys(tmp_path: Path, known: dict[str, str | None]) -> None:
    async with Corestore(tmp_path, PRIMARY) as store:
        part: Corestore | Namespace = store
        for name in (known["namespacePath"] or "").split("/") if known["namespacePath"] else ():
            part = part.namespace(name)

        core = await part.core(name=known["name"] or "")

        assert core.key.hex() == known["coreKey"]
        assert part.key_pair(known["name"] or "").public_key.hex() == known["publicKey"]


async def test_without_a_primary_key_the_folder_has_one_that_only_its_owner_reads(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        first = (await store.core(name="log")).key
    async with Corestore(tmp_path) as store:
        assert (await store.core(name="log")).key == first
        assert [(core.name, core.writable) for core in store.cores] == [("log", True)]
    assert stat.S_IMODE((tmp_path / "primary-key").stat().st_mode) == 0o600


async def test_a_core_is_the_same_by_name_by_key_and_by_key_pair(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        named = await store.core(name="log")
        await named.append(b"x")
        own = KeyPair.from_seed(b"s" * 32)
        paired = await store.core(key_pair=own)
        await paired.append(b"y")

        for text in (named.key, named.key.hex(), z32encode(named.key)):
            assert await (await store.core(key=text)).get(0) == b"x"
        assert await (await store.core(key=paired.key)).get(0) == b"y"


async def test_a_core_is_asked_for_in_one_way(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        with pytest.raises(UsageError, match="one of name, key and key_pair"):
            await store.core()
        with pytest.raises(UsageError, match="52 letters"):
            await store.core(key="nonsense")
    with pytest.raises(UsageError, match="32 bytes, not 3"):
        Corestore(tmp_path, b"abc")


async def test_a_closed_store_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Corestore(tmp_path)
    await store.open()
    core = await store.core(name="log")
    with pytest.raises(StoreInUse):
        await Corestore(tmp_path).open()
    await store.close()
    await store.close()

    with pytest.raises(NodeClosed):
        await core.append(b"x")
    with pytest.raises(NodeClosed):
        await store.core(name="log")
    assert sorted(os.listdir(tmp_path)) == ["logs.sqlite3", "primary-key", "store.lock"]


def test_a_damaged_primary_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "primary-key").write_bytes(b"short")

    async def use() -> None:
        async with Corestore(tmp_path):
            pass

    with pytest.raises(StoreError, match="damaged"):
        asyncio.run(use())


async def test_new_cores_are_told(tmp_path: Path) -> None:
    async with Corestore(tmp_path) as store:
        watching = store.watch()
        first = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0)
        core = await store.core(name="log")

        assert await asyncio.wait_for(first, 5) == core.key
        await watching.aclose()  # type: ignore[attr-defined]


async def test_a_core_opened_later_joins_the_replication_by_itself(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        connection = await connect("127.0.0.1", server.port)
        there.replicate(connection)
        there.replicate(connection)
        core = await here.core(name="late")
        await core.append([b"a", b"b"])

        copy = await there.core(key=core.key)

        assert await copy.get(1, timeout=5) == b"b"
        await server.close()


async def test_a_core_that_is_only_stored_is_served(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as here:
        core = await here.core(name="log")
        await core.append(b"stored")
        key = core.key
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        copy = await there.core(key=key)
        there.replicate(await connect("127.0.0.1", server.port))

        assert await copy.get(0, timeout=5) == b"stored"
        await server.close()


async def test_a_core_that_the_other_does_not_know_does_no_harm(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        known = await here.core(name="log")
        await known.append(b"known")
        unknown = await there.core(key=b"u" * 32)
        copy = await there.core(key=known.key)
        there.replicate(await connect("127.0.0.1", server.port))

        assert await copy.get(0, timeout=5) == b"known"
        assert not await unknown.update(timeout=5)
        await server.close()


async def test_cores_are_a_snapshot_that_any_thread_may_take(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a", PRIMARY) as store:
        core = await store.core(name="log")
        await core.append([b"x" * 10, b"y" * 7, b"z"])
        before = await asyncio.to_thread(lambda: store.cores)
        await core.append(b"more")
        (after,) = store.cores

        assert [(known.key, known.name, known.length, known.byte_length) for known in before] == [
            (core.key, "log", 3, 18)
        ]
        assert (after.length, after.byte_length, after.writable, after.open) == (4, 22, True, True)

    async with Corestore(tmp_path / "a", PRIMARY) as store:
        (known,) = store.cores
        assert (known.length, known.byte_length, known.open) == (4, 22, False)
    with pytest.raises(NodeClosed):
        _ = store.cores


async def test_the_process_knows_its_open_stores(tmp_path: Path) -> None:
    others = open_stores()
    async with Corestore(tmp_path / "a") as first, Corestore(tmp_path / "b") as second:
        assert open_stores() == (*others, first, second)
    assert open_stores() == others


def test_a_store_whose_loop_has_ended_is_open_no_more(tmp_path: Path) -> None:
    others = open_stores()

    async def forget() -> Corestore:
        store = Corestore(tmp_path)
        await store.open()
        return store

    store = asyncio.run(forget())

    assert (store.closed, open_stores()) == (False, others)


async def test_opening_and_closing_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as there:
        other = await there.core(name="log")
        await other.append([b"x"] * 20)
        server = await listen("127.0.0.1", 0, there.replicate)
        connection = await connect("127.0.0.1", server.port)
        store = Corestore(tmp_path / "b")

        async def use() -> tuple[int, int, int, int]:
            await store.open()
            store.replicate(connection)
            for number in range(5):
                async with await store.core(name=str(number)) as core:
                    await core.append(b"x")
            async with await store.core(key=other.key) as copy:
                await copy.clear(0, copy.length)
                assert await copy.get(7, timeout=5) == b"x"
                await (await copy.download()).done(timeout=5)
            await store.close()
            mux = Channels.of(connection)._mux
            return len(os.listdir("/dev/fd")), len(asyncio.all_tasks()), threading.active_count(), len(mux._channels)

        await use()
        before = await use()
        for _ in range(10):
            after = await use()

        assert after == before
        assert after[3] == 0
        assert not store._open_logs
        await connection.close()
        await server.close()
