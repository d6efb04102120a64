"""The Swarm tab: who is connected, what is selected, and what goes over a connection."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Pair

SCREENSHOTS = Path(__file__).parents[1] / ".cache" / "screenshots"


def test_a_peer_is_seen_selected_and_tapped(fresh_pair: Pair) -> None:
    kestrel, chat = fresh_pair.kestrel, fresh_pair.kestrel.chat
    chat.root.get_by_role("tab", name="Swarm").click()
    peers = chat.hook("swarm-peer")
    expect(peers.filter(has_text="otter")).to_contain_text("TCP")
    expect(chat.hook("swarm-counts")).to_contain_text("1 connected")
    expect(chat.hook("checks")).to_contain_text("LINKUP_OFFLINE")
    expect(chat.hook("expression")).to_have_text(re.compile(r"\.swarm$"))
    peers.filter(has_text="otter").get_by_role("button").click()
    expect(peers.filter(has_text="otter")).to_have_attribute("aria-selected", "true")
    expect(chat.hook("expression")).to_have_text(re.compile(r"swarm\.peer\('[0-9a-f]{64}'\)$"))
    assert "connected" in kestrel.evaluate("panel.selection")
    chat.hook("tap-switch").click()
    fresh_pair.otter.chat.say("over the wire")
    frame = chat.hook("frame").filter(has_text="message").first
    expect(frame).to_be_visible()
    kestrel.page.screenshot(path=SCREENSHOTS / "swarm.png")
    frame.click()
    expect(chat.hook("expression")).to_have_text(re.compile(r"^panel\.tap\.frames\[\d+\]$"))
    assert kestrel.evaluate("panel.selection").startswith("<Frame")
    chat.hook("tap-clear").click()
    expect(chat.hook("frame").filter(has_text="message")).to_have_count(0)
    chat.hook("tap-switch").click()
    expect(chat.hook("tap-switch")).to_have_attribute("aria-checked", "false")
    chat.root.get_by_role("tab", name="Chat").click()
    expect(chat.row("over the wire")).to_be_visible()
