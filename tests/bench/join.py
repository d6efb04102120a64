"""From joining a topic to a connection, two fresh processes on one machine: `python -m tests.bench.join`.

Python peers find each other through `Local`, as two notebooks on one machine do, or through a HyperDHT network of
JavaScript nodes on loopback, as Hyperswarm's peers do: two of those that join at once often look before either is
announced, and then look again after 10 minutes. Runs of all take turns, for the machine's speed drifts.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.table import Compared, compared, format_value, print_table

RUNS = 7
PATIENCE = 10.0  # seconds after which two have not met
ROOT = Path(__file__).parents[2]
PYTHON_PEER = [sys.executable, "-m", "tests.bench.join_peer"]
JAVASCRIPT = ["node", "tests/interop/join_peer.js"]


class Peer:
    """One process of either kind."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._said: dict[str, Any] = {}

    def join(self, topic: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(topic.hex().encode() + b"\n")

    async def says(self, word: str) -> Any:
        """What it says under this name, once it does; raises `TimeoutError`."""
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE):
            while word not in self._said:
                line = await self._process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the peer ended without a word of {word!r}")
                self._said |= json.loads(line)
        return self._said[word]


@contextlib.asynccontextmanager
async def started(command: Sequence[str]) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)
    assert process.stdin
    try:
        yield Peer(process)
    finally:
        process.stdin.close()
        await process.wait()


async def one_by_one(command: Sequence[str]) -> float:
    """Milliseconds for the second of two to join; raises `TimeoutError` if they do not meet."""
    topic = os.urandom(32)
    async with started(command) as first, started(command) as second:
        await asyncio.gather(first.says("ready"), second.says("ready"))
        first.join(topic)
        await first.says("flushed")
        second.join(topic)
        return float(await second.says("connection"))


async def both_at_once(command: Sequence[str]) -> float:
    """Milliseconds for the slower of two that join at the same moment; raises `TimeoutError` if they do not meet."""
    topic = os.urandom(32)
    async with started(command) as first, started(command) as second:
        await asyncio.gather(first.says("ready"), second.says("ready"))
        first.join(topic)
        second.join(topic)
        return max([float(await peer.says("connection")) for peer in (first, second)])


WAYS = {"join a topic that somebody is on": one_by_one, "both join at once": both_at_once}


async def measured() -> dict[tuple[str, str], list[float]]:
    """Milliseconds of those that met, by what they did and by kind."""
    times: dict[tuple[str, str], list[float]] = {}
    async with started([*JAVASCRIPT, "testnet"]) as testnet:
        nodes = await testnet.says("bootstrap")
        kinds = {
            "Python, Local": PYTHON_PEER,
            "Python, HyperDHT": [*PYTHON_PEER, *nodes],
            "JavaScript, HyperDHT": [*JAVASCRIPT, "peer", *nodes],
        }
        for name, measure in WAYS.items():
            times |= {(name, kind): [] for kind in kinds}
            for _ in range(RUNS):
                for kind, command in kinds.items():
                    with contextlib.suppress(TimeoutError):
                        times[name, kind].append(await measure(command))
    return times


def run() -> dict[tuple[str, str], list[float]]:
    """Run all."""
    with tempfile.TemporaryDirectory(prefix="lu-") as runtime:
        os.environ |= {"LINKUP_OFFLINE": "1", "XDG_RUNTIME_DIR": runtime}
        return asyncio.run(measured())


def rows() -> list[Compared]:
    """Those over HyperDHT, of which both programs have met at least once."""
    times = run()
    pairs = [(name, times[name, "Python, HyperDHT"], times[name, "JavaScript, HyperDHT"]) for name in WAYS]
    return [
        compared([("ms", f"{name}, ms", False)], [{"ms": one} for one in ours], [{"ms": one} for one in theirs])[0]
        for name, ours, theirs in pairs
        if ours and theirs
    ]


def main() -> None:
    cells = []
    for (name, kind), values in run().items():
        spread = [statistics.median(values), min(values), max(values)] if values else []
        shown = [format_value(value) for value in spread] or ["-"] * 3
        cells.append([f"{name}, {kind}", *shown, f"{len(values)} of {RUNS}"])
    print_table(["milliseconds to a connection", "median", "least", "most", "met"], cells)


if __name__ == "__main__":
    main()
