"""Programs on the npm package `blind-peering` have their cores held by our `linkup-nb seed --blind`."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from linkup_nb.wire.keys import z32decode
from tests.hypercore.javascript import JavaScript, javascript
from tests.hyperdht.network import network
from tests.interop.hyperswarm import HOST
from tests.interop.test_blind_peer import PEER

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 60.0  # seconds until a test that still waits has failed
BLOCKS = [b"one".hex(), b"two".hex(), os.urandom(100_000).hex()]


class Seed:
    """The process, whose log is read as it comes."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def line(self, text: str) -> str:
        """The next line that has a text."""
        assert self.process.stdout
        async with asyncio.timeout(PATIENCE):
            async for line in self.process.stdout:
                if text in line.decode():
                    return line.decode()
        raise AssertionError(f"The seed has ended without {text!r}.")

    async def key(self) -> str:
        """Its key, once it is ready."""
        found = re.search(r"Blind peer ([a-z0-9]{52}) holds", await self.line("Blind peer"))
        assert found
        await self.line("is ready")
        return found[1]


@asynccontextmanager
async def blind_seed(port: int) -> AsyncIterator[Seed]:
    """A blind seed on a network of the DHT, killed in the end."""
    command = str(Path(sys.executable).with_name("linkup-nb"))
    environment = os.environ | {"LINKUP_BOOTSTRAP": f"hyperdht:{HOST}:{port}"}
    process = await asyncio.create_subprocess_exec(command, "seed", "--blind", stdout=PIPE, env=environment)
    try:
        yield Seed(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ports() -> AsyncIterator[list[int]]:
    async with network(4) as nodes:
        yield [node.address[1] for node in nodes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theirs(ports: list[int], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JavaScript]:
    async with javascript(tmp_path_factory.mktemp("theirs"), PEER, *ports) as process:
        yield process


async def test_a_core_of_javascript_is_read_from_our_seed_after_its_author_is_gone_and_after_a_crash(
    theirs: JavaScript, ports: list[int]
) -> None:
    referrer, run = os.urandom(32).hex(), os.urandom(4).hex()  # others each time that this is run
    async with blind_seed(ports[0]) as seed:
        blind = z32decode(await seed.key()).hex()
        await theirs.call("program", handle=f"author {run}", blind=blind)
        core = await theirs.call("write", handle=f"author {run}", name="log", blocks=BLOCKS[:2], referrer=referrer)
        await seed.line("all of 2 blocks")
        await theirs.call("write", handle=f"author {run}", name="log", blocks=BLOCKS[2:], referrer=referrer)
        await seed.line("all of 3 blocks")
        await theirs.call("uploaded", handle=f"author {run}", name="log")
        await theirs.call("end", handle=f"author {run}")

        await theirs.call("program", handle=f"reader {run}", blind=blind)
        assert await theirs.call("read", handle=f"reader {run}", key=core, count=3) == BLOCKS
        await theirs.call("end", handle=f"reader {run}")
    async with blind_seed(ports[0]) as seed:
        assert z32decode(await seed.key()).hex() == blind
        await theirs.call("program", handle=f"later {run}", blind=blind)
        assert await theirs.call("named", handle=f"later {run}", referrer=referrer, count=1) == [core]
        assert await theirs.call("read", handle=f"later {run}", key=core, count=3) == BLOCKS
        await theirs.call("end", handle=f"later {run}")
