"""A stranger sends everything in `tests.browser.hostile`, from a real peer process."""

import time
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.hostile import messages
from tests.browser.lab import PATIENCE
from tests.peer import Peer

FLOOD = 10_000  # messages, sent as fast as they are taken
MAX_MESSAGE = 16_777_198  # bytes of the largest message that a frame holds
TALK = 5  # messages each way meanwhile

# What our rows are made of: anything else in the transcript, or among the people, came from a stranger.
STRANGE = """root => {
    const tags = new Set(
        ("a audio bdi blockquote br button code del div em h1 h2 h3 h4 h5 h6 hr img li ol p pre progress s section " +
            "span strong sub sup table tbody td th thead time tr ul").split(" "),
    );
    const strange = ({name, value}) =>
        name.startsWith("on") || name === "id" || name === "srcset" || name.startsWith("data-commandlinker") ||
        (name === "href" && !/^(https?|mailto):/.test(value)) ||
        (name === "src" && !value.startsWith("blob:")) ||
        (name === "style" && /url|position/.test(value));
    return [...root.querySelectorAll('[data-lu="log"] *, [data-lu="people"] *')]
        .filter(node => !tags.has(node.localName) || [...node.attributes].some(strange))
        .map(node => node.outerHTML.slice(0, 500));
}"""


def test_at_least_sixty_payloads_stay_harmless_text(open_notebook: OpenNotebook, tmp_path: Path) -> None:
    kestrel = open_notebook("kestrel")
    kestrel.run(0)
    chat = kestrel.chat
    topic = chat.create("lobby")
    payloads = messages(topic)
    assert len(payloads) >= 60
    with Peer(tmp_path / "stranger", "stranger", kestrel.lab.environment) as stranger:
        stranger.do("join", topic=topic)
        stranger.do("connected", count=1)
        expect(chat.hook("status")).to_have_text("Connected to stranger")
        for name, payload in payloads.items():
            stranger.do("raw", message=payload)
            stranger.do("send", text=f"after: {name}")
            expect(chat.row(f"after: {name}").last).to_be_visible()
            strange = chat.root.evaluate(STRANGE)
            assert not strange, f"{name}: {strange}"
        shown = chat.hook("log").inner_text()
        assert "<script>" in shown
        assert "<img src=x onerror=" in shown
        chat.say("and the chat goes on")
        stranger.receives_text("and the chat goes on")
    assert "messages dropped: not LinkUp's" in kestrel.evaluate("dict(panel.node.linkup_swarm.counters)")
    # `open_notebook` asserts that no script ran, no dialog opened and no other host was asked.


def test_a_flood_is_held_back_and_others_notice_nothing(open_notebook: OpenNotebook, tmp_path: Path) -> None:
    kestrel = open_notebook("kestrel")
    kestrel.run(0)
    chat = kestrel.chat
    topic = chat.create("lobby")
    with (
        Peer(tmp_path / "otter", "otter", kestrel.lab.environment) as otter,
        Peer(tmp_path / "stranger", "stranger", kestrel.lab.environment) as stranger,
    ):
        otter.do("join", topic=topic)
        otter.do("connected", count=1)
        stranger.do("join", topic=topic)
        stranger.do("connected", count=2)
        stranger.begin("flood", count=FLOOD, size=MAX_MESSAGE)
        expect(chat.row("spam").first).to_be_visible()
        for number in range(TALK):
            chat.say(f"kestrel {number}")
            otter.receives_text(f"kestrel {number}")
            otter.do("send", text=f"otter {number}")
            # The page shows the newest rows, which the flood moves on: what otter says is among those before them.
            deadline = time.monotonic() + PATIENCE
            while f"'otter {number}'" not in kestrel.evaluate("[m.text for m in panel.room if m.name == 'otter']"):
                assert time.monotonic() < deadline
            assert kestrel.evaluate("6 * 7") == "42"
        stranger.finish()
        expect(chat.row(f"spam {FLOOD - 1}")).to_be_attached()
        otter.do("send", text="it is over")
        expect(chat.row("it is over")).to_be_visible()
    assert "messages dropped: not LinkUp's" in kestrel.evaluate("dict(panel.node.linkup_swarm.counters)")
