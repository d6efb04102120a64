"""Logs and drives in Python and in JavaScript, side by side: `python -m tests.bench.store`.

The two take turns at each figure, so that a machine that slows down slows both; each is the median of the runs.
Python's appends and puts wait for the disk unless the table says otherwise, JavaScript's never do. `tests/interop`
needs its `npm ci` first.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from tests.bench.table import Compared, compared, print_compared

ROOT = Path(__file__).parents[2]
RUNS = 3

KINDS = {
    "Python": [sys.executable, "-m", "tests.bench.store_peer"],
    "JavaScript": ["node", "tests/interop/store_bench.js"],
}

# What a process calls it, what the table calls it, and whether more is better.
FIGURES = [
    ("append_one", "append 200 B, one by one, a second", True),
    ("append_unsynced", "append 200 B, one by one, not waiting for the disk, a second", True),
    ("append_many", "append 200 B, 50 at once, a second", True),
    ("append_batch", "append 200 B, batches of 1000, a second", True),
    ("append_encrypted", "append 200 B encrypted, batches of 1000, a second", True),
    ("get_random", "get at random, a second", True),
    ("get_stream", "get in a stream, a second", True),
    ("replicate_core", "replicate 100,000 blocks, blocks a second", True),
    ("put_one", "put 1 KB files, one by one, a second", True),
    ("put_batch", "put 1 KB files, one batch, a second", True),
    ("get_files", "get 1 KB files in order, a second", True),
    ("get_files_64", "get 1 KB files, 64 at once, a second", True),
    ("list", "list 10,000 files, ms", False),
    ("readdir", "readdir of 100 folders, ms", False),
    ("checkout", "checkout and get, a second", True),
    ("diff", "diff of 1,000 files, ms", False),
    ("put_big", "put 256 MB, MB/s", True),
    ("stream_big", "stream 256 MB, MB/s", True),
    ("get_big", "get 256 MB, MB/s", True),
    ("replicate_big", "replicate 256 MB, MB/s", True),
    ("replicate_small", "replicate 10,000 files, files a second", True),
    ("memory", "memory at its largest, MiB", False),
    ("memory_put", "of a process that puts 256 MB, MiB", False),
    ("memory_stream", "of one that streams it, MiB", False),
    ("memory_share", "of one that another copies it from, MiB", False),
    ("memory_copy", "of that other, MiB", False),
]


class Peer:
    """A process of one kind, which does one task."""

    def __init__(self, kind: str, *task: str) -> None:
        self._process = subprocess.Popen(
            [*KINDS[kind], *task], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self) -> dict[str, Any]:
        """Let it go on; what it says then."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """What it says next."""
        assert self._process.stdout
        return cast(dict[str, Any], json.loads(self._process.stdout.readline()))

    def end_input(self) -> None:
        """Tell it to end."""
        assert self._process.stdin
        self._process.stdin.close()

    def close(self) -> None:
        """Wait for its end."""
        self.end_input()
        self._process.wait()


def measure() -> dict[str, dict[str, float]]:
    """One run of all kinds, which take turns at each figure."""
    figures: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        writers = {kind: Peer(kind, "write", f"{folder}/{kind}") for kind in KINDS}
        take_turns(writers, figures)
        wheres = {kind: json.dumps(figures[kind].pop("where")) for kind in KINDS}
        memory = {kind: figures[kind].pop("memory") for kind in KINDS}
        readers = {kind: Peer(kind, "read", f"{folder}/{kind} copy", wheres[kind]) for kind in KINDS}
        take_turns(readers, figures)
        for kind in KINDS:
            figures[kind]["memory"] = max(memory[kind], figures[kind]["memory"])
            readers[kind].close()
            writers[kind].close()
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            figures[kind] |= measure_memory(kind, folder)
    return figures


def take_turns(peers: dict[str, Peer], figures: dict[str, dict[str, Any]]) -> None:
    """Let each measure one thing after the other, until all have told their memory, which is the last."""
    while any("memory" not in figures[kind] for kind in peers):
        for kind, peer in peers.items():
            figures[kind] |= peer.turn()


def measure_memory(kind: str, folder: str) -> dict[str, float]:
    """What each task with a large file takes."""
    figures: dict[str, float] = {}
    for task in ("put", "stream"):
        peer = Peer(kind, task, f"{folder}/drive")
        figures |= peer.hear()
        peer.close()
    sharing = Peer(kind, "share", f"{folder}/drive")
    copying = Peer(kind, "copy", f"{folder}/copy", json.dumps(sharing.hear()))
    figures |= copying.hear()
    copying.close()
    sharing.end_input()
    figures |= sharing.hear()
    sharing.close()
    return figures


def rows() -> list[Compared]:
    """Run all."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(RUNS):
        for kind, figures in measure().items():
            runs[kind].append(figures)
    return compared(FIGURES, *runs.values())


if __name__ == "__main__":
    print_compared(f"medians of {RUNS} runs", rows())
