"""One of everything, and a call of each of its public methods."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import linkup_nb as lu
from linkup_nb.connection.tap import Tap
from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore.corestore import Namespace
from linkup_nb.hypercore.download import Download, Downloads
from linkup_nb.hyperdrive.batch import DriveBatch
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.history import Diff, History
from linkup_nb.hyperdrive.serve import DriveServer
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.rooms.memory.channel import RoomChannel
from linkup_nb.rooms.memory.message import RoomTextMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.swarm.topic import SwarmTopic

TOPIC = bytes(32)


class World:
    """One of everything, made on the owner's loop."""

    store: lu.Corestore
    far: lu.Corestore
    core: lu.Core
    copied: lu.Core
    download: Download
    drive: lu.Drive
    connection: lu.Connection
    unconfirmed: lu.Connection
    server: lu.Server
    swarm: lu.Swarm
    node: lu.Node
    room: lu.Room
    bot: lu.Bot
    mounted: lu.Drive
    remembered: MemoryRoom
    said: RoomTextMessage
    channel: RoomChannel
    topic: SwarmTopic
    served: DriveServer
    batch: DriveBatch
    folder: Path


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    made = World()
    async with AsyncExitStack() as stack:
        made.store = await stack.enter_async_context(lu.Corestore(folder / "store"))
        made.far = await stack.enter_async_context(lu.Corestore(folder / "far"))
        made.core = await made.store.core(name="log")
        await made.core.append([b"one", b"two", b"three"])
        made.server = await lu.listen("127.0.0.1", 0, lambda connection: None)
        made.connection = await lu.connect("127.0.0.1", made.server.port)
        made.unconfirmed = await lu.connect("127.0.0.1", made.server.port, confirm=False)
        made.copied = await made.far.core(key=made.core.key)
        made.download = await made.copied.download(0, 3)
        made.drive = await lu.Drive.open(made.store)
        await made.drive.put("/a.txt", b"a")
        await made.drive.put("/b.csv", b"x\n1\n")
        made.served = await made.drive.serve()
        made.batch = await stack.enter_async_context(made.drive.batch())
        made.swarm = lu.Swarm(discovery=[lu.Local(mdns=False)])
        stack.push_async_callback(made.swarm.close)
        made.topic = await made.swarm.join(TOPIC)
        made.node = await stack.enter_async_context(lu.Node(folder / "node", name="kestrel", discovery=[]))
        made.room = await made.node.create_room("lobby", linkup=True)
        made.mounted = await made.node.drive(name="mounted")
        made.bot = await stack.enter_async_context(lu.Bot("dice", path=folder / "bot", discovery=[]))
        made.remembered = await made.node.create_room("physics")
        made.channel = await made.remembered.create_channel("random")
        made.said = await made.remembered.send("said")
        yield made
        await made.connection.close()
        await made.unconfirmed.close()
        await made.server.close()


async def pieces() -> AsyncIterator[bytes]:
    yield b"piece"


Call = Callable[[World, Any], Any]
"""Calls one method of an object of the world; what it returns is awaited, entered or iterated, as its kind asks for."""


def method(name: str, /, *args: Any, **kwargs: Any) -> tuple[str, Call]:
    return name, lambda world, thing: getattr(thing, name)(*args, **kwargs)


def calls(name: str, call: Call) -> tuple[str, Call]:
    return name, call


READING = [
    method("__getitem__", 2),
    method("update"),
    method("arrived"),
    method("content_key"),
    method("info"),
    method("entry", "/a.txt"),
    method("exists", "/a.txt"),
    method("get", "/a.txt"),
    method("stream", "/a.txt"),
    calls("size", lambda world, drive: _size(drive)),
    method("list"),
    method("readdir"),
    method("children"),
    method("checkout", 2),
    method("diff", 1, 2),
    method("history"),
    calls("bisect", lambda world, drive: drive.bisect(_always)),
    method("compare", "/b.csv", 2, 3),
    method("download"),
    calls("stored", lambda world, drive: _stored(drive)),
    calls("mirror_to", lambda world, drive: drive.mirror_to(world.folder / "out", progress=False)),
]
# Methods of each class, in the order in which they are called: what ends the object comes last.
METHODS: dict[type, tuple[Callable[[World], Any], list[tuple[str, Call]]]] = {
    lu.Core: (
        lambda world: world.core,
        [
            method("__len__"),
            method("append", b"four"),
            method("get", 0),
            method("has", 0),
            method("read", 0, 2),
            method("read_stream"),
            method("wait_for_length", 2),
            method("seek", 4),
            method("update"),
            method("download"),
            method("prefetch", 0, 2),
            method("snapshot"),
            method("checkout", 1),
            method("proof", 0),
            calls("verify", lambda world, core: _verified(core)),
            calls("dispute", lambda world, core: _undisputed(core)),
            method("audit"),
            method("check_open"),
            method("missing", "Nobody sent it."),
            method("clear", 0),
            method("truncate", 2),
            method("close"),
        ],
    ),
    lu.Corestore: (
        lambda world: world.store,
        [
            method("usage"),
            method("open"),
            method("core", name="another"),
            method("namespace", "part"),
            method("key_pair", "log"),
            calls("replicate", lambda world, store: store.replicate(world.connection)),
            calls("watch", lambda world, store: _watched(store)),
            method("close"),
        ],
    ),
    Namespace: (
        lambda world: world.store.namespace("part"),
        [method("namespace", "part"), method("key_pair", "log"), method("core", name="log")],
    ),
    Download: (lambda world: world.download, [method("cancel"), method("done", progress=False)]),
    Downloads: (lambda world: Downloads((world.download,)), [method("cancel"), method("done", progress=False)]),
    lu.KeyPair: (lambda world: world.core.key_pair, [method("sign", b"message"), method("from_seed", bytes(32))]),
    lu.Drive: (
        lambda world: world.drive,
        [
            *READING,
            calls("open", lambda world, drive: lu.Drive.open(world.store, drive.key)),
            method("put", "/c.txt", b"c"),
            calls("put_stream", lambda world, drive: drive.put_stream("/d.txt", pieces())),
            method("symlink", "/link", "/a.txt"),
            method("batch"),
            method("check_writable"),
            calls("watch", lambda world, drive: _changed(drive)),
            calls("mirror_from", lambda world, drive: drive.mirror_from(world.folder / "out", progress=False)),
            method("serve"),
            method("clear", "/a.txt"),
            method("restore", "/a.txt", 2),
            method("delete", "/a.txt"),
            method("purge"),
            method("close"),
        ],
    ),
    DriveView: (
        lambda world: world.drive.checkout(3),
        [
            *READING,
            method("clear", "/a.txt"),
            calls("watch", lambda world, drive: _changed(world.drive)),
            method("close"),
        ],
    ),
    lu.Connection: (
        lambda world: world.connection,
        [
            method("write", b"message"),
            method("established"),
            method("opened"),
            method("tap"),
            calls("read", lambda world, connection: _read(world, connection)),
            calls("confirm", lambda world, connection: world.unconfirmed.confirm()),
            method("close"),
            method("wait_closed"),
        ],
    ),
    lu.Server: (lambda world: world.server, [method("close")]),
    lu.Swarm: (
        lambda world: world.swarm,
        [
            method("join", TOPIC),
            method("count", "reason"),
            method("learn_topic", bytes(32), TOPIC),
            calls("peer", lambda world, swarm: _unknown(swarm.peer)),
            calls("connection", lambda world, swarm: _unknown(swarm.connection)),
            calls("add_discovery", lambda world, swarm: swarm.add_discovery(lu.Local(mdns=False))),
            method("suspend"),
            method("resume"),
            method("leave", TOPIC),
            method("close"),
        ],
    ),
    lu.Node: (
        lambda world: world.node,
        [
            method("open"),
            calls("room", lambda world, node: node.room(world.room.topic)),
            calls("status_of", lambda world, node: node.status_of(world.room)),
            method("doctor"),
            method("drive", name="results"),
            calls("forget", lambda world, node: node.forget(world.mounted)),
            calls("share", lambda world, node: _shared(node)),
            method("create_room", "another", linkup=True),
            method("join", bytes(32)),
            method("set_name", "otter"),
            method("set_avatar", None),
            method("set_networks", relay=""),
            method("clear_copies"),
            calls("export_profile", lambda world, node: node.export_profile(world.folder / "profile.zip")),
            method("close"),
        ],
    ),
    SwarmTopic: (lambda world: world.topic, [method("flushed")]),
    Tap: (lambda world: world.connection.tap(), [method("to_pandas"), method("close")]),
    DriveServer: (lambda world: world.served, [method("link", "/a.txt"), method("close")]),
    DriveBatch: (
        lambda world: world.batch,
        [
            method("put", "/e.txt", b"e"),
            method("symlink", "/link", "/e.txt"),
            method("put_entry", Entry("/f", 0, None, linkname="/e.txt")),
            method("delete", "/e.txt"),
        ],
    ),
    Diff: (lambda world: world.drive.diff(1), []),
    History: (lambda world: world.drive.history(), [method("to_pandas")]),
}


def _unknown(find: Callable[[bytes], object]) -> None:
    with pytest.raises(lu.UsageError):
        find(bytes(32))


async def _first(iterator: AsyncIterator[Any]) -> Any:
    async for found in iterator:
        return found
    raise AssertionError("nothing came")


async def _stored(drive: DriveView) -> object:
    entry = await drive.entry("/a.txt")
    assert entry
    return await drive.stored(entry)


async def _shared(node: lu.Node) -> None:
    await node.share(await node.store.core(name="shared"))


async def _size(drive: DriveView) -> int:
    entry = await drive.entry("/a.txt")
    assert entry
    return await drive.size(entry)


async def _always(_: object) -> bool:
    return True


async def _changed(drive: lu.Drive) -> Any:
    """A change is announced at once."""
    first = asyncio.ensure_future(_first(drive.watch()))
    await asyncio.sleep(0)
    await drive.put("/new.txt", b"new")
    return await asyncio.wait_for(first, 5)


async def _read(world: World, connection: lu.Connection) -> None:
    with pytest.raises(TimeoutError):
        await connection.read(timeout=0.01)


async def _verified(core: lu.Core) -> bytes:
    return await core.verify(await core.proof(1))


async def _undisputed(core: lu.Core) -> None:
    """One head contradicts nothing."""
    head = await core.proof(1)
    with pytest.raises(InvalidProof):
        await core.dispute(head, head)


async def _watched(store: lu.Corestore) -> Any:
    """A new core is announced at once, not at the next time that something else wakes this loop."""
    first = asyncio.ensure_future(_first(store.watch()))
    await asyncio.sleep(0)
    # Nothing else wakes this loop meanwhile.
    store.loop.call_soon_threadsafe(lambda: store.loop.create_task(store.core(name="new")))
    started = time.monotonic()
    key = await asyncio.wait_for(first, 4)
    assert time.monotonic() - started < 2
    return key
