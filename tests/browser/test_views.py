"""The same panel seen again: other views, other loads of the page, another kernel, other sizes and themes."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook, Pair
from tests.browser.lab import Chat, Notebook

SCREENSHOTS = Path(__file__).parents[1] / ".cache" / "screenshots"


def says_something(pair: Pair) -> None:
    pair.kestrel.chat.say("Did the run at **T = 2.27** finish?")
    pair.otter.chat.say("It did, energies are in the file.")
    expect(pair.kestrel.chat.row("energies are in the file")).to_be_visible()


def shows_the_same(chat: Chat, pair: Pair) -> None:
    expect(chat.row("Did the run at T = 2.27 finish?")).to_be_visible()
    expect(chat.row("energies are in the file")).to_be_visible()
    expect(chat.hook("row")).to_have_count(2)
    expect(chat.hook("topic")).to_have_text(pair.topic)
    expect(chat.hook("status")).to_have_text("Connected to otter")


def test_reloading_the_page(pair: Pair) -> None:
    says_something(pair)
    pair.kestrel.command("docmanager:save")
    expect(pair.kestrel.page.locator(".lm-mod-current.jp-mod-dirty")).to_have_count(0)
    pair.kestrel.reload()
    shows_the_same(pair.kestrel.chat, pair)
    saved = (pair.kestrel.lab.notebooks / f"{pair.kestrel.profile}.ipynb").read_text()
    assert "energies" not in saved
    assert pair.topic not in saved


def test_a_second_display_of_the_panel(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel", ["panel"])
    kestrel.run(0)
    kestrel.chat.create("lobby")
    kestrel.chat.say("first")
    kestrel.run(1)
    second = Chat(kestrel.page, lambda page: page.locator('[data-lu="root"]').nth(1))
    expect(second.row("first")).to_be_visible()
    second.say("second")
    expect(kestrel.chat.row("second")).to_be_visible()
    expect(second.hook("row")).to_have_count(2)


def test_a_new_view_for_the_cell_output(pair: Pair) -> None:
    says_something(pair)
    pair.kestrel.cell(0).locator(".jp-OutputArea").first.click()
    pair.kestrel.command("notebook:create-output-view")
    view = Chat(pair.kestrel.page, lambda page: page.locator('.jp-LinkedOutputView [data-lu="root"]'))
    shows_the_same(view, pair)


def test_running_the_cell_again_gives_the_same_node(pair: Pair) -> None:
    says_something(pair)
    node = pair.kestrel.evaluate("id(panel.node)")
    pair.kestrel.run(0)
    shows_the_same(pair.kestrel.chat, pair)
    assert pair.kestrel.evaluate("id(panel.node)") == node


def test_a_restarted_kernel_joins_its_rooms_again(pair: Pair) -> None:
    says_something(pair)
    pair.kestrel.restart_kernel()
    expect(pair.otter.chat.hook("status")).to_have_text(re.compile("kestrel is away"))
    pair.kestrel.run(0)
    expect(pair.kestrel.chat.hook("status")).to_have_text("Connected to otter")
    expect(pair.kestrel.chat.hook("topic")).to_have_text(pair.topic)
    pair.otter.chat.say("welcome back")
    expect(pair.kestrel.chat.row("welcome back")).to_be_visible()


def test_a_second_kernel_on_one_profile_is_told(open_notebook: OpenNotebook, pair: Pair) -> None:
    import_and_start = f"import linkup_nb as lu\nlu.start({pair.kestrel.profile!r})"
    other = open_notebook("magpie", [import_and_start])
    other.start(1)
    expect(other.cell(1).locator(".jp-OutputArea")).to_contain_text(re.compile("ProfileInUse.*process \\d+", re.DOTALL))
    shows_nothing_wrong(pair)


def shows_nothing_wrong(pair: Pair) -> None:
    says_something(pair)
    shows_the_same(pair.kestrel.chat, pair)


def test_the_panel_in_a_sidecar(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel", ["panel = lu.chat(panel.node.path.name, sidecar=True)"])
    kestrel.run(0)
    kestrel.chat.create("lobby")
    kestrel.run(1)
    docked = Chat(
        kestrel.page,
        lambda page: page.locator(
            '.jp-LinkedOutputView [data-lu="root"], .lm-DockPanel-widget:not(.jp-NotebookPanel) [data-lu="root"]'
        ),
    )
    docked.say("from the side")
    expect(kestrel.chat.row("from the side")).to_be_visible()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_reads_well(pair: Pair, theme: str, width: int) -> None:
    says_something(pair)
    show(pair.kestrel, theme, width)
    root = pair.kestrel.chat.root
    root.scroll_into_view_if_needed()
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    expect(pair.kestrel.chat.row("energies are in the file")).to_be_in_viewport()
    expect(pair.kestrel.chat.hook("composer")).to_be_in_viewport()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    root.screenshot(path=SCREENSHOTS / f"{theme.split()[1].lower()}-{width}.png")


def show(notebook: Notebook, theme: str, width: int) -> None:
    notebook.page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    # JupyterLab's own panes keep their width: the panel itself is made as narrow as a phone.
    notebook.chat.root.evaluate(
        "(root, width) => { if (width < 1000) root.parentElement.style.width = `${width}px` }", width
    )
