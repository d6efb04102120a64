"""One Python process of the store bench.

`write FOLDER` measures and then serves, `read FOLDER WHERE` copies; before each figure they wait for a line, so that
others can take turns with them. The others do one thing with a file of 256 MB, for the memory that takes:
`put FOLDER`, `stream FOLDER`, `share FOLDER` and `copy FOLDER WHERE`.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from linkup_nb import Core, Corestore, Drive, connect, listen

BLOCKS = 100_000
BLOCK = 200  # bytes
SINGLE = 2000
AT_ONCE = 50
SECRET = 20_000
GETS = 20_000
FILES = 10_000
FILE = 1024  # bytes
MEGABYTES = 256


def name(index: int) -> str:
    """The path of a small file: 100 folders of 100."""
    return f"/dir{index % 100}/file-{index}.txt"


@contextmanager
def rate(key: str, count: float) -> Iterator[None]:
    """Wait for the turn, and tell how many a second were done in this block; for a count of 0, the milliseconds."""
    sys.stdin.readline()
    started = time.perf_counter()
    yield
    passed = time.perf_counter() - started
    say({key: count / passed if count else passed * 1000})


def say(what: dict[str, Any]) -> None:
    """Tell the bench something."""
    print(json.dumps(what), flush=True)  # noqa: T201


def memory() -> float:
    """MiB of this process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure_core(store: Corestore) -> Core:
    one, core = await store.core(name="one"), await store.core(name="batch")
    block = os.urandom(BLOCK)
    with rate("append_one", SINGLE):
        for _ in range(SINGLE):
            await one.append(block)
    unsynced = await store.core(name="unsynced")
    with rate("append_unsynced", SINGLE):
        for _ in range(SINGLE):
            await unsynced.append(block, durable=False)
    with rate("append_many", SINGLE):
        for _ in range(SINGLE // AT_ONCE):
            await asyncio.gather(*(one.append(block) for _ in range(AT_ONCE)))
    secret = await store.core(name="secret", encryption_key=os.urandom(32))
    with rate("append_encrypted", SECRET):
        for _ in range(SECRET // 1000):
            await secret.append([block] * 1000)
    with rate("append_batch", BLOCKS):
        for _ in range(BLOCKS // 1000):
            await core.append([block] * 1000)
    with rate("get_random", GETS):
        for index in range(GETS):
            await core.get(index * 7919 % BLOCKS)
    with rate("get_stream", BLOCKS):
        async for _ in core.read_stream():
            pass
    return core


async def measure_files(store: Corestore) -> Drive:
    single, drive = await Drive.open(store.namespace("single")), await Drive.open(store.namespace("small"))
    data = os.urandom(FILE)
    with rate("put_one", SINGLE):
        for index in range(SINGLE):
            await single.put(name(index), data)
    with rate("put_batch", FILES):
        async with drive.batch() as batch:
            for index in range(FILES):
                await batch.put(name(index), data)
    with rate("get_files", FILES):
        for index in range(FILES):
            assert await drive.get(name(index)) == data
    left = iter(range(FILES))

    async def get_some() -> None:
        for index in left:
            assert await drive.get(name(index)) == data

    with rate("get_files_64", FILES):
        await asyncio.gather(*(get_some() for _ in range(64)))
    with rate("list", 0):
        assert len([entry async for entry in drive.list()]) == FILES
    with rate("readdir", 0):
        assert len([one async for one in drive.readdir()]) == 100
    with rate("checkout", 1000):
        for index in range(1000):
            version = 2 + index * 7919 % SINGLE
            assert await single[version].get(name(version - 2)) == data
    before = drive.version
    async with drive.batch() as batch:
        for index in range(1000):
            await batch.put(name(index * 7), b"x")
    with rate("diff", 0):
        assert len([change async for change in drive.diff(before)]) == 1000
    return drive


async def pieces() -> AsyncIterator[bytes]:
    """The big file."""
    piece = os.urandom(2**20)
    for _ in range(MEGABYTES):
        yield piece


async def measure_big(store: Corestore) -> tuple[Drive, float]:
    drive = await Drive.open(store.namespace("big"))
    with rate("put_big", MEGABYTES * 1.048576):
        await drive.put_stream("/big", pieces())
    with rate("stream_big", MEGABYTES * 1.048576):
        async for _ in drive.stream("/big"):
            pass
    largest = memory()  # before the next one, which wants all of the file in memory
    with rate("get_big", MEGABYTES * 1.048576):
        assert await drive.get("/big")
    return drive, largest


async def write(folder: Path) -> None:
    """Measure alone, then serve until told to end."""
    async with Corestore(folder) as store:
        core = await measure_core(store)
        small = await measure_files(store)
        big, largest = await measure_big(store)
        server = await listen("127.0.0.1", 0, store.replicate)
        where = {"port": server.port, "core": core.id, "small": small.id, "big": big.id, "version": small.version}
        say({"memory": largest, "where": where})
        await asyncio.to_thread(sys.stdin.read)


async def read(folder: Path, where: dict[str, Any]) -> None:
    """Copy everything, each time into a new store."""
    async with Corestore(folder / "core") as store:
        store.replicate(await connect("127.0.0.1", where["port"]))
        with rate("replicate_core", BLOCKS):
            core = await store.core(key=where["core"])
            await core.update()
            await (await core.download(0, BLOCKS)).done()
    for kind, count in (("big", MEGABYTES * 1.048576), ("small", FILES)):
        with rate(f"replicate_{kind}", count):
            await copy_drive(folder / kind, where["port"], where[kind])
    say({"memory": memory()})
    await asyncio.to_thread(sys.stdin.read)


async def copy_drive(folder: Path, port: int, key: str) -> None:
    """Copy a whole drive into a new store."""
    async with Corestore(folder) as store:
        store.replicate(await connect("127.0.0.1", port))
        drive = await Drive.open(store, key)
        await drive.update()
        for download in await drive.download():
            await download.done()


async def put(folder: Path) -> None:
    """Put the big file into a new drive."""
    async with Corestore(folder) as store:
        await (await Drive.open(store)).put_stream("/big", pieces())


async def stream(folder: Path) -> None:
    """Read the big file that is there."""
    async with Corestore(folder) as store:
        async for _ in (await Drive.open(store)).stream("/big"):
            pass


async def share(folder: Path) -> None:
    """Serve the drive that is there until told to end."""
    async with Corestore(folder) as store:
        drive = await Drive.open(store)
        server = await listen("127.0.0.1", 0, store.replicate)
        say({"port": server.port, "big": drive.id})
        await asyncio.to_thread(sys.stdin.read)


async def copy(folder: Path, where: dict[str, Any]) -> None:
    """Copy the drive that another process shares."""
    await copy_drive(folder, where["port"], where["big"])


async def main(task: str, folder: Path, where: dict[str, Any]) -> None:
    """Run one of the tasks; those for the memory tell it at their end."""
    if task == "write":
        await write(folder)
    elif task == "read":
        await read(folder, where)
    else:
        await (copy(folder, where) if task == "copy" else {"put": put, "stream": stream, "share": share}[task](folder))
        say({f"memory_{task}": memory()})


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}))
