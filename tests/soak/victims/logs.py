"""Logs that are appended to, cut and copied."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.merkle import Peaks
from tests.soak.processes import Say, Victim

BLOCKS = 2000  # of the core that is copied
PRIMARY = bytes(32)

Kills = Callable[..., list[list[Any]]]


def content(number: int, salt: int = 0) -> bytes:
    """What is in the block, or the file, of this number; now and then it is large."""
    return b"%d %d " % (number, salt) * (20_000 if number % 13 == 0 else 3)


def tree_at(core: Core, length: int) -> str:
    """The hash of the tree that a core had at a length."""
    roots = [core.log.find(index) for index in flat.roots(length)]
    assert None not in roots, (core, length)
    return Peaks([root for root in roots if root]).hash().hex()


def state(core: Core) -> tuple[int, int, str]:
    return core.fork, core.length, tree_at(core, core.length)


async def append(folder: Path, say: Say, rolls: Random) -> None:
    """Append without end: one by one, several at a time, many at once."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        say(*state(core))
        salt = rolls.randrange(1000)  # what is lost and written again is another block
        while True:
            start = core.length
            blocks = [content(start + at, salt) for at in range(rolls.choice([1, 1, 2, 30]))]
            if rolls.random() < 0.3:
                await asyncio.gather(*map(core.append, blocks))
            else:
                await core.append(blocks)
            say(*state(core))


def appending(kills: Kills, folder: Path) -> None:
    said = kills(partial(append, folder), lambda before, now: (now[0], now[1]) >= (before[0], before[1]))
    asyncio.run(check_log(folder, said))


async def truncate(folder: Path, say: Say, rolls: Random) -> None:
    """Append, cut and clear without end."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        say(*state(core))
        salt = rolls.randrange(1000)
        while True:
            roll = rolls.random()
            if roll < 0.5 or core.length < 5:
                start = core.length
                await core.append([content(start + at, salt) for at in range(rolls.choice([1, 1, 2, 30]))])
            elif roll < 0.85:
                await core.truncate(core.length - rolls.randrange(1, 5))
            else:
                await core.clear(rolls.randrange(core.length))
            say(*state(core))


def truncating(kills: Kills, folder: Path) -> None:
    said = kills(partial(truncate, folder), lambda before, now: now[:2] >= before[:2])
    asyncio.run(check_log(folder, said))


async def check_log(folder: Path, said: list[list[Any]]) -> None:
    """All that was announced is there, under the tree that was announced, and no tree was announced beside another."""
    trees = {(fork, length): tree for fork, length, tree in said}
    assert all(trees[fork, length] == tree for fork, length, tree in said), "two trees of one fork and length"
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        audit = await core.audit()
        assert audit.clean, audit.faults
        for (fork, length), tree in trees.items():
            if fork == core.fork:
                assert length <= core.length, (core, length)
                assert tree_at(core, length) == tree, (core, length)
        for index in range(core.length):
            if await core.has(index):
                assert (await core.get(index)).startswith(b"%d " % index), index


async def read(folder: Path, key: str, port: int, say: Say, _: Random) -> None:
    """Copy a core."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(key=key)
        say(core.length, core.contiguous_length)
        store.replicate(await connect("127.0.0.1", port))
        await core.update()
        download = await core.download()
        await download.done()
        await store.close()
        say(BLOCKS, BLOCKS)
        await asyncio.Event().wait()


async def serve(folder: Path, say: Say, _: Random) -> None:
    """The core that is copied."""
    async with Corestore(folder) as store:
        core = await store.core(name="log")
        await core.append([content(index) for index in range(BLOCKS)])
        server = await listen("127.0.0.1", 0, store.replicate)
        say(core.key.hex(), server.port)
        await asyncio.Event().wait()


def replicating(kills: Kills, folder: Path) -> None:
    server = Victim(partial(serve, folder / "served"), 0)
    server.wait_for(1)
    key, port = server.said[0]
    work = partial(read, folder / "copy", key, port)
    kills(work, lambda before, now: now[0] >= before[0] and now[1] >= before[1])
    last = Victim(work, 0)
    last.wait_for(2)  # the copy is whole in the end
    last.kill()
    server.kill()
    asyncio.run(check_copy(folder / "copy", key))


async def check_copy(folder: Path, key: str) -> None:
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(key=key)
        audit = await core.audit()
        assert audit.clean, audit.faults
        assert (core.length, core.contiguous_length) == (BLOCKS, BLOCKS)
        for index in range(core.length):
            assert await core.get(index) == content(index)
