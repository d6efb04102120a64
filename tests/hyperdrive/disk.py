"""What a disk does to a drive, in a process of its own: `python -m tests.hyperdrive.disk KIND SCENARIO FOLDER`.

KIND is `mounted`, where FOLDER is to be a small disk in a namespace of this process, or `limited`, which works
everywhere: there no file may grow, and a user without rights finds what cannot be written. Both bind root too.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.errors import StoreError
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive

DISK = 6 * 1024 * 1024  # bytes
TOO_MUCH = 2 * DISK  # bytes
NOBODY = 65534


class Mounted:
    """A disk of `DISK` bytes."""

    full_says = "is full"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self._mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs")

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def empty(self) -> None:
        self._filler.unlink()
        self._mount("-o", f"remount,size={10 * DISK}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        self._mount("-o", "remount,ro")
        yield
        self._mount("-o", "remount,rw")

    @contextmanager
    def locked_file(self, file: Path) -> Iterator[None]:
        subprocess.run(["mount", "--bind", file, file], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", file], check=True)
        yield
        subprocess.run(["umount", file], check=True)

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, self.folder], check=True)


class Limited:
    """A disk on which files can be made to grow no further."""

    full_says = "cannot be used: disk I/O error"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)

    def fill(self) -> None:
        largest = max(path.stat().st_size for path in self.folder.rglob("*") if path.suffix != ".sqlite3-shm")
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    def empty(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    @contextmanager
    def locked(self) -> Iterator[None]:
        paths = [self.folder, *self.folder.rglob("*")]
        with self._modes({path: 0o555 if path.is_dir() else 0o444 for path in paths}):
            yield

    @contextmanager
    def locked_file(self, file: Path) -> Iterator[None]:
        paths = [self.folder, *self.folder.rglob("*")]
        with self._modes(dict.fromkeys(paths, 0o777) | {file: 0o444}):
            yield

    @contextmanager
    def _modes(self, modes: dict[Path, int]) -> Iterator[None]:
        was = {path: path.stat().st_mode for path in modes}
        for path, mode in modes.items():
            path.chmod(mode)
        user = os.geteuid()
        if user == 0:
            os.seteuid(NOBODY)
        yield
        os.seteuid(user)
        for path, mode in was.items():
            path.chmod(mode)


Disk = Mounted | Limited


async def refused(work: Coroutine[Any, Any, object], says: str) -> None:
    """It ends with a `StoreError` that says so."""
    with pytest.raises(StoreError, match=says):
        await work


async def files(drive: Drive) -> dict[str, bytes | None]:
    return {entry.path: await drive.get(entry.path) for entry in [entry async for entry in drive.list()]}


async def changes_are_refused_whole(disk: Disk) -> None:
    async def batch() -> None:
        async with drive.batch() as batch:
            await batch.delete("/kept")
            for n in range(TOO_MUCH // 100_000):
                await batch.put(f"/batch/{n}", os.urandom(100_000))

    async def pieces() -> Any:
        for _ in range(TOO_MUCH // 100_000):
            yield os.urandom(100_000)

    kept = {"/kept": os.urandom(200_000), "/small": b"small"}
    async with Corestore(disk.folder / "store") as store:
        drive = await Drive.open(store)
        for path, data in kept.items():
            await drive.put(path, data)
        version = drive.version
        disk.fill()
        await refused(drive.put("/new", os.urandom(TOO_MUCH)), disk.full_says)
        await refused(batch(), disk.full_says)
        await refused(drive.put_stream("/stream", pieces()), disk.full_says)
        assert (drive.version, await files(drive)) == (version, kept)
        disk.empty()
        await drive.put("/again", b"room")
        await batch()
        assert len(await files(drive)) == 2 + TOO_MUCH // 100_000
    async with Corestore(disk.folder / "store") as store:
        drive = await Drive.open(store)
        assert await drive[version].get("/kept") == kept["/kept"]
        assert await drive.get("/again") == b"room"
        for core in (drive._core, (await drive._contents()).core):
            assert (await core.audit()).clean


async def small_changes_are_kept_or_refused(disk: Disk) -> None:
    """Each in turn, until the disk is full: what was not refused is there, and nothing else."""
    expected: dict[str, bytes | None] = {}
    async with Corestore(disk.folder / "store") as store:
        drive = await Drive.open(store)
        await drive.put("/0", b"0")
        expected["/0"] = b"0"
        disk.fill()
        faults = 0
        for n in range(1, 400):
            data = os.urandom(20_000)
            try:
                await drive.put(f"/{n}", data)
                expected[f"/{n}"] = data
            except StoreError:
                faults += 1
        assert faults
        assert await files(drive) == expected
        disk.empty()
    async with Corestore(disk.folder / "store") as store:
        assert await files(await Drive.open(store)) == expected


async def a_copy_is_refused_and_goes_on_once_there_is_room(disk: Disk) -> None:
    with tempfile.TemporaryDirectory() as elsewhere:
        async with Corestore(elsewhere) as author, Corestore(disk.folder / "copy") as store:
            drive = await Drive.open(author)
            for n in range(TOO_MUCH // 500_000):
                await drive.put(f"/{n}", os.urandom(500_000))
            server = await listen("127.0.0.1", 0, author.replicate)
            connection = await connect("127.0.0.1", server.port)
            store.replicate(connection)
            copy = await Drive.open(store, drive.key)
            while copy.version < drive.version:
                await copy._core._log.changed()
            first = await copy.get("/0")
            await store._store.flush()
            disk.fill()
            await refused(fetched(copy), disk.full_says)
            assert await copy.get("/0") == first
            assert not connection.closed
            disk.empty()
            await fetched(copy)
            expected = await files(drive)
            await connection.close()
            assert await files(copy) == expected
            for core in (copy._core, (await copy._contents()).core):
                assert (await core.audit()).clean
            await server.close()
        async with Corestore(disk.folder / "copy") as store:
            assert await files(await Drive.open(store, drive.key)) == expected


async def fetched(drive: Drive) -> None:
    for download in await drive.download():
        await download.done(timeout=20)


async def a_folder_that_cannot_be_written_is_refused(disk: Disk) -> None:
    async with Corestore(disk.folder / "store") as store:
        await (await Drive.open(store)).put("/kept", b"kept")
    with disk.locked():
        await refused(Corestore(disk.folder / "store").open(), "cannot be opened")
        await refused(Corestore(disk.folder / "new").open(), "cannot be opened")
    with disk.locked_file(disk.folder / "store" / "logs.sqlite3"):
        async with Corestore(disk.folder / "store") as store:
            await refused(Drive.open(store), "cannot be written; check its permissions")
    async with Corestore(disk.folder / "store") as store:
        drive = await Drive.open(store)
        assert await files(drive) == {"/kept": b"kept"}
        await drive.put("/more", b"more")


SCENARIOS: dict[str, Callable[[Disk], Coroutine[Any, Any, None]]] = {
    scenario.__name__: scenario
    for scenario in (
        changes_are_refused_whole,
        small_changes_are_kept_or_refused,
        a_copy_is_refused_and_goes_on_once_there_is_room,
        a_folder_that_cannot_be_written_is_refused,
    )
}

if __name__ == "__main__":
    kind, name, place = sys.argv[1:]
    asyncio.run(SCENARIOS[name]((Mounted if kind == "mounted" else Limited)(Path(place))))
