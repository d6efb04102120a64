"""Bars for what takes long, in a notebook's kernel and outside of one."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from linkup_nb import Corestore, Drive
from linkup_nb.progress import DELAY, Tally, shown

PATIENCE = 60.0  # seconds


async def work(tally: Tally, go_on: asyncio.Event) -> str:
    tally.total = 10
    tally.done = 4
    await go_on.wait()
    tally.done = 10
    return "done"


async def finished(show: bool | None) -> str:
    """The result of work that ends at once, with or without a bar."""
    tally, go_on = Tally(), asyncio.Event()
    go_on.set()
    return await shown(work(tally, go_on), lambda: (tally.done, tally.total), "block", show)


async def test_outside_of_a_notebook_only_who_asks_sees_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    assert await finished(None) == await finished(False) == "done"
    assert capfd.readouterr().err == ""
    assert await finished(True) == "done"
    assert "100%" in (said := capfd.readouterr().err)
    assert "10/10" in said


async def test_what_fails_fails_for_who_waits_for_it(capfd: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await shown(fail(), lambda: (0, 1), "block", True)


async def test_who_gives_up_ends_the_work() -> None:
    tally, go_on = Tally(), asyncio.Event()
    started = asyncio.Event()

    async def watched() -> None:
        started.set()
        try:
            await work(tally, go_on)
        finally:
            tally.total = -1

    waiting = asyncio.create_task(shown(watched(), lambda: (tally.done, tally.total), "block", True))
    await asyncio.wait_for(started.wait(), PATIENCE)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)

    assert tally.total == -1


async def test_a_bar_leaves_no_thread_behind() -> None:
    before = threading.active_count()

    await finished(True)

    assert threading.active_count() == before


async def test_a_drive_counts_what_is_put_and_mirrored(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(1500)
        yield bytes(500)

    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        await drive.put_stream("/a", pieces(), progress=True)
        assert "2.00kB" in capfd.readouterr().err
        await drive.mirror_to(tmp_path / "folder", progress=True)
        assert "2.00k/2.00k" in capfd.readouterr().err
        await drive.mirror_from(tmp_path / "folder", to="/copy", progress=True)
        assert "2.00k/2.00k" in capfd.readouterr().err
        await drive.put("/b", bytes(3000), progress=True)
        assert "3.00k/3.00k" in capfd.readouterr().err
        await (await drive.download()).done(progress=True)
        assert "7/7" in capfd.readouterr().err  # three files, and the four blocks of their history
        core = await store.core(name="log")
        await core.append([b"1", b"2"])
        await (await core.download()).done(progress=True)
        assert "2/2" in capfd.readouterr().err


def test_without_ipywidgets_a_bar_is_text(tmp_path: Path) -> None:
    code = (
        "import sys, asyncio\n"
        "sys.modules['ipywidgets'] = None\n"
        "import IPython, ipykernel.zmqshell\n"
        "from linkup_nb.progress import shown\n"
        "from linkup_nb.surroundings import Surroundings, hand_in\n"
        "from tqdm.auto import tqdm\n"
        "hand_in(Surroundings(bar=lambda: tqdm))\n"
        "print(asyncio.run(shown(asyncio.sleep(0, 'done'), lambda: (1, 1), 'block', True)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "done\n"
    assert "1/1" in done.stderr


def test_in_a_notebook_what_takes_long_shows_a_bar_and_what_does_not_shows_none(tmp_path: Path) -> None:
    # By sockets in a folder: a port that is chosen for a kernel may be taken by the time it starts.
    manager = KernelManager(transport="ipc", connection_file=f"{os.environ['XDG_RUNTIME_DIR']}/kernel.json")
    manager.start_kernel(env={**os.environ, "HOME": str(tmp_path)})
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE)
    shows: list[str] = []

    def run(code: str) -> list[str]:
        """What the cell showed or made, by the types of its messages and of what they show."""
        shows.clear()

        def told(message: dict[str, Any]) -> None:
            if message["msg_type"] not in ("status", "execute_input"):
                shows.append(f"{message['msg_type']} {list(message['content'].get('data', ''))}")

        reply = client.execute_interactive(code, output_hook=told, timeout=PATIENCE)
        assert reply["content"]["status"] == "ok", reply["content"]
        return shows

    try:
        run("import asyncio, linkup_nb as lu\nlu.Drive\nfrom linkup_nb.progress import shown\nhow_far = lambda: (1, 2)")
        assert run("await shown(asyncio.sleep(0), how_far, 'block', None)") == []
        long = run(f"await shown(asyncio.sleep({DELAY + 0.3}), how_far, 'block', None)")
        assert any("widget-view" in one for one in long)
        assert run(f"await shown(asyncio.sleep({DELAY + 0.3}), how_far, 'block', False)") == []
        off_main = "import threading; t = threading.Thread(target=lambda: asyncio.run("
        off_main += f"shown(asyncio.sleep({DELAY + 0.3}), how_far, 'block', None))); t.start(); t.join()"
        assert run(off_main) == []
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
