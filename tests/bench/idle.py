"""What a node costs that is in 20 rooms with memory of 30 members each, and does nothing: `python -m tests.bench.idle`.

The others come one after the other and say something in each room; the last few stay and are connected to it, then
they have gone, too. There is no such node in JavaScript to run beside it.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import linkup_nb as lu
from linkup_nb.rooms.memory.message import RoomTextMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.bench.table import format_value, print_table

ROOMS = 20
MEMBERS = 30
STAYING = 5  # of the others, who are connected while it idles
IDLE = 30.0  # seconds over which the processor's time is taken
JOIN_TIMEOUT = 600.0  # seconds for all to know each other


def memory() -> float:
    """MB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def until(node: lu.Node, condition: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    node.on("update", lambda *_: changed.set())
    async with asyncio.timeout(JOIN_TIMEOUT):
        while not condition():
            changed.clear()
            await changed.wait()


def held(messages: list[RoomTextMessage]) -> bool:
    """Whether somebody has each of these."""
    return all(message.held_by for message in messages)


async def be_a_crowd(folder: Path, invites: list[str]) -> None:
    """All members but one, of all rooms, one after the other; the last ones stay until standard input ends."""
    staying: list[lu.Node] = []
    for number in range(MEMBERS - 1):
        node = lu.Node(folder / str(number), name=f"member {number}")
        await node.open()
        sent = []
        for invite in invites:
            room = await node.join(invite)
            assert isinstance(room, MemoryRoom)
            sent.append(await room.send(f"{node.name} is here"))
        await until(node, partial(held, sent))
        staying.append(node)
        if len(staying) > STAYING:
            await staying.pop(0).close()
    print("joined", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.gather(*(node.close() for node in staying))


async def measured(folder: Path) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []

    async def idle(what: str) -> None:
        begun, used = time.monotonic(), time.process_time()
        await asyncio.sleep(IDLE)
        share = 100 * (time.process_time() - used) / (time.monotonic() - begun)
        rows.append((f"{what}: memory", f"{format_value(memory())} MB"))
        rows.append((f"{what}: processor", f"{format_value(share)} %"))

    async with lu.Node(folder / "me", name="me") as node:
        rows.append(("open, in no room: memory", f"{format_value(memory())} MB"))
        rooms = [await node.create_room(f"room {number}") for number in range(ROOMS)]
        invites = [room.invite for room in rooms if isinstance(room, MemoryRoom)]
        command = [sys.executable, "-m", "tests.bench.idle", str(folder / "crowd"), *invites]
        crowd = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert crowd.stdin
        assert crowd.stdout
        await crowd.stdout.readline()
        await until(node, lambda: all(len(room.peers) == len(room) == MEMBERS - 1 for room in rooms))
        what = f"{ROOMS} rooms of {MEMBERS}"
        await idle(f"{what}, {STAYING} connected")
        crowd.stdin.close()
        await crowd.wait()
        await idle(f"{what}, alone")
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="lu-") as folder:
        os.environ |= {"LINKUP_OFFLINE": "1", "XDG_RUNTIME_DIR": folder}
        print_table(("an idle node", ""), asyncio.run(measured(Path(folder))))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(be_a_crowd(Path(sys.argv[1]), sys.argv[2:]))
    else:
        main()
