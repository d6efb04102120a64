"""A peer whose every byte a test decides: a secret stream on plain sockets, with no limits and no manners."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import Self

from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import NoiseHandshake
from linkup_nb.wire.secret_stream import SecretStream, SecretStreamState


class RawPeer:
    """Dials a server of ours; `async with` leaves no socket behind."""

    def __init__(self, port: int) -> None:
        self._port = port
        static, ephemeral = KeyPair.from_seed(os.urandom(32)), KeyPair.from_seed(os.urandom(32))
        self.stream = SecretStream(NoiseHandshake(True, static, ephemeral), os.urandom(24))

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reset()

    async def greet(self) -> None:
        """Begin a handshake, and wait for the answer."""
        self.writer.write(self.stream.data_to_send())
        while self.stream.state is SecretStreamState.HANDSHAKING:
            await self.receive()

    async def open(self, damage: Callable[[bytes], bytes] = lambda data: data) -> None:
        """Shake hands, but for what `damage` does to the frames that say who we are."""
        await self.greet()
        self.stream.confirm()
        self.writer.write(damage(self.stream.data_to_send()))
        while self.stream.state is not SecretStreamState.OPEN:
            await self.receive()

    async def receive(self, limit: int = 65536) -> list[bytes]:
        """The messages that the next bytes complete; raises `EOFError` at the end."""
        data = await self.reader.read(min(limit, len(self.stream.receive_buffer())))
        if not data:
            raise EOFError
        self.stream.receive_buffer()[: len(data)] = data
        return self.stream.receive(len(data))

    def reset(self) -> None:
        """End the connection as a peer does that crashed."""
        if not self.writer.is_closing():
            no_farewell = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_farewell)
            self.writer.transport.abort()

    async def sees_the_end(self) -> bool:
        """Whether the other end closes the connection before it sends anything more."""
        try:
            return not await self.reader.read(1)
        except ConnectionResetError:
            return True
