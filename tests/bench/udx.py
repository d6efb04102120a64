"""One UDX stream between two processes, in Python, in JavaScript and across: `python -m tests.bench.udx [MEGABYTES]`.

The pairs take turns, so that a machine that slows down slows all of them; each figure is the median of the runs. Time
on the processor is what the rate would be limited by on a machine that does nothing else. `tests/interop` needs its
`npm ci` first.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from tests.bench.table import format_value, print_table

ROOT = Path(__file__).parents[2]
RUNS = 5
MEGABYTES = 100
BLOCK = 64 * 1024  # bytes
KINDS = {
    "Python": [sys.executable, "-m", "tests.bench.udx_peer"],
    "JavaScript": ["node", "tests/interop/udx_peer.js"],
}
PAIRS = [(sender, receiver) for sender in KINDS for receiver in KINDS]


class Peer:
    """A process that is given commands and asked for what it tells, one line of JSON each."""

    def __init__(self, kind: str) -> None:
        environment = os.environ | {"LINKUP_OFFLINE": "1"}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(KINDS[kind], cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)
        self.listening = self.told("listening")

    def command(self, **commands: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(commands) + "\n")
        self._process.stdin.flush()

    def told(self, event: str) -> dict[str, float]:
        assert self._process.stdout
        told: dict[str, float] = json.loads(self._process.stdout.readline())[event]
        return told

    def cpu(self) -> float:
        """Seconds on the processor so far."""
        self.command(cpu=True)
        assert self._process.stdout
        return float(json.loads(self._process.stdout.readline())["cpu"])

    def close(self) -> None:
        self._process.communicate()


def measure(sender_kind: str, receiver_kind: str, megabytes: int) -> tuple[float, float, float]:
    """MB/s, and seconds on the processor for 100 MB, of the sender and of the receiver."""
    sender, receiver = Peer(sender_kind), Peer(receiver_kind)
    sender.command(connect=receiver.listening)
    receiver.command(connect=sender.listening)
    before = sender.cpu(), receiver.cpu()
    sender.command(write={"size": BLOCK, "fill": "x", "times": megabytes * 1_000_000 // BLOCK}, end=True)
    end = receiver.told("end")
    used = sender.cpu() - before[0], receiver.cpu() - before[1]
    for peer in (sender, receiver):
        peer.close()
    size = end["size"] / 1_000_000
    return size / end["seconds"], used[0] * 100 / size, used[1] * 100 / size


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES
    runs: dict[tuple[str, str], list[tuple[float, float, float]]] = {pair: [] for pair in PAIRS}
    for _ in range(RUNS):
        for pair in PAIRS:
            runs[pair].append(measure(*pair, megabytes))
    rows = [
        [f"{sender} to {receiver}", *(format_value(median(figures)) for figures in zip(*measured, strict=True))]
        for (sender, receiver), measured in runs.items()
    ]
    print_table([f"medians of {RUNS} runs", "MB/s", "sender, CPU s / 100 MB", "receiver, CPU s / 100 MB"], rows)


if __name__ == "__main__":
    main()
