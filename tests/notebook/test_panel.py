import comm
import pytest
from ipykernel.comm.comm import BaseComm

import linkup_nb as lu
from linkup_nb.notebook.panel import Panel
from tests.notebook.conftest import Start
from tests.notebook.page import Page, PageComm


def test_the_live_objects_behind_the_panel(start: Start) -> None:
    node = start()
    panel = Panel(node)
    page = Page(panel.children[0])
    page.hello()
    assert (panel.node, panel.room, panel.selection) == (node, None, None)
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    assert panel.room is node.rooms[0]
    page.request("send", topic=topic, text="hello")
    page.request("select", topic=topic, target=f"{0:012d}")
    assert panel.selection is node.rooms[0][0]
    assert repr(panel) == "<Panel>"
    panel.close()


def test_a_new_panel_shows_the_room_that_was_shown_last(start: Start) -> None:
    node = start()
    first, second = (lu.run(node.create_room(name, linkup=True)) for name in ("first", "second"))
    panel = Panel(node)
    assert panel.room is first
    Page(panel.children[0]).request("show", topic=second.topic.hex())
    again = Panel(node)
    assert again.room is second
    lu.run(second.leave())
    assert again.room is panel.room is first
    panel.close()
    again.close()


def test_a_closed_panel_says_nothing_more(start: Start) -> None:
    node = start()
    panel = Panel(node)
    wires: list[PageComm] = [panel.comm, panel.children[0].comm]
    page = Page(panel.children[0])
    page.hello()
    page.state(lambda state: True)
    panel.close()
    lu.run(node.create_room("lobby", linkup=True))
    assert [wire._closed for wire in wires] == [True, True]
    said = [wires[1].sent.get_nowait() for _ in range(wires[1].sent.qsize())]
    assert not any("lobby" in str(data) for _, data, _ in said)


def test_clicks_are_handled_on_the_subshell_that_the_page_asks_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start()
    monkeypatch.setattr(comm, "create_comm", BaseComm)
    panel = Panel(node)
    widgets = [panel, panel.layout, *panel.children, panel.children[0].layout]
    assert [widget.comm._reply_subshell_for for widget in widgets] == [None] * 4
    panel.close()
