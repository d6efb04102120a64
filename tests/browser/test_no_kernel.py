"""No kernel, another kernel, no way to the kernel: one true sentence each, and nothing is lost."""

import os
import re
import signal
import time

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenNotebook
from tests.browser.connection import Connection
from tests.browser.lab import PATIENCE, Chat, Notebook

STOPPED = (
    "The kernel has stopped: others no longer see you, and nothing goes out. Run the cell again to go on; your draft is"
    " kept."
)
RESTARTED = "The kernel has restarted, and what ran in it is gone. Run the cell again to go on; your draft is kept."
OFFLINE = "This page is offline. The kernel and your rooms go on without it; your draft is kept."
SAVED = """async () => {
    const {commands, serviceManager, shell} = window.jupyterapp;
    await commands.execute("docmanager:save");
    const {content} = await serviceManager.contents.get(shell.currentWidget.context.path);
    return "widgets" in content.metadata;
}"""
DRAFT = "half a sentence"


@pytest.fixture
def kestrel(open_notebook: OpenNotebook) -> Notebook:
    notebook = open_notebook("kestrel")
    notebook.run(0)
    notebook.chat.create("lobby")
    notebook.chat.say("said before")
    expect(notebook.chat.row("said before")).to_contain_text("nobody was here")
    notebook.chat.hook("composer").fill(DRAFT)
    return notebook


def says_only(chat: Chat, title: str, sentence: str) -> None:
    """The panel says this, and nothing else that is about the kernel."""
    expect(chat.hook("banner")).to_have_text(sentence)
    expect(chat.hook("status")).to_have_text(title)
    for silent in ("notice", "alone"):
        expect(chat.hook(silent)).to_be_hidden()
    expect(chat.error).to_have_count(0)
    expect(visible(chat.hook("pending"))).to_have_count(0)
    expect(chat.row("said before")).to_be_visible()
    expect(chat.hook("room-form")).to_be_hidden()
    expect(chat.hook("as-of")).to_have_text(re.compile(r"^as it was at \d\d:\d\d$"))
    expect(chat.hook("log")).to_have_css("filter", "grayscale(1)")


def visible(locator: Locator) -> Locator:
    return locator.locator("visible=true")


def sends_nothing(chat: Chat) -> None:
    for button in ("send", "attach", "record"):
        expect(chat.hook(button)).to_be_disabled()
    chat.hook("composer").press("Enter")
    expect(chat.hook("composer")).to_have_value(DRAFT)


def goes_on_after_the_next_run(notebook: Notebook) -> None:
    notebook.run(0)
    chat = notebook.chat
    expect(chat.hook("banner")).to_be_hidden()
    expect(chat.hook("room-name")).to_have_text("lobby")
    expect(chat.hook("composer")).to_have_value(DRAFT)
    chat.hook("composer").press("Enter")
    expect(chat.row(DRAFT)).to_be_visible()


def test_a_kernel_that_is_killed(kestrel: Notebook) -> None:
    os.kill(int(kestrel.evaluate("__import__('os').getpid()")), signal.SIGKILL)
    says_only(kestrel.chat, "Kernel restarted", RESTARTED)
    kestrel.page.get_by_role("button", name="Ok").click()  # of JupyterLab's own dialog
    sends_nothing(kestrel.chat)
    kestrel.idle()
    goes_on_after_the_next_run(kestrel)


def test_a_kernel_that_is_restarted(kestrel: Notebook) -> None:
    kestrel.restart_kernel()
    says_only(kestrel.chat, "Kernel restarted", RESTARTED)
    sends_nothing(kestrel.chat)
    goes_on_after_the_next_run(kestrel)


def test_a_kernel_that_is_shut_down(kestrel: Notebook) -> None:
    kestrel.command("kernelmenu:shutdown")
    says_only(kestrel.chat, "No kernel", STOPPED)
    sends_nothing(kestrel.chat)


def test_what_is_under_way_when_the_kernel_dies_comes_back(kestrel: Notebook) -> None:
    kernel = int(kestrel.evaluate("__import__('os').getpid()"))
    os.kill(kernel, signal.SIGSTOP)
    kestrel.chat.hook("composer").press("Enter")
    expect(kestrel.chat.hook("pending")).to_contain_text("Sending…")
    expect(kestrel.chat.hook("notice")).to_contain_text("The kernel is busy")
    os.kill(kernel, signal.SIGKILL)
    says_only(kestrel.chat, "Kernel restarted", RESTARTED)
    expect(kestrel.chat.hook("composer")).to_have_value(DRAFT)


def test_a_page_that_is_offline_and_comes_back(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel")
    connection = Connection(kestrel.page)
    kestrel.reload()
    kestrel.run(0)
    chat = kestrel.chat
    chat.create("lobby")
    chat.say("said before")
    expect(chat.row("said before")).to_contain_text("nobody was here")
    chat.hook("composer").fill(DRAFT)
    connection.lose()
    says_only(chat, "Page offline", OFFLINE)
    sends_nothing(chat)
    assert kestrel.evaluate("lu.run(panel.room.send('meanwhile')).text") == "'meanwhile'"
    connection.give_back()
    expect(chat.hook("banner")).to_be_hidden()
    expect(chat.row("meanwhile")).to_be_visible()
    expect(chat.hook("composer")).to_have_value(DRAFT)
    chat.hook("composer").press("Enter")
    expect(chat.row(DRAFT)).to_be_visible()


def test_a_node_that_is_closed(kestrel: Notebook) -> None:
    kestrel.evaluate("lu.run(panel.node.close())")
    chat = kestrel.chat
    expect(chat.hook("status")).to_have_text("Not connected: this node is closed.")
    expect(chat.row("said before")).to_be_visible()
    expect(chat.hook("room-form")).to_be_hidden()
    sends_nothing(chat)


def test_a_notebook_that_was_saved_with_its_widgets(kestrel: Notebook) -> None:
    deadline = time.monotonic() + PATIENCE  # their state may come with the next saving only
    while not kestrel.page.evaluate(SAVED) and time.monotonic() < deadline:
        pass
    saved = (kestrel.lab.notebooks / f"{kestrel.profile}.ipynb").read_text()
    assert "widget-state" in saved
    assert "said before" not in saved
    kestrel.shut_down_kernel()
    kestrel.reload()
    chat = kestrel.chat
    expect(chat.hook("banner")).to_have_text("Run the cell to open the chat.")
    expect(chat.root).to_have_text(re.compile(r"^\s*LinkUp\s*Run the cell to open the chat\.\s*$"), use_inner_text=True)
    goes_on_after_the_next_run(kestrel)
