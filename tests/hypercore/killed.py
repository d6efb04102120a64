"""Writers and readers that are killed at random moments, forked from one process that has everything loaded.

`python -m tests.hypercore.killed author FOLDER KILLS SEED` runs and kills so many, one after the other, on one store
that is made anew now and then; it fails at the first store that has lost something that was announced.
"""

import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry

LIFE = 0.04  # seconds that a process lives on average once its store is open
LONGEST = 0.3  # seconds
FRESH = 8  # processes killed on one store
BLOCKS = 2000  # of the core that readers copy
PRIMARY = bytes(32)

Say = Callable[..., None]
Work = Callable[[Path, Say, random.Random], Coroutine[None, None, None]]


def content(number: int) -> bytes:
    """What is in the block, or the file, of this number; now and then it is large."""
    return b"%d " % number * (20_000 if number % 13 == 0 else 3)


async def author(folder: Path, say: Say, rolls: random.Random) -> None:
    """Append, cut and clear without end."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        say(core.length, core.fork)
        while True:
            roll = rolls.random()
            if roll < 0.7 or core.length < 5:
                await core.append([content(core.length + at) for at in range(rolls.choice([1, 1, 2, 30]))])
            elif roll < 0.8:
                await asyncio.gather(*(core.append(content(core.length + at)) for at in range(5)))
            elif roll < 0.9:
                await core.truncate(core.length - rolls.randrange(1, 5))
            else:
                await core.clear(rolls.randrange(core.length))
            say(core.length, core.fork)


async def hasty(folder: Path, say: Say, rolls: random.Random) -> None:
    """Append without end, and wait for the disk now and then only."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        say(core.length, core.fork)
        while True:
            roll = rolls.random()
            more = [content(core.length + at) for at in range(rolls.choice([1, 1, 2, 30]))]
            if roll < 0.9 or core.length < 5:
                await core.append(more, durable=roll < 0.05)
            elif roll < 0.95:
                await core.synced()
            else:
                await core.truncate(core.length - rolls.randrange(1, 5))
            say(core.length, core.fork)


async def check_author(folder: Path, said: list[list[int]]) -> None:
    """All that was announced is there."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        audit = await core.audit()
        assert audit.clean, audit.faults
        for length, fork in said[-1:]:
            assert core.fork > fork or (core.fork == fork and core.length >= length), (core, length, fork)
        for index in range(core.length):
            if await core.has(index):
                assert await core.get(index) == content(index), index


async def drive(folder: Path, say: Say, rolls: random.Random) -> None:
    """Put, delete and clear files without end."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        say(own.version)
        while True:
            roll, number = rolls.random(), own.version
            if roll < 0.6 or number < 10:
                await own.put(f"/{number % 30}", content(number), metadata=number)
            elif roll < 0.8:
                async with own.batch() as batch:
                    for at in range(number, number + 10):
                        await batch.put(f"/{at % 30}", content(at), metadata=at)
            elif roll < 0.9:
                await own.delete(f"/{rolls.randrange(30)}")
            else:
                await own.clear(f"/{rolls.randrange(30)}")
            say(own.version)


async def check_drive(folder: Path, said: list[list[int]]) -> None:
    """Every version that was announced is there, and every file that was not cleared has its content."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        for (version,) in said[-1:]:
            assert own.version >= version, (own, version)
        contents = (await own._contents()).core
        for core in (own.bee.core, contents):
            audit = await core.audit()
            assert audit.clean, audit.faults
        async for change in own.bee.history():
            entry = Entry.decode(change) if change.value else None
            if entry and entry.blob:
                blob = entry.blob
                assert blob.block_offset + blob.block_length <= contents.length, entry
                if await contents.has(blob.block_offset, blob.block_offset + blob.block_length):
                    assert await (await own._contents()).get(blob) == content(entry.metadata), entry


async def reader(folder: Path, say: Say, _: random.Random) -> None:
    """Copy a core."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(key=os.environ["CORE"])
        say(core.length, core.contiguous_length)
        store.replicate(await connect("127.0.0.1", int(os.environ["PORT"])))
        await core.update()
        download = await core.download()
        await download.done()
        await store.close()
        say(BLOCKS, BLOCKS)
        await asyncio.Event().wait()


async def check_reader(folder: Path, said: list[list[int]]) -> None:
    """What was copied is right, and nothing that was there before is lost."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(key=os.environ["CORE"])
        audit = await core.audit()
        assert audit.clean, audit.faults
        for length, contiguous in said[-1:]:
            assert (core.length, core.contiguous_length) >= (length, contiguous)
        for index in range(core.length):
            if await core.has(index):
                assert await core.get(index) == b"%d" % index


async def serve(folder: Path, say: Say, _: random.Random) -> None:
    """The core that readers copy."""
    async with Corestore(folder) as store:
        core = await store.core(name="log")
        await core.append([b"%d" % index for index in range(BLOCKS)])
        server = await listen("127.0.0.1", 0, store.replicate)
        say(core.key.hex(), server.port)
        await asyncio.Event().wait()


def forked(work: Work, folder: Path, seed: int) -> tuple[int, int]:
    """Run some work in a process of its own; its id, and where what it says can be read."""
    out, into = os.pipe()
    pid = os.fork()
    if pid:
        os.close(into)
        return pid, out

    def say(*words: object) -> None:
        os.write(into, f"{' '.join(map(str, words))}\n".encode())

    try:
        asyncio.run(work(folder, say, random.Random(seed)))
    finally:
        os._exit(1)


def ended(pid: int, out: int) -> list[str]:
    """Kill a process; the whole lines that it said, without those read before."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(out, "rb") as rest:
        return rest.read().decode().split("\n")[:-1]


def first_line(out: int) -> str:
    """Wait for what a process says first."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(out, 1)
        assert part, "the process has failed"
        line += part
    return line.decode().strip()


def main(kind: str, folder: Path, kills: int, seed: int) -> None:
    """Kill and check."""
    rolls = random.Random(seed)
    works = {
        "author": (author, check_author),
        "hasty": (hasty, check_author),
        "drive": (drive, check_drive),
        "reader": (reader, check_reader),
    }
    work, check = works[kind]
    server = forked(serve, folder / "served", 0) if kind == "reader" else None
    if server:
        os.environ["CORE"], os.environ["PORT"] = first_line(server[1]).split()
    said = 0
    for number in range(kills):
        store = folder / f"store-{number // FRESH}"
        pid, out = forked(work, store, rolls.randrange(2**32))
        lines = [first_line(out)]
        time.sleep(min(rolls.expovariate(1 / LIFE), LONGEST))
        last = number % FRESH == FRESH - 1
        if last and server:
            lines.append(first_line(out))  # the copy is whole in the end
        lines += ended(pid, out)
        said += len(lines)
        asyncio.run(check(store, [[int(word) for word in line.split()] for line in lines]))
        if last:
            shutil.rmtree(store)
    if server:
        ended(*server)
    print(said)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
