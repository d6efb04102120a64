"""The public swarm, in Python and in JavaScript, side by side: `python -m tests.bench.swarm`.

Both ends are of one kind, over UDX, and the kinds take turns, so that a machine that slows down slows both; each figure
is the median of the runs. `tests/bench/transport.py` tells of TCP as well, `join.py` how long it takes to meet.
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
from statistics import median
from typing import Any, cast

from tests.bench import transport
from tests.bench.table import format_value, print_table

ROOT = Path(__file__).parents[2]
RUNS = 5
KINDS = {
    "Python": [sys.executable, "-m", "tests.bench.swarm_peer"],
    "JavaScript": ["node", "tests/interop/swarm_bench.js"],
}
TESTNET = ["node", "tests/interop/join_peer.js", "testnet"]
OVER_UDX = {"Python": "UDX, uvloop", "JavaScript": "UDX, JavaScript"}  # as the bench of transports calls them

# What a peer calls it, what the table calls it, and whether more is better.
FIGURES = [
    *transport.FIGURES,
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
    figures = transport.measure(OVER_UDX[kind])
    with tempfile.TemporaryDirectory() as folder, started([*command, "share", f"{folder}/drive", *nodes]) as sharing:
        key = sharing.hear()["key"]
        with started([*command, "copy", f"{folder}/copy", key, *nodes]) as copying:
            figures |= copying.hear()
    with started([*command, "host", *nodes]) as host:
        topic = host.hear()["topic"]
        with started([*command, "crowd", topic, *nodes]):
            figures |= host.hear()
    return figures


def main() -> None:
    """Run all, and print one table."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with started(TESTNET) as testnet:
        nodes = testnet.hear()["bootstrap"]
        for _ in range(RUNS):
            for kind, measured in runs.items():
                measured.append(measure(kind, nodes))
    rows = []
    for name, label, more_is_better in FIGURES:
        medians = [median(figures[name] for figures in runs[kind]) for kind in KINDS]
        ratio = medians[0] / medians[1]
        rows.append([label, *map(format_value, medians), f"{ratio if more_is_better else 1 / ratio:.2f}"])
    print_table([f"medians of {RUNS} runs, over UDX", *KINDS, "Python is better by"], rows)


if __name__ == "__main__":
    os.environ |= {"LINKUP_OFFLINE": "1"}
    main()
