"""Logs that are appended to, cut and copied."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from linkup_nb.connection.connection import connect
from linkup_nb.connection.server import listen
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.merkle import Peaks
from tests.soak.processes import Say, Victim

ENOUGH = 2**20  # blocks, more than any log here has
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


class Follower:
    """A process that copies logs from whoever calls it, and says each head that it was told."""

    def __init__(self, folder: Path, keys: list[str]) -> None:
        self._folder = folder
        self._keys = keys
        self._process = Victim(self._follow, 0)
        self._process.wait_for(1)
        self.port: int = self._process.said[0][0]

    async def _follow(self, say: Say, _: Random) -> None:
        async with Corestore(self._folder, bytes(31) + b"f") as store:
            for number, key in enumerate(self._keys):
                core = await store.core(key=key)

                def tell(*_: object, core: Core = core, number: int = number) -> None:
                    say(number, *state(core))

                for event in ("append", "truncate"):
                    core.on(event, tell)
                core.on("conflict", lambda *_, number=number: say(number, "conflict"))
                await core.download(0, ENOUGH)
            server = await listen("127.0.0.1", 0, store.replicate)
            say(server.port)
            await asyncio.Event().wait()

    def end(self, number: int = 0) -> list[list[Any]]:
        """End it; the heads of a log that it was told, oldest first."""
        if not self._process.closed:
            self._process.kill()
        told = [words[1:] for words in self._process.said[1:] if words[0] == number]
        assert told, "it was told nothing"
        assert ["conflict"] not in told, "two heads that disagree were signed"
        return told


async def key_of(name: str) -> str:
    """The key of a log of that name of whom we kill."""
    with TemporaryDirectory() as folder:
        async with Corestore(folder, PRIMARY) as store:
            return (await store.core(name=name)).key.hex()


async def append(folder: Path, port: int, say: Say, rolls: Random) -> None:
    """Append without end: one by one, several at a time, many at once."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        store.replicate(await connect("127.0.0.1", port))
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


async def append_on(folder: Path, port: int, say: Say, rolls: Random) -> None:
    """Append without end, and wait for the disk now and then only: then it is said."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        store.replicate(await connect("127.0.0.1", port))
        say(*state(core))
        salt = rolls.randrange(1000)
        while True:
            start, durable = core.length, rolls.random() < 0.1
            blocks = [content(start + at, salt) for at in range(rolls.choice([1, 1, 2, 30]))]
            await core.append(blocks, durable=durable)
            if durable:
                say(*state(core))


def appending_on(kills: Kills, folder: Path) -> None:
    writing(kills, folder, append_on)


def appending(kills: Kills, folder: Path) -> None:
    writing(kills, folder, append)


def writing(kills: Kills, folder: Path, work: Callable[[Path, int, Say, Random], Coroutine[Any, Any, None]]) -> None:
    """Kill who changes a log; what it said, and what the follower was told, is there."""
    follower = Follower(folder / "told", [asyncio.run(key_of("log"))])
    said = kills(partial(work, folder / "log", follower.port), lambda before, now: now[:2] >= before[:2])
    asyncio.run(check_log(folder / "log", said + follower.end()))


async def truncate(folder: Path, port: int, say: Say, rolls: Random) -> None:
    """Append, cut and clear without end."""
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        store.replicate(await connect("127.0.0.1", port))
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
    writing(kills, folder, truncate)


async def check_log(folder: Path, said: list[list[Any]]) -> None:
    """All that was announced is there, under the tree that was announced, and no tree was announced beside another."""
    trees = {(fork, length): tree for fork, length, tree in said}
    assert all(trees[fork, length] == tree for fork, length, tree in said), "two trees of one fork and length"
    async with Corestore(folder, PRIMARY) as store:
        core = await store.core(name="log")
        audit = await core.audit()
        assert audit.clean, audit.faults
        for (fork, length), tree in trees.items():
            assert fork <= core.fork, (core, fork)
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
