"""The socket of a running node: who may ask, how much, and what becomes of those who misbehave."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from linkup_nb import Node
from linkup_nb.control import server as control
from linkup_nb.control.actions import Answer, SlowReader, answer
from linkup_nb.control.client import Running
from linkup_nb.control.requests import GetAsk, InviteAsk, MirrorAsk, RoomsAsk, TailAsk
from linkup_nb.control.server import ControlServer, serve
from linkup_nb.errors import NodeClosed, UsageError

WAIT = 20.0


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Node, ControlServer]]:
    async with Node(tmp_path / "ann", name="ann", discovery=[]) as node:
        server = await serve(node)
        assert server
        yield node, server
        await server.close()


async def said(server: ControlServer, line: bytes) -> list[Any]:
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(line)
    async with asyncio.timeout(WAIT):
        lines = (await reader.read()).splitlines()
    writer.close()
    return [json.loads(one) for one in lines]


async def test_only_this_user_can_ask(served: tuple[Node, ControlServer]) -> None:
    _, server = served
    assert stat.S_IMODE(os.stat(server.path.parent).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o600


async def test_what_is_no_request_is_refused_and_others_are_answered(served: tuple[Node, ControlServer]) -> None:
    node, server = served
    await node.create_room("physics")
    for line in (
        b"{}\n",
        b"nonsense\n",
        b'{"do": "fly"}\n',
        b'{"do": "tail", "count": -1}\n',
        b'{"do": "tail", "room": 7}\n',
    ):
        [end] = await said(server, line)
        assert end["end"]["kind"] == "failed"
    assert await said(server, b"x" * (control.MAX_REQUEST + 2)) == []
    assert [item["name"] async for item in Running(server.path).ask(RoomsAsk())] == ["physics"]


async def test_only_so_many_ask_at_once(served: tuple[Node, ControlServer], monkeypatch: pytest.MonkeyPatch) -> None:
    node, server = served
    room = await node.create_room("physics")
    await room.send("one")
    monkeypatch.setattr(control, "MAX_CLIENTS", 1)
    following = Running(server.path).ask(TailAsk(follow=True))
    assert (await anext(following))["text"] == "one"
    [end] = await said(server, b'{"do": "rooms"}\n')
    assert "1 programs ask this node already" in end["end"]["error"]
    await following.aclose()  # who hangs up makes room
    async with asyncio.timeout(WAIT):
        while "item" not in (await said(server, b'{"do": "rooms"}\n'))[0]:
            pass


async def test_an_error_there_is_the_same_here(served: tuple[Node, ControlServer]) -> None:
    _, server = served
    with pytest.raises(UsageError, match="You are in no room 'x'"):
        async for _item in Running(server.path).ask(TailAsk(room="x")):
            pass


async def test_a_fault_of_our_own_is_answered_and_logged(
    served: tuple[Node, ControlServer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, server = served
    monkeypatch.setattr(Node, "rooms", None)
    [end] = await said(server, b'{"do": "rooms"}\n')
    assert end["end"]["kind"] == "failed"
    assert end["end"]["error"].startswith("This is a fault of linkup_nb: TypeError: ")
    assert "Traceback" in caplog.text


async def test_an_invite_may_end_in_a_month(served: tuple[Node, ControlServer]) -> None:
    node, server = served
    await node.create_room("physics")
    asked = Running(server.path).ask(InviteAsk(room="physics", expires=30 * 86_400))
    assert (await anext(asked))["invite"].startswith("linkup:")
    with pytest.raises(UsageError, match="before 2106"):
        await anext(Running(server.path).ask(InviteAsk(room="physics", expires=timedelta.max // timedelta(seconds=1))))


async def test_who_follows_and_does_not_read_is_let_go(
    served: tuple[Node, ControlServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = served
    monkeypatch.setattr("linkup_nb.control.actions.MAX_UNREAD", 3)
    room = await node.create_room("physics")
    await room.send("before")
    following = answer(node, TailAsk(count=1, follow=True))
    assert (await anext(following))["text"] == "before"  # it listens now
    for number in range(6):
        await room.send(f"{number}")
    with pytest.raises(SlowReader, match="Over 3 messages wait"):
        await all_of(following)


async def all_of(following: Answer) -> None:
    async for _item in following:
        pass


async def test_a_file_stays_until_all_of_the_new_one_is_here(
    served: tuple[Node, ControlServer], tmp_path: Path
) -> None:
    node, _ = served
    drive = await node.drive(name="results")
    await drive.put("/a.bin", bytes(10_000_000), progress=False)
    folder = tmp_path / "here"
    folder.mkdir()
    target = folder / "a.bin"
    target.write_bytes(b"old")
    asked = answer(node, GetAsk(drive="results", path="/a.bin", to=str(target)))
    await anext(asked)
    await asked.aclose()
    assert target.read_bytes() == b"old"
    await all_of(answer(node, GetAsk(drive="results", path="/a.bin", to=str(target))))
    assert target.read_bytes() == bytes(10_000_000)
    assert os.listdir(folder) == ["a.bin"]


async def test_a_node_that_goes_is_said_to_have_gone(served: tuple[Node, ControlServer]) -> None:
    node, server = served
    room = await node.create_room("physics")
    await room.send("here")
    following = Running(server.path).ask(TailAsk(follow=True))
    assert (await anext(following))["text"] == "here"
    await server.close()
    with pytest.raises(NodeClosed, match="has gone: run this again"):
        await anext(following)
    with pytest.raises(NodeClosed, match="has gone: run this again"):
        await anext(Running(server.path).ask(RoomsAsk()))


async def test_a_mirror_says_how_far_it_is(served: tuple[Node, ControlServer], tmp_path: Path) -> None:
    _, server = served
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.bin").write_bytes(bytes(40_000_000))
    ask = MirrorAsk(drive="results", folder="/", local=str(tmp_path / "here"), back=True)
    *steps, last = [item async for item in Running(server.path).ask(ask)]
    assert last == {"path": "/a.bin", "action": "add", "size": 40_000_000}
    assert [step["total"] for step in steps] == [40_000_000] * len(steps)
    assert steps[-1]["done"] == 40_000_000
    back = MirrorAsk(drive="results", folder="/", local=str(tmp_path / "copy"))
    assert [item async for item in Running(server.path).ask(back)][-1] == last
    assert (tmp_path / "copy" / "a.bin").read_bytes() == bytes(40_000_000)
