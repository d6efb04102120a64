"""Every picture of a value, as JupyterLab draws it, in both themes: whole, without a complaint, and with its words."""

import re
from pathlib import Path

from playwright.sync_api import ConsoleMessage, expect

from tests.browser.conftest import OpenNotebook

SCREENSHOTS = Path(__file__).parents[1] / ".cache" / "screenshots"
ROOT = Path(__file__).parents[2]

CELLS = [
    f"""
import sys, tempfile
import linkup_nb as lu
sys.path.insert(0, {str(ROOT)!r})
from tests.connection.udx_pair import udx_pair
from tests.hyperdht.network import network
store = lu.Corestore(tempfile.mkdtemp())
await store.open()
core = await store.core(name="diary")
await core.append([b"day %d" % day for day in range(10)])
drive = await lu.Drive.open(store)
for number in range(5):
    await drive.put("/notes.md", b"%d" % number)
await drive.delete("/notes.md")
node = lu.start("picture"); room = await node.create_room("room")
await room.send("<b>hello</b>"); await room.send("again")
""",
    "await core.tree()",
    "(await core.tree()).path(4)",
    "await core.proof(4)",
    "await drive.history()",
    "await drive.bisect(lambda past: past.version > 4)",
    "room.timeline",
    """
async with network(12) as nodes:
    found, table = await nodes[3].find(bytes(32)), nodes[3].view().table
found
""",
    "table",
    """
async with udx_pair() as (one, other):
    tap = one.tap()
    for _ in range(20):
        await one.write(bytes(9000))
        await other.read()
tap
""",
]
SHOWN = {
    1: "Merkle tree of 10 blocks: roots 7, 17, 4 levels.",
    2: "Proof of block 4 of 10: leaf 8 comes with 10, 13, 3, beside root 17.",
    3: "Proof of block 4 of 10: leaf 8 comes with 10, 13, 3, beside root 17.",
    4: "6 changes from version 2 to 7, of 1 path.",
    5: "It holds from version 5 on: found in",
    6: "Order of",
    7: "Look-up of",
    8: "nodes known to",
    9: "Tap on",
}


def test_each_is_drawn_in_light_and_in_dark(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("pictures", CELLS, viewport={"width": 1000, "height": 900})
    complaints: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("warning", "error") and re.search("vega|WARN|Channel|scale|data", message.text, re.I):
            complaints.append(message.text)

    notebook.page.on("console", said)
    for number in range(1, len(CELLS) + 1):
        notebook.run(number)
    for theme in ("Light", "Dark"):
        notebook.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "Light").lower())
        for number, words in SHOWN.items():
            cell = notebook.cell(1 + number)
            cell.scroll_into_view_if_needed()  # JupyterLab draws what is near to the window
            drawn = cell.locator("[role=graphics-document]")
            expect(drawn).to_have_attribute("aria-label", re.compile(re.escape(words)))
            expect(drawn.locator("canvas")).to_be_visible()
            box, place = drawn.bounding_box(), cell.bounding_box()
            assert box
            assert place
            assert box["x"] + box["width"] <= place["x"] + place["width"], "it is cut off"
            cell.screenshot(path=SCREENSHOTS / f"picture-{number}-{theme.lower()}.png")
    assert complaints == []
