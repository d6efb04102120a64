from collections.abc import Callable, Iterator

import comm
import pytest

from linkup_nb import Node
from linkup_nb.notebook import runtime
from linkup_nb.notebook.tabs import TabsWidget
from tests.notebook.page import Page, PageComm

Start = Callable[..., Node]
Open = Callable[..., Page]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Nodes on threads of their own, as a notebook has them: `start("kestrel")` with that name unless `named=False`."""
    monkeypatch.setattr(comm, "create_comm", PageComm)
    started: dict[str, Node] = {}

    def start_one(profile: str = "kestrel", *, named: bool = True) -> Node:
        node = started[profile] = runtime.start(profile)
        if named:
            runtime.run(node.set_name(profile))
        return node

    yield start_one
    for profile, node in started.items():
        runtime.run(node.close())
        runtime._running.pop(profile).stop()


@pytest.fixture
def open_page(start: Start) -> Iterator[Open]:
    """The page of a new transcript: `open_page(node)`. It has said hello."""
    opened: list[TabsWidget] = []

    def open_one(node: Node | None = None) -> Page:
        transcript = TabsWidget(node or start(), "lu.start()")
        opened.append(transcript)
        page = Page(transcript)
        page.hello()
        return page

    yield open_one
    for transcript in opened:
        transcript.close()
