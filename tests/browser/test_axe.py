"""No serious fault of accessibility in any tab, by the rules of axe-core: https://github.com/dequelabs/axe-core."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Chat, Notebook
from tests.browser.test_explorer import FILL
from tests.browser.test_views import SCREENSHOTS

AXE = Path(__file__).parents[1] / "page" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def pair(notebook_of_module: OpenNotebook) -> Notebook:
    """A chat with something of each kind in it, and a drive."""
    kestrel, otter = notebook_of_module("kestrel", [FILL]), notebook_of_module("otter")
    for notebook in (kestrel, otter):
        notebook.run(0)
    kestrel.run(1)
    kestrel.chat.create("physics", linkup=False)
    otter.chat.join(kestrel.chat.invite())
    expect(otter.chat.hook("room-name")).to_have_text("physics")
    for text in (
        "plain",
        "**bold** [a link](https://example.org) and `code`",
        "```python\nx = 1\n```",
        "|a|b|\n|-|-|\n|1|2|",
    ):
        otter.chat.say(text)
    expect(kestrel.chat.hook("log").locator("table")).to_be_visible()
    return kestrel


def serious(chat: Chat) -> list[str]:
    page = chat.root.page
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8") + ";0")
    found: dict[str, Any] = chat.root.evaluate("root => axe.run(root, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {fault['help']}: {node['html'][:200]} {node['any'][0]['message'] if node['any'] else ''}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_no_tab_has_a_serious_fault(pair: Notebook, theme: str) -> None:
    chat, page = pair.chat, pair.page
    pair.command("apputils:change-theme", theme=f"JupyterLab {theme}")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "Light").lower())
    found = {}
    for tab in ("Chat", "Drive", "Swarm", "Settings"):
        chat.root.get_by_role("tab", name=tab).click()
        if tab == "Drive":
            chat.root.locator(".lu-drive").filter(has_text="results").click()
            chat.hook("files").get_by_role("button", name="runs").click()
            chat.hook("files").get_by_role("button", name="energies.csv").click()
            expect(chat.hook("file-body").locator("tbody tr")).to_have_count(3)
        if tab == "Swarm":
            chat.hook("swarm-peer").filter(has_text="otter").get_by_role("button").click()
            expect(chat.hook("checks")).to_contain_text("LINKUP_OFFLINE")
        found[tab] = serious(chat)
        page.screenshot(path=SCREENSHOTS / f"axe-{tab}-{theme}.png".lower())
    assert not any(found.values()), "\n".join(f"{tab}: {fault}" for tab, faults in found.items() for fault in faults)
