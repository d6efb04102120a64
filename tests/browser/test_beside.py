"""Tabs of the panel as widgets of their own, and a panel that a cell moves."""

from playwright.sync_api import expect

from tests.browser.conftest import OpenNotebook
from tests.browser.lab import Chat

MAKE = """async def fill():
    drive = await panel.node.drive(name="results")
    for number in range(3):
        await drive.put("/numbers.csv", b"n\\n" + b"1\\n" * (number + 1))
    room = await panel.node.create_room("physics")
    await room.send("the one to show")
    return drive

drive = lu.run(fill())
explorer = lu.explore(drive)
explorer"""
EARLY = """early = lu.explore(drive)
early.version, early.path = 2, '/numbers.csv'
early"""
ANOTHER = """another = lu.start(panel.node.path.name + "-another")
lu.explore(lu.run(another.drive(drive.id)))"""
SWARM = "lu.swarm_view(panel.node)"
MOVE = "explorer.version, explorer.path = 2, '/numbers.csv'"
SHOW_DRIVE = "panel.show(drive[3])"
SHOW_MESSAGE = "panel.show(panel.node.rooms[0][-1])"


def test_an_explorer_is_linked_by_its_traits(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel", [MAKE, MOVE])
    kestrel.run(0)
    kestrel.run(1)
    alone = Chat(kestrel.page, lambda page: page.locator(".lu-alone-tab"))
    expect(alone.hook("files")).to_contain_text("numbers.csv")
    kestrel.run(2)
    expect(alone.hook("file-body").locator("tbody tr")).to_have_count(1)
    handle = alone.root.get_by_role("slider")
    expect(handle).to_have_attribute("aria-valuetext", "version 2")
    handle.focus()
    kestrel.page.keyboard.press("ArrowRight")
    expect(alone.hook("file-body").locator("tbody tr")).to_have_count(2)
    assert kestrel.evaluate("explorer.version") == "3"


def test_an_explorer_shows_what_it_was_set_to_before_it_was_shown(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel", [MAKE, EARLY])
    for cell in range(3):
        kestrel.run(cell)
    early = Chat(kestrel.page, lambda page: page.locator(".lu-alone-tab").nth(1))
    expect(early.hook("file-body").locator("tbody tr")).to_have_count(1)
    expect(early.root.get_by_role("slider")).to_have_attribute("aria-valuetext", "version 2")


def test_an_explorer_is_of_the_person_whose_drive_it_got(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel", [MAKE, ANOTHER])
    for cell in range(3):
        kestrel.run(cell)
    theirs = Chat(kestrel.page, lambda page: page.locator(".lu-alone-tab").nth(1))
    expect(theirs.hook("expression")).to_contain_text(f"lu.start('{kestrel.profile}-another').drives")


def test_a_cell_moves_the_panel(open_notebook: OpenNotebook) -> None:
    kestrel = open_notebook("kestrel", [MAKE, SHOW_DRIVE, SHOW_MESSAGE, SWARM])
    for cell in range(3):
        kestrel.run(cell)
    chat = kestrel.chat
    expect(chat.root.get_by_role("slider")).to_have_attribute("aria-valuetext", "version 3")
    kestrel.run(3)
    expect(chat.row("the one to show")).to_be_visible()
    kestrel.run(4)
    swarm = Chat(kestrel.page, lambda page: page.locator(".lu-alone-tab").nth(1))
    expect(swarm.hook("swarm-counts")).to_have_text("nobody yet")
    expect(swarm.hook("checks")).to_contain_text("LINKUP_OFFLINE")
