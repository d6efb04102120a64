"""The Python side of the join bench: one swarm that joins the topic on its standard input, and prints how long it took.

It says `ready`, then `flushed` and `connection` with the milliseconds since the topic was read.
`tests/interop/join_peer.js` is the same in JavaScript.
"""

import asyncio
import json
import sys
import time

import uvloop

from linkup_nb.swarm.swarm import Swarm


def say(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def main() -> None:
    begun = 0.0

    def since_then() -> float:
        return (time.perf_counter() - begun) * 1000

    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    swarm = Swarm()
    swarm.on("connection", lambda *_: say(connection=since_then()))
    say(ready=True)
    topic = bytes.fromhex((await orders.readline()).decode())
    begun = time.perf_counter()
    joined = await swarm.join(topic)
    await joined.flushed()
    say(flushed=since_then())
    await orders.read()
    await swarm.close()


if __name__ == "__main__":
    uvloop.run(main())
