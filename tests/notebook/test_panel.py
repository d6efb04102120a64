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
    topic = page.request("create", name="lobby")["topic"]
    assert panel.room is node.rooms[0]
    page.request("send", topic=topic, text="hello")
    page.request("select", topic=topic, seq=0)
    assert panel.selection is node.rooms[0][0]
    assert repr(panel).startswith("<Panel of <Node 'kestrel'")
    panel.close()


def test_a_panel_opened_in_a_room_shows_it(start: Start) -> None:
    node = start()
    room = lu.run(node.create_room("lobby", linkup=True))
    panel = Panel(node)
    assert panel.room is room
    panel.close()


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
