"""What a user waits for, and what an idle chat costs: `python -m tests.bench.panel`."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from tests.bench.table import format_value, print_table
from tests.browser.conftest import launch
from tests.browser.lab import Lab, Notebook
from tests.kernels.page import Page, of_transcript
from tests.peer import Peer

RUNS = 5
ROWS = 9_500  # of 10,000 that the page keeps at most
MESSAGES = 99_000  # of one author; over 100,000 the others ask before they fetch them
APPENDS = 20
IDLE = 10.0  # seconds over which an idle node's processor time is taken

IMPORT = """
import time
begun = time.perf_counter()
import linkup_nb as lu
print(time.perf_counter() - begun)
"""

START = """
import time
import linkup_nb as lu
begun = time.perf_counter()
lu.start("bench")
print(time.perf_counter() - begun)
"""

IDLE_NODE = f"""
import asyncio, os, resource, sys, time
import linkup_nb as lu

def resident():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

async def main():
    async with lu.Node(sys.argv[1], name="idle") as node:
        await node.create_room("bench", linkup=True)
        begun, used = time.monotonic(), time.process_time()
        await asyncio.sleep({IDLE})
        print(resident(), 100 * (time.process_time() - used) / (time.monotonic() - begun))

asyncio.run(main())
"""

FILL = f"""
import asyncio
from linkup_nb.rooms.memory.block import MessageBody

room = panel.room
for start in range(0, {MESSAGES}, 1000):
    bodies = [MessageBody(f"line {{number}}") for number in range(start, start + 1000)]
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(room._session.write(bodies), room._loop))
"""

# Clicks on a room, and resolves with the milliseconds until a row with this text is there and has been painted.
SHOWN = """([topic, text]) => new Promise(resolve => {
    const begun = performance.now();
    const look = () => {
        const rows = [...document.querySelectorAll('[data-lu="row"]')];
        const shown = document.querySelector('[data-lu="room"][aria-current="true"]')?.dataset.topic === topic;
        if (shown && (!text || rows.at(-1)?.textContent.includes(text)))
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begun)));
        else requestAnimationFrame(look);
    };
    document.querySelector(`[data-lu="room"][data-topic="${topic}"]`).click();
    look();
})"""

# Scrolls up until so many rows are loaded, and resolves with the milliseconds that took.
LOADED = """rows => new Promise(resolve => {
    const log = document.querySelector('[data-lu="log"]');
    const begun = performance.now();
    const more = () => {
        if (document.querySelectorAll('[data-lu="row"]').length >= rows) resolve(performance.now() - begun);
        else {
            log.scrollTop = 0;
            requestAnimationFrame(more);
        }
    };
    more();
})"""

# Scrolls down through what is loaded for two seconds, and resolves with the milliseconds of each frame.
FRAMES = """() => new Promise(resolve => {
    const log = document.querySelector('[data-lu="log"]');
    const frames = [];
    let last = performance.now();
    const end = last + 2000;
    const step = now => {
        frames.push(now - last);
        last = now;
        log.scrollTop += 120;
        if (now < end) requestAnimationFrame(step);
        else resolve(frames.slice(2));
    };
    requestAnimationFrame(step);
})"""

# Has a promise of the time, in milliseconds since 1970, at which the next row has been painted.
APPENDED = """() => ({at: new Promise(resolve => {
    const log = document.querySelector('[data-lu="log"]');
    const observer = new MutationObserver(() => {
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve(Date.now())));
    });
    observer.observe(log, {childList: true, subtree: true});
})})"""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.rows: list[tuple[str, str, str]] = []

    def environment(self) -> dict[str, str]:
        """New folders for one run."""
        self.count += 1
        folder = self.folder / str(self.count)
        (folder / "run").mkdir(parents=True)
        return {
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "LINKUP_OFFLINE": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

    def script(self, code: str, *arguments: str) -> list[float]:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=os.environ | self.environment(), check=True, capture_output=True, text=True)
        return [float(word) for word in done.stdout.split()]

    def add(self, what: str, values: list[float], unit: str) -> None:
        spread = f"{format_value(min(values))} to {format_value(max(values))}" if len(values) > 1 else ""
        self.rows.append((what, f"{format_value(statistics.median(values))} {unit}", spread))

    def milliseconds(self, what: str, runs: int, measure: Callable[[], float]) -> None:
        self.add(what, [1000 * measure() for _ in range(runs)], "ms")


def panel_in_a_kernel(bench: Bench) -> float:
    """Seconds from sending the cell to the first state that a page shows."""
    with Page(Path(sys.executable), bench.environment()) as page:
        begun = time.perf_counter()
        page.open_chat("bench")
        page.request("hello", room=None, epoch=None, last_seq=None)
        page.sees(lambda message: of_transcript(message).get("type") == "state")
        return time.perf_counter() - begun


def in_the_browser(bench: Bench, lab: Lab, browser: Browser) -> None:
    lab.write_profile("bench", "bench")
    notebook = Notebook(lab, browser, "bench", [FILL])

    begun = time.perf_counter()
    notebook.start(0)
    expect(notebook.chat.hook("create-name")).to_be_visible()
    bench.add("usable panel, browser", [1000 * (time.perf_counter() - begun)], "ms")

    topic = notebook.chat.create("bench", linkup=False)
    notebook.run(1)
    other = notebook.chat.create("other")
    times = []
    for _ in range(RUNS):
        times.append(notebook.page.evaluate(SHOWN, [topic, f"line {MESSAGES - 1}"]))
        notebook.page.evaluate(SHOWN, [other, ""])
    bench.add(f"newest of {MESSAGES:,} painted, from the click on their room", times, "ms")
    notebook.page.evaluate(SHOWN, [topic, f"line {MESSAGES - 1}"])
    bench.add(f"{ROWS:,} rows loaded by scrolling up", [notebook.page.evaluate(LOADED, ROWS)], "ms")
    bench.add(f"a frame while scrolling through {ROWS:,} rows", notebook.page.evaluate(FRAMES), "ms")
    invite = notebook.chat.invite()
    notebook.chat.hook("log").press("End")

    with Peer(lab.folder / "peer", "peer", lab.environment) as peer:
        peer.do("join", topic=invite)
        peer.do("connected", count=1)
        times = []
        for _ in range(APPENDS):
            painted = notebook.page.evaluate_handle(APPENDED)
            begun = time.time()
            peer.do("send", text="one more")
            times.append(painted.evaluate("painted => painted.at") - 1000 * begun)
    bench.add("one row appended, peer to page", times, "ms")
    notebook.close()


def main() -> None:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="lu-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        bench = Bench(folder)
        bench.milliseconds("import linkup_nb", RUNS, lambda: bench.script(IMPORT)[0])
        bench.milliseconds("node up: lu.start()", RUNS, lambda: bench.script(START)[0])
        bench.milliseconds("usable panel, kernel", RUNS, lambda: panel_in_a_kernel(bench))
        memory, processor = bench.script(IDLE_NODE, str(folder / "idle"))
        bench.add("idle node, memory", [memory], "MB")
        bench.add("idle node, processor", [processor], "%")
        (folder / "lab").mkdir()
        (folder / "run").mkdir()
        lab = Lab(folder / "lab", folder / "run")
        stack.callback(lab.stop)
        playwright = stack.enter_context(sync_playwright())
        in_the_browser(bench, lab, launch(playwright))
    print_table(("", "median", "range"), bench.rows)


if __name__ == "__main__":
    main()
