"""The same panel seen again: other views, other loads of the page, another kernel, other sizes and themes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook, Pair
from tests.browser.lab import Chat, Notebook
from tests.browser.pictures import payload, picture

SCREENSHOTS = Path(__file__).parents[1] / ".cache" / "screenshots"


def says_something(pair: Pair) -> None:
    pair.kestrel.chat.say("Did the run at **T = 2.27** finish?")
    pair.otter.chat.say("It did, energies are in the file.")
    expect(pair.kestrel.chat.row("energies are in the file")).to_be_visible()


def shows_the_same(chat: Chat, pair: Pair) -> None:
    expect(chat.row("Did the run at T = 2.27 finish?")).to_be_visible()
    expect(chat.row("energies are in the file")).to_be_visible()
    expect(chat.hook("row")).to_have_count(2)
    chat.shows(pair.topic)
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


def test_a_new_view_for_the_cell_output(fresh_pair: Pair) -> None:
    says_something(fresh_pair)
    fresh_pair.kestrel.cell(0).locator(".jp-OutputArea").first.click()
    fresh_pair.kestrel.command("notebook:create-output-view")
    view = Chat(fresh_pair.kestrel.page, lambda page: page.locator('.jp-LinkedOutputView [data-lu="root"]'))
    shows_the_same(view, fresh_pair)


def test_running_the_cell_again_gives_the_same_node(pair: Pair) -> None:
    says_something(pair)
    node = pair.kestrel.evaluate("id(panel.node)")
    pair.kestrel.run(0)
    shows_the_same(pair.kestrel.chat, pair)
    assert pair.kestrel.evaluate("id(panel.node)") == node


def test_a_restarted_kernel_joins_its_rooms_again(fresh_pair: Pair) -> None:
    says_something(fresh_pair)
    fresh_pair.kestrel.restart_kernel()
    expect(fresh_pair.otter.chat.hook("status")).to_have_text(re.compile("kestrel is away"))
    fresh_pair.kestrel.run(0)
    expect(fresh_pair.kestrel.chat.hook("status")).to_have_text("Connected to otter")
    fresh_pair.kestrel.chat.shows(fresh_pair.topic)
    fresh_pair.otter.chat.say("welcome back")
    expect(fresh_pair.kestrel.chat.row("welcome back")).to_be_visible()


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


def test_the_picture_of_the_readme(open_notebook: OpenNotebook) -> None:
    """A conversation and a drive as they look in JupyterLab: `notebooks/chat.png` is a copy of what this saves."""
    size = {"width": 1280, "height": 1240}
    kestrel = open_notebook("kestrel", [EXPLORE], viewport=size)
    otter = open_notebook("otter", viewport=size)
    kestrel.run(0)
    otter.run(0)
    kestrel.command("apputils:change-theme", theme="JupyterLab Light")
    kestrel.chat.create("lattice", linkup=False)
    otter.chat.join(kestrel.chat.invite())
    expect(kestrel.chat.hook("status")).to_have_text("Connected to otter")
    kestrel.chat.say("Did the run at **T = 2.27** finish?")
    otter.chat.row("T = 2.27").hover()
    otter.chat.hook("act-reply").click()
    otter.chat.say('Yes. The energies:\n\n```python\ne = pd.read_csv("energies.csv")\ne.groupby("T").E.mean()\n```')
    expect(kestrel.chat.row("groupby")).to_be_visible()
    otter.chat.attach(payload("lattice.png", picture(220, 110)))
    shown_image = kestrel.chat.row("lattice.png").locator('[data-lu="image"]')
    expect(shown_image).to_have_attribute("data-state", "ready")
    kestrel.chat.row("groupby").hover()
    kestrel.chat.hook("act-react").click()
    kestrel.chat.root.get_by_role("button", name="❤️", exact=True).click()
    kestrel.chat.say("Looks critical to me, @otter. Same at *L* = 64?")
    expect(kestrel.chat.row("Same at L = 64?")).to_contain_text("read by 1")
    kestrel.evaluate(f"exec({DRIVE!r}, globals())")
    kestrel.run(1)
    explorer = Chat(kestrel.page, lambda page: page.locator(".lu-alone-tab"))
    for name in ("runs", "energies.csv"):
        explorer.hook("files").get_by_role("button", name=name).click()
    expect(explorer.root.locator(".lu-own-mark").first).to_be_attached()
    explorer.hook("slider-compare").click()
    expect(explorer.hook("diff-now").first).to_be_visible()
    expect(kestrel.page.locator("body")).to_have_attribute("data-jp-theme-light", "true")
    kestrel.command("application:toggle-left-area")
    expect(kestrel.page.locator("#jp-left-stack")).to_be_hidden()
    kestrel.page.locator(".jp-NotebookPanel-notebook").evaluate("notebook => notebook.scrollTo(0, 0)")
    kestrel.page.mouse.move(0, 0)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    kestrel.page.screenshot(path=SCREENSHOTS / "chat.png")


DRIVE = r"""
async def results():
    drive = await panel.node.drive(name="results")
    await drive.put("/notes.md", b"# Ising, 2d")
    rows = [b"T,L,E", b"2.26,64,-1.413", b"2.27,64,-1.402", b"2.28,64,-1.391"]
    for number in range(2, 5):
        await drive.put("/runs/energies.csv", b"\n".join(rows[:number]) + b"\n")
    await drive.put("/runs/log.txt", b"done")
    rows[2] = b"2.27,64,-1.404"
    await drive.put("/runs/energies.csv", b"\n".join([*rows, b"2.29,64,-1.380"]) + b"\n")
    return drive

drive = lu.run(results())
"""
EXPLORE = """drive = panel.node.drives["results"]
lu.explore(drive)"""


@pytest.mark.parametrize("width", ["100%", "400px"])
@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_it_reads_well(pair: Pair, theme: str, width: str) -> None:
    says_something(pair)
    chat = pair.kestrel.chat
    with shown(pair.kestrel, theme, width):
        assert chat.root.evaluate("root => root.scrollWidth <= root.clientWidth")
        expect(chat.row("energies are in the file")).to_be_in_viewport()
        expect(chat.hook("composer")).to_be_in_viewport()
        expect(chat.hook("status")).to_be_in_viewport()
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        chat.root.screenshot(path=SCREENSHOTS / f"{theme.split()[1].lower()}-{width.rstrip('%px')}.png")


@contextmanager
def shown(notebook: Notebook, theme: str, width: str) -> Iterator[None]:
    """The panel in a theme, in an output as wide as this; JupyterLab around it stays as it is."""
    notebook.command("apputils:change-theme", theme=theme)
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    resize = "(root, width) => { root.parentElement.style.width = width }"
    notebook.chat.root.evaluate(resize, width)
    notebook.chat.root.scroll_into_view_if_needed()
    yield
    notebook.chat.root.evaluate(resize, "")


def test_the_side_columns_are_made_wider_and_folded(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel", viewport={"width": 1600, "height": 900})
    kestrel.run(0)
    chat = kestrel.chat
    chat.create("lobby")
    for edge, column, direction in (("edge-left", "left", 1), ("edge-right", "people", -1)):
        before = chat.hook(column).bounding_box()
        chat.hook(edge).scroll_into_view_if_needed()
        box = chat.hook(edge).bounding_box()
        assert before
        assert box
        middle = (box["x"] + box["width"] / 2, box["y"] + 50)
        kestrel.page.mouse.move(*middle)
        kestrel.page.mouse.down()
        kestrel.page.mouse.move(middle[0] + 40 * direction, middle[1], steps=4)
        kestrel.page.mouse.up()
        after = chat.hook(column).bounding_box()
        assert after
        assert after["width"] == before["width"] + 40
        chat.hook(edge).press("Home")
        expect(chat.hook(edge)).to_have_attribute("aria-valuenow", "160")
    chat.hook("edge-left").press("ArrowRight")
    kestrel.reload()
    kestrel.run(0)
    expect(chat.hook("edge-left")).to_have_attribute("aria-valuenow", "176")
    chat.hook("edge-left").dblclick()
    expect(chat.hook("left")).to_be_hidden()
    chat.hook("show-rooms").click()
    expect(chat.hook("left")).to_be_visible()
    assert chat.hook("left").evaluate("node => node.offsetWidth") == 176
    chat.hook("edge-right").press("Enter")
    expect(chat.hook("people")).to_be_hidden()
    chat.hook("show-peers").click()
    expect(chat.hook("people")).to_be_visible()
