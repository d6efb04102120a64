"""A room with memory that a member in JavaScript, on the npm packages as they are, is in as well."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.rooms.memory.block import Kind, ReactionBody
from linkup_nb.rooms.memory.keys import RoomKeys, short_id
from linkup_nb.rooms.memory.session import RoomSession
from tests.rooms.memory.conftest import make_member as make_member
from tests.rooms.memory.members import WAIT, TestMember, say, texts, until

MEMBER = Path(__file__).with_name("room_member.js")
ROOM = RoomKeys(b"j" * 32)


class JavaScriptMember:
    """The process, and the order as it last printed it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.order: list[dict[str, Any]] = []

    async def next_line(self) -> dict[str, Any]:
        assert self._process.stdout
        line = dict(json.loads(await asyncio.wait_for(self._process.stdout.readline(), WAIT)))
        assert "error" not in line, line
        self.order = line.get("order", self.order)
        return line

    async def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> None:
        while not condition(self.order):
            await self.next_line()

    async def port(self) -> int:
        while "port" not in (line := await self.next_line()):
            pass
        return int(line["port"])

    def write(self, **block: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(block).encode() + b"\n")


@asynccontextmanager
async def javascript_member(folder: Path, *port: int) -> AsyncIterator[JavaScriptMember]:
    arguments = ["node", str(MEMBER), ROOM.secret.hex(), str(folder), "Jay", *map(str, port)]
    process = await asyncio.create_subprocess_exec(*arguments, stdin=PIPE, stdout=PIPE)
    try:
        yield JavaScriptMember(process)
    finally:
        process.kill()
        await process.wait()


async def held_by_javascript(session: RoomSession) -> None:
    """Its Hypercore says that it has our last block, without a message of ours."""
    [theirs] = [row for row in session.feeds.members if row.identity != session.identity.public_key]
    [ours] = [row for row in session.feeds.members if row.identity == session.identity.public_key]
    changed = asyncio.Event()
    session.exchange.on("delivery", lambda _: changed.set())
    async with asyncio.timeout(WAIT):
        while session.exchange.delivery.held_by(ours.tie, ours.next - 1) != (theirs.identity,):
            changed.clear()
            await changed.wait()
    assert session.exchange.delivery.read_by(ours.tie, 0) == ()
    assert theirs.tie in session.exchange.here()


def order(session: RoomSession) -> list[str]:
    keys = {row.tie: row.key for row in session.feeds.rows}
    return [f"{short_id(keys[row.tie])}/{row.seq}" for row in session.index.timeline()]


@pytest.mark.parametrize("they_dial", [True, False])
async def test_a_javascript_member_and_ours_come_to_one_order(
    make_member: Callable[[str], Awaitable[TestMember]], tmp_path: Path, they_dial: bool
) -> None:
    pia = await make_member("pia")
    hers = await pia.enter(ROOM)
    await say(hers, "hello from Python")
    port = [(await pia.listen()).port] if they_dial else []
    async with javascript_member(tmp_path / "jay", *port) as jay:
        if not they_dial:
            await pia.dial(await jay.port())
        await jay.until(lambda rows: any(row["message"] == "hello from Python" for row in rows if "message" in row))
        jay.write(type="message", message="hello from JavaScript")
        await until(hers, lambda: texts(hers) == ["hello from Python", "hello from JavaScript"])
        target = order(hers)[-1]
        await hers.write([ReactionBody(target, "👍")])
        await jay.until(lambda rows: bool(rows) and rows[-1]["type"] == "reaction")
        jay.write(type="reply", to=target, message="thanks")
        await until(hers, lambda: texts(hers)[-1] == "thanks")
        await jay.until(lambda rows: rows[-1]["type"] == "reply")
        assert [row["id"] for row in jay.order] == order(hers)
        assert [row["type"] for row in jay.order].count("hello") == 2
        reply = jay.order[-1]
        assert reply["heads"] == {short_id(hers.feeds.own.key): 3} if hers.feeds.own else False
        assert not [row for row in hers.feeds.rows if row.faults]
        await held_by_javascript(hers)
        assert [Kind(row.kind) for row in hers.index.latest(Kind.REACTION)] == [Kind.REACTION]
