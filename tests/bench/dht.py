"""Looking up and announcing among 100 nodes of the DHT in one process, ours and theirs: `python -m tests.bench.dht`."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from tests.bench.table import Compared, compared, print_compared

NODES = 100
ROUNDS = 6  # turns of each, for the machine's speed drifts; the first is for warming up
EACH = 20  # topics a round
ROOT = Path(__file__).parents[2]
COMMANDS = {
    "Python": [sys.executable, "-m", "tests.bench.dht_peer", str(NODES)],
    "JavaScript": ["node", "tests/interop/dht_bench.js", str(NODES)],
}


async def read(process: Process) -> Any:
    assert process.stdout
    return json.loads(await process.stdout.readline())


async def measured() -> dict[tuple[str, str], list[float]]:
    """Milliseconds by what was done and by kind."""
    processes = {}
    times: dict[tuple[str, str], list[float]] = {}
    for kind, command in COMMANDS.items():
        processes[kind] = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)
        times["start", kind] = [(await read(processes[kind]))["ready"]]
    for turn in range(ROUNDS):
        for kind, process in processes.items():
            assert process.stdin
            process.stdin.write(f"{EACH}\n".encode())
            for what, values in (await read(process)).items():
                if turn:
                    times.setdefault((what, kind), []).extend(values)
    for process in processes.values():
        assert process.stdin
        process.stdin.close()
        await process.wait()
    return times


def rows() -> list[Compared]:
    """Run all."""
    os.environ["LINKUP_OFFLINE"] = "1"
    times = asyncio.run(measured())
    found = []
    for what in sorted({what for what, _ in times}):
        ours, theirs = ([{what: one} for one in times[what, kind]] for kind in COMMANDS)
        found += compared([(what, f"DHT of {NODES} nodes: {what}, ms", False)], ours, theirs)
    return found


if __name__ == "__main__":
    print_compared("medians", rows())
