"""A network of the DHT of which half dies at once, and then a part every minute: who is there, is found.

Its nodes are shared out over processes. Half of these are killed; in the others, nodes end without a word at random,
and as many new ones come. Clients announce on fresh topics and look each other up meanwhile, one of them in JavaScript;
some are nodes that have only just come. `--size` is the number of nodes.
"""

import asyncio
import json
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.wire.dht import store
from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.keys import KeyPair
from tests.hyperdht.network import start
from tests.soak.campaign import Round, Trial
from tests.soak.processes import Say, Victim, resident

NODES = 500
IN_A_PROCESS = 50  # nodes, or a quarter of them all, if that is fewer
CHURN = 0.05  # of the nodes die in a minute
MINUTES = 15.0  # at most
LIFETIME = 60.0  # seconds for which announcements are kept here: 20 minutes would be too long to wait for
LITTLE = 12.0  # seconds for `MINUTES` and for `LIFETIME`, at less than full size
EARLIER = 20  # topics that are announced before the half dies
CLIENTS = 4  # in Python
FRESH = 8  # every how many announcements a new node looks, too
MIN_SUCCESS = 0.99
LOOK_EVERY = 2.0  # seconds between two looks at the memory of a process
MAX_GROWTH = 1.05  # of the memory of a process from the second third of the time to the last
SLACK = 1024 * 1024  # bytes, which it may grow besides
THEIRS = 3  # announcements whose end a JavaScript client looks for, too
ENTRIES = 5  # nodes by which one enters
ROOT = Path(__file__).parents[2]


async def live(count: int, entries: list[Address], say: Say, rolls: Random) -> None:
    """So many nodes, of which one after the other dies and is replaced; says its memory, and their addresses."""
    nodes = [await start(entries)]
    for _ in range(1, count):
        nodes.append(await start(entries or [nodes[0].address]))
    dies = time.monotonic() + rolls.expovariate(count * CHURN / 60)
    while True:
        say(resident(), [node.address for node in nodes])
        await asyncio.sleep(LOOK_EVERY)
        while time.monotonic() > dies:
            dies += rolls.expovariate(count * CHURN / 60)
            await nodes.pop(rolls.randrange(len(nodes))).close()
            nodes.append(await start([node.address for node in rolls.sample(nodes, min(ENTRIES, len(nodes)))]))


class Clients:
    """Nodes that keep nothing for others, announce and look up; counts what succeeds by who did it."""

    def __init__(self, rolls: Random) -> None:
        self.tried: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self._rolls = rolls
        self._nodes: list[DhtNode] = []
        self._asking = asyncio.Lock()

    async def open(self, entries: list[Address]) -> None:
        """Enter the network, in Python and in JavaScript."""
        self._nodes = [await start(entries, ephemeral=True) for _ in range(CLIENTS)]
        addresses = [f"{host}:{port}" for host, port in entries]
        self._theirs = await asyncio.create_subprocess_exec(
            "node", "tests/interop/dht_client.js", *addresses, stdin=PIPE, stdout=PIPE, cwd=ROOT
        )
        await _line(self._theirs)

    async def close(self) -> None:
        """Leave it."""
        self._theirs.kill()
        await self._theirs.wait()
        for node in self._nodes:
            await node.close()

    async def announced(self) -> tuple[bytes, KeyPair]:
        """A topic on which a key of its own is announced."""
        topic, keys = self._rolls.randbytes(32), KeyPair.from_seed(self._rolls.randbytes(32))
        await self._rolls.choice(self._nodes).announce(topic, keys)
        return topic, keys

    async def finds(self, topic: bytes, keys: KeyPair) -> bool:
        """Whether an announcement is found by somebody who looks."""
        node = self._rolls.choice(self._nodes)
        return keys.public_key in [record.public_key async for record in node.lookup(topic)]

    async def they_find(self, topic: bytes, keys: KeyPair) -> bool:
        """Whether an announcement is found by the JavaScript client."""
        return keys.public_key.hex() in (await self._ask(lookup=topic.hex()))["found"]

    async def among_ours(self, entries: list[Address]) -> None:
        """Announce and look up once, between two clients in Python, or with a new node now and then."""
        topic, keys = await self.announced()
        self.count("Python to Python", await self.finds(topic, keys))
        if not self.tried["Python to Python"] % FRESH:
            newcomer = await start(entries, ephemeral=True)
            found = [record.public_key async for record in newcomer.lookup(topic)]
            self.count("Python to a node that has just come", keys.public_key in found)
            await newcomer.close()

    async def with_theirs(self) -> None:
        """Announce and look up once each way between Python and JavaScript."""
        topic, keys = await self.announced()
        self.count("Python to JavaScript", await self.they_find(topic, keys))
        topic, seed = self._rolls.randbytes(32), self._rolls.randbytes(32)
        await self._ask(announce={"topic": topic.hex(), "seed": seed.hex()})
        self.count("JavaScript to Python", await self.finds(topic, KeyPair.from_seed(seed)))

    def count(self, who: str, found: bool) -> None:
        """Something was looked for."""
        self.tried[who] += 1
        self.found[who] += found

    async def _ask(self, **what: object) -> Any:
        assert self._theirs.stdin
        async with self._asking:
            self._theirs.stdin.write(json.dumps(what).encode() + b"\n")
            return await _line(self._theirs)


async def _line(process: Process) -> Any:
    assert process.stdout
    return json.loads(await process.stdout.readline())


def churning(this: Round) -> None:
    """The one trial."""
    count = this.size or NODES
    store.RECORD_LIFETIME = LIFETIME if this.size is None else LITTLE
    seconds = min(60 * MINUTES, this.seconds) if this.size is None else LITTLE
    each = min(IN_A_PROCESS, count // 4)
    entries: list[Address] = []
    hosts: list[Victim] = []
    while len(hosts) * each < count:
        hosts.append(Victim(partial(live, each, entries[:ENTRIES]), this.rolls.randrange(2**32)))
        hosts[-1].wait_for(1)
        entries += [(host, port) for host, port in hosts[-1].said[0][-1]]
    asyncio.run(_use(this, hosts, seconds))
    for host in hosts:
        if not host.closed:
            host.kill()


async def _use(this: Round, hosts: list[Victim], seconds: float) -> None:
    clients = Clients(this.rolls)
    await clients.open(_alive(hosts, this.rolls))
    earlier = [await clients.announced() for _ in range(EARLIER)]
    over_at = time.monotonic() + store.RECORD_LIFETIME + 1
    for host in this.rolls.sample(hosts, len(hosts) // 2):
        host.kill()
    begun = time.monotonic()
    for found in await asyncio.gather(*(clients.finds(topic, keys) for topic, keys in earlier)):
        clients.count("announced before half died", found)
    end = max(begun + seconds, over_at)

    async def ours() -> None:
        while time.monotonic() < end:
            for host in hosts:
                if not host.closed:
                    host.hear(0.001)
            await clients.among_ours(_alive(hosts, this.rolls))

    async def theirs() -> None:
        while time.monotonic() < end:
            await clients.with_theirs()

    async def still_found() -> int:
        await asyncio.sleep(over_at - time.monotonic())
        ours = [await clients.finds(topic, keys) for topic, keys in earlier]
        return sum(ours) + sum([await clients.they_find(topic, keys) for topic, keys in earlier[:THEIRS]])

    _, _, stale = await asyncio.gather(ours(), theirs(), still_found())
    await clients.close()
    for who, tried in clients.tried.items():
        this.note(who, f"{clients.found[who]:,} of {tried:,} found")
        this.survived(clients.found[who])
    for number, host in enumerate(one for one in hosts if not one.closed):
        memory = [said[0] for said in host.said]
        third = len(memory) // 3
        if this.size is None:
            before, after = median(memory[third : 2 * third]), median(memory[2 * third :])
            this.note(f"memory of process {number}, MiB", f"{before / 2**20:.1f}, later {after / 2**20:.1f}")
            assert after < MAX_GROWTH * before + SLACK, f"process {number} has grown from {before} to {after} bytes"
    assert not stale, f"{stale} look-ups find announcements after their time"
    for who, tried in clients.tried.items():
        assert clients.found[who] >= MIN_SUCCESS * tried, f"{who}: only {clients.found[who]} of {tried} found"


def _alive(hosts: list[Victim], rolls: Random) -> list[Address]:
    """Some nodes that live, as far as their processes have said."""
    alive = [address for host in hosts if not host.closed for address in host.said[-1][-1]]
    return [(host, port) for host, port in rolls.sample(alive, min(ENTRIES, len(alive)))]


TRIALS = [Trial("churn", churning)]
