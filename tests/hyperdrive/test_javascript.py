"""Drives between this program and the real Hyperdrive, over TCP, both ways."""

import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from linkup_nb.connection.server import Server, listen
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.view import DriveView
from tests.hypercore.javascript import JavaScript, javascript

BIG = 100 * 1000 * 1000  # bytes
FILES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "/empty": (b"", {}),
    "/hello.txt": (b"hello", {}),
    "/a/b/c/deep.bin": (bytes(range(256)) * 700, {"metadata": {"mime": "x/y", "n": [1, None, "é"]}}),
    "/bin/tool": (b"#!/bin/sh\n", {"executable": True}),
}


class Pair:
    """A store here and a store there."""

    def __init__(self, store: Corestore, peer: JavaScript, server: Server) -> None:
        self.store = store
        self.peer = peer
        self.server = server


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with Corestore(tmp_path / "python", b"\x08" * 32) as store, javascript(tmp_path / "javascript") as peer:
        server = await listen("127.0.0.1", 0, store.replicate)
        yield Pair(store, peer, server)
        await server.close()


async def theirs(pair: Pair, key: str, version: int) -> Drive:
    """Their drive, open here, once it has come to this version."""
    drive = await Drive.open(pair.store, key, timeout=20)
    await pair.peer.call("connect", port=pair.server.port)
    while drive.version < version:
        await drive._core._log.changed()
    return drive


async def listed(drive: DriveView) -> list[list[Any]]:
    """As `store_peer.js` lists."""
    return [
        [e.path, e.executable, e.linkname, e.blob.byte_length if e.blob else None, e.metadata]
        async for e in drive.list()
    ]


async def test_we_read_their_drive(pair: Pair) -> None:
    key = (await pair.peer.call("drive", handle="a"))["key"]
    for path, (data, options) in FILES.items():
        await pair.peer.call("put", handle="a", path=path, data=data.hex(), options=options)
    await pair.peer.call("symlink", handle="a", path="/link", target="/hello.txt")
    await pair.peer.call("put", handle="a", path="/gone", data="00")
    await pair.peer.call("del", handle="a", path="/gone")
    drive = await theirs(pair, key, 8)

    assert await listed(drive) == await pair.peer.call("list", handle="a")
    for path, (data, _) in FILES.items():
        assert await drive.get(path) == data
    assert await drive.get("/link") == b"hello"
    assert await drive[7].get("/gone") == b"\x00"
    assert [name async for name in drive.readdir("/a")] == ["b"]


async def test_they_read_our_drive(pair: Pair) -> None:
    drive = await Drive.open(pair.store)
    for path, (data, options) in FILES.items():
        await drive.put(path, data, **options)
    await drive.symlink("/link", "/hello.txt")
    await drive.put("/gone", b"\x00")
    await drive.delete("/gone")
    await pair.peer.call("drive", handle="b", key=drive.key.hex())
    await pair.peer.call("connect", port=pair.server.port)
    await pair.peer.call("waitVersion", handle="b", version=drive.version)

    assert await pair.peer.call("list", handle="b") == await listed(drive)
    for path, (data, _) in FILES.items():
        assert await pair.peer.call("read", handle="b", path=path) == data.hex()
    assert await pair.peer.call("read", handle="b", path="/gone", version=7) == "00"
    assert await pair.peer.call("readdir", handle="b", folder="/") == [name async for name in drive.readdir("/")]


@pytest.mark.parametrize("dedup", [False, True])
async def test_we_read_what_they_cut_and_deduplicate(pair: Pair, tmp_path: Path, dedup: bool) -> None:
    """JavaScript's `createWriteStream` makes a block of each piece, and with `dedup` a map of earlier ones too."""
    pieces = [bytes([n % 7]) * (10 + n * 997 % 70_000) for n in range(30)]
    first, second = b"".join(pieces), b"".join(pieces[::-1])
    key = (await pair.peer.call("drive", handle="a"))["key"]
    for path, order in (("/a", pieces), ("/a", pieces[::-1]), ("/b", [b"x" * 10, b"y" * 65_536])):
        options = {"dedup": dedup}
        await pair.peer.call("write", handle="a", path=path, pieces=[p.hex() for p in order], options=options)
    drive = await theirs(pair, key, 4)

    assert (await drive.get("/a"), await drive[2].get("/a")) == (second, first)
    entry = await drive.entry("/a")
    assert entry
    assert entry.blob
    assert (entry.blob.mapped, await drive.size(entry)) == (dedup, len(second))
    for path, data in (("/a", second), ("/b", b"x" * 10 + b"y" * 65_536)):
        for start, end in ((0, 5), (9, 11), (10, 65_546), (65_540, 65_546), (100, 101), (len(data) - 1, len(data))):
            assert b"".join([piece async for piece in drive.stream(path, start, end)]) == data[start:end]
    for download in await drive.download():
        await download.done(timeout=10)
    await pair.peer.call("disconnect")
    await drive.mirror_to(tmp_path / "here")
    assert (tmp_path / "here" / "a").read_bytes() == second
    assert await drive.mirror_to(tmp_path / "here", dry_run=True) == []
    fs = fsspec.filesystem("linkup", asynchronous=True, store=pair.store)
    assert (await fs._info(f"{drive.id}/a"))["size"] == len(second)
    assert await fs._cat_file(f"{drive.id}/a", -10) == second[-10:]


async def test_a_large_file_both_ways(pair: Pair) -> None:
    key = (await pair.peer.call("drive", handle="a"))["key"]
    await pair.peer.call("put", handle="a", path="/big", size=BIG)
    drive = await theirs(pair, key, 2)
    expected = hashlib.sha256(("/big" * (BIG // 4)).encode()).hexdigest()

    ours = hashlib.sha256()
    async for piece in drive.stream("/big"):
        ours.update(piece)
    assert ours.hexdigest() == expected

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BIG // 100_000):
            yield b"/big" * 25_000

    mine = await Drive.open(pair.store)
    await mine.put_stream("/big", pieces())
    await pair.peer.call("drive", handle="b", key=mine.key.hex())
    await pair.peer.call("waitVersion", handle="b", version=2)
    assert await pair.peer.call("digest", handle="b", path="/big") == expected


async def test_a_thousand_versions_are_the_same_on_both_sides(pair: Pair) -> None:
    drive = await Drive.open(pair.store)
    for index in range(1000):
        if index % 10 == 9:
            await drive.delete(f"/f/{(index - 5) % 70}")
        await drive.put(f"/f/{index % 70}", b"%d" % index)
    await pair.peer.call("drive", handle="b", key=drive.key.hex())
    await pair.peer.call("connect", port=pair.server.port)
    await pair.peer.call("waitVersion", handle="b", version=drive.version)

    for version in (2, 50, 333, 777, drive.version):
        assert await pair.peer.call("list", handle="b", version=version) == await listed(drive[version])
    for version in (10, 500, drive.version - 1):
        assert await differences(drive, version, drive.version) == sorted(
            await pair.peer.call("diff", handle="b", version=version), key=str
        )


async def test_a_thousand_versions_that_they_wrote_are_the_same_here(pair: Pair) -> None:
    key = (await pair.peer.call("drive", handle="a"))["key"]
    rolls = random.Random(5)
    there: set[str] = set()
    edits: list[tuple[str, str | None]] = []
    for number in range(1000):
        path = f"/{rolls.randrange(4)}/{rolls.randrange(30)}"
        if path in there and rolls.random() < 0.3:
            there.remove(path)
            edits.append((path, None))
        else:
            there.add(path)
            edits.append((path, (b"%d " % number * (number % 3)).hex()))
    assert await pair.peer.call("edit", handle="a", changes=edits) == 1001
    drive = await theirs(pair, key, 1001)

    for version in (*range(2, 1001, 37), 1001):
        assert await pair.peer.call("list", handle="a", version=version) == await listed(drive[version])
    for _ in range(25):
        a, b = sorted(rolls.sample(range(1, 1002), 2))
        expected = await pair.peer.call("diff", handle="a", version=a, newer=b)
        assert await differences(drive, a, b) == sorted(expected, key=str)
    for number in rolls.sample(range(1000), 25):
        path, data = edits[number]
        content = await drive[number + 2].get(path)
        assert (None if content is None else content.hex()) == data


async def differences(drive: Drive, a: int, b: int) -> list[list[Any]]:
    """As `store_peer.js` tells what differs: each path, and where its content begins in both versions."""
    changes = [
        [change.path, *(entry.blob.byte_offset if entry and entry.blob else None for entry in change[1:])]
        async for change in drive.diff(a, b)
    ]
    return sorted(changes, key=str)


async def test_every_version_inside_of_their_batches_can_be_read(pair: Pair) -> None:
    key = (await pair.peer.call("drive", handle="a"))["key"]
    rolls = random.Random(3)
    files: dict[str, bytes] = {}
    versions = {1: dict(files)}
    for number in range(12):
        changes: list[tuple[str, str | None]] = []
        for path in (f"/{rolls.randrange(60)}" for _ in range(rolls.randrange(1, 30))):
            if path in files and rolls.random() < 0.4:
                changes.append((path, None))
                del files[path]
            else:
                files[path] = b"%d" % number
                changes.append((path, files[path].hex()))
            versions[max(versions) + 1] = dict(files)
        assert await pair.peer.call("batch", handle="a", changes=changes) == max(versions)
    drive = await theirs(pair, key, max(versions))

    for version, then in versions.items():
        past = drive[version]
        assert {entry.path: await past.get(entry.path) async for entry in past.list()} == then
