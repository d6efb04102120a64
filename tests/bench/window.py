"""What the window on drives and swarm costs: `python -m tests.bench.window`.

A drive of 10,000 files and as many versions, in a real JupyterLab; then 64 peers that do nothing. There is no such
window in JavaScript to run beside it.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

import linkup_nb as lu
from tests.bench.table import format_value, print_table
from tests.browser.conftest import launch
from tests.browser.lab import Lab, Notebook

FILES = 10_000
MOVES = 20
PEERS = 64
REST = 10.0  # seconds over which the processor time of the page at rest is taken

FILL = f"""
drive = await panel.node.drive(name="big")
for start in range(0, {FILES}, 500):
    async with drive.batch() as batch:
        for number in range(start, start + 500):
            await batch.put(f"/data/file{{number:05}}.txt", b"a line of %d\\n" % number)
for number in range(20):
    await drive.put("/data/file00000.txt", b"a line\\n" * 1000 * (number + 1))
"""

# Moves the slider to a version, and resolves with the milliseconds until a listing that differs has been painted.
MOVED = """version => new Promise(resolve => {
    const handle = document.querySelector('[role="slider"]');
    const list = document.querySelector('[data-lu="files"]');
    const height = list.style.height;
    const begun = performance.now();
    const look = () => {
        if (list.style.height === height) requestAnimationFrame(look);
        else requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begun)));
    };
    handle.dispatchEvent(new KeyboardEvent("keydown", {key: version, bubbles: true}));
    look();
})"""

SHOWN = """() => new Promise(resolve => {
    const begun = performance.now();
    const look = () => {
        if (document.querySelectorAll('[data-lu="files"] li').length > 5)
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begun)));
        else requestAnimationFrame(look);
    };
    [...document.querySelectorAll('.lu-file-row')].find(row => row.textContent.includes("data")).click();
    look();
})"""


@contextmanager
def crowd(lab: Lab, topic: str) -> Iterator[None]:
    """A process with so many peers on a topic."""
    command = [sys.executable, "-m", "tests.bench.window", topic, str(lab.folder / "crowd")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=lab.environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "there\n"
            yield
        finally:
            process.stdin.close()


async def be_a_crowd(topic: str, folder: Path) -> None:
    async with asyncio.TaskGroup() as group:
        nodes = [lu.Node(folder / str(number), name=f"peer {number}") for number in range(PEERS)]
        for node in nodes:
            group.create_task(node.open())
    for node in nodes:
        await node.join(topic)
    print("there", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.gather(*(node.close() for node in nodes))


def busy(notebook: Notebook) -> float:
    """Percent of one processor that the page's main thread takes."""
    session = notebook.page.context.new_cdp_session(notebook.page)
    session.send("Performance.enable")

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    begun, before = time.monotonic(), spent()
    notebook.page.wait_for_timeout(1000 * REST)
    return 100 * (spent() - before) / (time.monotonic() - begun)


def row(what: str, values: list[float], unit: str) -> tuple[str, str, str]:
    ranked = sorted(values)
    spread = f"{format_value(ranked[0])} to {format_value(ranked[-1])}" if len(values) > 1 else ""
    return what, f"{format_value(ranked[len(ranked) // 2])} {unit}", spread


def measured(notebook: Notebook, lab: Lab) -> list[tuple[str, str, str]]:
    rows = []
    notebook.run(0)
    notebook.run(1)
    chat = notebook.chat
    topic = chat.create("crowd")
    chat.root.get_by_role("tab", name="Drive").click()
    chat.root.locator(".lu-drive").filter(has_text="big").click()
    expect(chat.hook("files")).to_contain_text("data")
    rows.append(row(f"folder of {FILES:,} files, from the click to the paint", [notebook.page.evaluate(SHOWN)], "ms"))
    chat.root.get_by_role("slider").focus()
    keys = ["PageDown"] * (MOVES // 2) + ["PageUp"] * (MOVES // 2 - 1)
    moves = [notebook.page.evaluate(MOVED, key) for key in keys]
    rows.append(row("slider moved by a page of versions, to the new listing", moves, "ms"))
    for versions, what in ((20, "one file"), (1000, "1,000 files")):
        times = []
        for _ in range(5):
            times.append(1000 * float(notebook.evaluate(f"lu.run(collected(panel.drive, {versions}))")))
        rows.append(row(f"diff of two versions, {what} changed, in a cell", times, "ms"))
    with crowd(lab, topic):
        chat.root.get_by_role("tab", name="Swarm").click()
        expect(chat.hook("swarm-counts")).to_contain_text(f"{PEERS} connected")
        notebook.page.wait_for_timeout(5000)
        rows.append(row(f"Swarm tab with {PEERS} peers at rest, processor of the page", [busy(notebook)], "%"))
    return rows


COLLECTED = """
async def collected(drive, versions):
    import time
    begun = time.perf_counter()
    [change async for change in drive.diff(drive.version - versions)]
    return time.perf_counter() - begun
"""


def main() -> None:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="lu-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "lab").mkdir()
        (folder / "run").mkdir()
        lab = Lab(folder / "lab", folder / "run")
        stack.callback(lab.stop)
        lab.write_profile("bench", "bench")
        playwright = stack.enter_context(sync_playwright())
        notebook = Notebook(lab, launch(playwright), "bench", [FILL + COLLECTED])
        print_table(("", "median", "range"), measured(notebook, lab))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(be_a_crowd(sys.argv[1], Path(sys.argv[2])))
    else:
        main()
