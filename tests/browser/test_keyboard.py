"""Where keys go: into the chat, and never to the notebook around it, which takes letters as commands on its cells."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Notebook

# What is clicked in the panel; "author" and "log" are of the transcript.
PLACES = ["brand", "status", "people", "room-name", "topic", "expression", "author", "log", "me"]
COMMANDS = "mdayx"  # of a notebook: Markdown, delete (twice), insert above, to code, cut


@pytest.fixture(scope="module")
def kestrel(notebook_of_module: OpenNotebook) -> Notebook:
    notebook = notebook_of_module("kestrel", ["1 + 1"])
    notebook.run(0)
    notebook.chat.create("lobby")
    notebook.chat.say("hello")
    expect(notebook.chat.hook("footer")).to_be_hidden()  # nothing is selected
    notebook.chat.row("hello").locator('[data-lu="body"]').click()
    expect(notebook.chat.hook("expression")).to_contain_text("panel.selection")
    return notebook


def cells(notebook: Notebook) -> list[str]:
    every = notebook.page.locator(".jp-Notebook .jp-Cell")
    kinds = every.evaluate_all("cells => cells.map(cell => cell.classList.contains('jp-CodeCell') ? 'code' : 'other')")
    return list(kinds)


@pytest.mark.parametrize("place", PLACES)
def test_a_click_keeps_the_focus_and_letters_go_where_one_writes(kestrel: Notebook, place: str) -> None:
    page, chat = kestrel.page, kestrel.chat
    before = cells(kestrel)
    if place == "people":
        chat.show_people()
    chat.hook(place).first.click()
    assert chat.root.evaluate("root => root.contains(document.activeElement)")
    page.keyboard.type(COMMANDS)
    field = chat.hook("name" if place == "me" else "composer")
    expect(field).to_have_value(re.compile(f"{COMMANDS}$"))
    expect(field).to_be_focused()
    assert cells(kestrel) == before
    assert kestrel.evaluate("6 * 7") == "42"
    field.fill("")
    chat.fold_people()
    if place == "me":
        chat.hook("cancel-profile").click()


def test_keys_that_press_and_move_stay_what_they_are(kestrel: Notebook) -> None:
    page, chat = kestrel.page, kestrel.chat
    chat.hook("author").first.click()
    for key in ("Control+c", "ArrowUp", " ", "Shift", "Delete", "Backspace"):
        page.keyboard.press(key)
    expect(chat.hook("composer")).to_have_value("")
    expect(chat.hook("composer")).not_to_be_focused()
    assert cells(kestrel) == ["code", "code"]


def test_text_is_pasted_where_one_writes(kestrel: Notebook) -> None:
    page, chat = kestrel.page, kestrel.chat
    page.evaluate("navigator.clipboard.writeText('from elsewhere')")
    chat.hook("status").click()
    page.keyboard.press("Control+v")
    expect(chat.hook("composer")).to_have_value("from elsewhere")
    assert cells(kestrel) == ["code", "code"]
    chat.hook("composer").fill("")


def test_what_has_the_focus_and_goes_leaves_it_in_the_panel(kestrel: Notebook) -> None:
    page, chat = kestrel.page, kestrel.chat
    chat.hook("more").click()
    chat.root.get_by_role("menuitem", name="Leave").click()
    chat.hook("leave-cancel").click()
    page.keyboard.type(COMMANDS)
    expect(chat.hook("composer")).to_have_value(COMMANDS)
    assert cells(kestrel) == ["code", "code"]
    chat.hook("composer").fill("")


def test_escape_cancels_and_then_leaves_the_panel(kestrel: Notebook) -> None:
    page, chat = kestrel.page, kestrel.chat
    chat.hook("me").click()
    expect(chat.hook("name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(chat.hook("composer")).to_be_focused()
    page.keyboard.press("Escape")
    expect(kestrel.cell(0)).to_be_focused()


def test_the_enter_that_ends_a_composition_sends_nothing(kestrel: Notebook) -> None:
    composer = kestrel.chat.hook("composer")
    composer.fill("にほん")
    # Safari ends the composition first: its Enter is marked by the key code alone.
    for composing in ("{isComposing: true}", "{keyCode: 229}"):
        composer.evaluate(
            f"node => node.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true, ...{composing}}}))"
        )
        expect(composer).to_have_value("にほん")
    composer.press("Enter")
    expect(composer).to_have_value("")
    expect(kestrel.chat.row("にほん")).to_have_count(1)
