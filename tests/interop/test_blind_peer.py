"""The npm package `blind-peer` holds rooms and drives of ours, on a network of our DHT nodes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

import linkup_nb as lu
from linkup_nb.blind.status import BlindPeerState
from linkup_nb.rooms.memory.message import RoomFileMessage
from tests.hypercore.javascript import JavaScript, javascript
from tests.hyperdht.network import network
from tests.interop.hyperswarm import HOST

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEER = Path(__file__).with_name("blind_peer.js")
PATIENCE = 60.0  # seconds until a test that still waits has failed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ports() -> AsyncIterator[list[int]]:
    async with network(4) as nodes:
        yield [node.address[1] for node in nodes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theirs(ports: list[int], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JavaScript]:
    async with javascript(tmp_path_factory.mktemp("theirs"), PEER, *ports) as process:
        yield process


@asynccontextmanager
async def node_of(folder: Path, ports: Sequence[int]) -> AsyncIterator[lu.Node]:
    """A node whose only way to others is the DHT."""
    discovery = [lu.HyperDHT([(HOST, port) for port in ports], port=0)]
    async with lu.Node(folder, name=folder.name, discovery=discovery) as node:
        yield node


async def until(node: lu.Node, condition: Callable[[], object]) -> None:
    """Wait until something holds, as the node's events or the blind peer's growing word may bring about."""
    changed = asyncio.Event()
    for event in ("update", "message"):
        node.on(event, lambda *_: changed.set())
    async with asyncio.timeout(PATIENCE):
        while not condition():
            changed.clear()
            try:
                async with asyncio.timeout(0.1):  # what a peer says it has is no event of the node
                    await changed.wait()
            except TimeoutError:
                continue


def texts(room: lu.Room) -> list[str]:
    return [message.text for message in room.messages if isinstance(message, lu.TextMessage)]


async def test_a_room_and_its_files_are_held_while_all_members_sleep(
    theirs: JavaScript, ports: list[int], tmp_path: Path
) -> None:
    handle = os.urandom(4).hex()  # another one each time that this is run
    key = bytes.fromhex(await theirs.call("blindPeer", handle=handle))
    async with node_of(tmp_path / "ann", ports) as ann:
        ann.blind_peers = [key]
        room = await ann.create_room("physics")
        for number in range(3):
            await room.send(f"message {number}")
        (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 500)
        await room.send_file(tmp_path / "data.bin")
        invite = room.invite
        await until(ann, lambda: ann.blind_peers[0].state is BlindPeerState.HOLDS and ann.blind_peers[0].cores == 3)
        assert "holds all of the 3 logs" in ann.blind_peers[0].text
    async with node_of(tmp_path / "bob", ports) as bob:
        copy = await bob.join(invite)
        await until(bob, lambda: len(copy.messages) == 4)
        assert texts(copy)[:3] == ["message 0", "message 1", "message 2"]
        file = copy.messages[-1]
        assert isinstance(file, RoomFileMessage)
        assert await file.load() == bytes(range(256)) * 500
        await copy.send("nobody is here")
        [blind] = bob.blind_peers  # which the invite named
        assert blind.key == key
        await until(bob, lambda: bob.blind_peers[0].cores == 4 and bob.blind_peers[0].state is BlindPeerState.HOLDS)
    await theirs.call("stopBlindPeer", handle=handle)
    await theirs.call("blindPeer", handle=handle)
    async with node_of(tmp_path / "ann", ports) as ann:
        [copy] = ann.rooms
        await until(ann, lambda: len(copy.messages) == 5)
        assert texts(copy)[-1] == "nobody is here"


async def test_our_own_drive_is_read_from_it_by_who_knows_the_key(
    theirs: JavaScript, ports: list[int], tmp_path: Path
) -> None:
    handle = os.urandom(4).hex()
    key = await theirs.call("blindPeer", handle=handle)
    async with node_of(tmp_path / "ann", ports) as ann:
        ann.blind_peers = [key]  # as text
        drive = await ann.drive(name="results")
        await drive.put("/a.bin", bytes(100_000))
        await until(ann, lambda: ann.blind_peers[0].cores == 2 and ann.blind_peers[0].state is BlindPeerState.HOLDS)
    async with node_of(tmp_path / "bob", ports) as bob:
        bob.blind_peers = [key]
        mounted = await bob.drive(drive.id)
        async with asyncio.timeout(PATIENCE):
            await mounted.arrived()
            assert await mounted.get("/a.bin") == bytes(100_000)


async def test_it_has_nothing_but_what_is_encrypted(theirs: JavaScript, ports: list[int], tmp_path: Path) -> None:
    handle = os.urandom(4).hex()
    key = await theirs.call("blindPeer", handle=handle)
    async with node_of(tmp_path / "ann", ports) as ann:
        ann.blind_peers = [key]
        room = await ann.create_room("physics")
        await room.send("a secret")
        await until(ann, lambda: ann.blind_peers[0].cores == 1 and ann.blind_peers[0].state is BlindPeerState.HOLDS)
        feeds = [core.key.hex() for core in ann.store.cores if core.length]
    stored = await theirs.call("stored", handle=handle, keys=feeds)
    blocks = [bytes.fromhex(block) for blocks in stored.values() for block in blocks]
    assert len(blocks) == 3  # hello, room, message
    assert not any(b"secret" in block or b"hello" in block for block in blocks)
