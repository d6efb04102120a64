"""The socket by which other processes of this user act on a running node.

It lies in a folder that nobody else can enter. A request is one line of JSON; the answer is one line for each item,
`{"item": …}`, and a last one, `{"end": null}` or `{"end": {"kind", "error"}}`. Who hangs up has asked for no more.
"""

import asyncio
import hashlib
import logging
import os
import stat
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import msgspec

from linkup_nb.control.actions import NobodyThere, answer
from linkup_nb.control.requests import AnyAsk
from linkup_nb.discovery.folders import make_private, runtime_folder
from linkup_nb.errors import LinkupError, UsageError
from linkup_nb.node import Node

MAX_REQUEST = 256 * 1024  # bytes of a request
MAX_CLIENTS = 32  # processes that ask at one time

log = logging.getLogger("linkup_nb")
_REQUESTS = msgspec.json.Decoder(AnyAsk)


def socket_path(profile: Path) -> Path:
    """Where a running node of a profile listens; the path of a socket has at most 107 bytes."""
    name = hashlib.blake2b(os.fsencode(profile.resolve()), digest_size=12).hexdigest()
    return runtime_folder("nodes") / f"{name}.sock"


class ControlServer:
    """Answers the requests for one node; made by `serve`, `close` it before the node."""

    def __init__(self, node: Node, path: Path) -> None:
        self.path = path
        self._node = node
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[Any], asyncio.Task[None] | None] = {}  # and what is being answered

    async def open(self) -> None:
        """Listen. Raises `OSError` where that is not possible."""
        make_private(self.path.parent)
        # The profile's lock is ours: a socket that is here already is that of a node that has died.
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(self.path.lstat().st_mode):
                self.path.unlink()
        self._server = await asyncio.start_unix_server(self._client, self.path, limit=MAX_REQUEST)
        self.path.chmod(0o600)

    async def close(self) -> None:
        """Listen no more, and end what is being answered."""
        if self._server:
            self._server.close()
            with suppress(OSError):
                self.path.unlink()
        for answering in tuple(self._clients.values()):
            if answering:
                answering.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        full = len(self._clients) >= MAX_CLIENTS
        self._clients[task] = None
        try:
            line = await reader.readuntil(b"\n")
            if full:
                busy = f"{MAX_CLIENTS} programs ask this node already: try again."
                writer.write(msgspec.json.encode({"end": {"kind": "failed", "error": busy}}) + b"\n")
                return
            answering = self._clients[task] = asyncio.ensure_future(self._answer(line, writer))
            gone = asyncio.ensure_future(reader.read(1))  # who asks says nothing more, so this is the end
            try:
                await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                answering.cancel()
                gone.cancel()
                await asyncio.gather(answering, gone, return_exceptions=True)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._clients.pop(task, None)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        end: dict[str, str] | None = None
        try:
            ask = _REQUESTS.decode(line)
            async with aclosing(answer(self._node, ask)) as items:
                async for item in items:
                    writer.write(msgspec.json.encode({"item": item}) + b"\n")
                    await writer.drain()
        except (LinkupError, OSError, msgspec.DecodeError) as error:
            end = problem(error)
        except Exception as error:
            log.exception("What another process of yours asked for failed")
            end = {"kind": "failed", "error": f"This is a fault of linkup_nb: {type(error).__name__}: {error}."}
        writer.write(msgspec.json.encode({"end": end}) + b"\n")
        await writer.drain()


def problem(error: Exception) -> dict[str, str]:
    """What went wrong, for whoever asked: `kind` is "usage", "nobody" or "failed", `error` one sentence."""
    if isinstance(error, NobodyThere | TimeoutError):
        return {"kind": "nobody", "error": str(error) or "Nobody answered in time: try again later."}
    if isinstance(error, msgspec.DecodeError):
        return {"kind": "failed", "error": "This node has another version of linkup_nb: restart it."}
    if isinstance(error, OSError) and not isinstance(error, LinkupError):
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return {"kind": "failed", "error": f"{what}."}
    return {"kind": "usage" if isinstance(error, UsageError) else "failed", "error": str(error)}


async def serve(node: Node) -> ControlServer | None:
    """Answer other processes of this user for a node that is open; `None` where this system cannot."""
    if not hasattr(asyncio, "start_unix_server"):
        return None
    server = ControlServer(node, socket_path(node.path))
    try:
        await server.open()
    except OSError:
        return None  # the node is as good without it; a command then names the process that has the profile
    return server
