"""A JavaScript process with a real Corestore, for tests to talk to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from linkup_nb.hypercore.corestore import Corestore

PATIENCE = 20.0  # seconds
SCRIPT = Path(__file__).parent.parent / "interop" / "store_peer.js"
CALL_TIMEOUT = 20.0  # seconds


class JavaScript:
    """The process; `await peer.call("append", handle="a", blocks=[...])` runs an operation of `store_peer.js`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    async def call(self, op: str, **arguments: Any) -> Any:
        """The operation's result; raises `RuntimeError` with JavaScript's stack."""
        number = len(self._waiting) + 1
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n")
        return await asyncio.wait_for(answer, CALL_TIMEOUT)

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            answer = json.loads(line)
            future = self._waiting[answer["id"]]
            if future.done():
                continue
            if "error" in answer:
                future.set_exception(RuntimeError(answer["error"]))
            else:
                future.set_result(answer["result"])

    async def close(self) -> None:
        """End the process."""
        self._reader.cancel()
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def javascript(folder: Path, script: Path = SCRIPT, *arguments: object) -> AsyncIterator[JavaScript]:
    """A JavaScript peer that runs a script, whose stores are in `folder`."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(script),
        str(folder),
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    peer = JavaScript(process)
    try:
        yield peer
    finally:
        await peer.close()


async def at_rest(*stores: Corestore) -> None:
    """Wait until nobody uses any core of the stores."""
    rest = asyncio.Event()
    for store in stores:
        store.on("rest", lambda _: rest.set())
    async with asyncio.timeout(PATIENCE):
        while any(store._open_logs for store in stores):
            rest.clear()
            await rest.wait()
