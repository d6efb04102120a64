"""The Drive tab: versions, changes and files of a drive, by hand."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Chat, Notebook

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
    expect(chat.hook("diff-line").filter(has_text="2.26")).to_have_attribute("data-sign", "+")
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
