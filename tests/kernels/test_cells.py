"""What the chat must leave alone: the cell that runs meanwhile, for each ipykernel that people have."""

from pathlib import Path

from tests.kernels.environments import Kernel
from tests.kernels.page import Page
from tests.peer import Peer

PREPARE = """
%matplotlib inline
%load_ext autoreload
%autoreload 2
import os, time
from matplotlib import pyplot as plt
hooks = []
for hook in ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell"):
    get_ipython().events.register(hook, lambda *_, hook=hook: hooks.append(hook))
"""

# The cell cannot end before `release` exists: what comes until then comes between its two halves.
PLOT = """
plt.figure(figsize=(2, 2))
plt.plot([1, 4, 9])
print("drawn", flush=True)
while not os.path.exists({release!r}):
    time.sleep(0.01)
plt.title("x")
before = list(hooks)
"""


def test_the_chat_leaves_the_plot_of_a_running_cell_whole(kernel: Kernel, tmp_path: Path) -> None:
    with Page(kernel.python) as page, Peer(tmp_path / "otter", "otter") as otter:
        page.ends(page.execute(PREPARE))
        there = tmp_path / "there"
        there.touch()
        alone = page.execute(PLOT.format(release=str(there)))
        page.ends(alone)
        wanted = page.picture(alone)

        page.open_chat("kestrel")
        page.ends(page.execute("panel.dock('LinkUp')"))
        page.request("hello", epoch=None, version=None)
        page.request("profile", name="kestrel", avatar=None)
        topic = page.request("create", name="lobby", linkup=True)["topic"]
        otter.do("join", topic=topic)
        otter.do("connected", count=1)

        page.ends(page.execute("hooks.clear()"))
        release = tmp_path / "release"
        cell = page.execute("%%time\n" + PLOT.format(release=str(release)))
        page.line(cell, "drawn")
        otter.do("send", text="look at this")
        page.row("look at this")
        asked = [
            page.ask("send", topic=topic, text="~help"),
            page.ask("select", topic=topic, target=f"{0:012d}"),
            page.ask("record", on=True),
            page.ask("show", topic="0" * 64),  # refused
            page.ask("nonsense"),
            *(page.ask(tab) for tab in ("drives", "swarm_open", "settings")),
        ]
        recording = page.is_answered(asked[2])
        assert ("AudioRecorderModel" in page.touch_all()) == recording == kernel.sends_during_a_cell
        asked.append(page.ask("record", on=False))
        during = page.is_answered(asked[-1])
        release.touch()
        page.ends(cell)
        assert [page.answer(one)["ok"] for one in asked] == [True, True, True, False, False, True, True, True, True]
        touched = page.touch_all()
        assert {"BoxModel" if name == "VBoxModel" else name for name in touched} >= {
            "AnyModel",
            "LayoutModel",
            "BoxModel",
        }
        page.request("hello", epoch=None, version=None)  # what was sent before has been handled by then

        assert during == kernel.sends_during_a_cell
        assert page.picture(cell) == wanted
        after = page.execute("print(before, hooks)")
        page.ends(after)
        said = page.printed(after)
        once = ["pre_execute", "pre_run_cell"], ["post_execute", "post_run_cell"]
        # The end of the cell that cleared them, the start of the plot's; then the plot's end, the next one's start.
        assert said == f"{once[1] + once[0]} {once[1] + once[0] + once[1] + once[0]}\n"


HANDLERS = """
import os, threading, time

@panel.room.on("message")
def show(message):
    print(f"plain {message.text}", flush=True)

@panel.room.on("message")
async def show_later(message):
    print(f"coroutine {message.text}", flush=True)

@panel.room.on("message")
def fail(message):
    raise ValueError(f"failed {message.text}")
"""

THREAD = """
def work():
    while not os.path.exists({release!r}):
        time.sleep(0.01)
    print("the thread's", flush=True)

thread = threading.Thread(target=work)
thread.start()
print("started", flush=True)
thread.join()
"""


def test_what_handlers_and_threads_print_goes_to_their_cell(kernel: Kernel, tmp_path: Path) -> None:
    with Page(kernel.python) as page:
        page.open_chat("kestrel")
        page.request("hello", epoch=None, version=None)
        page.request("profile", name="kestrel", avatar=None)
        topic = page.request("create", name="lobby", linkup=True)["topic"]
        handlers = page.execute(HANDLERS)
        page.ends(handlers)

        release = tmp_path / "release"
        cell = page.execute(THREAD.format(release=str(release)))
        page.line(cell, "started")
        sent = page.ask("send", topic=topic, text="hello")
        page.is_answered(sent)
        release.touch()
        page.ends(cell)
        assert page.answer(sent)["ok"]

        assert page.printed(cell) == "started\nthe thread's\n"
        for line in ("plain hello", "coroutine hello", "ValueError: failed hello"):
            page.line(handlers, line)
