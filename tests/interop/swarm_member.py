"""A swarm of ours in a process of its own, to be killed: `python swarm_member.py SEED TOPIC PORT…`."""

import asyncio
import sys

from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import KeyPair

HOST = "127.0.0.1"


async def greet(connection: Connection, peer: PeerInfo) -> None:
    await connection.write(b'{"from": "Python"}')


async def main(seed: str, topic: str, *ports: str) -> None:
    discovery = HyperDHT([(HOST, int(port)) for port in ports], host=HOST, port=0)
    swarm = Swarm(KeyPair.from_seed(bytes.fromhex(seed)), discovery=[discovery])
    swarm.on("connection", greet)
    await swarm.join(bytes.fromhex(topic))
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
