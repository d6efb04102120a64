"""Files that are sent in a LinkUp room are kept in a drive of one's own, which whoever has its key can read."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import linkup_nb as lu
from linkup_nb.errors import StoreError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.rooms.linkup.messages import decode
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.message import LinkUpFileMessage
from tests.rooms.linkup.test_room import pair
from tests.rooms.nodes import PATIENCE, MakeNode, Stranger, until

KEY = "y" * 52


async def test_a_file_is_in_the_senders_drive_in_every_version(make_node: MakeNode) -> None:
    ours, theirs = await pair(make_node)
    reader = await make_node("heron")
    assert isinstance(ours, LinkUpRoom)
    assert ours.drive is None
    for text in (b"one", b"one two"):
        await ours.send_file(("notes.txt", text))
    await until(lambda: len(theirs) == 2, theirs)
    first, second = theirs.messages
    assert isinstance(first, LinkUpFileMessage)
    assert isinstance(second, LinkUpFileMessage)
    assert (first.data, second.data) == (b"one", b"one two")
    assert ours.drive is not None
    assert first.drive == second.drive == ours.drive.id
    assert (first.path, second.path) == ("/files/notes.txt", "/files/notes.txt")
    assert second.version == ours.drive.version > first.version
    async with asyncio.timeout(PATIENCE):  # by the key alone, to somebody who is not in the room
        mounted = await reader.drive(second.drive)
        await mounted.arrived()
        assert await mounted[first.version].get(first.path) == b"one"
        assert await mounted[second.version].get(second.path) == b"one two"
    assert list(theirs.to_pandas()["kind"]) == ["file", "file"]


async def test_what_linkup_reads_stays_as_it_was(make_node: MakeNode, make_stranger: Callable[[], Stranger]) -> None:
    node, stranger = await make_node("kestrel"), make_stranger()
    room = await node.create_room("lobby", linkup=True)
    await stranger.meet(room)
    await room.send_file(("a.txt", b"AAA"))
    file = await stranger.receives("file")
    assert list(file)[:6] == ["type", "name", "fileName", "file", "topic", "timestamp"]
    assert (file["fileName"], file["file"]) == ("a.txt", "QUFB")


async def test_the_drive_is_announced_again_at_the_next_start(tmp_path: Path) -> None:
    def node(name: str) -> lu.Node:
        return lu.Node(tmp_path / name, name=name, discovery=[lu.Local(mdns=False)])

    async with node("kestrel") as kestrel:
        room = await kestrel.create_room("lobby", linkup=True)
        await room.send_file(("a.txt", b"kept"))
    async with node("kestrel") as kestrel, node("otter") as otter:
        [again] = kestrel.rooms
        assert isinstance(again, LinkUpRoom)
        assert again.drive is not None
        async with asyncio.timeout(PATIENCE):
            mounted = await otter.drive(again.drive.id)
            await mounted.arrived()
            assert await mounted.get("/files/a.txt") == b"kept"
        await again.leave()
        assert again.drive is None
        assert await (await kestrel.join(again.topic)).leave() is None


async def test_a_disk_that_refuses_does_not_lose_the_message(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = await pair(make_node)

    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Drive, "put", refuse)
    await ours.send_file(("a.txt", b"all the same"))
    await until(lambda: len(theirs) == 1, theirs)
    assert type(theirs[0]) is lu.FileMessage
    assert "kept in no drive: the disk is full" in caplog.text


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"drive": KEY, "path": "/a"},
        {"drive": "l" * 52, "path": "/a", "version": 1},
        {"drive": KEY[1:], "path": "/a", "version": 1},
        {"drive": KEY, "path": "/a\n\u202eb", "version": 1},
        {"drive": KEY, "path": "/" + "a" * 2000, "version": 1},
        {"drive": KEY, "path": "/a", "version": 0},
        {"drive": KEY, "path": "/a", "version": 2**60},
        {"drive": KEY, "path": "/a", "version": "1"},
        {"drive": [KEY], "path": {}, "version": None},
    ],
)
def test_what_names_no_drive_is_a_plain_file(about: dict[str, Any]) -> None:
    message = {"type": "file", "name": "otter", "fileName": "a", "file": "AAAA", "topic": "0" * 64, "timestamp": 0}
    read = decode(json.dumps(message | about).encode(), key=bytes(32), received=datetime.now(UTC))
    assert type(read) is lu.FileMessage
    whole = {"drive": KEY, "path": "/a", "version": 1}
    read = decode(json.dumps(message | whole).encode(), key=bytes(32), received=datetime.now(UTC))
    assert isinstance(read, LinkUpFileMessage)
