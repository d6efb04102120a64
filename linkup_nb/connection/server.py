"""Accepting peers over TCP."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from linkup_nb.connection.connection import Connection, Protocol
from linkup_nb.errors import LinkupError
from linkup_nb.loops import Events, from_any_loop
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import NoiseHandshake

MAX_HALF_OPEN = 64  # handshakes at a time on one server


class Server(Events):
    """Listens for peers on `host` and `port`; made by `listen`. Emits `connection` with each connection."""

    def __init__(self, key_pair: KeyPair, *, confirm: bool) -> None:
        super().__init__(asyncio.get_running_loop())
        self.public_key = key_pair.public_key
        self.host = ""
        self.port = 0
        self._key_pair = key_pair
        self._confirm = confirm
        self._server: asyncio.Server
        self._closing = False
        self._half_open: dict[Connection, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"

    @from_any_loop
    async def close(self) -> None:
        """Stop listening and give up handshakes; connections that are open stay so."""
        self._closing = True
        self._server.close()
        await asyncio.gather(*(connection.close() for connection in list(self._half_open)))

    async def _listen(self, host: str, port: int) -> None:
        self._server = await self._loop.create_server(lambda: Protocol(self._accept), host, port)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    def _accept(self, transport: asyncio.Transport) -> Connection | None:
        if len(self._half_open) >= MAX_HALF_OPEN or self._closing:
            transport.abort()
            return None
        connection = Connection(transport, NoiseHandshake(False, self._key_pair, KeyPair.from_seed(os.urandom(32))))
        self._half_open[connection] = self._loop.create_task(self._admit(connection))
        return connection

    async def _admit(self, connection: Connection) -> None:
        try:
            await connection.established()
            if self._confirm:
                connection.confirm()
                await connection.opened()
        except LinkupError:
            return  # `close_reason` has it, and nobody here knew the peer yet
        finally:
            del self._half_open[connection]
        self.emit("connection", connection)


async def listen(
    host: str,
    port: int,
    on_connection: Callable[[Connection], Awaitable[object] | object],
    key_pair: KeyPair | None = None,
    *,
    confirm: bool = True,
) -> Server:
    """Accept peers at `host` and `port` (0: any free one, see `Server.port`) until the server is closed.

    `on_connection`, a function or a coroutine function, gets each connection when it is open; with `confirm=False`,
    when it is established: then it has to `confirm()` or close it within `HANDSHAKE_TIMEOUT`. Raises `OSError`.
    """
    server = Server(key_pair or KeyPair.from_seed(os.urandom(32)), confirm=confirm)
    server.on("connection", on_connection)
    await server._listen(host, port)
    return server
