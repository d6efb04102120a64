"""One Python process of the swarm bench, on the network of the nodes `HOST:PORT…` that are its last arguments.

`share FOLDER` serves a drive with a file of 256 MB, and `copy FOLDER KEY` tells how quickly it got it; `host` tells how
much memory it takes once 50 peers are connected, and `crowd TOPIC` is those peers. `tests/interop/swarm_bench.js` is
the same in JavaScript.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

import linkup_nb as lu
from linkup_nb.kademlia.discovery import parse_peer

MEGABYTES = 256
PEERS = 50


def say(**what: object) -> None:
    """Tell the bench something."""
    print(json.dumps(what), flush=True)  # noqa: T201


def swarm_on(nodes: Sequence[str]) -> lu.Swarm:
    return lu.Swarm(discovery=[lu.HyperDHT([parse_peer(node) for node in nodes], port=0)])


def memory() -> float:
    """MiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def pieces() -> AsyncIterator[bytes]:
    """The big file."""
    piece = os.urandom(2**20)
    for _ in range(MEGABYTES):
        yield piece


async def serve(swarm: lu.Swarm, topic: bytes) -> None:
    """Be found on a topic."""
    await (await swarm.join(topic, client=False)).flushed()


async def share(folder: str, *nodes: str) -> None:
    store, swarm = lu.Corestore(Path(folder)), swarm_on(nodes)
    swarm.on("connection", lambda connection, _: store.replicate(connection))
    await store.open()
    drive = await lu.Drive.open(store)
    await drive.put_stream("/big", pieces())
    await serve(swarm, drive.discovery_key)
    say(key=drive.key.hex())


async def copy(folder: str, key: str, *nodes: str) -> None:
    store, swarm = lu.Corestore(Path(folder)), swarm_on(nodes)
    swarm.on("connection", lambda connection, _: store.replicate(connection))
    await store.open()
    drive = await lu.Drive.open(store, key)
    started = time.perf_counter()
    await swarm.join(drive.discovery_key, server=False)
    await anext(drive.watch())
    for download in await drive.download():
        await download.done()
    say(drive=MEGABYTES * 1.048576 / (time.perf_counter() - started))


async def host(*nodes: str) -> None:
    swarm, topic = swarm_on(nodes), os.urandom(32)
    crowded = asyncio.Event()
    swarm.on("connection", lambda *_: crowded.set() if len(swarm.connections) == PEERS else None)
    await serve(swarm, topic)
    say(topic=topic.hex())
    await crowded.wait()
    say(memory=memory())


async def crowd(topic: str, *nodes: str) -> None:
    for _ in range(PEERS):
        await swarm_on(nodes).join(bytes.fromhex(topic), server=False)


TASKS: dict[str, Callable[..., Awaitable[None]]] = {"share": share, "copy": copy, "host": host, "crowd": crowd}


async def main(task: str, *arguments: str) -> None:
    """Do one of the tasks, and stay until the input ends."""
    await TASKS[task](*arguments)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
