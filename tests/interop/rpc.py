"""A peer of the npm package `protomux-rpc` on our channels: requests and replies, as far as the tests need it.

A request is an id (uint), a method (string) and a value; a response is flags (uint), the id, and a value, or the texts
of an error if the lowest flag is set. A value is optional bytes, as the package has it by default.
"""

import asyncio
from collections.abc import Callable

import linkup_nb as lu
from linkup_nb.channels import Channels
from linkup_nb.wire.compact import Decoder, Encoder

PROTOCOL = "protomux-rpc"
REQUEST, RESPONSE = 0, 1
METHODS: dict[str, Callable[[bytes], bytes]] = {"reverse": lambda value: value[::-1]}


class Rpc:
    """The channel of one connection; `key` is the server's public key."""

    def __init__(self, connection: lu.Connection, key: bytes) -> None:
        self._channels = Channels.of(connection)
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._channel = self._channels.open(PROTOCOL, key, b"", self)

    async def request(self, method: str, value: bytes) -> bytes:
        number = len(self._pending) + 1
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        request = Encoder().uint(number).string(method).buffer(value)
        self._channels.send(self._channel, REQUEST, bytes(request))
        return await answer

    def received(self, type: int, payload: bytes) -> None:
        source = Decoder(payload)
        if type == REQUEST:
            number, method = source.uint(), source.string()
            response = Encoder().uint(0).uint(number).buffer(METHODS[method](source.buffer()))
            self._channels.send(self._channel, RESPONSE, bytes(response))
            return
        failed, answer = source.uint() & 1, self._pending[source.uint()]
        if failed:
            answer.set_exception(RuntimeError(source.string()))
        else:
            answer.set_result(source.buffer())

    def opened(self, handshake: bytes) -> None: ...
    def drained(self) -> None: ...
    def ended(self) -> None: ...


def serve(connection: lu.Connection, key: bytes) -> None:
    """Answer whoever opens the channel of the server with this key."""

    def accept(id: bytes) -> bool:
        if id == key:
            Rpc(connection, key)
        return id == key

    Channels.of(connection).accept(PROTOCOL, accept)
