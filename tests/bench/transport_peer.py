"""One Python peer of the transport bench: `serve` answers jobs, `drive PORT` gives them and prints what it measured.

A job is one connection, whose first message says what the server is to do: echo each chat message, or read so many
chat messages or bytes and then say so. `tests/interop/transport_peer.js` is the same in JavaScript.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Coroutine
from typing import Any

import msgspec

from linkup_nb.errors import ConnectionClosed
from linkup_nb.swarm.connection import Connection, connect
from linkup_nb.swarm.server import listen
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


async def serve() -> None:
    server = await listen(HOST, 0, answer_quietly)
    print(server.port, flush=True)  # noqa: T201
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


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


async def drive(port: int, handshakes: int, pings: int, messages: int, megabytes: int) -> None:
    results = {
        "handshake": await time_handshakes(port, handshakes),
        **await time_pings(port, pings),
        "messages": messages / await time_messages(port, messages),
        "megabytes": megabytes / await time_bytes(port, megabytes * 1_000_000),
    }
    print(json.dumps(results), flush=True)  # noqa: T201


async def start(port: int, **job: object) -> Connection:
    connection = await connect(HOST, port)
    await connection.write(json.dumps(job).encode())
    return connection


async def time_handshakes(port: int, count: int) -> float:
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        connection = await connect(HOST, port)
        times.append(time.perf_counter() - begin)
        await connection.close()
    return percentile(times, 50) * 1000


async def time_pings(port: int, count: int) -> dict[str, float]:
    connection = await start(port, job="echo")
    times = []
    for number in range(count + count // 10):
        begin = time.perf_counter()
        await connection.write(chat_message(number))
        decode(await connection.read())
        times.append(time.perf_counter() - begin)
    await connection.close()
    warm = times[count // 10 :]
    return {"rtt_p50": percentile(warm, 50) * 1000, "rtt_p99": percentile(warm, 99) * 1000}


async def time_messages(port: int, count: int) -> float:
    connection = await start(port, job="messages", count=count)
    begin = time.perf_counter()
    for number in range(count):
        await connection.write(chat_message(number))
    await connection.read()
    await connection.close()
    return time.perf_counter() - begin


async def time_bytes(port: int, count: int) -> float:
    connection = await start(port, job="bytes", count=count)
    chunk = bytes(range(256)) * (CHUNK // 256)
    begin = time.perf_counter()
    for _ in range(-(-count // CHUNK)):
        await connection.write(chunk)
    await connection.read()
    await connection.close()
    return time.perf_counter() - begin


def main() -> None:
    loop, role, *numbers = sys.argv[1:]
    work: Coroutine[Any, Any, None] = serve() if role == "serve" else drive(*map(int, numbers))
    if loop == "uvloop":
        import uvloop

        uvloop.run(work)
    else:
        asyncio.run(work)


if __name__ == "__main__":
    main()
