"""Who announces topics: in a HyperDHT on loopback, and in the registry of this machine."""

import asyncio
import os
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from linkup_nb.discovery.folders import runtime_folder
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.discovery.registry import Registry
from linkup_nb.hyperdht.discovery import HyperDHT
from linkup_nb.hyperdht.state import load_nodes
from linkup_nb.wire.keys import KeyPair, blake2b_256
from tests.hyperdht.network import HOST, network
from tests.soak.processes import Say, Victim
from tests.soak.victims.logs import Kills

NODES = 4  # that keep the announcements
TOPICS = 12
LIFE = 0.15  # seconds that an announcer lives on average
OWN = KeyPair.from_seed(b"a" * 32)


def topic(number: int) -> bytes:
    return blake2b_256(b"%d" % number)


def ignore(_: FoundPeer) -> None:
    """Whom an announcer finds does not matter."""


async def serve(say: Say, _: Random) -> None:
    """The network."""
    async with network(NODES) as nodes:
        say(*nodes[0].address)
        await asyncio.Event().wait()


async def announce(folder: Path, bootstrap: tuple[str, int], say: Say, rolls: Random) -> None:
    """Announce topics, withdraw and announce them again, in both."""
    announcer = Announcer(OWN, 1234, (HOST,))
    dht = HyperDHT([bootstrap], host=HOST, port=0, state=folder / "state" / "nodes.json", ephemeral=False)
    registry = Registry()
    for one in (dht, registry):
        await one.start(announcer)
    say("open", -1)
    while True:
        number = rolls.randrange(TOPICS)
        for one in (dht, registry):
            await one.join(topic(number), server=True, client=False, found=ignore)
        say("announced", number)
        if rolls.random() < 0.2:
            say("leaving", number)
            for one in (dht, registry):
                await one.leave(topic(number))


def announcing(kills: Kills, folder: Path) -> None:
    """Everything announced is found until it is withdrawn; the dead are not named by the registry, nor keep it full."""
    server = Victim(serve, 0)
    server.wait_for(1)
    host, port = server.said[0]
    said = kills(partial(announce, folder, (host, port)), lambda before, now: True, LIFE)
    last = Victim(partial(announce, folder, (host, port)), 0)
    last.wait_for(2)  # something is announced, however slow the machine is
    last.kill()
    said += last.said
    there: set[int] = set()
    for what, number in said:
        (there.add if what == "announced" else there.discard)(number)
    asyncio.run(check(folder, (host, port), there))
    server.kill()


def is_entry(name: str) -> bool:
    """Whether a file of the registry is an announcement."""
    topic_key, _, key = name.partition("-")
    return len(topic_key) == len(key) == 64


async def check(folder: Path, bootstrap: tuple[str, int], there: set[int]) -> None:
    found: dict[int, list[FoundPeer]] = {number: [] for number in range(TOPICS)}
    other = Announcer(KeyPair.from_seed(b"b" * 32), 4321, (HOST,))
    dht = HyperDHT([bootstrap], host=HOST, port=0)
    await dht.start(other)
    for number in there:
        await dht.join(topic(number), server=False, client=True, found=found[number].append)
    await dht.close()
    for number in there:
        assert OWN.public_key in {peer.public_key for peer in found[number]}, f"{number} is not found"
    state = folder / "state" / "nodes.json"
    assert not state.exists() or load_nodes(state, [bootstrap]) is not None
    place = runtime_folder("swarm")
    for file in place.iterdir():
        if not is_entry(file.name):
            os.utime(file, (0, 0))  # it was being written; such a file is swept once it is a minute old
    registry = Registry()
    await registry.start(other)
    dead: list[Any] = []
    for number in range(TOPICS):
        await registry.join(topic(number), server=True, client=True, found=dead.append)
    assert not dead, "the registry names a process that has been killed"
    await registry.close()
    left = [file.name for file in place.iterdir()]
    assert not left, f"the registry keeps {left}"
