"""The Python side of the DHT bench: a network on loopback in one process; tests/interop/dht_bench.js is the same.

It says `ready` with the milliseconds that the network took to start; for each line that it reads, it announces and
looks up as many random topics as the line says, and prints the milliseconds of each.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import network


def say(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return (time.perf_counter() - begun) * 1000


async def main() -> None:
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    count = int(sys.argv[1])
    keys = KeyPair.from_seed(os.urandom(32))
    begun = time.perf_counter()
    async with network(count) as nodes:
        say(ready=(time.perf_counter() - begun) * 1000)
        node = nodes[count // 2]

        async def look_up() -> None:
            async for _ in node.lookup(os.urandom(32)):
                pass

        while order := await orders.readline():
            announce = [await timed(lambda: node.announce(os.urandom(32), keys)) for _ in range(int(order))]
            lookup = [await timed(look_up) for _ in range(int(order))]
            say(announce=announce, lookup=lookup)


if __name__ == "__main__":
    uvloop.run(main())
