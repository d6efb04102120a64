"""Pictures and files are looked at before they are sent, and the microphone is asked for."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import CHROMIUM, FLAGS, OpenNotebook
from tests.browser.lab import Lab, Notebook
from tests.browser.pictures import payload, picture

# Gives an element a clip, or drops it there: [kind, text, names of files].
GIVE = """(node, [kind, text, names, bytes]) => {
    const data = new DataTransfer();
    if (text) data.setData("text/plain", text);
    for (const name of names) {
        const type = name.endsWith(".png") ? "image/png" : "text/plain";
        data.items.add(new File([Uint8Array.from(bytes)], name, {type}));
    }
    const event = kind === "paste"
        ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
        : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    return node.dispatchEvent(event);
}"""
PICTURE = list(picture(64, 48))


@pytest.fixture(scope="module")
def kestrel(notebook_of_module: OpenNotebook) -> Notebook:
    notebook = notebook_of_module("kestrel")
    notebook.run(0)
    notebook.chat.create("lobby")
    return notebook


@pytest.fixture(autouse=True)
def empty(kestrel: Notebook) -> None:
    kestrel.chat.say("~clear")
    expect(kestrel.chat.hook("row")).to_have_count(0)
    expect(kestrel.chat.hook("waiting")).to_have_count(0)


def give(target: Locator, kind: Literal["paste", "drop", "dragover"], *names: str, text: str = "") -> bool:
    """Whether the browser does with it what it does of itself."""
    return bool(target.evaluate(GIVE, [kind, text, names, PICTURE]))


@pytest.mark.parametrize(
    ("kind", "place"), [("paste", "composer"), ("paste", "log"), ("drop", "log"), ("drop", "people")]
)
def test_a_picture_waits_and_goes_when_the_reader_says_so(
    kestrel: Notebook, kind: Literal["paste", "drop"], place: str
) -> None:
    chat = kestrel.chat
    chat.hook("composer").fill("for the record")
    assert not give(chat.hook(place), kind, "plot.png")
    waiting = chat.hook("waiting")
    expect(waiting).to_contain_text("plot.png")
    expect(waiting).to_contain_text("not sent yet")
    assert waiting.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    expect(chat.hook("composer")).to_be_focused()
    assert kestrel.evaluate("len(panel.room.messages)") == "0"

    kestrel.page.keyboard.press("Enter")
    expect(waiting).to_have_count(0)
    expect(chat.hook("row")).to_have_count(2)
    expect(chat.row("plot.png").locator('[data-lu="image"]')).to_have_attribute("data-state", "ready")
    assert kestrel.evaluate("[type(m).__name__ for m in panel.room.messages]") == "['TextMessage', 'LinkUpFileMessage']"


def test_what_is_removed_is_never_sent_and_the_text_stays(kestrel: Notebook) -> None:
    chat = kestrel.chat
    chat.hook("composer").fill("only this")
    give(chat.hook("composer"), "paste", "plot.png")
    give(chat.hook("log"), "drop", "notes.txt", "more.txt")
    chat.hook("waiting").filter(has_text="plot.png").locator('[data-lu="remove"]').click()
    chat.hook("waiting").filter(has_text="more.txt").locator('[data-lu="remove"]').click()
    expect(chat.hook("composer")).to_be_focused()
    expect(chat.hook("composer")).to_have_value("only this")
    chat.hook("send").click()
    expect(chat.row("notes.txt")).to_be_visible()
    expect(chat.hook("row")).to_have_count(2)


def test_text_wins_over_a_picture_of_the_same_clip(kestrel: Notebook) -> None:
    chat = kestrel.chat
    # The cells of a spreadsheet: the browser pastes the text of itself, into the composer.
    assert give(chat.hook("composer"), "paste", "image.png", text="a\tb\n1\t2")
    expect(chat.hook("waiting")).to_have_count(0)
    # Where nothing takes text, it goes to where one writes.
    assert not give(chat.hook("log"), "paste", "image.png", text="a\tb")
    expect(chat.hook("composer")).to_have_value("a\tb")
    expect(chat.hook("waiting")).to_have_count(0)
    chat.hook("composer").fill("")
    # A file manager's clip names its files in the text.
    give(chat.hook("composer"), "paste", "plot.png", text="/home/kestrel/plot.png")
    expect(chat.hook("waiting")).to_contain_text("plot.png")
    chat.hook("remove").click()


def test_each_room_has_its_own_tray_and_draft(kestrel: Notebook) -> None:
    chat = kestrel.chat
    chat.hook("composer").fill("for the lobby")
    give(chat.hook("log"), "drop", "plot.png")
    chat.create("physics")
    expect(chat.hook("waiting")).to_have_count(0)
    expect(chat.hook("composer")).to_have_value("")
    chat.hook("room").filter(has_text="lobby").click()
    expect(chat.hook("waiting")).to_contain_text("plot.png")
    expect(chat.hook("composer")).to_have_value("for the lobby")
    chat.hook("remove").click()
    chat.hook("composer").fill("")


def test_a_drop_on_the_profile_sets_the_picture_of_oneself(kestrel: Notebook) -> None:
    chat = kestrel.chat
    before = kestrel.evaluate("panel.node.avatar")
    chat.hook("me").click()
    give(chat.hook("profile-form"), "drop", "me.png")
    expect(chat.hook("avatar-preview")).to_have_css("background-image", re.compile("blob:"))
    expect(chat.hook("waiting")).to_have_count(0)
    assert kestrel.evaluate("panel.node.avatar") == before
    chat.hook("save-profile").click()
    expect(chat.hook("profile-form")).to_be_hidden()
    assert kestrel.evaluate("panel.node.avatar") != before
    assert kestrel.evaluate("len(panel.room.messages)") == "0"

    chat.hook("me").click()
    give(chat.hook("name"), "paste", "other.png")
    expect(chat.hook("avatar-preview")).to_have_css("background-image", re.compile("blob:"))
    chat.hook("cancel-profile").click()


def test_names_are_shown_as_they_are(kestrel: Notebook) -> None:
    chat = kestrel.chat
    for name in (".env", "two  spaces.txt"):
        chat.hook("file-input").set_input_files(payload(name, b"1"))
        assert chat.hook("waiting").locator("bdi").evaluate("name => name.innerText") == name
        chat.hook("send").click()
        shown = chat.hook("row").last.locator('[data-lu="file-name"]')
        expect(shown).to_have_js_property("innerText", name)
        expect(chat.hook("row").last.locator('[data-lu="download"]')).to_have_attribute(
            "aria-label", f"Download {name}"
        )


def test_a_drop_never_reaches_the_notebook(open_notebook: OpenNotebook) -> None:
    """Also where there is no room to send it to."""
    notebook = open_notebook("kestrel")
    notebook.run(0)
    assert not give(notebook.chat.hook("people"), "dragover", "plot.png")
    assert not give(notebook.chat.hook("people"), "drop", "plot.png")
    expect(notebook.chat.error).to_have_text("You are in no room: create or join one first, to send a file there.")


def test_a_microphone_that_is_refused_is_told_at_once(lab: Lab, browser: Browser) -> None:
    refusing = [f"{flag}=deny" if flag == "--use-fake-ui-for-media-stream" else flag for flag in FLAGS]
    strict = browser.browser_type.launch(executable_path=CHROMIUM, args=refusing)
    lab.write_profile("refused", "kestrel")
    notebook = Notebook(lab, strict, "refused", [])
    notebook.run(0)
    notebook.chat.create("lobby")
    notebook.chat.hook("record").click()
    expect(notebook.chat.error).to_have_text(
        "The browser does not let this page use the microphone: allow it beside the page's address, or attach a sound"
        " file instead.",
        timeout=2_000,
    )
    expect(notebook.chat.hook("notice")).to_be_hidden()
    expect(notebook.chat.hook("record")).to_have_attribute("aria-pressed", "false")
    notebook.close()
    strict.close()
