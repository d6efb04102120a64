import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.lab import PATIENCE, Lab, Notebook

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, which asks nobody but this machine."""
    if not CHROMIUM.exists():
        pytest.fail(f"There is no Chromium at {CHROMIUM}: `sh tests/run` installs it.")
    expect.set_options(timeout=PATIENCE * 1000)
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


OpenNotebook = Callable[..., Notebook]


# Of the package, not of the session: Playwright's loop runs for as long as it does, and other tests need theirs.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield launch(playwright)


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    runtime = Path(tempfile.mkdtemp(prefix="lu-"))
    lab = Lab(tmp_path_factory.mktemp("lab"), runtime)
    yield lab
    lab.stop()
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="package")
def numbers() -> Iterator[int]:
    return count()


@pytest.fixture
def open_notebook(lab: Lab, browser: Browser, numbers: Iterator[int]) -> Iterator[OpenNotebook]:
    """Opens notebooks for one test."""
    yield from notebooks(lab, browser, numbers)


@pytest.fixture(scope="module")
def notebook_of_module(lab: Lab, browser: Browser, numbers: Iterator[int]) -> Iterator[OpenNotebook]:
    """Opens notebooks for all tests of a file."""
    yield from notebooks(lab, browser, numbers)


@pytest.fixture(scope="module")
def two_people(lab: Lab, browser: Browser, numbers: Iterator[int]) -> Iterator[tuple[Notebook, Notebook]]:
    """The notebooks of `pair`: opening them takes longer than most tests."""
    for open_notebook in notebooks(lab, browser, numbers):
        people = open_notebook("kestrel"), open_notebook("otter")
        for notebook in people:
            notebook.run(0)
        yield people


def notebooks(lab: Lab, browser: Browser, numbers: Iterator[int]) -> Iterator[OpenNotebook]:
    """Opens a notebook with a profile of its own: `open_notebook("kestrel")`; without a name it is a new user's."""
    opened: list[Notebook] = []

    def open_one(name: str | None = None, cells: list[str] | None = None, **context: Any) -> Notebook:
        profile = f"{name or 'new'}-{next(numbers)}"
        if name:
            lab.write_profile(profile, name)
        notebook = Notebook(lab, browser, profile, cells or [], **context)
        opened.append(notebook)
        return notebook

    yield open_one
    failures = []
    for notebook in opened:
        try:
            notebook.close()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


class Pair(NamedTuple):
    """Two people in a room of their own."""

    kestrel: Notebook
    otter: Notebook
    topic: str


@pytest.fixture
def pair(two_people: tuple[Notebook, Notebook]) -> Pair:
    return together(*two_people)


@pytest.fixture
def fresh_pair(open_notebook: OpenNotebook) -> Pair:
    """Two people whose notebooks are this test's alone: for those that leave something behind."""
    kestrel, otter = open_notebook("kestrel"), open_notebook("otter")
    kestrel.run(0)
    otter.run(0)
    return together(kestrel, otter)


def together(kestrel: Notebook, otter: Notebook, room: str = "lobby") -> Pair:
    topic = kestrel.chat.create(room)
    otter.chat.join(topic)
    for chat in (kestrel.chat, otter.chat):
        chat.shows(topic)
        expect(chat.hook("status")).to_have_text(re.compile("^Connected to"))
    return Pair(kestrel, otter, topic)
