"""What runs on the hosts of the small internet: `nodes ADDRESS…` is a network, `server` and `client` are two peers.

Each prints lines as it goes, for whoever started it, until it is killed. The hosts have no way out, so they need no
LINKUP_OFFLINE.
"""

import asyncio
import sys

import linkup_nb as lu
from linkup_nb.swarm.dht_node import DhtNode

BOOTSTRAP = ("20.0.0.1", 49737)
TOPIC = bytes(32)
GREETING = b"through the wall"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def nodes(addresses: list[str]) -> None:
    for host in addresses:
        bootstrap = [BOOTSTRAP] if host != BOOTSTRAP[0] else []
        node = DhtNode(bootstrap, host=host, port=BOOTSTRAP[1], ephemeral=False)
        await node.open()
        await node.ready()
    say("ready")
    await asyncio.Event().wait()


async def peer(role: str) -> None:
    swarm = lu.Swarm(discovery=[lu.HyperDHT([BOOTSTRAP])], host="127.0.0.1")

    async def greet(connection: lu.Connection, _: object) -> None:
        await connection.write(GREETING)
        message = await connection.read()
        say(f"connected {connection.address[0]}: {message.decode()}")

    def look() -> None:
        for info in swarm.peers:
            if info.last_error:
                say(f"failed {info.last_error}")

    swarm.on("connection", greet)
    swarm.on("update", look)
    topic = await swarm.join(TOPIC, server=role == "server", client=role == "client")
    await topic.flushed()
    say("flushed")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(nodes(sys.argv[2:]) if sys.argv[1] == "nodes" else peer(sys.argv[1]))
