"""The drawing of a network of the lab: it changes as the network does, without a cell being run again."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.test_views import SCREENSHOTS

CELLS = [
    "import linkup_nb as lu\nnet = lu.lab.testnet(8, seed=1)\nnet",
    "net.kill(3)",
    "net.partition({0, 1, 2, 3}, {4, 5, 6, 7})",
    "net.heal()\nnet.sybils(2, near=lu.lab.topic('library'))\nnet.liar(4, how='silent')",
    "net.close()",
]


def test_it_shows_who_died_what_was_cut_and_who_cheats(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("network", CELLS, viewport={"width": 1000, "height": 1200})
    notebook.run(1)
    figure = notebook.cell(1).locator(".lu-net")
    drawing, caption, key = figure.locator("svg[role=img]"), figure.locator("figcaption"), figure.locator("ul")
    expect(drawing).to_have_attribute("aria-label", re.compile("Network of 8 peers: 8 alive"))
    expect(caption).to_contain_text("8 alive")
    expect(key).to_contain_text("alive")
    expect(key).not_to_contain_text("dead")

    notebook.run(2)
    expect(caption).to_contain_text("7 alive")
    expect(key).to_contain_text("dead")

    notebook.run(3)
    expect(key).to_contain_text("cut")
    expect(figure.locator('.lu-net-sign[data-kind="cut"]').first).to_be_visible()

    notebook.run(4)
    expect(key).to_contain_text("sybil")
    expect(key).to_contain_text("liar")
    expect(key).not_to_contain_text("cut")
    expect(drawing).to_have_attribute("aria-label", re.compile("sybil"))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for theme in ("Light", "Dark"):
        notebook.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "Light").lower())
        figure.screenshot(path=SCREENSHOTS / f"network-{theme.lower()}.png")

    notebook.run(5)
    expect(figure).to_be_visible()  # the last that was seen of it stays
