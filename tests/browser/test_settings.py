"""The Settings tab as a user meets it."""

from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook

KEY = "ab" * 32


def test_a_blind_peer_is_named_and_a_bad_key_is_explained(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("kestrel")
    notebook.run(0)
    chat = notebook.chat
    chat.create("physics", linkup=False)
    chat.root.get_by_role("tab", name="Settings").click()

    chat.hook("blind-keys").fill("nonsense")
    chat.hook("save-blind").click()
    expect(chat.hook("tab-error")).to_contain_text("'nonsense' is no key of a blind peer")

    chat.hook("blind-keys").fill(KEY)
    chat.hook("save-blind").click()
    expect(chat.hook("blind-note")).to_have_text("Saved.")
    expect(chat.hook("tab-error")).to_be_hidden()
    expect(chat.hook("blind-now")).to_contain_text("It is away")
    assert notebook.config()["blindPeers"]

    chat.hook("blind-keys").fill("")
    chat.hook("save-blind").click()
    expect(chat.hook("blind-now").locator("li")).to_have_count(0)
    assert notebook.config()["blindPeers"] == []
