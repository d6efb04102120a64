"""`lu.start`, `lu.chat` and `lu.run`, in real kernels where it matters."""

import asyncio
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.notebook import runtime
from tests.kernels.page import Page
from tests.notebook.conftest import Start

PATIENCE = 10.0  # seconds

OpenKernel = Callable[[], Page]


def kernel() -> Page:
    return Page(Path(sys.executable))


@pytest.fixture
def open_kernel() -> Iterator[OpenKernel]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(kernel())


def prints(page: Page, code: str) -> str:
    """Run a cell, and return what it printed."""
    cell = page.execute(code)
    page.ends(cell)
    page.sees(
        lambda message: (
            message["parent_header"].get("msg_id") == cell and message["content"].get("execution_state") == "idle"
        )
    )
    texts = (
        message["content"]["text"]
        for message in page.said
        if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == cell
    )
    return "".join(texts).strip()


def registry() -> list[Path]:
    """The announcements of peers on this machine."""
    return [path for path in Path(os.environ["XDG_RUNTIME_DIR"]).rglob("*") if path.is_file()]


def test_the_same_node_comes_back_until_it_is_closed(start: Start) -> None:
    node = start()
    assert start() is node
    lu.run(node.close())
    assert start() is not node


def test_other_bootstrap_peers_need_a_closed_node(start: Start) -> None:
    start()
    with pytest.raises(lu.UsageError, match=r"runs already, with other bootstrap peers: close it first"):
        runtime.start("kestrel", bootstrap=["127.0.0.1:1"])


def test_a_node_that_cannot_open_raises_here(start: Start) -> None:
    with pytest.raises(lu.UsageError, match="bootstrap peer"):
        runtime.start("kestrel", bootstrap=["nonsense"])
    assert start().rooms == ()


async def test_a_node_goes_on_while_this_loop_stands_still(start: Start) -> None:
    node = await asyncio.to_thread(start)
    ticked = threading.Event()
    node._loop.call_soon_threadsafe(ticked.set)
    assert ticked.wait(PATIENCE)


def test_run_returns_results_and_raises_errors(start: Start) -> None:
    node = start()
    assert lu.run(node.create_room("lobby", linkup=True)).name == "lobby"
    with pytest.raises(lu.LinkupError, match="64 hexadecimal digits"):
        lu.run(node.join("nonsense"))


def test_run_refuses_to_wait_for_its_own_thread(start: Start) -> None:
    node = start()
    refused = asyncio.run_coroutine_threadsafe(_run_inside(node), node._loop).result(PATIENCE)
    assert refused == "lu.run() would wait for the thread that it blocks: use await here."


async def _run_inside(node: lu.Node) -> str:
    work = node.set_name("otter")
    try:
        lu.run(work)
    except lu.UsageError as error:
        work.close()
        return str(error)
    return "it waited"


def test_a_kernel_keeps_its_rooms_over_a_restart(open_kernel: OpenKernel) -> None:
    with kernel() as page:
        create = "import linkup_nb as lu\nnode = lu.start()\nroom = await node.create_room('lobby', linkup=True)"
        page.ends(page.execute(create))
        assert prints(page, "print(lu.start() is node, node.rooms[0].name)") == "True lobby"
        # An announcement is written a moment after the room is joined.
        assert prints(page, "await node.linkup_swarm.topics[0].flushed(); print('announced')") == "announced"
        assert registry() != []
    assert [path for path in registry() if path.suffix != ".lock"] == []

    again = open_kernel()
    assert prints(again, "import linkup_nb as lu; print([room.name for room in lu.start().rooms])") == "['lobby']"


def test_two_kernels_on_one_profile_get_a_clear_sentence(open_kernel: OpenKernel) -> None:
    first, second = open_kernel(), open_kernel()
    first.ends(first.execute("import linkup_nb as lu; lu.start()"))
    refused = "import linkup_nb as lu\ntry:\n    lu.chat()\nexcept lu.UsageError as error:\n    print(error)"
    assert re.fullmatch(
        r"Profile 'default' is in use by process \d+: close that notebook, or use another profile:"
        r' lu\.chat\("second"\)\.',
        prints(second, refused),
    )
    assert prints(second, "print(lu.start('second').path.name)") == "second"


def test_run_blocks_in_a_cell_and_in_a_callback(open_kernel: OpenKernel) -> None:
    page = open_kernel()
    page.open_chat("kestrel")
    page.request("hello", room=None, epoch=None, last_seq=None)
    page.request("create", name="lobby")
    code = """
import ipywidgets
print(lu.run(panel.room.send("from a cell")).text)
slider = ipywidgets.IntSlider()
slider.observe(lambda change: print(lu.run(panel.room.send("from a callback")).text), "value")
slider.value = 7
"""
    assert prints(page, code) == "from a cell\nfrom a callback"


def test_clicks_are_handled_while_run_waits(open_kernel: OpenKernel) -> None:
    page = open_kernel()
    page.open_chat("kestrel")
    page.request("hello", room=None, epoch=None, last_seq=None)
    topic = page.request("create", name="lobby")["topic"]
    cell = page.execute("said = aiter(panel.room)\nprint('waiting', flush=True)\nprint(lu.run(anext(said)).text)")
    page.sees(lambda message: message["content"].get("text") == "waiting\n")
    page.request("send", topic=topic, text="the one it waits for")
    page.ends(cell)
    page.sees(lambda message: message["content"].get("text") == "the one it waits for\n")


@pytest.mark.parametrize("code", ["lu.chat()", "panel = lu.chat()\npanel", "panel = lu.chat()\nprint()"])
def test_a_chat_is_shown_once_by_its_cell_and_again_by_the_next(open_kernel: OpenKernel, code: str) -> None:
    page = open_kernel()
    first = page.execute(f"import linkup_nb as lu\n{code}")
    page.ends(first)
    again = page.execute("panel" if "panel" in code else "_1 if '_1' in globals() else lu.chat()")
    page.ends(again)
    for cell in (first, again):
        [shown] = page.shows(cell)
        assert "application/vnd.jupyter.widget-view+json" in shown
        assert shown["text/plain"] == "The chat: run this cell to open it."


def test_a_panel_is_docked_with_sidecar_in_place_of_the_last_one(open_kernel: OpenKernel) -> None:
    page = open_kernel()
    cell = page.execute("import linkup_nb as lu\nlu.chat(sidecar=True)")
    page.ends(cell)
    assert len(page.shows(cell)) == 1  # which the dock takes
    opened = [message["content"] for message in page.said if message["msg_type"] == "comm_open"]
    docks = [content for content in opened if content["data"]["state"]["_model_name"] == "SidecarModel"]
    assert [content["data"]["state"]["title"] for content in docks] == ["LinkUp"]

    page.ends(page.execute("lu.chat(sidecar=True)"))
    page.sees(
        lambda message: message["msg_type"] == "comm_close" and message["content"]["comm_id"] == docks[0]["comm_id"]
    )


def test_without_sidecar_there_is_a_sentence(open_kernel: OpenKernel) -> None:
    page = open_kernel()
    code = """
import sys
sys.modules["sidecar"] = None
import linkup_nb as lu
try:
    lu.chat(sidecar=True)
except lu.UsageError as error:
    print(error)
"""
    assert prints(page, code) == "This needs the package sidecar: run %pip install sidecar, then reload the page."


def test_a_kernel_that_is_killed_leaves_the_profile_to_the_next(open_kernel: OpenKernel) -> None:
    with kernel() as page:
        page.ends(page.execute("import linkup_nb as lu; lu.start()"))
        page.execute("import os; os.kill(os.getpid(), 9)")
    again = open_kernel()
    assert prints(again, "import linkup_nb as lu; print(lu.start().path.name)") == "default"


def test_a_cell_uses_the_drive_of_its_node_and_pandas_reads_it(open_kernel: OpenKernel) -> None:
    cell = """
import linkup_nb as lu
node = lu.start()
drive = await lu.Drive.open(node.store)
await drive.put("/a.csv", b"n\\n1\\n2\\n")
import pandas as pd
table = pd.read_csv(f"linkup://{drive.id}/a.csv")
table.assign(n=table.n * 10).to_csv(f"linkup://{drive.id}/b.csv", index=False)
print(await drive.get("/b.csv"), sorted(core.name or "" for core in node.store.cores))
"""
    assert prints(open_kernel(), cell) == "b'n\\n10\\n20\\n' ['', 'db']"
