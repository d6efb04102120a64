"""Programs from npm that nobody here wrote, on a network of our DHT nodes, with our stores, logs and drives.

Each does what its users do with it. A network and a JavaScript process are shared by all.
"""

import asyncio
import os
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

import linkup_nb as lu
from tests.hypercore.javascript import JavaScript, javascript
from tests.hyperdht.network import network
from tests.interop.hyperswarm import HOST
from tests.interop.rpc import Rpc, serve
from tests.interop.test_hyperdht_drive import reach, swarm_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEER = Path(__file__).with_name("programs_peer.js")
PATIENCE = 30.0  # seconds until a test that still waits has failed
EVER = 1_000_000  # blocks, more than any log here gets
FILES = {"/readme.md": b"# hello", "/a/b/deep.bin": bytes(range(256)) * 700, "/empty": b"", "/two  spaces": b"x"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ports() -> AsyncIterator[list[int]]:
    async with network(4) as nodes:
        yield [node.address[1] for node in nodes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def programs(ports: list[int], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JavaScript]:
    async with javascript(tmp_path_factory.mktemp("theirs"), PEER, *ports) as process:
        yield process


@asynccontextmanager
async def member(folder: Path, ports: Sequence[int], topic: bytes) -> AsyncIterator[lu.Corestore]:
    """A store of ours that whoever joins the topic can reach."""
    async with lu.Corestore(folder) as store, swarm_of(store, ports) as swarm:
        await (await swarm.join(topic)).flushed()
        yield store


async def follow(store: lu.Corestore, blocks: dict[str, int]) -> None:
    """Download the logs with these keys, now and from now on; returns when so many blocks of each are here."""
    for key, count in blocks.items():
        core = await store.core(key=bytes.fromhex(key))
        await core.download(0, EVER)
        arrived = asyncio.Event()
        core.on("download", lambda _, arrived=arrived: arrived.set())
        while core.contiguous_length < count:
            arrived.clear()
            await arrived.wait()


async def test_autopass_writers_that_never_meet_exchange_notes_through_a_store_of_ours(
    programs: JavaScript, ports: list[int], tmp_path: Path
) -> None:
    topic = bytes.fromhex(await programs.call("autopass", handle="otter"))
    await programs.call("pair", handle="heron", invite=await programs.call("invite", handle="otter"))
    await programs.call("addNote", handle="heron", key="first", value="we have met")
    assert await programs.call("note", handle="otter", key="first") == "we have met"
    async with asyncio.timeout(PATIENCE), member(tmp_path, ports, topic) as store:
        await follow(store, await programs.call("blocks", handle="otter"))
        await programs.call("close", handle="heron")

        await programs.call("addNote", handle="otter", key="second", value="while heron is away")
        await follow(store, await programs.call("blocks", handle="otter"))
        await programs.call("close", handle="otter")

        await programs.call("autopass", handle="heron")
        assert await programs.call("note", handle="heron", key="second") == "while heron is away"
        await programs.call("addNote", handle="heron", key="third", value="while otter is away")
        await follow(store, await programs.call("blocks", handle="heron"))
        await programs.call("close", handle="heron")

        await programs.call("autopass", handle="otter")
        assert await programs.call("note", handle="otter", key="third") == "while otter is away"
        await programs.call("close", handle="otter")


async def test_blind_pairing_over_a_connection(programs: JavaScript) -> None:
    key, me = os.urandom(32).hex(), os.urandom(32).hex()
    invitation = await programs.call("invitation", key=key)
    invite = invitation.pop("invite")
    await programs.call("member", handle="member", key=key, **invitation)
    await programs.call("candidate", handle="candidate", invite=invite, userData=me)
    assert await programs.call("added", handle="member") == me
    assert await programs.call("paired", handle="candidate") == key
    await programs.call("goAway", handle="member")
    await programs.call("goAway", handle="candidate")


async def test_blind_pairing_and_a_log_of_two_that_are_never_there_together(
    programs: JavaScript, ports: list[int], tmp_path: Path
) -> None:
    blocks, me = [b"one".hex(), b"two".hex()], os.urandom(32).hex()
    await programs.call("store", handle="author")
    log = await programs.call("write", store="author", blocks=blocks)
    key, topic = log["key"], log["discoveryKey"]
    invitation = await programs.call("invitation", key=key)
    invite = invitation.pop("invite")
    await programs.call("candidate", handle="early", invite=invite, userData=me)
    await programs.call("posted", handle="early")
    await programs.call("goAway", handle="early")

    async with asyncio.timeout(PATIENCE), member(tmp_path, ports, bytes.fromhex(topic)) as store:
        await programs.call("member", handle="late", key=key, **invitation)
        assert await programs.call("added", handle="late") == me
        await programs.call("goAway", handle="late")
        await programs.call("join", handle="author", topic=topic)
        await follow(store, {key: len(blocks)})
        await programs.call("destroy", handle="author")

        await programs.call("candidate", handle="early", invite=invite, userData=me)
        assert await programs.call("paired", handle="early") == key
        await programs.call("goAway", handle="early")
        await programs.call("store", handle="reader")
        await programs.call("join", handle="reader", topic=topic)
        assert await programs.call("read", store="reader", key=key, count=len(blocks)) == blocks
        await programs.call("destroy", handle="reader")


async def test_rpc_over_our_nodes(programs: JavaScript) -> None:
    key = await programs.call("rpcServer", handle="server")
    for size in (1, 10, 100_000):
        value = os.urandom(size)
        assert await programs.call("rpcRequest", handle="client", key=key, method="reverse", value=value.hex()) == (
            value[::-1].hex()
        )
    with pytest.raises(RuntimeError, match="REQUEST_ERROR"):
        await programs.call("rpcRequest", handle="client", key=key, method="fail", value="")


async def test_rpc_with_us_as_client_and_as_server(programs: JavaScript, ports: list[int]) -> None:
    discovery = lu.HyperDHT([(HOST, port) for port in ports], port=0)
    swarm = lu.Swarm(discovery=[discovery])
    swarm.on("connection", lambda connection, _: serve(connection, swarm.public_key))
    await (await swarm.join(os.urandom(32), client=False)).flushed()
    value = os.urandom(100_000)
    try:
        async with asyncio.timeout(PATIENCE):
            key = bytes.fromhex(await programs.call("rpcServer", handle="server"))
            connection = await discovery.dial(key)
            connection.confirm()
            await connection.opened()
            client = Rpc(connection, key)
            assert await client.request("reverse", value) == value[::-1]
            with pytest.raises(RuntimeError, match="Request failed"):
                await client.request("fail", b"")
            await connection.close()

            ours = {"key": swarm.public_key.hex(), "method": "reverse", "value": value.hex()}
            assert await programs.call("rpcRequest", handle="client", **ours) == value[::-1].hex()
    finally:
        await swarm.close()


async def test_a_blob_server_serves_the_blobs_of_our_drive(
    programs: JavaScript, ports: list[int], tmp_path: Path
) -> None:
    big = os.urandom(3_000_000)
    async with lu.Corestore(tmp_path) as store, swarm_of(store, ports) as swarm:
        drive = await lu.Drive.open(store)
        for path, data in {**FILES, "/big.bin": big}.items():
            await drive.put(path, data)
        await (await swarm.join(drive.discovery_key, client=False)).flushed()
        await programs.call("store", handle="viewer")
        await programs.call("join", handle="viewer", topic=drive.discovery_key.hex())
        await programs.call("drive", handle="replica", store="viewer", key=drive.key.hex(), version=drive.version)
        await programs.call("blobServer", handle="blobs", store="viewer")

        async def fetch(path: str, **headers: str) -> tuple[int, bytes]:
            link = await programs.call("link", handle="blobs", key=drive.key.hex(), filename=path)
            return await asyncio.to_thread(get, link, headers)

        for path, data in {**FILES, "/big.bin": big}.items():
            assert await fetch(path) == (200, data)
        assert await fetch("/big.bin", Range="bytes=1000000-1999999") == (206, big[1_000_000:2_000_000])


async def test_mirror_drive_takes_our_drive_into_a_folder_and_back(
    programs: JavaScript, ports: list[int], tmp_path: Path
) -> None:
    folder, ours, theirs = tmp_path / "folder", tmp_path / "ours", tmp_path / "theirs"
    async with lu.Corestore(tmp_path / "store") as store, swarm_of(store, ports) as swarm:
        drive = await lu.Drive.open(store)
        for path, data in FILES.items():
            await drive.put(path, data)
        await drive.put("/bin/tool", b"#!/bin/sh\n", executable=True)
        await drive.symlink("/link", "readme.md")
        await (await swarm.join(drive.discovery_key, client=False)).flushed()
        await programs.call("store", handle="mirror")
        await programs.call("join", handle="mirror", topic=drive.discovery_key.hex())
        await programs.call("drive", handle="source", store="mirror", key=drive.key.hex(), version=drive.version)
        await programs.call("localdrive", handle="folder", root=str(folder))
        count = await programs.call("mirror", **{"from": "source", "to": "folder"})
        assert (count["files"], count["add"]) == (6, 6)
        await drive.mirror_to(ours)
        assert contents(folder) == contents(ours)
        assert (await programs.call("mirror", **{"from": "source", "to": "folder"}))["change"] == 0

        (folder / "readme.md").write_bytes(b"# changed")
        (folder / "new").mkdir()
        (folder / "new" / "file").write_bytes(b"new")
        (folder / "a" / "b" / "deep.bin").unlink()
        made = await programs.call("drive", handle="target", store="mirror")
        version = (await programs.call("mirror", **{"from": "folder", "to": "target"}))["version"]
        async with asyncio.timeout(PATIENCE):
            replica = await lu.Drive.open(store, key=bytes.fromhex(made["key"]))
            await swarm.join(replica.discovery_key, server=False)
            await programs.call("join", handle="mirror", topic=made["discoveryKey"])
            await reach(replica, version)
            await replica.mirror_to(theirs)
        assert contents(theirs) == contents(folder)
        assert contents(theirs)["new/file"] == (b"new", False)
    await programs.call("destroy", handle="mirror")


def contents(folder: Path) -> dict[str, tuple[bytes | str, bool]]:
    """What the files and links in a folder hold, and whether they are executable."""
    return {
        str(path.relative_to(folder)): (os.readlink(path), False)
        if path.is_symlink()
        else (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


async def test_a_blind_peer_keeps_our_drive_when_we_are_gone(
    programs: JavaScript, ports: list[int], tmp_path: Path
) -> None:
    trusted = await programs.call("identity", handle="asker")
    await programs.call("blindPeer", handle="blind", trusted=[trusted])
    await programs.call("store", handle="asking")
    async with lu.Corestore(tmp_path / "ours") as store, swarm_of(store, ports) as swarm:
        drive = await lu.Drive.open(store)
        for path, data in FILES.items():
            await drive.put(path, data)
        key, topic = drive.key, drive.discovery_key
        blobs = (await drive.info()).blobs_key
        assert blobs
        # A blind peer takes what a connection offers only of logs that it has been asked to keep: ask first.
        for log in (key, blobs):
            await programs.call("keep", handle="asker", store="asking", blind="blind", key=log.hex())
        await swarm.join(topic)
        for log in (key, blobs):
            length = (await store.core(key=log)).length
            await programs.call("kept", handle="blind", key=log.hex(), length=length)

    async with (
        asyncio.timeout(PATIENCE),
        lu.Corestore(tmp_path / "reader") as store,
        swarm_of(store, ports) as swarm,
    ):
        replica = await lu.Drive.open(store, key=key)
        await swarm.join(topic, server=False)
        assert {path: await replica.get(path) for path in FILES} == FILES
    await programs.call("destroy", handle="asking")


def get(link: str, headers: dict[str, str]) -> tuple[int, bytes]:
    with urllib.request.urlopen(urllib.request.Request(link, headers=headers), timeout=PATIENCE) as answer:
        return answer.status, answer.read()
