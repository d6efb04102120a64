"""The public swarm, in Python and in JavaScript, side by side: `python -m tests.bench.swarm`.

Both ends are of one kind, over UDX, and the kinds take turns, so that a machine that slows down slows both; each figure
is the median of the runs. `tests/bench/transport.py` tells of a connection alone, `join.py` how long it takes to meet.
`tests/interop` needs its `npm ci` first.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from tests.bench.table import Compared, compared, print_compared

ROOT = Path(__file__).parents[2]
RUNS = 5
KINDS = {
    "Python": [sys.executable, "-m", "tests.bench.swarm_peer"],
    "JavaScript": ["node", "tests/interop/swarm_bench.js"],
}
TESTNET = ["node", "tests/interop/join_peer.js", "testnet"]

# What a peer calls it, what the table calls it, and whether more is better.
FIGURES = [
    ("drive", "drive of 256 MB, joining its topic included, MB/s", True),
    ("memory", "memory with 50 connected peers, MiB", False),
]


class Peer:
    """A process that does one task and tells of it, a line of JSON at a time, until its input ends."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout
        return cast(dict[str, Any], json.loads(self._process.stdout.readline()))


@contextmanager
def started(command: list[str]) -> Iterator[Peer]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        yield Peer(process)
        process.communicate()


def measure(kind: str, nodes: list[str]) -> dict[str, float]:
    """One run of one kind."""
    command = KINDS[kind]
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, started([*command, "share", f"{folder}/drive", *nodes]) as sharing:
        key = sharing.hear()["key"]
        with started([*command, "copy", f"{folder}/copy", key, *nodes]) as copying:
            figures |= copying.hear()
    with started([*command, "host", *nodes]) as host:
        topic = host.hear()["topic"]
        with started([*command, "crowd", topic, *nodes]):
            figures |= host.hear()
    return figures


def rows() -> list[Compared]:
    """Run all."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with started(TESTNET) as testnet:
        nodes = testnet.hear()["bootstrap"]
        for _ in range(RUNS):
            for kind, measured in runs.items():
                measured.append(measure(kind, nodes))
    return compared(FIGURES, *runs.values())


if __name__ == "__main__":
    os.environ |= {"LINKUP_OFFLINE": "1"}
    print_compared(f"medians of {RUNS} runs, over UDX", rows())
