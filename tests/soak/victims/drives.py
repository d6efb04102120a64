"""Drives that files are put into, in batches too, and that are made like a folder and back."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.entry import Entry
from tests.soak.processes import Say
from tests.soak.victims.logs import PRIMARY, Kills, content, tree_at

TOGETHER = 10  # files of one batch
FILES = 30  # of a folder that is mirrored
PIECES = 12  # of the largest stream
PIECE = 64 * 1024  # bytes


async def pieces(number: int) -> AsyncIterator[bytes]:
    for at in range(number % PIECES):
        yield b"%08d" % (number + at) * (PIECE // 8)


async def trees(own: Drive) -> list[Any]:
    """What was announced of a drive: the length and tree of both its logs."""
    contents = (await own._contents()).core
    return [
        own.version,
        tree_at(own.bee.core, own.version),
        contents.length,
        tree_at(contents, contents.length),
    ]


async def put(folder: Path, say: Say, rolls: Random) -> None:
    """Put, stream, delete and clear files without end."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        say(*await trees(own))
        salt = rolls.randrange(1000)
        while True:
            roll, number = rolls.random(), own.version
            if roll < 0.6 or number < 10:
                await own.put(f"/{number % 30}", content(number, salt), metadata=[number, salt])
            elif roll < 0.7:
                await own.put_stream(f"/{number % 30}", pieces(number), metadata=[number, -1])
            elif roll < 0.9:
                await own.delete(f"/{rolls.randrange(30)}")
            else:
                await own.clear(f"/{rolls.randrange(30)}")
            say(*await trees(own))


def putting(kills: Kills, folder: Path) -> None:
    said = kills(partial(put, folder), lambda before, now: now[0] >= before[0] and now[2] >= before[2])
    asyncio.run(check_drive(folder, said))


async def check_drive(folder: Path, said: list[list[Any]]) -> None:
    """Every version that was announced is there, and every file that was not cleared has its content."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
        blobs = await own._contents()
        contents = blobs.core
        for core in (own.bee.core, contents):
            audit = await core.audit()
            assert audit.clean, audit.faults
            assert core.fork == 0
        for version, tree, length, contents_tree in said:
            assert own.version >= version, (own, version)
            assert tree_at(own.bee.core, version) == tree
            assert contents.length >= length, (contents, length)
            assert tree_at(contents, length) == contents_tree
        async for change in own.bee.history():
            entry = Entry.decode(change) if change.value else None
            if entry and entry.blob:
                blob = entry.blob
                assert blob.block_offset + blob.block_length <= contents.length, entry
                if await contents.has(blob.block_offset, blob.block_offset + blob.block_length):
                    number, salt = entry.metadata
                    streamed = b"".join([piece async for piece in pieces(number)]) if salt < 0 else b""
                    assert await blobs.get(blob) == (streamed if salt < 0 else content(number, salt)), entry


async def batch(folder: Path, say: Say, rolls: Random) -> None:
    """Put the same number into ten files at once, again and again; some of them are large."""
    async with Corestore(folder, PRIMARY) as store, await Drive.open(store) as own:
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
        return bool(now[0] >= before[0] and now[2] >= before[2] and len(now[4]) == 1 and now[4] >= before[4])

    said = kills(partial(batch, folder), follows)
    asyncio.run(check_drive(folder, [words[:4] for words in said]))


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


def mirroring(kills: Kills, folder: Path) -> None:
    one, other = (write_folder(folder / f"from-{number}", number) for number in (0, 1))
    kills(partial(mirror, folder), lambda before, now: now[0] >= before[0])
    for name, data in read_folder(folder / "to").items():
        if Path(name).name.startswith(".linkup-"):
            continue  # what was being written when it was killed; the next mirror has to remove it
        assert data in (one.get(name), other.get(name)), f"{name} is neither the old file nor the new one"
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
