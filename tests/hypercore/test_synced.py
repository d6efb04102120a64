"""Appends that are not waited for: nobody learns of what the disk may still lose."""

import asyncio
import errno
import os
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import StoreError, UsageError
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore import storage, writer
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.log import Log as WholeLog
from linkup_nb.hypercore.proof import ProofRequest
from linkup_nb.hypercore.subtrees import RUN, run_of, skeleton
from tests.hypercore.liar import Victim
from tests.hypercore.vectors import KEY_PAIR, Log

PATIENCE = 15  # seconds


class Disk:
    """Syncs what it is told to, unless it is held up or broken; `sizes`: of each file, by its inode, as it was then."""

    def __init__(self) -> None:
        self.syncs = 0
        self.sizes: dict[int, int] = {}
        self.ready = threading.Event()
        self.ready.set()
        self.broken = False

    def sync(self, file: int) -> None:
        assert self.ready.wait(PATIENCE)
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        before = os.fstat(file)
        os.fsync(file)
        self.sizes[before.st_ino] = before.st_size
        self.syncs += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(writer, "sync_file", disk.sync)
    yield disk
    disk.ready.set()


async def until_synced(core: Core) -> int:
    return await asyncio.wait_for(core.synced(), PATIENCE)


async def grown(victim: Victim, disk: Disk) -> Core:
    """A core of one block that is synced, and of two that are not as long as the disk is held up."""
    core = await victim.store.core(key_pair=KEY_PAIR)
    await core.append(b"0")
    disk.ready.clear()
    assert await core.append([b"1", b"2"], durable=False) == 3
    return core


async def test_a_peer_learns_of_blocks_once_they_are_synced(victim: Victim, disk: Disk) -> None:
    core = await grown(victim, disk)
    liar, _ = await victim.meets(Log([]))

    assert (core.length, core.synced_length, await core.get(2)) == (3, 1, b"2")
    requests = [
        ProofRequest(block=(2, 0)),
        ProofRequest(upgrade=(0, 3)),
        ProofRequest(upgrade=(1, 2)),
        ProofRequest(hash=(4, 0)),
        ProofRequest(block=(0, 1)),
    ]
    for number, wanted in enumerate(requests, 1):
        liar.send(msg.DataRequest(number, 0, wanted))
        assert (await liar.hears(msg.NoData)).request == number  # type: ignore[union-attr]
    liar.send(msg.Want(0, 32))
    liar.send(msg.DataRequest(9, 0, ProofRequest(block=(0, 0), upgrade=(0, 1))))
    answer = await liar.hears(msg.Data)
    assert isinstance(answer, msg.Data)
    assert answer.proof.upgrade
    assert (answer.proof.upgrade.length, answer.proof.upgrade.additional) == (1, [])
    heard = [message for message in liar.heard if isinstance(message, msg.Sync | msg.Range)]
    assert {message.length for message in heard} == {1}
    liar.heard.clear()

    disk.ready.set()
    assert await until_synced(core) == core.synced_length == 3
    told = await liar.hears(msg.Sync)
    assert isinstance(told, msg.Sync)
    assert told.length == 3
    assert await liar.hears(msg.Range) == msg.Range(1, 2)


async def test_a_reader_gets_what_was_appended_without_waiting(tmp_path: Path) -> None:
    async with Corestore(tmp_path / "a") as here, Corestore(tmp_path / "b") as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        core = await here.core(name="log")
        for number in range(300):
            await core.append(b"%d" % number, durable=False)
        there.replicate(await connect("127.0.0.1", server.port))
        copy = await there.core(key=core.key)

        assert await copy.get(299) == b"299"
        await core.append(b"300", durable=False)
        assert await copy.get(300) == b"300"
        assert (await core.audit()).clean
        await server.close()


async def test_proofs_and_subtrees_are_of_what_is_synced(victim: Victim, disk: Disk) -> None:
    core = await grown(victim, disk)

    proof = asyncio.create_task(core.proof(2))
    assert (await core.proof(0)).check().length == 1
    with pytest.raises(UsageError, match="Block 3 is not here"):
        await core.proof(3)
    await core.append([bytes(3)] * RUN, durable=False)
    assert skeleton(core.log, RUN) is None
    assert run_of(core.log, 0, 10_000) is None
    assert not proof.done()

    disk.ready.set()
    assert (await asyncio.wait_for(proof, PATIENCE)).check().length in (3, 3 + RUN)
    await until_synced(core)
    assert len(skeleton(core.log, RUN) or ()) == 1
    assert len(run_of(core.log, 0, 10_000) or ()) == RUN


async def test_a_disk_that_does_not_keep_blocks_ends_the_log_and_no_other(victim: Victim, disk: Disk) -> None:
    core = await grown(victim, disk)
    other = await victim.store.core(name="other")
    liar, _ = await victim.meets(Log([]))
    disk.broken = True
    disk.ready.set()

    with pytest.raises(StoreError, match=r"does not keep what was written: .*open the store again"):
        await until_synced(core)
    for change in (core.append(b"3"), core.append(b"3", durable=False), core.truncate(1), core.proof(2)):
        with pytest.raises(StoreError, match="does not keep"):
            await change
    assert (core.length, core.synced_length, await core.get(2)) == (3, 1, b"2")
    assert await other.append(b"0") == other.synced_length == 1
    assert core.synced_length == 1  # a disk that forgot one thing may be ready for the next
    assert {message.length for message in liar.heard if isinstance(message, msg.Sync | msg.Range)} <= {1}
    with pytest.raises(StoreError, match="does not keep"):
        await core.close()
    assert (await other.get(0), other.closed) == (b"0", False)


async def test_a_log_whose_disk_failed_is_whole_in_a_store_that_is_opened_again(tmp_path: Path, disk: Disk) -> None:
    async with Corestore(tmp_path, bytes(32)) as store:
        core = await store.core(name="log")
        disk.broken = True
        await core.append([b"a", b"b"], durable=False)
        with pytest.raises(StoreError, match="does not keep"):
            await until_synced(core)
    disk.broken = False

    async with Corestore(tmp_path, bytes(32)) as store:
        core = await store.core(name="log")
        assert (core.length, core.synced_length) == (2, 2)
        assert await core.append(b"c", durable=False) == await until_synced(core) == 3


async def test_closing_waits_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    async with Corestore(tmp_path) as store:
        core = await store.core(name="log")
        await core.append(b"a", durable=False)
        await core.close()
        assert disk.syncs == 1
        other = await store.core(name="other")
        await other.append(b"b", durable=False)
    assert disk.syncs == 2

    store = Corestore(tmp_path)
    await store.open()
    await (await store.core(name="log")).append(b"c", durable=False)
    disk.broken = True
    with pytest.raises(StoreError, match="does not keep"):
        await store.close()
    disk.broken = False
    async with Corestore(tmp_path) as store:  # which another may have all the same
        assert (await store.core(name="log")).length == 2


async def test_appends_that_are_not_waited_for_share_a_wait_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    async with Corestore(tmp_path) as store:
        cores = [await store.core(name=name) for name in "abc"]
        disk.ready.clear()
        for _ in range(50):
            for core in cores:
                await core.append(b"block", durable=False)
        disk.ready.set()
        assert [await until_synced(core) for core in cores] == [50, 50, 50]
        assert disk.syncs <= 20

        held = disk.syncs
        disk.ready.clear()
        await cores[0].append(b"block", durable=False)
        await cores[1].append(b"block", durable=False)
        await cores[2].append(b"block")  # waits for the disk, and with it for all that was written before
        assert [core.synced_length for core in cores] == [51, 51, 51]
        disk.ready.set()
        assert disk.syncs <= held + 1


async def test_what_a_killed_process_left_is_synced_before_it_is_told(tmp_path: Path, disk: Disk) -> None:
    async with Corestore(tmp_path / "a", bytes(32)) as store:
        core = await store.core(name="log")
        await core.append(b"a")
        disk.ready.clear()
        await core.append(b"b", durable=False)
        shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns("store.*", "*-shm"))
        disk.ready.set()
        await until_synced(core)
    synced = disk.syncs

    async with Corestore(tmp_path / "b", bytes(32)) as store:
        assert disk.syncs == synced + 1
        assert (await store.core(name="log")).synced_length == 2
    async with Corestore(tmp_path / "b", bytes(32)):
        assert disk.syncs == synced + 1  # nothing was left


@pytest.mark.parametrize("seed", range(4))
async def test_a_power_cut_takes_nothing_that_peers_have_heard_of(
    tmp_path: Path, disk: Disk, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SYNC_DELAY", 0.002)
    rolls = random.Random(seed)
    cuts = 0
    async with Corestore(tmp_path / "a", bytes(32)) as here, Corestore(tmp_path / "b") as there:
        server = await listen("127.0.0.1", 0, here.replicate)
        core = await here.core(name="log")
        await core.append(b"0")
        first = _wal(tmp_path / "a").stat()
        disk.sizes[first.st_ino] = first.st_size
        there.replicate(await connect("127.0.0.1", server.port))
        copy = await there.core(key=core.key)
        await copy.get(0)
        for number in range(400):
            await core.append([b"%d" % number] * rolls.choice([1, 1, 5]), durable=False)
            if rolls.random() < 0.1:
                await asyncio.sleep(0.003)  # in which the disk may or may not be done
            if rolls.random() < 0.03:
                disk.ready.clear()
                await core.append(b"lost", durable=False)
                told, length = (copy.fork, copy.length), core.length
                lost = _power_cut(tmp_path / "a", tmp_path / f"cut-{number}", disk)
                cuts += lost
                disk.ready.set()
                async with Corestore(tmp_path / f"cut-{number}", bytes(32)) as again:
                    left = await again.core(name="log")
                    assert told <= (left.fork, left.length) <= (core.fork, length)
                    assert (await left.audit()).clean
        await asyncio.wait_for(copy.wait_for_length(await until_synced(core)), PATIENCE)
        await server.close()
    assert cuts  # else nothing was tried


def _wal(folder: Path) -> Path:
    return folder / "logs.sqlite3-wal"


def _power_cut(folder: Path, into: Path, disk: Disk) -> bool:
    """Copy what the disk has; whether that is less than there was."""
    size = disk.sizes[_wal(folder).stat().st_ino]
    shutil.copytree(folder, into, ignore=shutil.ignore_patterns("store.*", "*-shm"))
    whole = _wal(into).stat().st_size
    os.truncate(_wal(into), size)
    return size < whole


def test_the_whole_log_shows_nothing_by_itself() -> None:
    """Peers and proofs ask `log.synced`."""
    assert not {"prove", "evidence", "head_at"} & set(dir(WholeLog))
