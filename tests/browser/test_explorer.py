"""The Drive tab: versions, changes and files of a drive, by hand."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Chat, Notebook
from tests.browser.test_views import SCREENSHOTS

FILL = """async def fill():
    drive = await panel.node.drive(name="results")
    for number in range(3):
        await drive.put("/runs/energies.csv", b"T,L\\n" + b"2.26,64\\n" * (number + 1))
    await drive.put("/<img src=x onerror=pwned.push(1)>.md", b"# <b onclick=alert(1)>hostile</b> [a](javascript:b)")
    await drive.put("/picture.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='pwned.push(2)'/>")

lu.run(fill())
"""
GROW = """lu.run(panel.drive.put("/runs/later.txt", b"while one looks"))
"""
PICTURES = """import io
from PIL import Image

async def fill():
    drive = await panel.node.drive(name="results")
    for width in (64, 96):
        out = io.BytesIO()
        Image.effect_mandelbrot((width, 48), (-2.4, -1.0, 1.6, 1.0), 40).save(out, "PNG")
        await drive.put("/plot.png", out.getvalue())
    for text in (b"T,L\\n2.26,64\\n2.27,64\\n", b"T,L\\n2.26,64\\n2.27,128\\n2.28,64\\n"):
        await drive.put("/t.csv", text)

lu.run(fill())
"""


@pytest.fixture
def kestrel(open_notebook: OpenNotebook) -> Notebook:
    notebook = open_notebook("kestrel", [FILL, GROW])
    notebook.run(0)
    notebook.run(1)
    notebook.chat.create("lobby", linkup=False)
    notebook.chat.root.get_by_role("tab", name="Drive").click()
    notebook.chat.root.locator(".lu-drive").filter(has_text="results").click()
    return notebook


def select(chat: Chat, *names: str) -> None:
    for name in names:
        chat.hook("files").get_by_role("button", name=name).click()


def test_versions_are_gone_through_and_compared_by_keys(kestrel: Notebook) -> None:
    chat, page = kestrel.chat, kestrel.page
    select(chat, "runs", "energies.csv")
    expect(chat.hook("file-body").locator("tbody tr")).to_have_count(3)
    expect(chat.hook("expression")).to_have_text(
        re.compile(r"^await .*drives\['results'\].get\('/runs/energies.csv'\)$")
    )
    handle = chat.root.get_by_role("slider")
    handle.focus()
    page.keyboard.press("Home")
    expect(handle).to_have_attribute("aria-valuetext", "version 1")
    page.keyboard.press("Shift+ArrowRight")
    expect(handle).to_have_attribute("aria-valuetext", "version 2")
    expect(chat.hook("file-body").locator("tbody tr")).to_have_count(1)
    expect(chat.hook("file-restore")).to_have_text("Restore as v7")
    chat.hook("slider-newest").click()
    chat.hook("slider-compare").click()
    expect(chat.hook("file-summary")).to_have_text("+1 -0 row")
    expect(chat.hook("diff-row").filter(has_text="2.26")).to_have_attribute("data-sign", "+")
    assert kestrel.evaluate("panel.versions") == "(3, 6)"
    assert kestrel.evaluate("panel.selection").startswith("Comparison(")


def test_what_is_put_while_one_looks_appears(kestrel: Notebook) -> None:
    chat = kestrel.chat
    select(chat, "runs")
    kestrel.run(2)
    expect(chat.hook("files")).to_contain_text("later.txt")
    expect(chat.root.get_by_role("slider")).to_have_attribute("aria-valuetext", "version 7")


def test_where_a_text_began_is_found_and_restored(kestrel: Notebook) -> None:
    chat = kestrel.chat
    select(chat, "runs", "energies.csv")
    chat.hook("find-text").fill("2.26")
    chat.hook("find-text").press("Enter")
    expect(chat.hook("find-note")).to_contain_text("In the file since v2.")
    expect(chat.hook("file-body").locator("tbody tr")).to_have_count(1)
    chat.hook("file-restore").click()
    expect(chat.hook("file-version").first).to_contain_text("v7")


def test_hostile_names_and_contents_are_only_text(kestrel: Notebook) -> None:
    chat = kestrel.chat
    select(chat, "<img src=x onerror=pwned.push(1)>.md")
    expect(chat.hook("file-body").locator("h1")).to_contain_text("hostile")
    expect(chat.hook("file-body").locator("a[href^=javascript]")).to_have_count(0)
    select(chat, "picture.svg")
    expect(chat.hook("file-body")).to_contain_text("onload")


def test_bad_keys_are_answered_where_they_are_typed(kestrel: Notebook) -> None:
    chat = kestrel.chat
    chat.hook("mount-key").fill("not a key")
    chat.hook("mount-key").press("Enter")
    expect(chat.hook("drive-error")).to_contain_text("64 hexadecimal digits")
    chat.hook("new-drive").fill("notes")
    chat.hook("new-drive").press("Enter")
    expect(chat.root.locator('.lu-drive[aria-current="true"]')).to_contain_text("notes")
    expect(chat.hook("listing-note")).to_have_text("Nothing is in this folder.")


def test_a_file_is_dropped_and_saved(kestrel: Notebook) -> None:
    chat, page = kestrel.chat, kestrel.page
    expect(chat.hook("drop-zone")).to_contain_text("as v7")
    chat.root.evaluate(
        """root => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(["dropped here"], "dropped.txt"));
            root.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }"""
    )
    select(chat, "dropped.txt")
    expect(chat.hook("file-body")).to_contain_text("dropped here")
    with page.expect_download() as download:
        chat.hook("file-save").click()
    assert download.value.path().read_text() == "dropped here"


def test_a_folder_is_mirrored_and_restored_from_the_menu(kestrel: Notebook, tmp_path: Path) -> None:
    chat, page = kestrel.chat, kestrel.page
    out = tmp_path / "out"
    chat.hook("drive-more").click()
    chat.root.get_by_role("menuitem", name="Mirror to a folder of this computer…").click()
    chat.hook("mirror-local").fill(str(out))
    chat.hook("mirror-local").press("Enter")
    expect(chat.hook("mirror-note")).to_contain_text("It would add 3 files")
    expect(chat.hook("mirror-python")).to_contain_text("mirror_to(")
    page.screenshot(path=SCREENSHOTS / "mirror.png")
    chat.hook("mirror-do").click()
    expect(chat.hook("mirror-note")).to_contain_text("Added 3 files")
    assert (out / "runs" / "energies.csv").read_bytes().count(b"2.26") == 3
    page.keyboard.press("Escape")
    chat.root.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    chat.hook("drive-more").click()
    chat.root.get_by_role("menuitem", name="Restore all of it from v2").click()
    expect(chat.hook("drive-note")).to_have_text(re.compile(r"^Restored: 3 files, as v\d+\.$"))
    chat.hook("slider-newest").click()
    select(chat, "runs", "energies.csv")
    expect(chat.hook("file-body").locator("tbody tr")).to_have_count(1)


def test_pictures_and_tables_are_compared_side_by_side(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("kestrel", [PICTURES])
    notebook.run(0)
    notebook.run(1)
    chat = notebook.chat
    chat.create("lobby", linkup=False)
    chat.root.get_by_role("tab", name="Drive").click()
    chat.root.locator(".lu-drive").filter(has_text="results").click()
    select(chat, "plot.png")
    expect(chat.root.locator(".lu-own-mark")).to_have_count(2)
    chat.hook("slider-compare").click()
    images = chat.hook("file-picture")
    expect(images).to_have_count(2)
    expect(chat.hook("side-caption")).to_have_text(["v2", "v5"])
    for image, width in zip(images.all(), (64, 96), strict=True):
        expect(image).to_have_js_property("naturalWidth", width)
    notebook.page.screenshot(path=SCREENSHOTS / "pictures.png")
    chat.hook("slider-compare").click()
    select(chat, "t.csv")
    expect(chat.hook("file-history").locator("tr")).to_have_count(2)
    expect(chat.root.locator(".lu-own-mark").last).to_have_attribute("x1", "1000.0")
    chat.hook("slider-compare").click()
    expect(chat.hook("file-summary")).to_have_text("1 row changed, +1 -0")
    expect(chat.hook("diff-was")).to_have_text("64")
    expect(chat.hook("diff-now")).to_have_text("128")
    notebook.page.screenshot(path=SCREENSHOTS / "cells.png")
