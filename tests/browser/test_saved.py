"""What a notebook's file holds once the notebook is saved, with the state of its widgets."""

import json
import time
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Pair
from tests.browser.lab import PATIENCE, Notebook

STATE = "application/vnd.jupyter.widget-state+json"


def saved(notebook: Notebook) -> dict[str, Any]:
    """Save the notebook, and read its file, with the state of the widgets in it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        # The widget manager puts its state into the notebook while that is being saved: it may be in the next file.
        notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        content: dict[str, Any] = json.loads((notebook.lab.notebooks / f"{notebook.profile}.ipynb").read_text())
        if "widgets" in content["metadata"]:
            return content
    raise AssertionError("The state of the widgets was never saved.")


def test_nobody_and_nothing_said_is_in_the_file(fresh_pair: Pair) -> None:
    kestrel, otter, topic = fresh_pair
    kestrel.chat.say("~name Zaphod")
    kestrel.chat.say("a word from here")
    otter.chat.say("a word from **there**")
    row = kestrel.chat.row("a word from there")
    row.click()
    expect(kestrel.chat.hook("expression")).to_contain_text("panel.selection  →")
    expect(otter.chat.row("a word from here")).to_contain_text("Zaphod")

    content = saved(kestrel)
    models = content["metadata"]["widgets"][STATE]["state"]
    for model in models.values():
        model["state"].pop("_esm", None)  # the page's own code, the same for all
        model["state"].pop("_css", None)
    kept = json.dumps([[cell["outputs"] for cell in content["cells"]], content["metadata"]], ensure_ascii=False)
    assert "AnyModel" in {model["model_name"] for model in models.values()}
    assert "The chat: run this cell to open it." in kept
    for word in ("Zaphod", "kestrel", "otter", "lobby", topic, topic[:6], "a word", "rooms[", "Connected"):
        assert word not in kept
