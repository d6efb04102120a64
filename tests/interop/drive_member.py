"""A drive of ours that a process of its own serves over a swarm, to be killed: `drive_member.py FOLDER SEED PORT…`.

It prints the drive's key once it is announced.
"""

import asyncio
import sys
from pathlib import Path

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import KeyPair

HOST = "127.0.0.1"


async def main(folder: str, seed: str, *ports: str) -> None:
    discovery = HyperDHT([(HOST, int(port)) for port in ports], host=HOST, port=0)
    swarm = Swarm(KeyPair.from_seed(bytes.fromhex(seed)), discovery=[discovery])
    async with Corestore(Path(folder)) as store:
        swarm.on("connection", lambda connection, _: store.replicate(connection))
        drive = await Drive.open(store)
        joined = await swarm.join(drive.discovery_key)
        await joined.flushed()
        print(drive.id, flush=True)  # noqa: T201
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
