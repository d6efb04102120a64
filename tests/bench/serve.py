"""A drive over HTTP, served by Python and by JavaScript, side by side: `python -m tests.bench.serve`.

The two take turns, so that a machine that slows down slows both; each figure is the median of the runs. The same client
asks both. `tests/interop` needs its `npm ci` first.
"""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import uvloop

from tests.bench.serve_peer import FILE, FILES, MEGABYTES
from tests.bench.table import Compared, compared, percentile, print_compared

ROOT = Path(__file__).parents[2]
RUNS = 5
REQUESTS = 5000
CONNECTIONS = 16
RECEIVE = 1024 * 1024  # bytes

KINDS = {
    "Python": [sys.executable, "-m", "tests.bench.serve_peer"],
    "JavaScript": ["node", "tests/interop/serve_bench.js"],
}

# What a run calls it, what the table calls it, and whether more is better.
FIGURES = [
    ("big", "256 MB, MB/s", True),
    ("small", f"1 KB on {CONNECTIONS} connections, requests a second", True),
    ("p50", "of those: median, ms", False),
    ("p99", "of those: 99 of 100 within, ms", False),
    ("memory", "memory at its largest, MiB", False),
]


def fetch_big(port: int) -> float:
    """MB a second of the big file, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        started = time.perf_counter()
        sock.sendall(b"GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        buffer = bytearray(RECEIVE)
        received = 0
        while count := sock.recv_into(buffer):
            received += count
        passed = time.perf_counter() - started
    assert received > MEGABYTES * 2**20
    return MEGABYTES * 1.048576 / passed


class Client(asyncio.Protocol):
    """One connection, which asks for the next file when one has come."""

    def __init__(self, paths: list[int], seconds: list[float]) -> None:
        self._paths = paths
        self._seconds = seconds
        self._received = b""
        self._transport: asyncio.WriteTransport
        self._asked = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._ask()

    def _ask(self) -> None:
        if not self._paths:
            self._transport.close()
            self.done.set_result(None)
            return
        self._received = b""
        self._asked = time.perf_counter()
        self._transport.write(b"GET /small/%d.txt HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % self._paths.pop())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        if len(body) == FILE:
            assert head.startswith(b"HTTP/1.1 200 ")
            self._seconds.append(time.perf_counter() - self._asked)
            self._ask()


async def fetch_small(port: int) -> dict[str, float]:
    """Requests a second, and milliseconds that one takes."""
    paths = [index % FILES for index in range(REQUESTS)]
    seconds: list[float] = []
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [await loop.create_connection(lambda: Client(paths, seconds), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(client.done for _, client in made))
    passed = time.perf_counter() - started
    return {
        "small": REQUESTS / passed,
        "p50": percentile(seconds, 50) * 1000,
        "p99": percentile(seconds, 99) * 1000,
    }


def measure(kind: str) -> dict[str, float]:
    """One run of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [*KINDS[kind], folder], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdin
        assert server.stdout
        port = json.loads(server.stdout.readline())["port"]
        uvloop.run(fetch_small(port))  # JavaScript is compiled while it runs
        figures = {"big": fetch_big(port), **uvloop.run(fetch_small(port))}
        server.stdin.close()
        figures |= json.loads(server.stdout.readline())
        server.wait()
        return figures


def rows() -> list[Compared]:
    """Run all."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(RUNS):
        for kind in KINDS:
            runs[kind].append(measure(kind))
    return compared(FIGURES, *runs.values())


if __name__ == "__main__":
    print_compared(f"medians of {RUNS} runs", rows())
