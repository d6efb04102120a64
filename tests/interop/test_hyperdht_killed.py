"""Many nodes die at once without a word, as with a machine or a network: what was announced is found all the same."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack

from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.dht.table import K
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import HOST, PATIENCE, start
from tests.interop.test_hyperdht_nodes import javascript, named

PROCESSES = 4
EACH = 10  # nodes in a process
TOPICS = 50
AT_ONCE = 10  # of them announced, or looked up
FOUND = 0.99  # of the topics, within
SOON = 30.0  # seconds after the death of a process
LOOKUP_PATIENCE = 2.0  # seconds for one look-up


async def run_nodes(stack: AsyncExitStack, *bootstrap: int) -> tuple[Process, list[Address]]:
    """A process with nodes, and their addresses."""
    command = ["-m", "tests.interop.dht_nodes", str(EACH), *map(str, bootstrap)]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=PIPE, stdout=PIPE)
    stack.push_async_callback(process.communicate, b"")
    assert process.stdout
    async with asyncio.timeout(PATIENCE):
        return process, [(HOST, port) for port in json.loads(await process.stdout.readline())]


def batches(topics: list[bytes]) -> list[list[bytes]]:
    return [topics[first : first + AT_ONCE] for first in range(0, len(topics), AT_ONCE)]


async def missing_topics(bootstrap: Address, topics: list[bytes]) -> int:
    """On how many of the topics a client in JavaScript finds nobody, which has never been in the network before."""
    async with javascript() as peer:
        peer.command(requester={"bootstrap": named([bootstrap])})
        await peer.expect("requester")
        missing = 0
        for some in batches(topics):
            peer.command(missing={"topics": [topic.hex() for topic in some], "patience": LOOKUP_PATIENCE})
            missing += len(await peer.expect("missing"))
        return missing


async def test_a_fresh_client_finds_what_was_announced_soon_after_a_quarter_of_the_nodes_was_killed() -> None:
    keys = KeyPair.from_seed(os.urandom(32))
    topics = [os.urandom(32) for _ in range(TOPICS)]
    async with AsyncExitStack() as stack:
        _, first = await run_nodes(stack)
        others = await asyncio.gather(*(run_nodes(stack, first[0][1]) for _ in range(PROCESSES - 1)))
        announcer = await start(first[:1], ephemeral=True)
        stack.push_async_callback(announcer.close)
        for some in batches(topics):
            kept = await asyncio.gather(*(announcer.announce(topic, keys) for topic in some))
            assert [len(keepers) for keepers in kept] == [K] * AT_ONCE

        doomed, _ = others[0]
        doomed.kill()
        await doomed.wait()
        missing = TOPICS
        async with asyncio.timeout(SOON):
            while missing > (1 - FOUND) * TOPICS:
                missing = await missing_topics(first[0], topics)
