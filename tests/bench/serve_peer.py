"""The Python server of the serve bench: a drive of 1,000 small files and a big one, served until its input ends."""

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from linkup_nb import Corestore, Drive

FILES = 1000
FILE = 1024  # bytes
MEGABYTES = 256


async def pieces() -> AsyncIterator[bytes]:
    """The big file."""
    piece = os.urandom(2**20)
    for _ in range(MEGABYTES):
        yield piece


async def main(folder: Path) -> None:
    """Tell the port when everything is there, and the memory at its largest when told to end."""
    async with Corestore(folder) as store:
        drive = await Drive.open(store)
        async with drive.batch() as batch:
            for index in range(FILES):
                await batch.put(f"/small/{index}.txt", os.urandom(FILE))
        await drive.put_stream("/big", pieces())
        server = await drive.serve(token=False)
        print(json.dumps({"port": server.port}), flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)
        await server.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
    print(json.dumps({"memory": memory}))  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
