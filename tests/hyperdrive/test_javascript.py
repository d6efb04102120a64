"""Drives between this program and the real Hyperdrive, over TCP, both ways."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.swarm.server import Server, listen
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


async def listed(drive: Drive) -> list[list[Any]]:
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
        changes = [
            [
                c.path,
                c.before.blob.byte_offset if c.before and c.before.blob else None,
                c.after.blob.byte_offset if c.after and c.after.blob else None,
            ]
            async for c in drive.diff(version)
        ]
        assert sorted(changes, key=str) == sorted(await pair.peer.call("diff", handle="b", version=version), key=str)
