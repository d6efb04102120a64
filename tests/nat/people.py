"""What runs on the hosts of the small internet: `nodes ADDRESS…` is a network, `server` and `client` are two peers.

`relay` is one that everyone reaches; a peer that is given its key names it to others. Each prints lines as it goes, for
whoever started it, until it is killed. The hosts have no way out, so they need no LINKUP_OFFLINE.
"""

import asyncio
import os
import sys

import linkup_nb as lu
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.relay import run_relay
from linkup_nb.wire.keys import KeyPair

BOOTSTRAP = ("20.0.0.1", 49737)
RELAY = "20.0.0.9"
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


async def relay() -> None:
    key_pair = KeyPair.from_seed(os.urandom(32))
    await run_relay(key_pair, [BOOTSTRAP], RELAY, ready=lambda public_key: say(public_key.hex()))


async def peer(role: str, relay_through: bytes | None) -> None:
    discovery = lu.HyperDHT([BOOTSTRAP], relay_through=relay_through)
    swarm = lu.Swarm(discovery=[discovery], host="127.0.0.1")

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


def main(role: str, *arguments: str) -> None:
    if role == "nodes":
        asyncio.run(nodes(list(arguments)))
    elif role == "relay":
        asyncio.run(relay())
    else:
        asyncio.run(peer(role, bytes.fromhex(arguments[0]) if arguments else None))


if __name__ == "__main__":
    main(*sys.argv[1:])
