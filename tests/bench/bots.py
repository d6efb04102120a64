"""Bots and seeds as processes: `python -m tests.bench.bots`. LinkUp's own bot client has no figures to run beside.

The limits of commands are lifted for the answers a second: else those are what is measured.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

import linkup_nb as lu
from tests.bench.table import format_value, print_table

COMMAND = str(Path(sys.executable).with_name("linkup-nb"))
STARTS = 5
SETTLE = 5.0  # seconds after which memory is read
COMMANDS = 200
SEED_ROOMS = 100
SCRAPES = 50
PORT = 19464

BOT = """import linkup_nb as lu
from linkup_nb.bot import limits

limits.PERSON_BURST = limits.ROOM_BURST = 1_000_000
bot = lu.Bot("echo")


@bot.command("!echo")
async def echo(message, word):
    return word
"""


async def started(environment: dict[str, str], folder: Path, line: str, *arguments: str) -> asyncio.subprocess.Process:
    """A command, once it has printed a line with this text."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout
    async for said in process.stdout:
        if line in said.decode():
            return process
    raise AssertionError(f"{arguments} ended without {line!r}")


def memory(pid: int) -> float:
    """MB of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def ended(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    await process.communicate()


async def measured(folder: Path, environment: dict[str, str]) -> list[tuple[str, str]]:
    rows = []
    (folder / "echo.py").write_text(BOT)
    async with lu.Node(folder / "me", name="me") as node:
        room = await node.create_room("bench")
        times = []
        for _ in range(STARTS):
            begun = time.monotonic()
            bot = await started(environment, folder, "echo is in", "bot", "echo.py", room.invite)
            times.append(1000 * (time.monotonic() - begun))
            if len(times) < STARTS:
                await ended(bot)
        rows.append(("bot, start to ready", f"{format_value(median(times))} ms"))
        await asyncio.sleep(SETTLE)
        rows.append(("bot, idle: memory (aim 60 MB)", f"{format_value(memory(bot.pid))} MB"))
        answered = asyncio.Event()
        room.on("message", lambda message: None if message.own else answered.set())
        delays = []
        for number in range(COMMANDS):
            answered.clear()
            begun = time.monotonic()
            await room.send(f"!echo {number}")
            await asyncio.wait_for(answered.wait(), 30)
            delays.append(time.monotonic() - begun)
        rows.append(("command to answer, one by one", f"{format_value(1000 * median(delays))} ms"))
        rows.append(("commands answered a second, one by one", format_value(COMMANDS / sum(delays))))
        count = len(room) + COMMANDS * 2
        begun = time.monotonic()
        await asyncio.gather(*(room.send(f"!echo {number}") for number in range(COMMANDS)))
        while len(room) < count:
            answered.clear()
            await asyncio.wait_for(answered.wait(), 30)
        rows.append(("commands answered a second, all at once", format_value(COMMANDS / (time.monotonic() - begun))))
        await ended(bot)

        invites = [(await node.create_room(f"room {number}")).invite for number in range(SEED_ROOMS)]
        begun = time.monotonic()
        arguments = ("seed", *invites, "--metrics", f"127.0.0.1:{PORT}")
        seed = await started(environment, folder, "is ready", *arguments)
        rows.append((f"seed of {SEED_ROOMS} new rooms, start to ready", f"{format_value(time.monotonic() - begun)} s"))
        await asyncio.sleep(SETTLE)
        rows.append((f"seed of {SEED_ROOMS} rooms: memory (aim 200 MB)", f"{format_value(memory(seed.pid))} MB"))
        scrapes = []
        for _ in range(SCRAPES):
            begun = time.monotonic()
            await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics").read())
            scrapes.append(1000 * (time.monotonic() - begun))
        rows.append(("metrics, one scrape", f"{format_value(median(scrapes))} ms"))
        await ended(seed)
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="lu-") as folder:
        os.environ |= {"LINKUP_OFFLINE": "1", "XDG_RUNTIME_DIR": folder, "XDG_DATA_HOME": f"{folder}/data"}
        print_table(("", "median"), asyncio.run(measured(Path(folder), dict(os.environ))))


if __name__ == "__main__":
    main()
