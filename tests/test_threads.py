"""Every public method is called from a thread that is not its owner's, as a cell of a notebook does.

The owner's loop is in debug mode: asyncio then refuses what is called from a thread that is not the loop's, and SQLite
does so always. A public method that is not in the tables below fails the test.
"""

import asyncio
import dataclasses
import inspect
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

import linkup_nb as lu
from linkup_nb.connection.tap import Tap
from linkup_nb.hypercore.corestore import Namespace
from linkup_nb.hypercore.download import Download, Downloads
from linkup_nb.hyperdrive.batch import DriveBatch
from linkup_nb.hyperdrive.history import Diff, History
from linkup_nb.hyperdrive.serve import DriveServer
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.member import Member, MemberStatus
from linkup_nb.rooms.memory.channel import RoomChannel
from linkup_nb.rooms.memory.message import RoomTextMessage
from linkup_nb.rooms.memory.qr import QrCode
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.timeline import Timeline
from linkup_nb.swarm.topic import SwarmTopic

PATIENCE = 20.0  # seconds
TOPIC = bytes(32)
STRANGER = b"s" * 32


class Owner:
    """A loop in debug mode on a thread of its own, with one of everything on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.loop.set_debug(True)
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def run(self, work: Awaitable[Any]) -> Any:
        """Run something on this loop, from another."""

        async def awaited() -> Any:
            return await work

        future = asyncio.run_coroutine_threadsafe(awaited(), self.loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.loop.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path)
    yield owner
    owner.stop()


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
    calls("mirror_to", lambda world, drive: drive.mirror_to(world.folder / "out", progress=False)),
]
# Methods of each class, in the order in which they are called: what ends the object comes last.
TABLE: dict[type, tuple[Callable[[World], Any], list[tuple[str, Call]]]] = {
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
            method("create_room", "another", linkup=True),
            method("join", bytes(32)),
            method("set_name", "otter"),
            method("set_avatar", None),
            method("close"),
        ],
    ),
    LinkUpRoom: (
        lambda world: world.room,
        [
            method("send", "text"),
            method("send_file", ("name.txt", b"content")),
            method("send_audio", b"audio"),
            method("__len__"),
            method("__getitem__", 0),
            method("shares_name", "otter"),
            method("to_pandas"),
            method("clear"),
            method("leave"),
        ],
    ),
    MemoryRoom: (
        lambda world: world.remembered,
        [
            method("send", "text"),
            method("send_file", ("name.txt", b"content")),
            method("send_audio", b"audio"),
            method("mark_read"),
            method("search", "text"),
            method("create_channel", "random", "anything"),
            method("invite_qr"),
            method("create_invite", uses=1),
            method("channel", "random"),
            method("messages_in", "random"),
            method("unread_in", "random"),
            method("set_subject", "physics"),
            method("set_typing"),
            calls("at", lambda world, room: room.at(room[0])),
            calls("message", lambda world, room: room.message(room[0].id)),
            calls("export", lambda world, room: room.export(world.folder / "room.linkup")),
            method("__len__"),
            method("__getitem__", 0),
            method("shares_name", "otter"),
            method("to_pandas"),
            *(method(name, STRANGER) for name in ("mute", "block", "hide", "remove", "admit", "appoint")),
            method("set_follow_moderators", False),
            method("allow", Member("otter", STRANGER, MemberStatus.AWAY)),
            calls("clear", lambda world, room: _refused(room)),
            method("leave"),
            method("close"),
        ],
    ),
    QrCode: (lambda world: world.remembered.invite_qr(), []),
    RoomChannel: (
        lambda world: world.channel,
        [
            method("send", "text"),
            method("send_file", ("name.txt", b"content")),
            method("search", "text"),
            method("set_typing"),
            method("mark_read"),
            method("__len__"),
            method("__getitem__", 0),
        ],
    ),
    Timeline: (
        lambda world: world.remembered.timeline,
        [
            method("__len__"),
            method("__getitem__", 0),
            calls("before", lambda world, timeline: timeline.before(world.said)),
            calls("after", lambda world, timeline: timeline.after(world.said)),
            calls("around", lambda world, timeline: timeline.around(world.said)),
            calls("at", lambda world, timeline: timeline.at(world.said.timestamp)),
        ],
    ),
    RoomTextMessage: (
        lambda world: world.said,
        [
            method("reply", "yes"),
            method("react", "+"),
            method("edit", "better"),
            method("provenance"),
            method("verify"),
            method("retract"),
        ],
    ),
    SwarmTopic: (lambda world: world.topic, [method("flushed")]),
    Tap: (lambda world: world.connection.tap(), [method("to_pandas"), method("close")]),
    DriveServer: (lambda world: world.served, [method("link", "/a.txt"), method("close")]),
    DriveBatch: (
        lambda world: world.batch,
        [method("put", "/e.txt", b"e"), method("symlink", "/link", "/e.txt"), method("delete", "/e.txt")],
    ),
    Diff: (lambda world: world.drive.diff(1), []),
    History: (lambda world: world.drive.history(), [method("to_pandas")]),
}


async def _first(iterator: AsyncIterator[Any]) -> Any:
    async for found in iterator:
        return found
    raise AssertionError("nothing came")


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


async def _refused(room: MemoryRoom) -> None:
    with pytest.raises(lu.UsageError):
        await room.clear()


async def _read(world: World, connection: lu.Connection) -> None:
    with pytest.raises(TimeoutError):
        await connection.read(timeout=0.01)


async def _verified(core: lu.Core) -> bytes:
    return await core.verify(await core.proof(1))


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


def methods(kind: type) -> set[str]:
    """The public methods of a class that are ours, also those that Python calls for a user."""
    found = set()
    for name, value in inspect.getmembers(kind):
        function = inspect.unwrap(value) if callable(value) else None
        ours = (getattr(function, "__module__", None) or "").startswith("linkup_nb")
        if ours and (not name.startswith("_") or name in ("__getitem__", "__len__")) and not inspect.isclass(value):
            found.add(name)
    return found


def properties(kind: type) -> list[str]:
    """The public properties of a class: snapshots, for any thread to read."""
    found = inspect.getmembers(kind, lambda value: isinstance(value, property))
    return [name for name, value in found if not name.startswith("_") and value.fget.__module__.startswith("linkup_nb")]


def is_value(kind: type) -> bool:
    """Whether objects of this class never change, so that any thread may read them."""
    frozen = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    struct = issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen
    plain = issubclass(kind, tuple | list) and not methods(kind)
    return frozen or struct or plain or issubclass(kind, Enum | BaseException) or hasattr(kind, "_fields")


def kinds(result: Any) -> set[type]:
    """The classes of ours in a result."""
    inside = result if isinstance(result, tuple | list | set | frozenset) else ()
    found = {type(result)} if type(result).__module__.startswith("linkup_nb") else set()
    return found.union(*map(kinds, inside)) if inside else found


async def settle(result: Any) -> Any:
    """What a user does with it: await it, enter it, or take the first of it."""
    if inspect.isawaitable(result):
        return await result
    if inspect.isasyncgen(result):
        first = await anext(result, None)
        await result.aclose()
        return first
    if hasattr(result, "__aenter__") and not kinds(result):
        async with result as entered:
            return entered
    return result


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
async def test_each_method_is_safe_to_call_from_another_thread(owner: Owner, kind: type) -> None:
    find, table = TABLE[kind]
    opened = world(owner.folder)
    made = await owner.run(opened.__aenter__())
    made.folder = owner.folder
    thing = find(made)

    for name in properties(type(thing)):
        await asyncio.to_thread(getattr, thing, name)
    for name, call in table:
        result = await settle(await asyncio.to_thread(call, made, thing))
        unknown = {one for one in kinds(result) if not is_value(one)} - set(TABLE)
        assert not unknown, f"{kind.__name__}.{name} returns {unknown}, which has no calls in the table"
    await owner.run(asyncio.sleep(0))

    assert not owner.faults
    assert {name for name, _ in table} == methods(type(thing)), "a public method without a call in the table"
    await owner.run(opened.__aexit__(None, None, None))


def test_every_public_class_has_its_calls() -> None:
    public = {getattr(lu, name) for name in lu.__all__}
    classes = {kind for kind in public if inspect.isclass(kind) and not is_value(kind)}
    untested = {kind for kind in classes if not any(issubclass(known, kind) for known in TABLE)}
    # A discovery is called by its swarm, on its loop (`HyperDHT.dial` has its own test); a panel is a cell's widget.
    assert untested == {lu.Local, lu.Kademlia, lu.HyperDHT, lu.Panel}
