"""Stores on a thread of their own, as a node has one, and a drive for `linkup://`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.filesystem import DriveFileSystem
from tests.hyperdrive.threads import LoopThread, loop_thread

BIG = bytes(range(256)) * 256 * 160  # 160 blocks

OpenStore = Callable[..., Corestore]


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    with loop_thread() as thread:
        yield thread


@pytest.fixture
def open_store(thread: LoopThread, tmp_path: Path) -> Iterator[OpenStore]:
    opened: list[Corestore] = []

    def open_one(name: str = "mine") -> Corestore:
        async def make() -> Corestore:
            store = Corestore(tmp_path / name)
            await store.open()
            return store

        opened.append(thread.call(make()))
        return opened[-1]

    yield open_one
    for store in opened:
        thread.call(store.close())


@pytest.fixture
def drive(open_store: OpenStore, thread: LoopThread) -> Drive:
    return thread.call(Drive.open(open_store()))


@pytest.fixture
def url(drive: Drive) -> str:
    return f"linkup://{drive.id}"


@pytest.fixture
def fs(drive: Drive) -> DriveFileSystem:
    return fsspec.filesystem("linkup")  # type: ignore[no-any-return]


async def meet(a: Corestore, b: Corestore) -> None:
    """Connect two stores over TCP."""
    server = await listen("127.0.0.1", 0, a.replicate)
    b.replicate(await connect("127.0.0.1", server.port))


def downloaded(thread: LoopThread, store: Corestore, drive: Drive) -> list[int]:
    """Which blocks of a drive's contents a store has."""

    async def count() -> list[int]:
        core = (await (await Drive.open(store, drive.key))._contents()).core
        return [index for index in range(core.length) if core._log.blocks.has(index)]

    return thread.call(count())


@pytest.fixture
def far(drive: Drive, open_store: OpenStore, thread: LoopThread) -> Corestore:
    """A store connected to that of the drive, which has a large file."""
    thread.call(drive.put("/big", BIG))
    store = open_store("far")
    thread.call(meet(drive._source.store, store))
    return store


async def arrived(store: Corestore, drive: Drive) -> None:
    copy = await Drive.open(store, drive.key)
    while copy.version < drive.version:
        await copy._core._log.changed()
