"""The line that says why nobody is there."""

import pytest

from linkup_nb.notebook import runtime
from linkup_nb.notebook.chat import diagnosis
from tests.notebook.conftest import Open, Start


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "FIRST_LOOK", 0.05)
    monkeypatch.setattr(diagnosis, "NEXT_LOOK", 0.05)


def test_it_names_the_worst_until_somebody_is_there(
    start: Start, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINKUP_BOOTSTRAP", "127.0.0.1:9")
    node = start("kestrel")
    page = open_page(node)
    topic = page.request("create", name="lobby", linkup=True)["topic"]
    state = page.state(lambda state: "bootstrap" in state["status"]["text"])
    assert state["status"] == {
        "level": "waiting",
        "text": "Nobody else is in lobby yet. No bootstrap node replied. "
        "A firewall keeps UDP in, or all of these nodes are down. Type ~doctor for more.",
    }
    monkeypatch.delenv("LINKUP_BOOTSTRAP")
    otter = start("otter")
    runtime.run(otter.join(topic))
    page.state(lambda state: state["status"]["text"] == "Connected to otter")


def test_it_says_nothing_where_nothing_is_wrong(start: Start, open_page: Open) -> None:
    node = start("kestrel")
    page = open_page(node)
    page.request("create", name="lobby", linkup=True)
    before = len(page.said)
    report = runtime.run(node.doctor())
    assert report.worst
    assert report.worst.outcome == "warning"
    runtime.run(node.set_name("magpie"))
    state = page.state(lambda state: state["me"]["name"] == "magpie", before)
    assert state["status"]["text"].startswith("Nobody else is in lobby yet. Send someone its topic.")
