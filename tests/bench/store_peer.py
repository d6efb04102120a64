"""One Python process of the store bench: `write FOLDER` measures and then serves, `read FOLDER WHERE` copies."""

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
GETS = 20_000
FILES = 10_000
FILE = 1024  # bytes
MEGABYTES = 256

Figures = dict[str, float]


def name(index: int) -> str:
    """The path of a small file: 100 folders of 100."""
    return f"/dir{index % 100}/file-{index}.txt"


@contextmanager
def rate(figures: Figures, key: str, count: float) -> Iterator[None]:
    """Note how many a second were done in this block; for a count of 0, the milliseconds."""
    started = time.perf_counter()
    yield
    passed = time.perf_counter() - started
    figures[key] = count / passed if count else passed * 1000


def memory() -> float:
    """MiB of this process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure_core(store: Corestore, figures: Figures) -> Core:
    one, core = await store.core(name="one"), await store.core(name="batch")
    block = os.urandom(BLOCK)
    with rate(figures, "append_one", SINGLE):
        for _ in range(SINGLE):
            await one.append(block)
    with rate(figures, "append_batch", BLOCKS):
        for _ in range(BLOCKS // 1000):
            await core.append([block] * 1000)
    with rate(figures, "get_random", GETS):
        for index in range(GETS):
            await core.get(index * 7919 % BLOCKS)
    with rate(figures, "get_stream", BLOCKS):
        async for _ in core.read_stream():
            pass
    return core


async def measure_files(store: Corestore, figures: Figures) -> Drive:
    single, drive = await Drive.open(store.namespace("single")), await Drive.open(store.namespace("small"))
    data = os.urandom(FILE)
    with rate(figures, "put_one", SINGLE):
        for index in range(SINGLE):
            await single.put(name(index), data)
    with rate(figures, "put_batch", FILES):
        async with drive.batch() as batch:
            for index in range(FILES):
                await batch.put(name(index), data)
    with rate(figures, "get_files", FILES):
        for index in range(FILES):
            assert await drive.get(name(index)) == data
    left = iter(range(FILES))

    async def get_some() -> None:
        for index in left:
            assert await drive.get(name(index)) == data

    with rate(figures, "get_files_64", FILES):
        await asyncio.gather(*(get_some() for _ in range(64)))
    with rate(figures, "list", 0):
        assert len([entry async for entry in drive.list()]) == FILES
    with rate(figures, "readdir", 0):
        assert len([one async for one in drive.readdir()]) == 100
    with rate(figures, "checkout", 1000):
        for index in range(1000):
            version = 2 + index * 7919 % SINGLE
            assert await single[version].get(name(version - 2)) == data
    before = drive.version
    async with drive.batch() as batch:
        for index in range(1000):
            await batch.put(name(index * 7), b"x")
    with rate(figures, "diff", 0):
        assert len([change async for change in drive.diff(before)]) == 1000
    return drive


async def measure_big(store: Corestore, figures: Figures) -> Drive:
    drive = await Drive.open(store.namespace("big"))
    piece = os.urandom(2**20)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MEGABYTES):
            yield piece

    with rate(figures, "put_big", MEGABYTES * 1.048576):
        await drive.put_stream("/big", pieces())
    with rate(figures, "stream_big", MEGABYTES * 1.048576):
        async for _ in drive.stream("/big"):
            pass
    figures["memory"] = memory()  # before the next one, which wants all of the file in memory
    with rate(figures, "get_big", MEGABYTES * 1.048576):
        assert await drive.get("/big")
    return drive


async def write(folder: Path) -> None:
    """Measure alone, then serve until told to end."""
    figures: Figures = {}
    async with Corestore(folder) as store:
        core = await measure_core(store, figures)
        small = await measure_files(store, figures)
        big = await measure_big(store, figures)
        server = await listen("127.0.0.1", 0, store.replicate)
        where = {"port": server.port, "core": core.id, "small": small.id, "big": big.id, "version": small.version}
        print(json.dumps({"figures": figures, "where": where}), flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


async def read(folder: Path, where: dict[str, Any]) -> None:
    """Copy everything, each time into a new store."""
    figures: Figures = {}
    async with Corestore(folder / "core") as store:
        store.replicate(await connect("127.0.0.1", where["port"]))
        with rate(figures, "replicate_core", BLOCKS):
            core = await store.core(key=where["core"])
            await core.update()
            await (await core.download(0, BLOCKS)).done()
    for kind, count in (("big", MEGABYTES * 1.048576), ("small", FILES)):
        async with Corestore(folder / kind) as store:
            store.replicate(await connect("127.0.0.1", where["port"]))
            with rate(figures, f"replicate_{kind}", count):
                drive = await Drive.open(store, where[kind])
                await drive.update()
                for download in await drive.download():
                    await download.done()
    figures["memory"] = memory()
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    uvloop.run(write(Path(sys.argv[2])) if sys.argv[1] == "write" else read(Path(sys.argv[2]), json.loads(sys.argv[3])))
