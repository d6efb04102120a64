"""A peer in a process of its own: prints its port, and echoes every message to whom it came from."""

import asyncio
import sys

from linkup_nb.connection.connection import Connection
from linkup_nb.connection.server import listen
from linkup_nb.wire.keys import KeyPair


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)


async def main() -> None:
    server = await listen("127.0.0.1", 0, echo, KeyPair.from_seed(bytes.fromhex(sys.argv[1])))
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
