"""Asking a node: the running one of a profile over its socket, or one of this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from linkup_nb.control.actions import Answer, NobodyThere, answer
from linkup_nb.control.requests import Ask
from linkup_nb.control.server import serve, socket_path
from linkup_nb.errors import LinkupError, NodeClosed, ProfileInUse, UsageError
from linkup_nb.node import Node

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
            raise NodeClosed("The node that answered has closed: ask again.")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


_ERRORS: dict[str, type[LinkupError]] = {"usage": UsageError, "nobody": NobodyThere}


@asynccontextmanager
async def node_of(profile: Path, *, name: str | None = None) -> AsyncIterator[Asked]:
    """The running node of a profile, if there is one that answers, or else one that is opened here and closed after.

    Raises `ProfileInUse` for one that another process holds without answering.
    """
    path = socket_path(profile)
    if await _answers(path):
        yield Running(path)
        return
    try:
        node = Node(profile, name=name)
        await node.open()
    except ProfileInUse:
        if await _answers(path):  # it has just begun
            yield Running(path)
            return
        raise
    server = await serve(node)
    try:
        yield Own(node)
    finally:
        if server:
            await server.close()
        await node.close()


async def _answers(path: Path) -> bool:
    if not hasattr(asyncio, "open_unix_connection"):
        return False
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True
