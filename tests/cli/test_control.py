"""The socket of a running node: who may ask, how much, and what becomes of those who misbehave."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linkup_nb import Node
from linkup_nb.control import server as control
from linkup_nb.control.client import Running
from linkup_nb.control.requests import RoomsAsk, TailAsk
from linkup_nb.control.server import ControlServer, serve
from linkup_nb.errors import UsageError

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
