"""A class on one machine: `python -m tests.bench.classroom [LEARNERS]`.

The teacher's room, and learners who join it all at once, each in a process of its own, on a private Kademlia network
that they enter by a bootstrap node, `linkup-nb bootstrap`. Nobody finds anybody by another way. There is nothing like
it in JavaScript to run beside.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import linkup_nb as lu
from linkup_nb.kademlia.discovery import parse_peer
from tests.bench.table import format_value, print_table

COMMAND = str(Path(sys.executable).with_name("linkup-nb"))
ITSELF = (sys.executable, "-m", "tests.bench.classroom")
LEARNERS = 30
TIMEOUT = 300.0  # seconds for each step
WELCOME, BEGIN = "welcome, all", "we begin"
# What a learner says when it is so, in this order.
OPEN, WELCOMED, KNOWS_ALL, BEGUN = "open", "welcomed", "knows all", "begun"


def memory(pid: int | str) -> float:
    """MB of a process, each page that several share divided among them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


async def until(node: lu.Node, condition: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    node.on("update", lambda *_: changed.set())
    node.on("message", lambda *_: changed.set())
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            changed.clear()
            await changed.wait()


def heard(room: lu.Room) -> set[str]:
    return {message.text for message in room.messages if isinstance(message, lu.TextMessage)}


def node_of(folder: Path, name: str, network: str) -> lu.Node:
    return lu.Node(folder / name, name=name, discovery=[lu.Kademlia([parse_peer(network)])])


async def learn(folder: Path, name: str, network: str, everybody: int) -> None:
    """One learner, who is told the invite on standard input, and stays until that ends."""
    async with node_of(folder, name, network) as node:
        print(OPEN, flush=True)  # noqa: T201
        room = await node.join((await asyncio.to_thread(sys.stdin.readline)).strip())
        await room.send(f"{name} is here")
        await until(node, lambda: WELCOME in heard(room))
        print(WELCOMED, flush=True)  # noqa: T201
        await until(node, lambda: sum(text.endswith(" is here") for text in heard(room)) == everybody)
        print(KNOWS_ALL, flush=True)  # noqa: T201
        await until(node, lambda: BEGIN in heard(room))
        print(BEGUN, flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.read)


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def said(process: asyncio.subprocess.Process, word: str) -> float:
    """Wait until a process has said a word; when that was, in monotonic seconds."""
    assert process.stdout
    async with asyncio.timeout(TIMEOUT):
        line = (await process.stdout.readline()).decode().strip()
    assert line == word, f"a learner said {line!r}, not {word!r}"
    return time.monotonic()


async def all_said(processes: list[asyncio.subprocess.Process], word: str, begun: float) -> tuple[str, str]:
    """How long that took each: the median and the longest."""
    times = [at - begun for at in await asyncio.gather(*(said(process, word) for process in processes))]
    return f"{format_value(median(times))} s", f"{format_value(max(times))} s"


async def measured(folder: Path, count: int) -> list[tuple[str, str, str]]:
    bootstrap = await started(COMMAND, "bootstrap", "--host", "127.0.0.1", "--port", "0")
    assert bootstrap.stdout
    network = (await bootstrap.stdout.readline()).decode().strip()
    learners: list[asyncio.subprocess.Process] = []
    try:
        async with node_of(folder, "teacher", network) as teacher:
            room = await teacher.create_room("class")
            await room.send(WELCOME)
            begun = time.monotonic()
            for number in range(count):
                name = f"learner {number}"
                learners.append(await started(*ITSELF, str(folder), name, network, str(count)))
            rows = [(f"{count} processes started, each a peer", *await all_said(learners, OPEN, begun))]
            begun = time.monotonic()
            for learner in learners:
                assert learner.stdin
                learner.stdin.write(f"{room.invite}\n".encode())
            rows.append(
                ("invite to member, with what the teacher wrote before", *await all_said(learners, WELCOMED, begun))
            )
            rows.append(("invite to having heard from every learner", *await all_said(learners, KNOWS_ALL, begun)))
            begun = time.monotonic()
            await room.send(BEGIN)
            rows.append(("a message of the teacher", *await all_said(learners, BEGUN, begun)))
            used = [memory(learner.pid) for learner in learners]
            rows.append(("memory of a learner", f"{format_value(median(used))} MB", f"{format_value(max(used))} MB"))
            rows.append(("memory of the teacher", f"{format_value(memory('self'))} MB", ""))
            rows.append(("memory of the bootstrap node", f"{format_value(memory(bootstrap.pid))} MB", ""))
            connections = len(teacher.swarm.connections)
            rows.append(("connections of the teacher", f"{connections}", ""))
    finally:
        for process in (*learners, bootstrap):
            process.terminate()
        await asyncio.gather(*(process.communicate() for process in (*learners, bootstrap)))
    return rows


def main(count: int = LEARNERS) -> None:
    with tempfile.TemporaryDirectory(prefix="lu-") as folder:
        os.environ |= {"LINKUP_OFFLINE": "1", "XDG_RUNTIME_DIR": folder, "XDG_DATA_HOME": f"{folder}/data"}
        print_table(("a class", "median", "longest"), asyncio.run(measured(Path(folder), count)))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(learn(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else LEARNERS)
