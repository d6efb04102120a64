"""Nodes of HyperDHT in a process that a test can kill: `python -m tests.interop.dht_nodes COUNT [PORT]`.

They enter the network by the node at that port, or make one. It writes their ports, and runs until its input ends.
"""

import asyncio
import json
import sys

import uvloop

from tests.hyperdht.network import HOST, start


async def main(count: int, bootstrap: list[tuple[str, int]]) -> None:
    nodes = []
    for _ in range(count):
        nodes.append(await start(bootstrap))
        bootstrap = bootstrap or [nodes[0].address]
    sys.stdout.write(json.dumps([node.address[1] for node in nodes]) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), [(HOST, int(port)) for port in sys.argv[2:]]))
