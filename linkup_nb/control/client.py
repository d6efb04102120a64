"""Asking a node: the running one of a profile over its socket, or one of this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from linkup_nb.control.actions import Answer, NobodyThere, answer
from linkup_nb.control.requests import Ask
from linkup_nb.control.server import serve, socket_path
from linkup_nb.errors import LinkupError, NodeClosed, ProfileInUse, UsageError
from linkup_nb.node import Node

BUSY = 5.0  # seconds for which another command may hold a profile, sending what it has to send
RETRY = 0.1  # seconds between two looks at whether it still does
GONE = "The node that answered has gone: run this again."
MAX_ITEM = 16 * 1_048_576  # bytes of an item of an answer


class Asked(Protocol):
    """A node, wherever it runs. `here` is whether it is one of this process, and ends with it."""

    here: bool

    def ask(self, ask: Ask) -> Answer:
        """What it answers, item by item. Raises what `actions.answer` raises."""


class Own:
    """A node of this process."""

    here = True

    def __init__(self, node: Node) -> None:
        self.node = node

    def ask(self, ask: Ask) -> Answer:
        """See `Asked`."""
        return answer(self.node, ask)


class Running:
    """The node of a profile in another process."""

    here = False

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, ask: Ask) -> Answer:
        """See `Asked`."""
        try:
            async with aclosing(self._ask(ask)) as items:
                async for item in items:
                    yield item
        except OSError as error:
            raise NodeClosed(GONE) from error
        except ValueError as error:
            if isinstance(error, LinkupError):
                raise
            raise LinkupError("The node answered what is no answer: restart it.") from error

    async def _ask(self, ask: Ask) -> Answer:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_ITEM)
        try:
            writer.write(msgspec.json.encode(ask) + b"\n")
            await writer.drain()
            while line := await reader.readline():
                said = msgspec.json.decode(line, type=dict[str, dict[str, object] | None])
                if (item := said.get("item")) is not None:
                    yield item
                elif end := said.get("end"):
                    raise _ERRORS.get(str(end.get("kind")), LinkupError)(str(end.get("error")))
                else:
                    return
            raise NodeClosed(GONE)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


_ERRORS: dict[str, type[LinkupError]] = {"usage": UsageError, "nobody": NobodyThere}


@asynccontextmanager
async def node_of(profile: Path, *, lasting: bool = False) -> AsyncIterator[Asked]:
    """The running node of a profile, if there is one that answers, or else one that is opened here and closed after.

    One that is `lasting` answers others meanwhile; what another command holds for a moment is waited for. Raises
    `ProfileInUse` for a profile that another process holds without answering for `BUSY` seconds.
    """
    path = socket_path(profile)
    node = await _opened(profile, path)
    if node is None:
        yield Running(path)
        return
    server = await serve(node) if lasting else None
    try:
        yield Own(node)
    finally:
        if server:
            await server.close()
        await node.close()


async def _opened(profile: Path, path: Path) -> Node | None:
    deadline = asyncio.get_running_loop().time() + BUSY
    while not await _answers(path):
        node = Node(profile)
        try:
            await node.open()
        except ProfileInUse:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(RETRY)
        else:
            return node
    return None


async def _answers(path: Path) -> bool:
    if not hasattr(asyncio, "open_unix_connection"):
        return False
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
