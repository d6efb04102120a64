"""What gets through while a cell computes, for each ipykernel that people have."""

import os
import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernels.environments import interpreter
from tests.kernels.page import Page
from tests.peer import Peer

# Which versions handle what the user does during a cell: those with subshells. On the others it waits for its end.
SENDS_DURING_A_CELL = {"6.31.0": False, "7.0.1": True, "7.3.0": True, "7.4.0": True}

ANSWER_WINDOW = 5.0  # seconds in which a request that is handled during a cell is answered

BUSY = """
import os
print("busy", flush=True)
while not os.path.exists({path!r}):
    sum(range(10_000))
"""


@pytest.fixture(scope="module")
def interpreters() -> dict[str, Path]:
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SENDS_DURING_A_CELL, pool.map(interpreter, SENDS_DURING_A_CELL), strict=True))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Lines that are printed when all versions have been tried."""
    lines = [f"{'ipykernel':12}{'rows come during a cell':26}a send during a cell is handled"]
    yield lines
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", *lines, sep="\n")  # noqa: T201 (the table is what this test is for)


@pytest.mark.parametrize("version", SENDS_DURING_A_CELL)
def test_chat_goes_on_while_a_cell_computes(
    version: str, interpreters: dict[str, Path], tmp_path: Path, table: list[str]
) -> None:
    release = tmp_path / "release"
    with Page(interpreters[version], dict(os.environ)) as page, Peer(tmp_path / "otter", "otter") as otter:
        page.open_chat("kestrel")
        page.request("hello", room=None, epoch=None, last_seq=None)
        page.request("profile", name="kestrel", avatar=None)
        topic = page.request("create", name="lobby")["topic"]
        otter.do("join", topic=topic)
        otter.do("connected", count=1)

        # The cell cannot end before `release` exists: whatever comes until then came while it computed.
        cell = page.execute(BUSY.format(path=str(release)))
        page.sees(lambda message: message["content"].get("text") == "busy\n")
        otter.do("send", text="are you there?")
        page.row("are you there?")
        sent = page.ask("send", topic=topic, text="still computing")
        handled = is_answered(page, sent)
        otter.do("send", text="a little later")
        page.row("a little later")

        release.touch()
        page.ends(cell)
        assert page.answer(sent)["ok"]
        assert otter.hears_text("still computing")["name"] == "kestrel"

    table.append(f"{version:12}{'yes':26}{'yes' if handled else 'when it has ended'}")
    assert handled == SENDS_DURING_A_CELL[version]


def is_answered(page: Page, request: str) -> bool:
    try:
        return bool(page.answer(request, timeout=ANSWER_WINDOW)["ok"])
    except queue.Empty:
        return False
