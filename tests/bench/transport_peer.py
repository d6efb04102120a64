"""One Python peer of the transport bench: `serve` answers jobs, `drive WHERE` gives them and prints what it measured.

The first argument is the kind: "uvloop" is TCP, "udx" is UDX, after a call through the DHT.

A job is one connection, whose first message says what the server is to do: echo each chat message, or read so many
chat messages or bytes and then say so. `tests/interop/transport_peer.js` is the same in JavaScript.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import msgspec
import uvloop

from linkup_nb.connection.connection import Connection, connect
from linkup_nb.connection.server import listen
from linkup_nb.discovery.protocol import Announcer
from linkup_nb.errors import ConnectionClosed
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.wire.keys import KeyPair
from tests.bench.table import percentile

HOST = "127.0.0.1"
CHUNK = 64 * 1024  # bytes
TOPIC = "f" * 64


class ChatMessage(msgspec.Struct):
    type: str
    name: str
    message: str
    topic: str
    timestamp: int


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(ChatMessage).decode


def chat_message(number: int) -> bytes:
    return encode(ChatMessage("message", "alice", f"hello number {number}", TOPIC, 1_700_000_000_000 + number))


Dial = Callable[[], Awaitable[Connection]]


async def serve(kind: str) -> None:
    if kind == "udx":
        node, key = await node_at([])
        sys.stdout.write(f"{node.node.address[1]}:{key.hex()}\n")
    else:
        server = await listen(HOST, 0, answer_quietly)
        sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def node_at(bootstrap: list[tuple[str, int]]) -> tuple[HyperDHT, bytes]:
    """A discovery that takes calls, and its key."""
    key_pair = KeyPair.from_seed(os.urandom(32))
    tasks: set[asyncio.Task[None]] = set()

    def admit(connection: Connection) -> None:
        connection.confirm()
        tasks.add(asyncio.ensure_future(answer_quietly(connection)))

    discovery = HyperDHT(bootstrap, host=HOST, port=0)
    await discovery.start(Announcer(key_pair, admit=admit, refuses=lambda key: None))
    await discovery.join(bytes(32), server=not bootstrap, client=False, found=lambda peer: None)
    return discovery, key_pair.public_key


async def dialler(kind: str, where: str) -> Dial:
    """What connects to the server."""
    if kind != "udx":
        return partial(connect, HOST, int(where))
    port, key = where.split(":")
    discovery, _ = await node_at([(HOST, int(port))])

    async def dial() -> Connection:
        connection = await discovery.dial(bytes.fromhex(key), [(HOST, int(port))])
        connection.confirm()
        await connection.opened()
        return connection

    return dial


async def answer_quietly(connection: Connection) -> None:
    with contextlib.suppress(ConnectionClosed):
        await answer(connection)


async def answer(connection: Connection) -> None:
    job = json.loads(await connection.read())
    if job["job"] == "echo":
        async for message in connection:
            decode(message)
            await connection.write(message)
    elif job["job"] == "messages":
        for _ in range(job["count"]):
            decode(await connection.read())
        await connection.write(b"done")
    elif job["job"] == "bytes":
        received = 0
        while received < job["count"]:
            received += len(await connection.read())
        await connection.write(b"done")


async def drive(kind: str, where: str, handshakes: int, pings: int, messages: int, megabytes: int) -> None:
    dial = await dialler(kind, where)
    results = {
        "handshake": await time_handshakes(dial, handshakes),
        **await time_pings(dial, pings),
        "messages": messages / await time_messages(dial, messages),
        "megabytes": megabytes / await time_bytes(dial, megabytes * 1_000_000),
    }
    print(json.dumps(results), flush=True)  # noqa: T201


async def start(dial: Dial, **job: object) -> Connection:
    connection = await dial()
    await connection.write(json.dumps(job).encode())
    return connection


async def time_handshakes(dial: Dial, count: int) -> float:
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        connection = await dial()
        times.append(time.perf_counter() - begin)
        await connection.close()
    return percentile(times, 50) * 1000


async def time_pings(dial: Dial, count: int) -> dict[str, float]:
    connection = await start(dial, job="echo")
    times = []
    for number in range(count + count // 10):
        begin = time.perf_counter()
        await connection.write(chat_message(number))
        decode(await connection.read())
        times.append(time.perf_counter() - begin)
    await connection.close()
    warm = times[count // 10 :]
    return {"rtt_p50": percentile(warm, 50) * 1000, "rtt_p99": percentile(warm, 99) * 1000}


async def time_messages(dial: Dial, count: int) -> float:
    connection = await start(dial, job="messages", count=count)
    begin = time.perf_counter()
    for number in range(count):
        await connection.write(chat_message(number))
    await connection.read()
    await connection.close()
    return time.perf_counter() - begin


async def time_bytes(dial: Dial, count: int) -> float:
    connection = await start(dial, job="bytes", count=count)
    chunk = bytes(range(256)) * (CHUNK // 256)
    begin = time.perf_counter()
    for _ in range(-(-count // CHUNK)):
        await connection.write(chunk)
    await connection.read()
    await connection.close()
    return time.perf_counter() - begin


def main() -> None:
    kind, role, *arguments = sys.argv[1:]
    if role == "serve":
        work: Coroutine[Any, Any, None] = serve(kind)
    else:
        work = drive(kind, arguments[0], *map(int, arguments[1:]))
    uvloop.run(work)


if __name__ == "__main__":
    main()
