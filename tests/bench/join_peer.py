"""The Python side of the join bench: one swarm that joins the topic on its standard input, and prints how long it took.

It says `ready`, then `flushed` and `connection` with the milliseconds since the topic was read. With `HOST:PORT…` it
finds and is found through the HyperDHT network of these nodes, else through `Local`. `tests/interop/join_peer.js` is
the same in JavaScript.
"""

import asyncio
import json
import sys
import time

import uvloop

from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.kademlia.discovery import parse_peer
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
    hyperdht = [HyperDHT([parse_peer(peer) for peer in sys.argv[1:]], port=0)] if sys.argv[1:] else None
    swarm = Swarm(discovery=hyperdht)
    swarm.on("connection", lambda *_: say(connection=since_then()))
    if hyperdht:  # so that its node is on the network, as a notebook's has been for long
        await (await swarm.join(bytes(32), server=False)).flushed()
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
