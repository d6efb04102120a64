"""Logs and drives in Python and in JavaScript, side by side: `python -m tests.bench.store`.

The two take turns, so that a machine that slows down slows both; each figure is the median of the runs. Python's
appends and puts wait for the disk, JavaScript's do not. `tests/interop` needs its `npm ci` first.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.bench.table import format_value, print_table

ROOT = Path(__file__).parents[2]
RUNS = 3

KINDS = {
    "Python": [sys.executable, "-m", "tests.bench.store_peer"],
    "JavaScript": ["node", "tests/interop/store_bench.js"],
}

# What a process calls it, what the table calls it, and whether more is better.
FIGURES = [
    ("append_one", "append 200 B, one by one, a second", True),
    ("append_batch", "append 200 B, batches of 1000, a second", True),
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
]


def measure(kind: str) -> dict[str, float]:
    """One run of one kind, reader and writer in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        writer = subprocess.Popen(
            [*KINDS[kind], "write", f"{folder}/writer"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdin
        assert writer.stdout
        ready = json.loads(writer.stdout.readline())
        reader = subprocess.run(
            [*KINDS[kind], "read", f"{folder}/reader", json.dumps(ready["where"])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        writer.stdin.close()
        writer.wait()
        copied = json.loads(reader.stdout)
        figures: dict[str, float] = {**ready["figures"], **copied}
        figures["memory"] = max(ready["figures"]["memory"], copied["memory"])
        return figures


def main() -> None:
    """Run all, and print one table."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(RUNS):
        for kind in KINDS:
            runs[kind].append(measure(kind))
    rows = []
    for name, label, more_is_better in FIGURES:
        medians = [median(figures[name] for figures in runs[kind]) for kind in KINDS]
        ratio = medians[0] / medians[1]
        rows.append([label, *map(format_value, medians), f"{ratio if more_is_better else 1 / ratio:.2f}"])
    print_table([f"medians of {RUNS} runs", *KINDS, "Python is better by"], rows)


if __name__ == "__main__":
    main()
