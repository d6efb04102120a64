"""Two processes over one connection, in Python and in JavaScript, side by side: `python -m tests.bench.transport`.

Both ends of a pair are of one kind. The kinds take turns, so that a machine that slows down slows all of them; each
figure is the median of the runs. `tests/interop` needs its `npm ci` first.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.table import Compared, compared, print_compared

ROOT = Path(__file__).parents[2]
RUNS = 5
HANDSHAKES = 100
PINGS = 5000
MESSAGES = 100_000
MEGABYTES = 500

PYTHON = [sys.executable, "-m", "tests.bench.transport_peer"]
JAVASCRIPT = ["node", "tests/interop/transport_peer.js"]
KINDS = {
    "TCP, uvloop": [*PYTHON, "uvloop"],
    "TCP, JavaScript": [*JAVASCRIPT, "tcp"],
    "UDX, uvloop": [*PYTHON, "udx"],
    "UDX, JavaScript": [*JAVASCRIPT, "udx"],
}
OURS, THEIRS = "uvloop", "JavaScript"

WAYS = ["TCP", "UDX"]

# What a peer calls it, what the table calls it, and whether more is better.
FIGURES = [
    ("handshake", "connecting, ms", False),
    ("rtt_p50", "round trip p50, ms", False),
    ("rtt_p99", "round trip p99, ms", False),
    ("messages", "chat messages a second", True),
    ("megabytes", "MB/s in 64 KiB writes", True),
]


def measure(kind: str) -> dict[str, float]:
    """One run of one kind: a process that serves, and one that drives it and tells what it saw."""
    environment = os.environ | {"LINKUP_OFFLINE": "1"}
    load = [str(number) for number in (HANDSHAKES, PINGS, MESSAGES, MEGABYTES)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*KINDS[kind], "serve"], cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
    ) as server:
        assert server.stdout
        port = server.stdout.readline().strip()
        drive = subprocess.run(
            [*KINDS[kind], "drive", port, *load], cwd=ROOT, env=environment, stdout=pipe, check=True, text=True
        )
        server.communicate()
    figures: dict[str, float] = json.loads(drive.stdout)
    return figures


def rows() -> list[Compared]:
    """Run all."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(RUNS):
        for kind in KINDS:
            runs[kind].append(measure(kind))
    return [
        row
        for way in WAYS
        for row in compared(
            [(name, f"{way}: {label}", more) for name, label, more in FIGURES],
            runs[f"{way}, {OURS}"],
            runs[f"{way}, {THEIRS}"],
        )
    ]


if __name__ == "__main__":
    print_compared(f"medians of {RUNS} runs", rows())
