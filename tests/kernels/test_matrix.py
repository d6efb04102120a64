"""What gets through while a cell computes, for each ipykernel that people have."""

from pathlib import Path

from tests.kernels.environments import Kernel
from tests.kernels.page import Page
from tests.peer import Peer

BUSY = """
import os
print("busy", flush=True)
while not os.path.exists({path!r}):
    sum(range(10_000))
"""


def test_chat_goes_on_while_a_cell_computes(kernel: Kernel, tmp_path: Path) -> None:
    release = tmp_path / "release"
    with Page(kernel.python) as page, Peer(tmp_path / "otter", "otter") as otter:
        page.open_chat("kestrel")
        page.request("hello", epoch=None, version=None)
        page.request("profile", name="kestrel", avatar=None)
        topic = page.request("create", name="lobby", linkup=True)["topic"]
        otter.do("join", topic=topic)
        otter.do("connected", count=1)

        # The cell cannot end before `release` exists: whatever comes until then came while it computed.
        cell = page.execute(BUSY.format(path=str(release)))
        page.sees(lambda message: message["content"].get("text") == "busy\n")
        otter.do("send", text="are you there?")
        page.row("are you there?")
        sent = page.ask("send", topic=topic, text="still computing")
        handled = page.is_answered(sent)
        otter.do("send", text="a little later")
        page.row("a little later")

        release.touch()
        page.ends(cell)
        assert page.answer(sent)["ok"]
        assert otter.receives_text("still computing")["name"] == "kestrel"

    assert handled == kernel.sends_during_a_cell
