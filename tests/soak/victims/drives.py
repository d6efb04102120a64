"""Drives that files are put into, in batches too, and that are made like a folder and back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from linkup_nb.connection.connection import connect
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry
from tests.soak.processes import Say
from tests.soak.victims.logs import PRIMARY, Follower, Kills, content, tree_at

TOGETHER = 10  # files of one batch
FILES = 30  # of a folder that is mirrored
PIECES = 12  # of the largest stream
PIECE = 512 * 1024  # bytes


async def pieces(number: int, salt: int) -> AsyncIterator[bytes]:
    """A file that is streamed; what is written again after a loss is another one."""
    for at in range(number % PIECES):
        yield b"%08d%08d" % (number + at, salt) * (PIECE // 16)


async def trees(own: Drive) -> list[Any]:
    """What was announced of a drive: the length and tree of both its logs."""
    contents = (await own._contents()).core
    return [
        own.version,
        tree_at(own.bee.core, own.version),
        contents.length,
        tree_at(contents, contents.length),
    ]


async def put(folder: Path, port: int, say: Say, rolls: Random) -> None:
    """Put, stream, delete and clear files without end."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        store.replicate(await connect("127.0.0.1", port))
        say(*await trees(own))
        salt = rolls.randrange(1000)
        while True:
            roll, number = rolls.random(), own.version
            if roll < 0.6 or number < 10:
                await own.put(f"/{number % 30}", content(number, salt), metadata=[number, salt])
            elif roll < 0.9:
                await own.delete(f"/{rolls.randrange(30)}")
            else:
                await own.clear(f"/{rolls.randrange(30)}")
            say(*await trees(own))


async def stream(folder: Path, port: int, say: Say, rolls: Random) -> None:
    """Put files of some megabytes without end."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        store.replicate(await connect("127.0.0.1", port))
        say(*await trees(own))
        salt = rolls.randrange(1000)
        while True:
            number = own.version
            await own.put_stream(f"/{number % 30}", pieces(number, salt), metadata=[number, salt, "streamed"])
            say(*await trees(own))


def putting(kills: Kills, folder: Path) -> None:
    changing(kills, folder, put, grows)


def streaming(kills: Kills, folder: Path) -> None:
    changing(kills, folder, stream, grows)


def grows(before: list[Any], now: list[Any]) -> bool:
    """Both logs of the drive have no less than they had."""
    return bool(now[0] >= before[0] and now[2] >= before[2])


def changing(
    kills: Kills, folder: Path, work: Callable[..., Coroutine[Any, Any, None]], follows: Callable[..., bool]
) -> None:
    """Kill who changes a drive; what it said, and what the follower was told, is there."""
    follower = Follower(folder / "told", asyncio.run(keys()))
    said = kills(partial(work, folder / "drive", follower.port), follows)
    told = follower.end(0), follower.end(1)
    asyncio.run(check_drive(folder / "drive", said, *told))


async def keys() -> list[str]:
    """The keys of both logs of the drive of whom we kill."""
    with TemporaryDirectory() as folder:
        async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
            return [own.key.hex(), (await own.content_key()).hex()]


async def check_drive(
    folder: Path, said: list[list[Any]], told: list[list[Any]], told_of_contents: list[list[Any]]
) -> None:
    """Every version that was announced is there, and every file that was not cleared has its content."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        blobs = await own._contents()
        contents = blobs.core
        for core in (own.bee.core, contents):
            audit = await core.audit()
            assert audit.clean, audit.faults
            assert core.fork == 0
        for core, heads in (
            (own.bee.core, [(0, *words[:2]) for words in said] + told),
            (contents, [(0, *words[2:4]) for words in said] + told_of_contents),
        ):
            for fork, length, tree in heads:
                assert (core.fork, core.length) >= (fork, length), (core, fork, length)
                assert tree_at(core, length) == tree, (core, length)
        async for change in own.bee.history():
            entry = Entry.decode(change) if change.value else None
            if entry and entry.blob:
                blob = entry.blob
                assert blob.block_offset + blob.block_length <= contents.length, entry
                if await contents.has(blob.block_offset, blob.block_offset + blob.block_length):
                    number, salt, *streamed = entry.metadata
                    parts = [piece async for piece in pieces(number, salt)] if streamed else [content(number, salt)]
                    assert await blobs.get(blob) == b"".join(parts), entry


async def batch(folder: Path, port: int, say: Say, rolls: Random) -> None:
    """Put the same number into ten files at once, again and again; some of them are large."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        store.replicate(await connect("127.0.0.1", port))
        say(*await trees(own), await numbers(own))
        salt = rolls.randrange(1000)
        while True:
            number = own.version
            async with own.batch() as many:
                for at in range(TOGETHER):
                    await many.put(f"/{at}", content(number + at, salt), metadata=[number + at, salt])
            say(*await trees(own), [number])


async def numbers(own: Drive) -> list[int]:
    """Which batches the files are of."""
    entries = [await own.entry(f"/{at}") for at in range(TOGETHER)]
    return sorted({entry.metadata[0] - at if entry else -1 for at, entry in enumerate(entries)})


def batching(kills: Kills, folder: Path) -> None:
    def follows(before: list[Any], now: list[Any]) -> bool:
        return grows(before, now) and len(now[4]) == 1 and bool(now[4] >= before[4])

    changing(kills, folder, batch, follows)


def write_folder(folder: Path, number: int) -> dict[str, bytes]:
    """A folder of files, most of which are others in a folder of another number; what is in it."""
    files = {}
    for at in range(FILES):
        if at % 5 == number:
            continue
        name = f"{at % 3}/{at % 2}/{at}.txt" if at % 7 else f"{at}.txt"
        files[name] = content(at) if at % 4 == 0 else content(at, number) * (1 + 2000 * (at % 6 == 0))
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return files


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def mirror(folder: Path, say: Say, rolls: Random) -> None:
    """Make a drive like one folder, then like another, and a third folder like the drive."""
    async with Corestore(folder / "store", PRIMARY) as store, await Drive.open(store) as own:
        say(own.version)
        while True:
            for number in (0, 1):
                await own.mirror_from(folder / f"from-{number}")
                say(own.version)
                await own.mirror_to(folder / "to")
                say(own.version)


def mirroring(kills: Kills, folder: Path, *, whole: bool = True) -> None:
    """Each local file is the old one or the new one, if `whole`; and the next mirror makes all of it right."""
    one, other = (write_folder(folder / f"from-{number}", number) for number in (0, 1))
    kills(partial(mirror, folder), lambda before, now: now[0] >= before[0])
    for name, data in read_folder(folder / "to").items():
        if Path(name).name.startswith(".linkup-"):
            continue  # what was being written when it was killed; the next mirror has to remove it
        assert not whole or data in (one.get(name), other.get(name)), f"{name} is neither the old file nor the new one"
    asyncio.run(mirror_at_last(folder))
    assert read_folder(folder / "from-0") == one
    assert read_folder(folder / "to") == one


async def mirror_at_last(folder: Path) -> None:
    async with Corestore(folder / "store", PRIMARY) as store, await Drive.open(store) as own:
        await own.mirror_from(folder / "from-0")
        await own.mirror_to(folder / "to")
        for core in (own.bee.core, (await own._contents()).core):
            audit = await core.audit()
            assert audit.clean, audit.faults
