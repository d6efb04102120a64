"""How long a network of the lab takes to be there, and what it takes of memory: `python -m tests.bench.lab`.

Each is made in a process of its own, as in a fresh kernel; the memory is that of the whole process. There is nothing
like it in JavaScript to run beside it.
"""

import json
import os
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import linkup_nb as lu
from tests.bench.table import format_value, print_table

RUNS = 3
BOARD: dict[str, Any] = {"seed": 1, "bits": 8, "k": 3, "alpha": 1, "dht_only": True}
NETWORKS: dict[str, dict[str, Any]] = {
    "10 peers": {"n": 10},
    "50 peers": {"n": 50},
    "32 DHT nodes, 8 bits, k = 3": {"n": 32, **BOARD},
    "200 DHT nodes": {"n": 200, "dht_only": True},
    "500 DHT nodes": {"n": 500, "dht_only": True},
    "50 peers, real sockets": {"n": 50, "sockets": True},
}
FIGURES = {"up": "up, s", "processor": "processor, s", "closed": "closed, s", "memory": "memory, MB"}


def measure(arguments: dict[str, Any]) -> dict[str, float]:
    """One network, made and closed in this process."""
    lu.lab.testnet(1).close()  # the modules are loaded then
    began, used = time.perf_counter(), time.process_time()
    net = lu.lab.testnet(**arguments)
    up, processor = time.perf_counter() - began, time.process_time() - used
    began = time.perf_counter()
    net.close()
    closed = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"up": up, "processor": processor, "closed": closed, "memory": memory}


def main() -> None:
    """Run all, and print one table."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in NETWORKS}
    for _ in range(RUNS):
        for name, arguments in NETWORKS.items():
            command = [sys.executable, "-m", "tests.bench.lab", json.dumps(arguments)]
            runs[name].append(json.loads(subprocess.check_output(command)))
    rows = [
        [name, *(format_value(median(run[figure] for run in measured)) for figure in FIGURES)]
        for name, measured in runs.items()
    ]
    print_table([f"medians of {RUNS} runs", *FIGURES.values()], rows)


if __name__ == "__main__":
    os.environ |= {"LINKUP_OFFLINE": "1"}
    if len(sys.argv) > 1:
        print(json.dumps(measure(json.loads(sys.argv[1]))))  # noqa: T201
    else:
        main()
