"""Rooms with memory, as two people in two notebooks see them."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenNotebook
from tests.browser.hostile import BREAKOUT, RUN, STRANGER, TEXTS
from tests.browser.lab import Chat, Notebook
from tests.browser.pictures import payload, picture
from tests.browser.test_hostile import STRANGE
from tests.browser.test_views import SCREENSHOTS
from tests.peer import Peer

BODIES: list[tuple[str, dict[str, Any]]] = [
    ("file", {"file_name": BREAKOUT + ".png", "path": "/<img src=STRANGER/x onerror=RUN>", "version": 1, "size": 9}),
    ("file", {"file_name": "x.svg", "path": "/x.svg", "version": 1, "size": 9, "mime": "image/svg+xml"}),
    (
        "file",
        {
            "file_name": "x.png",
            "path": "/x",
            "version": 1,
            "size": 2**50,
            "mime": "image/png",
            "width": 2**40,
            "height": 1,
        },
    ),
    ("audio", {"file_name": BREAKOUT, "path": "/../../x", "version": 2**40, "size": 1, "duration": 1e308}),
    ("topic", {"message": "<script>RUN</script>\u202e" + BREAKOUT}),
    ("channel", {"name": "<svg onload=RUN>", "topic": BREAKOUT}),
    ("icon", {"name": BREAKOUT}),
    ("hide", {"member": "y" * 52, "reason": BREAKOUT}),
    ("role", {"member": "y" * 52, "role": BREAKOUT}),
    ("output", {"data": {}, "path": BREAKOUT, "version": 1}),
    (
        "output",
        {"data": {}, "metadata": {"image/png": {"width": 2**40, "height": -1}}, "path": "/../x", "version": 2**40},
    ),
    ("output", {"data": {"text/html": f"<table><tr><td>{BREAKOUT}<script>RUN</script></table>", "x/y": BREAKOUT}}),
    ("output", {"data": {"text/markdown": f"[click](javascript:RUN) {BREAKOUT}", "image/png": "PHN2Zy8+"}}),
    ("output", {"data": {"image/svg+xml": "<svg onload=RUN></svg>", "text/plain": "<script>RUN</script>"}}),
    ("output", {"data": {"application/javascript": "RUN", "text/latex": r"$\href{javascript:RUN}{x}$"}}),
]
"""Blocks of every kind whose fields a stranger may fill as they like."""

HISTORY = 1_500  # messages of a room that is scrolled through


@pytest.fixture(scope="module")
def pair(notebook_of_module: OpenNotebook) -> tuple[Notebook, Notebook]:
    """Two members of one room: kestrel has founded it, otter has come by the invite that she copied."""
    kestrel, otter = notebook_of_module("kestrel"), notebook_of_module("otter")
    for notebook in (kestrel, otter):
        notebook.run(0)
    kestrel.chat.create("physics", linkup=False)
    otter.chat.join(kestrel.chat.invite())
    for notebook in (kestrel, otter):
        expect(notebook.chat.hook("room-name")).to_have_text("physics")
        expect(notebook.chat.hook("status")).to_have_text(re.compile("^Connected to"))
    return kestrel, otter


def act(chat: Chat, row: Locator, item: str, *, sure: bool = False) -> None:
    """Pick an item of a message's menu, and again where it asks first."""
    row.hover()
    chat.hook("act-more").click()
    for _ in range(1 + sure):
        chat.hook("menu-item").filter(has_text=item).click()


def says(here: Notebook, there: Notebook, text: str) -> tuple[Locator, Locator]:
    """The rows of a message at who writes it and at who reads it."""
    here.chat.say(text)
    expect(here.chat.row(text)).to_be_visible()
    expect(there.chat.row(text)).to_be_visible()
    return here.chat.row(text), there.chat.row(text)


def test_what_is_retracted_keeps_its_place_and_says_what_that_cannot_do(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    mine, _ = says(kestrel, otter, "a slip of the tongue")
    act(kestrel.chat, mine, "Retract", sure=True)
    for chat, who in ((kestrel.chat, "you"), (otter.chat, "kestrel")):
        expect(chat.row(f"Retracted by {who}. Others may have kept it.")).to_be_visible()
        expect(chat.row("a slip of the tongue")).to_have_count(0)


def test_a_reply_quotes_and_leads_to_what_it_answers(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    _, theirs = says(kestrel, otter, "is it critical?")
    theirs.hover()
    otter.chat.hook("act-reply").click()
    expect(otter.chat.hook("context-words")).to_contain_text("kestrel")
    otter.chat.say("almost, @kestrel")
    answer = kestrel.chat.row("almost, @kestrel")
    expect(answer).to_have_attribute("data-mention", "true")
    expect(answer.locator('[data-lu="at"]')).to_have_text("@kestrel")
    expect(answer.locator('[data-lu="quote"]')).to_have_text("kestrel is it critical?")
    answer.locator('[data-lu="quote"]').click()
    expect(kestrel.chat.row("is it critical?").first).to_be_focused()


def test_a_reaction_is_everybodys_and_a_second_click_takes_it_back(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    mine, theirs = says(kestrel, otter, "it works")
    theirs.hover()
    otter.chat.hook("act-react").click()
    otter.chat.root.get_by_role("button", name="🎉", exact=True).click()
    expect(mine.locator('[data-lu="reaction"]')).to_have_text("🎉 1")
    mine.locator('[data-lu="reaction"]').click()
    expect(theirs.locator('[data-lu="reaction"]')).to_have_text("🎉 2")
    theirs.locator('[data-lu="reaction"]').click()
    expect(mine.locator('[data-lu="reaction"]')).to_have_text("🎉 1")


def test_the_up_arrow_edits_what_one_wrote_last_and_the_versions_stay(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    says(kestrel, otter, "T is 2.3")
    composer = kestrel.chat.hook("composer")
    composer.press("ArrowUp")
    expect(composer).to_have_value("T is 2.3")
    composer.fill("T is 2.269")
    composer.press("Enter")
    edited = otter.chat.row("T is 2.269")
    edited.locator('[data-lu="edited"]').click()
    expect(otter.chat.hook("edition-text")).to_have_text(["T is 2.3\n", "T is 2.269\n"])
    otter.page.keyboard.press("Escape")


def test_who_is_muted_is_folded_who_is_blocked_is_gone_and_both_come_back(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    says(otter, kestrel, "spam, spam, spam")
    row = kestrel.chat.hook("row").filter(has=kestrel.page.locator(".lu-aside")).last
    act(kestrel.chat, kestrel.chat.row("spam, spam, spam"), "Mute otter")
    expect(row).to_contain_text("You have muted who wrote this.")
    row.locator('[data-lu="unfold"]').click()
    expect(kestrel.chat.row("spam, spam, spam")).to_be_visible()
    kestrel.chat.say("~mute --off otter")
    expect(kestrel.chat.row("You have muted who wrote this.")).to_have_count(0)
    act(kestrel.chat, kestrel.chat.row("spam, spam, spam"), "Block otter", sure=True)
    expect(row).to_contain_text("You have blocked who wrote this.")
    kestrel.chat.say("~block --off otter")
    expect(kestrel.chat.row("spam, spam, spam")).to_be_visible()


def test_a_channel_has_its_own_log_and_counts_what_is_unread_there(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    kestrel.chat.hook("more").click()
    kestrel.chat.hook("menu-item").filter(has_text="New channel").click()
    kestrel.chat.hook("ask-input").fill("results")
    kestrel.chat.hook("ask-save").click()
    line = '[data-lu="room"][data-channel="results"]'
    kestrel.chat.root.locator(line).click()
    expect(kestrel.chat.hook("channel-name")).to_have_text(re.compile("results$"))
    kestrel.chat.say("the first result, @otter")
    theirs = otter.chat.root.locator(line)
    expect(theirs.locator('[data-lu="unread"]')).to_have_text("1")
    expect(theirs.locator('[data-lu="mentions"]')).to_have_text("@1")
    expect(otter.chat.row("the first result")).to_have_count(0)
    theirs.click()
    expect(otter.chat.row("the first result")).to_be_visible()
    expect(theirs.locator('[data-lu="unread"]')).to_be_hidden()
    for chat in (kestrel.chat, otter.chat):
        chat.root.locator('[data-lu="room"][data-sign="room"]').click()
        expect(chat.hook("channel-name")).to_have_text(re.compile("main$"))


def test_a_file_is_fetched_from_its_senders_drive_in_every_version(
    pair: tuple[Notebook, Notebook], tmp_path: Path
) -> None:
    kestrel, otter = pair
    for text in ("one", "one two"):
        kestrel.chat.attach(payload("notes.txt", text.encode()))
    cards = otter.chat.hook("row").filter(has=otter.page.locator('[data-lu="file-name"]', has_text="notes.txt"))
    expect(cards).to_have_count(2)
    newest = cards.last
    expect(newest.locator('[data-lu="file-size"]')).to_have_text(re.compile("^7 bytes · from kestrel.s drive$"))
    newest.locator('[data-lu="versions"]').click()
    saves = otter.chat.hook("save-version")
    expect(saves).to_have_count(2)
    saved = []
    for place in range(2):
        with otter.page.expect_download() as download:
            saves.nth(place).click()
        assert download.value.suggested_filename == "notes.txt"
        saved.append(download.value.path().read_text())
    assert sorted(saved) == ["one", "one two"]
    otter.page.keyboard.press("Escape")
    kestrel.chat.attach(payload("plot.png", picture(400, 300)))
    image = otter.chat.hook("image").last
    expect(image).to_have_attribute("data-state", "ready")
    assert image.evaluate("node => [node.width, node.height]") == image.evaluate(
        "node => [Number(node.getAttribute('width')), Number(node.getAttribute('height'))]"
    )


OUTPUTS = f"""
import io
import pandas as pd
from IPython.display import HTML, Image, Markdown

await panel.room.send(pd.DataFrame({{"T": [2.2, 2.3], "chi <b>": [1.5, "<script>{RUN}</script>"]}}))
await panel.room.send(Image(data=open("SMALL", "rb").read()))
await panel.room.send(Image(data=open("LARGE", "rb").read()))
await panel.room.send(Markdown("a **bold** word"))
await panel.room.send(HTML("<img src={STRANGER}/x.png onerror={RUN}><script>{RUN}</script><p onclick={RUN}>x</p>"))
await panel.room.send({{"answer": 42}})
"""


def test_what_a_cell_shows_is_seen_by_the_others(open_notebook: OpenNotebook, tmp_path: Path) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(picture(64, 48))
    large.write_bytes(picture(800, 600))
    cell = OUTPUTS.replace("{number}", "1").replace("SMALL", str(small)).replace("LARGE", str(large))
    kestrel, otter = open_notebook("kestrel", cells=[cell]), open_notebook("otter")
    kestrel.run(0)
    otter.run(0)
    kestrel.chat.create("outputs", linkup=False)
    otter.chat.join(kestrel.chat.invite())
    kestrel.run(1)
    chat = otter.chat
    expect(chat.row("{'answer': 42}").locator("pre")).to_be_visible()
    expect(chat.hook("log").locator("table th")).to_have_text(["", "T", "chi <b>", "0", "1"])
    expect(chat.hook("log").locator("table td").last).to_contain_text("<script>")
    expect(chat.row("a bold word").locator("strong")).to_have_text("bold")
    chat.row("{'answer': 42}").scroll_into_view_if_needed()
    otter.page.screenshot(path=SCREENSHOTS / "outputs-text.png")
    chat.hook("log").locator("table").scroll_into_view_if_needed()
    images = chat.hook("image")
    expect(images).to_have_count(2)
    for image, (width, height) in zip(images.all(), [(64, 48), (800, 600)], strict=True):
        image.scroll_into_view_if_needed()
        expect(image).to_have_attribute("data-state", "ready")
        assert image.evaluate("node => [node.naturalWidth, node.naturalHeight]") == [width, height]
    strange = chat.root.evaluate(STRANGE)
    assert not strange, strange
    chat.hook("log").locator("table").scroll_into_view_if_needed()
    otter.page.screenshot(path=SCREENSHOTS / "outputs-table.png")
    with otter.page.expect_download() as download:
        chat.hook("row").filter(has_text="chi <b>").locator('[data-lu="download"]').click()
    assert download.value.suggested_filename == "table.csv"  # Parquet holds no column of numbers and texts
    assert list(pd.read_csv(download.value.path()).columns) == ["T", "chi <b>"]


def test_a_search_leads_to_the_place(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    says(kestrel, otter, "the magnetisation vanishes")
    for number in range(40):
        kestrel.chat.say(f"filler {number}")
    expect(otter.chat.row("filler 39")).to_be_visible()
    if otter.chat.hook("show-search").is_visible():
        otter.chat.hook("show-search").click()
    otter.chat.hook("search").fill("magnetisation")
    expect(otter.chat.hook("hit")).to_have_count(1)
    expect(otter.chat.hook("hit").locator("mark")).to_have_text("magnetisation")
    otter.chat.hook("search").press("Enter")
    expect(otter.chat.hook("hits")).to_be_hidden()
    expect(otter.chat.row("the magnetisation vanishes")).to_be_in_viewport()


def test_who_comes_back_is_led_to_what_is_new(pair: tuple[Notebook, Notebook]) -> None:
    kestrel, otter = pair
    says(kestrel, otter, "before one turns away")
    otter.chat.hook("log").press("End")
    expect(otter.chat.row("before one turns away")).to_be_in_viewport()
    expect(otter.chat.hook("new-pill")).to_be_hidden()
    otter.chat.root.get_by_role("tab", name="Swarm").click()
    for number in range(40):
        kestrel.chat.say(f"meanwhile {number}.")
    expect(kestrel.chat.row("meanwhile 39.")).to_be_visible()
    expect(otter.chat.row("meanwhile 39.")).to_be_attached()
    otter.chat.root.get_by_role("tab", name="Chat").click()
    pill = otter.chat.hook("earlier-pill")
    expect(pill).to_have_text("↑ 40 new")
    pill.click()
    expect(otter.chat.row("meanwhile 0.")).to_be_in_viewport()
    expect(pill).to_be_hidden()


def test_a_long_text_is_shown_in_part_then_whole_and_one_too_long_becomes_a_file(
    pair: tuple[Notebook, Notebook],
) -> None:
    kestrel, otter = pair
    box = kestrel.chat.hook("composer")
    box.fill("begin **" + "long " * 4_000 + "end of it")
    box.press("Enter")
    row = otter.chat.row("begin")
    expect(row).to_contain_text("more characters.")
    row.locator('[data-lu="show-all"]').click()
    expect(row.locator("pre")).to_have_text(re.compile("^begin \\*\\*long .*end of it$"))
    box.fill("x" * 70_000)
    box.press("Enter")
    expect(kestrel.chat.root.get_by_text("This text has 70 kB, and a message at most 66 kB.")).to_be_visible()
    expect(box).to_have_value("x" * 70_000)
    kestrel.chat.hook("send-as-file").click()
    expect(box).to_have_value("")
    box.press("Enter")
    expect(otter.chat.row("message.txt")).to_be_visible()


def test_thousands_of_messages_page_in_as_one_scrolls(open_notebook: OpenNotebook) -> None:
    write = f"for number in range({HISTORY}):\n    await panel.room.send(f'line {{number}}')"
    kestrel = open_notebook("kestrel", cells=[write])
    kestrel.run(0)
    chat = kestrel.chat
    chat.create("long", linkup=False)
    kestrel.run(1)
    expect(chat.row(f"line {HISTORY - 1}")).to_be_visible()
    kestrel.reload()
    kestrel.run(0)
    expect(chat.row(f"line {HISTORY - 1}")).to_be_in_viewport()
    assert chat.hook("row").count() < 500
    log = chat.hook("log")
    seen = HISTORY
    while seen > HISTORY - 1_000:
        first = chat.hook("row").first
        before = first.get_attribute("data-id")
        log.evaluate("node => { node.scrollTop = 0 }")
        expect(first).not_to_have_attribute("data-id", before or "")
        text = re.search(r"line (\d+)", first.text_content() or "")
        assert text
        assert int(text[1]) < seen
        seen = int(text[1])
    log.focus()
    log.press("End")
    expect(chat.row(f"line {HISTORY - 1}")).to_be_in_viewport()


def test_what_was_written_while_one_was_away_comes_late_and_moves_nothing(
    open_notebook: OpenNotebook, tmp_path: Path
) -> None:
    lateness = "import linkup_nb.rooms.memory.arrivals as arrivals\narrivals.LATE = -1"
    kestrel = open_notebook("kestrel", cells=[lateness])
    kestrel.run(0)
    kestrel.run(1)
    chat = kestrel.chat
    chat.create("away", linkup=False)
    invite = chat.invite()
    with Peer(tmp_path / "heron", "heron", kestrel.lab.environment) as heron:
        heron.do("join", topic=invite)
        heron.do("connected", count=1)
        heron.do("send", text="hello from heron")
        expect(chat.row("hello from heron")).to_be_visible()
    kestrel.shut_down_kernel()
    with Peer(tmp_path / "heron", "heron", kestrel.lab.environment) as heron:
        heron.do("join", topic=invite)
        heron.do("send", text="from the train")
    kestrel.reload()
    kestrel.run(0)
    kestrel.run(1)
    expect(chat.row("hello from heron")).to_be_visible()
    for number in range(30):
        chat.say(f"meanwhile {number}")
    expect(chat.row("meanwhile 29")).to_be_in_viewport()
    with Peer(tmp_path / "heron", "heron", kestrel.lab.environment) as heron:
        heron.do("join", topic=invite)
        pill = chat.hook("earlier-pill")
        expect(pill).to_have_text(re.compile("1 earlier message from heron$"))
        expect(chat.row("meanwhile 29")).to_be_in_viewport()
        pill.click()
        late = chat.row("from the train")
        expect(late).to_be_in_viewport()
        expect(late.locator('[data-lu="late"]')).to_have_text(re.compile(r"^came \d"))


def test_what_a_member_writes_stays_harmless(open_notebook: OpenNotebook, tmp_path: Path) -> None:
    kestrel = open_notebook("kestrel")
    kestrel.run(0)
    chat = kestrel.chat
    chat.create("open", linkup=False)
    number = 0

    def armed(value: Any) -> Any:
        nonlocal number
        if isinstance(value, dict):
            return {name: armed(inner) for name, inner in value.items()}
        if not isinstance(value, str):
            return value
        number += 1
        text = value.replace("RUN", RUN.format(number=number)).replace("STRANGER", STRANGER)
        return text.encode("utf-8", "replace").decode()

    with Peer(tmp_path / "stranger", armed(BREAKOUT)[:60], kestrel.lab.environment) as stranger:
        stranger.do("join", topic=chat.invite())
        stranger.do("connected", count=1)
        target = stranger.do("write", type="message", fields={"message": "a target"})
        expect(chat.row("a target")).to_be_visible()
        for text in TEXTS.values():
            stranger.do("write", type="reply", fields={"to": target, "message": armed(text)})
        expect(chat.root.locator('[data-lu="row"] [data-lu="quote"]')).to_have_count(len(TEXTS))
        for text in TEXTS.values():
            stranger.do("write", type="edit", fields={"to": target, "message": armed(text)})
        for symbol in ("<svg onload=RUN>", "<script>", "\u202e", "javascript:RUN", "\u0301" * 16):
            stranger.do("write", type="reaction", fields={"to": target, "reaction": armed(symbol)[:32]})
        for kind, fields in BODIES:
            stranger.do("write", type=kind, fields=armed(fields))
        stranger.do("write", type="message", fields={"message": "elsewhere"}, channel=armed("<b onclick=RUN>x"))
        stranger.do("write", type="message", fields={"message": "it is over"})
        expect(chat.row("it is over")).to_be_visible()
        target_row = chat.root.locator(f'[data-id="{target}"]')
        expect(target_row.locator('[data-lu="reaction"]')).to_have_count(5)
        target_row.locator('[data-lu="edited"]').click()
        expect(chat.hook("edition-text").first).to_be_visible()
        strange = chat.root.evaluate(STRANGE)
        assert not strange, strange
        kestrel.page.keyboard.press("Escape")
        for card in chat.hook("download").all():
            card.click()
        chat.say("and the chat goes on")
        stranger.receives_text("and the chat goes on")
        assert kestrel.evaluate("6 * 7") == "42"
    # `open_notebook` asserts that no script ran, no dialog opened and no other host was asked.


def test_a_limited_invite_waits_for_a_member(open_notebook: OpenNotebook) -> None:
    kestrel, otter = open_notebook("kestrel"), open_notebook("otter")
    kestrel.run(0)
    otter.run(0)
    kestrel.chat.create("guarded", linkup=False)
    kestrel.chat.say("~invite --uses 1")
    answer = kestrel.chat.row(re.compile(r"linkup:\S{40,}"))
    expect(answer).to_be_visible()
    word = re.search(r"linkup:\S{40,}", answer.inner_text())
    assert word
    kestrel.shut_down_kernel()
    otter.chat.join(word[0])
    expect(otter.chat.root.get_by_role("heading", name="Waiting for a member to let you in")).to_be_visible()
    kestrel.reload()
    kestrel.run(0)
    expect(otter.chat.hook("status")).to_have_text("Connected to kestrel")
    expect(kestrel.chat.hook("status")).to_have_text("Connected to otter")
    says(otter, kestrel, "let in")
