"""A drive that has not come, or only in part, deletes nothing."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import fsspec
import fsspec.generic
import pytest

from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import DriveUnreachable, NotAvailable, NotWritable, UsageError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.mirror import Action
from linkup_nb.wire.keys import z32encode
from tests.hyperdrive.conftest import OpenStore
from tests.hyperdrive.trees import contents, fill

MINE = {"kept": b"mine", "deep/er/kept": b"mine too"}
NOBODY = b"\x07" * 32


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Corestore]:
    async with Corestore(tmp_path / "store") as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "folder", MINE)
    return tmp_path / "folder"


async def test_a_drive_that_has_not_come_deletes_nothing(store: Corestore, folder: Path) -> None:
    drive = await Drive.open(store, NOBODY, timeout=0.1)

    for of in ("/", "/missing"):
        for dry_run in (False, True):
            with pytest.raises(NotAvailable, match=r"No peer sent anything of Drive\(.*\) within 0.1 s; is anybody"):
                await drive.mirror_to(folder, of=of, dry_run=dry_run)
    with pytest.raises(NotAvailable):
        await drive[0].mirror_to(folder)
    assert contents(folder) == MINE


async def test_one_that_comes_meanwhile_is_waited_for(store: Corestore, folder: Path, tmp_path: Path) -> None:
    async with Corestore(tmp_path / "author") as author:
        source = await Drive.open(author)
        await source.put("/kept", b"theirs")
        drive = await Drive.open(store, source.key, timeout=20)
        mirroring = drive.mirror_to(folder)
        server = await listen("127.0.0.1", 0, author.replicate)
        connection = await connect("127.0.0.1", server.port)
        store.replicate(connection)
        await mirroring
        assert contents(folder) == {"kept": b"theirs"}
        await connection.close()
        await server.close()


@pytest.mark.parametrize(
    "read",
    [
        lambda d: d.get("/a"),
        lambda d: d.entry("/a"),
        lambda d: d.exists("/a"),
        lambda d: anext(d.list()),
        lambda d: anext(d.readdir()),
        lambda d: anext(d.stream("/a")),
        lambda d: d.download(),
        lambda d: d.clear("/a"),
        lambda d: d.history(),
        lambda d: d.diff(0),
        lambda d: d[0].get("/a"),
        lambda d: d.compare("/a", 0, 0),
    ],
)
async def test_a_drive_that_has_not_come_is_not_taken_for_an_empty_one(
    store: Corestore, read: Callable[[Drive], Awaitable[Any]]
) -> None:
    drive = await Drive.open(store, NOBODY, timeout=0.1)

    with pytest.raises(NotAvailable, match="No peer sent anything"):
        await read(drive)


@pytest.mark.parametrize(
    "write",
    [
        lambda d: d.put("/a", b""),
        lambda d: d.delete("/a"),
        lambda d: d.symlink("/a", "b"),
        lambda d: d.mirror_from("."),
        lambda d: d.mirror_from(".", dry_run=True),
    ],
)
async def test_a_drive_that_has_not_come_is_not_ours_to_change_at_once(
    store: Corestore, write: Callable[[Drive], Awaitable[Any]]
) -> None:
    drive = await Drive.open(store, NOBODY, timeout=None)

    with pytest.raises(NotWritable, match="only its author can change it"):
        await write(drive)


async def test_a_folder_that_the_drive_lacks_deletes_nothing(store: Corestore, folder: Path) -> None:
    drive = await Drive.open(store)
    await drive.put("/file", b"x")
    await drive.put("/gone/file", b"x")
    await drive.delete("/gone/file")

    for of in ("/missing", "/file", "/gone", "/folder/../missing"):
        with pytest.raises(UsageError, match=r"There is no folder .* in version 4 of the drive; nothing was changed"):
            await drive.mirror_to(folder, of=of)
    assert contents(folder) == MINE
    assert [step.path for step in await drive[3].mirror_to(folder / "new", of="/gone")] == ["/gone/file"]


async def test_a_drive_that_never_had_a_file_deletes_nothing(store: Corestore, folder: Path) -> None:
    drive = await Drive.open(store)
    with pytest.raises(UsageError, match="There are no files in version 0"):
        await drive.mirror_to(folder)
    await drive.put("/file", b"x")
    for version in (0, 1):
        with pytest.raises(UsageError, match="nothing was changed"):
            await drive[version].mirror_to(folder)
    assert contents(folder) == MINE

    await drive.delete("/file")
    assert {step.action for step in await drive.mirror_to(folder)} == {Action.REMOVE}
    assert contents(folder) == {}


async def test_a_version_above_the_newest_known_is_said_not_to_be_here(store: Corestore) -> None:
    mine, theirs = await Drive.open(store), await Drive.open(store, NOBODY)

    with pytest.raises(UsageError, match=r"The newest version is 0, and there has never been a version 5\."):
        mine.checkout(5)
    with pytest.raises(UsageError, match=r"Version 5 is not here: the newest known is 0; .*update\(\)"):
        theirs.checkout(5)


@pytest.fixture
async def half(store: Corestore, tmp_path: Path) -> AsyncIterator[tuple[Drive, Connection]]:
    """A copy of a drive of five versions, of which only the head and one file have come."""
    async with Corestore(tmp_path / "author") as author:
        source = await Drive.open(author)
        for path in ("/here", "/not here", "/kept", "/z"):
            await source.put(path, b"theirs" + path.encode() * 1000)
        server = await listen("127.0.0.1", 0, author.replicate)
        connection = await connect("127.0.0.1", server.port)
        store.replicate(connection)
        drive = await Drive.open(store, source.key, timeout=0.5)
        await drive.update()
        yield drive, connection
        await connection.close()
        await server.close()


async def test_a_drive_whose_files_are_not_here_deletes_nothing(half: tuple[Drive, Connection], folder: Path) -> None:
    drive, connection = half
    assert [entry.path async for entry in drive.list()] == ["/here", "/kept", "/not here", "/z"]
    await drive.get("/here")
    await connection.close()

    for _ in range(2):
        with pytest.raises(NotAvailable, match="sent block"):
            await drive.mirror_to(folder)
        assert contents(folder).items() >= MINE.items()
    assert sorted(os.listdir(folder)) == ["deep", "here", "kept"]


@pytest.mark.parametrize("version", [3, 5])
async def test_a_version_that_is_not_here_deletes_nothing(
    half: tuple[Drive, Connection], folder: Path, version: int
) -> None:
    drive, connection = half
    await connection.close()

    with pytest.raises(NotAvailable):
        await drive[version].mirror_to(folder)
    assert contents(folder) == MINE


def test_rsync_of_what_is_not_there_deletes_nothing(drive: Drive, folder: Path, open_store: OpenStore) -> None:
    fs = fsspec.filesystem("linkup")
    fs.pipe(f"{drive.id}/a/b", b"x")
    nowhere = {"store": open_store("other"), "timeout": 0.1}

    generic = fsspec.generic.GenericFileSystem(default_method="options", storage_options={"linkup": nowhere})
    with pytest.raises(DriveUnreachable):
        fsspec.generic.rsync(f"linkup://{z32encode(NOBODY)}", f"file://{folder}", delete_missing=True, fs=generic)
    with pytest.raises(ValueError, match="directory"):
        fsspec.generic.rsync(f"linkup://{drive.id}/missing", f"file://{folder}", delete_missing=True)
    assert contents(folder) == MINE

    fsspec.generic.rsync(f"linkup://{drive.id}/a", f"file://{folder}", delete_missing=True)
    assert contents(folder) == {"b": b"x"}


def test_removing_in_a_drive_that_is_not_there_is_refused(drive: Drive, open_store: OpenStore) -> None:
    fs = fsspec.filesystem("linkup", store=open_store("other"), timeout=0.1)

    for remove in (fs.rm, fs.rm_file):
        with pytest.raises(DriveUnreachable):
            remove(f"{z32encode(NOBODY)}/a")
    with pytest.raises(DriveUnreachable):
        fs.rm(z32encode(NOBODY), recursive=True)
