"""Drives read and written across Hyperswarm, with the real `hyperswarm`, `corestore` and `hyperdrive`, on loopback."""

import asyncio
import hashlib
import os
import random
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import linkup_nb as lu
from tests.hypercore.javascript import JavaScript, javascript
from tests.interop.hyperswarm import HOST
from tests.interop.test_hyperdht_swarm import network_of

MEMBER = Path(__file__).with_name("drive_member.py")
NETWORKS = ["python", "javascript"]  # whose nodes all are the network's bootstrap nodes
PATIENCE = 30.0  # seconds until a test that still waits has failed
BIG = 20_000_000  # bytes
BEFORE_THE_END = 20  # blocks, of some 300, that are here when the other is killed
FILES = {"/hello.txt": b"hello", "/a/b/deep.bin": bytes(range(256)) * 700, "/empty": b""}


@asynccontextmanager
async def swarm_of(store: lu.Corestore, ports: Sequence[int]) -> AsyncIterator[lu.Swarm]:
    """A swarm of ours that copies the store over each connection."""
    swarm = lu.Swarm(discovery=[lu.HyperDHT([(HOST, port) for port in ports], port=0)])
    swarm.on("connection", lambda connection, _: store.replicate(connection))
    try:
        yield swarm
    finally:
        await swarm.close()


@asynccontextmanager
async def swarm_of_theirs(folder: Path, ports: Sequence[int], seed: bytes) -> AsyncIterator[JavaScript]:
    """The same of theirs, killed in the end."""
    async with javascript(folder) as peer:
        await peer.call("swarm", ports=ports, seed=seed.hex())
        yield peer


def written_by_javascript(path: str) -> bytes:
    """What `put` of a size writes."""
    return (path.encode() * (BIG // len(path) + 1))[:BIG]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def reach(drive: lu.Drive, version: int) -> None:
    """Wait until the drive has come to this version."""
    if drive.version < version:
        async for _, after in drive.watch():
            if after.version >= version:
                return


@pytest.mark.parametrize("kind", NETWORKS)
async def test_we_find_read_and_follow_their_drive(tmp_path: Path, kind: str) -> None:
    async with (
        network_of(kind) as ports,
        swarm_of_theirs(tmp_path / "theirs", ports, os.urandom(32)) as peer,
        lu.Corestore(tmp_path / "ours") as store,
        swarm_of(store, ports) as swarm,
    ):
        key = (await peer.call("drive", handle="a"))["key"]
        for path, data in FILES.items():
            await peer.call("put", handle="a", path=path, data=data.hex())
        await peer.call("put", handle="a", path="/big", size=BIG)
        drive = await lu.Drive.open(store, key=key)
        await peer.call("join", topic=drive.discovery_key.hex())
        await swarm.join(drive.discovery_key, server=False)

        async with asyncio.timeout(PATIENCE):
            await reach(drive, 5)
            assert {entry.path async for entry in drive.list()} == {*FILES, "/big"}
            for path, data in FILES.items():
                assert await drive.get(path) == data
            assert await drive.get("/big") == written_by_javascript("/big")
            assert [peer.transport for peer in swarm.peers] == ["udx"]

            changes = drive.watch()
            for text in (b"first", b"second"):
                change = asyncio.ensure_future(anext(changes))
                await peer.call("put", handle="a", path="/news", data=text.hex())
                _, after = await change
                assert await after.get("/news") == text


@pytest.mark.parametrize("kind", NETWORKS)
async def test_they_find_read_and_follow_our_drive(tmp_path: Path, kind: str) -> None:
    big = random.Random(1).randbytes(BIG)
    async with (
        network_of(kind) as ports,
        lu.Corestore(tmp_path / "ours") as store,
        swarm_of(store, ports) as swarm,
        swarm_of_theirs(tmp_path / "theirs", ports, os.urandom(32)) as peer,
    ):
        drive = await lu.Drive.open(store)
        for path, data in {**FILES, "/big": big}.items():
            await drive.put(path, data)
        joined = await swarm.join(drive.discovery_key, client=False)
        await joined.flushed()
        await peer.call("drive", handle="b", key=drive.key.hex())
        await peer.call("join", topic=drive.discovery_key.hex())

        await peer.call("waitVersion", handle="b", version=drive.version)
        assert sorted(path for path, *_ in await peer.call("list", handle="b")) == sorted([*FILES, "/big"])
        for path, data in FILES.items():
            assert await peer.call("read", handle="b", path=path) == data.hex()
        assert await peer.call("digest", handle="b", path="/big") == digest(big)

        for text in (b"first", b"second"):
            await drive.put("/news", text)
            await peer.call("waitVersion", handle="b", version=drive.version)
            assert await peer.call("read", handle="b", path="/news") == text.hex()


@pytest.mark.parametrize("kind", NETWORKS)
async def test_our_download_goes_on_when_their_killed_process_is_back(tmp_path: Path, kind: str) -> None:
    seed = os.urandom(32)
    async with (
        network_of(kind) as ports,
        lu.Corestore(tmp_path / "ours") as store,
        swarm_of(store, ports) as swarm,
        asyncio.timeout(PATIENCE),
    ):
        async with swarm_of_theirs(tmp_path / "theirs", ports, seed) as peer:
            drive = await lu.Drive.open(store, key=(await peer.call("drive", handle="a"))["key"])
            await peer.call("put", handle="a", path="/big", size=BIG)
            await peer.call("join", topic=drive.discovery_key.hex())
            await swarm.join(drive.discovery_key)
            await reach(drive, 2)
            _history, download = await drive.download()
            key = (await drive.info()).blobs_key
            assert key
            contents, on_its_way = await store.core(key=key), asyncio.Event()
            contents.on("download", lambda _: on_its_way.set() if download.downloaded >= BEFORE_THE_END else None)
            await on_its_way.wait()
        assert not download.finished

        async with swarm_of_theirs(tmp_path / "theirs", ports, seed) as peer:
            await peer.call("drive", handle="a")
            await peer.call("join", topic=drive.discovery_key.hex())
            await download.done()
            assert await drive.get("/big") == written_by_javascript("/big")


@pytest.mark.parametrize("kind", NETWORKS)
async def test_their_download_goes_on_when_our_killed_process_is_back(tmp_path: Path, kind: str) -> None:
    big = random.Random(2).randbytes(BIG)
    async with lu.Corestore(tmp_path / "ours") as store, await lu.Drive.open(store) as drive:
        await drive.put("/big", big)
        key, topic = drive.key.hex(), drive.discovery_key.hex()
    async with network_of(kind) as ports, swarm_of_theirs(tmp_path / "theirs", ports, os.urandom(32)) as peer:
        await peer.call("drive", handle="b", key=key)
        await peer.call("join", topic=topic)
        command = [sys.executable, str(MEMBER), str(tmp_path / "ours"), os.urandom(32).hex(), *map(str, ports)]
        member = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        downloaded = asyncio.ensure_future(peer.call("digest", handle="b", path="/big"))
        assert await peer.call("fetched", handle="b", count=BEFORE_THE_END) < BIG // 65536
        member.kill()
        await member.wait()
        assert not downloaded.done()

        member = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        assert await downloaded == digest(big)
        member.kill()
        await member.wait()
