"""What strangers send to make the page run something, in every field that they fill, in every view that shows it.

A round opens a JupyterLab in Chromium. No script of a stranger runs, no other host is asked, no dialog opens, and no
element stands in the panel that ours never make. Counted are payloads, each in one field, seen in one view.
"""

import base64
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect, sync_playwright

from tests.browser.conftest import OpenNotebook, launch, notebooks
from tests.browser.hostile import FIELDS, RUN, STRANGER, TEXTS
from tests.browser.lab import Lab, Notebook
from tests.browser.test_hostile import STRANGE
from tests.peer import Peer
from tests.soak.campaign import Round, Trial

NAME = 200  # characters of what stands in a name
SAMPLE = 12  # payloads of a round in each kind of file
SUFFIXES = ("md", "html", "svg", "csv", "tsv", "json", "jsonl", "txt", "py", "ipynb", "tex", "png")

# Elements and attributes that neither our modules nor JupyterLab make in the panel or an output.
WILD = r"""root => {
    const wild = ({name, value}) =>
        name.startsWith("on") || name === "srcset" || name.startsWith("data-commandlinker") ||
        (name === "href" && /^\s*(javascript|data|vbscript|file):/i.test(value)) ||
        (name === "src" && !/^(blob:|data:image\/)/.test(value)) ||
        (name === "style" && /url\(\s*["']?http/.test(value));
    return [...root.querySelectorAll("*")]
        .filter(node => /^(script|iframe|object|embed|base|meta|link|math|marquee|x-y)$/.test(node.localName) ||
            [...node.attributes].some(wild))
        .map(node => node.outerHTML.slice(0, 300));
}"""

# The fields of a message in a LinkUp room, and of a block in a room with memory, that a stranger fills.
LINKUP: dict[str, Callable[[str], dict[str, Any]]] = {
    "message": lambda text: {"message": text},
    "name": lambda text: {"message": "x", "name": text[:NAME]},
    "key of a field": lambda text: {"message": "x", text[:NAME]: text},
    "unknown fields": lambda text: {"message": "x", "html": text, "url": text, "avatar": text},
    "unknown type": lambda text: {"type": text[:NAME], "message": text, "html": text},
    "file name": lambda text: {"type": "file", "fileName": text[:NAME], "file": "AAAA"},
    "file name of a picture": lambda text: {"type": "file", "fileName": text[:NAME] + ".png", "file": "AAAA"},
    "name of an icon": lambda text: {"type": "icon", "username": text[:NAME], "name": text[:NAME], "avatar": ""},
}
MEMORY: dict[str, Callable[[str], tuple[str, dict[str, Any]]]] = {
    "message": lambda text: ("message", {"message": text}),
    "file name": lambda text: ("file", {"file_name": text[:NAME], "path": "/x", "version": 1, "size": 9}),
    "file path": lambda text: ("file", {"file_name": "x", "path": "/" + text, "version": 1, "size": 9}),
    "file type": lambda text: (
        "file",
        {"file_name": "x.png", "path": "/x", "version": 1, "size": 9, "mime": text[:NAME]},
    ),
    "audio name": lambda text: ("audio", {"file_name": text[:NAME], "path": "/x", "version": 1, "size": 9}),
    "topic": lambda text: ("topic", {"message": text}),
    "name": lambda text: ("icon", {"name": text[:NAME]}),
    "channel topic": lambda text: ("channel", {"name": "random", "topic": text}),
    "channel name": lambda text: ("channel", {"name": text[:60]}),
    "output as text": lambda text: ("output", {"data": {"text/plain": text}}),
    "output as HTML": lambda text: ("output", {"data": {"text/html": f"<table><tr><td>{text}</td></tr></table>"}}),
    "output as Markdown": lambda text: ("output", {"data": {"text/markdown": text}}),
    "output as TeX": lambda text: ("output", {"data": {"text/latex": text}}),
    "output as SVG": lambda text: ("output", {"data": {"image/svg+xml": text, "image/png": text}}),
    "output as a script": lambda text: ("output", {"data": {"application/javascript": text, text[:NAME]: text}}),
}


def payloads() -> dict[str, str]:
    """Every text, with what it would run or ask."""
    return {
        name: text.replace("RUN", RUN.format(number=number)).replace("STRANGER", STRANGER)
        for number, (name, text) in enumerate(TEXTS.items())
    }


def encodable(text: str) -> str:
    """The text without the halves of pairs, which no block and no file can hold."""
    return text.encode("utf-8", "replace").decode()


@contextmanager
def laboratory(this: Round) -> Iterator[tuple[Lab, OpenNotebook]]:
    """A JupyterLab and what opens notebooks in it; raises in the end if a page did what no peer may make it do."""
    runtime = Path(tempfile.mkdtemp(prefix="lu-"))
    (this.folder / "lab").mkdir()
    lab = Lab(this.folder / "lab", runtime)
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            opening = notebooks(lab, browser, count())
            yield lab, next(opening)
            next(opening, None)
            browser.close()
    finally:
        lab.stop()


def tame(root: Locator, script: str, where: str) -> None:
    """See that nothing of a stranger's is an element of the page."""
    found = root.evaluate(script)
    assert not found, f"{where}: {found}"


def linkup_room(this: Round) -> None:
    """Messages of a LinkUp room: in the log, among the people, in a second view, after a reload, in the search."""
    with laboratory(this) as (lab, open_notebook):
        kestrel = open_notebook("kestrel", ["panel"])
        kestrel.run(0)
        topic = kestrel.chat.create("lobby")
        every = [text for text in payloads().values() if len(text) < 5000]
        plain = {"type": "message", "name": "otter", "topic": topic, "timestamp": 1_700_000_000_000}
        with Peer(this.folder / "stranger", "stranger", lab.environment) as stranger:
            stranger.do("join", topic=topic)
            stranger.do("connected", count=1)
            for field, fill in LINKUP.items():
                for text in every:
                    stranger.do("raw", message=json.dumps(plain | fill(text)))
                stranger.do("send", text=f"after: {field}")
                expect(kestrel.chat.row(f"after: {field}").last).to_be_visible()
                tame(kestrel.chat.root, STRANGE, field)
                this.survived(len(every))
            for fields in FIELDS.values():
                said = json.dumps(plain | fields)
                stranger.do("raw", message=said.replace("RUN", RUN.format(number=0)).replace("STRANGER", STRANGER))
            stranger.do("send", text="after: all")
            expect(kestrel.chat.row("after: all").last).to_be_visible()
            tame(kestrel.chat.root, STRANGE, "the fields of hostile.py")
            this.survived(len(FIELDS))
            seen_again(this, kestrel, len(every))


def seen_again(this: Round, kestrel: Notebook, size: int) -> None:
    """The same in a second view, among the people, in the cells that show it, and after a reload."""
    kestrel.run(1)
    tame(kestrel.cell(1), WILD, "a second view")
    this.survived(size)
    kestrel.chat.show_people()
    tame(kestrel.chat.root, WILD, "the people")
    this.survived(size)
    kestrel.command("docmanager:save")
    expect(kestrel.page.locator(".lm-mod-current.jp-mod-dirty")).to_have_count(0)
    kestrel.reload()
    expect(kestrel.chat.hook("row").first).to_be_attached()
    tame(kestrel.chat.root, WILD, "after a reload")
    this.survived(size)


def memory_room(this: Round) -> None:
    """Blocks of a room with memory, of every kind that a stranger may write."""
    with laboratory(this) as (lab, open_notebook):
        kestrel = open_notebook("kestrel", ["panel"])
        kestrel.run(0)
        kestrel.chat.create("physics", linkup=False)
        every = [encodable(text) for text in payloads().values() if len(text) < 5000]
        with Peer(this.folder / "stranger", "stranger", lab.environment) as stranger:
            stranger.do("join", topic=kestrel.chat.invite())
            stranger.do("connected", count=1)
            for field, fill in MEMORY.items():
                for text in every:
                    kind, fields = fill(text)
                    stranger.do("write", type=kind, fields=fields)
                stranger.do("send", text=f"after: {field}")
                expect(kestrel.chat.row(f"after: {field}").last).to_be_attached()
                tame(kestrel.chat.root, STRANGE, field)
                this.survived(len(every))
            spot = stranger.do("write", type="message", fields={"message": "answered"})
            for text in every:
                stranger.do("write", type="reply", fields={"to": spot, "message": text})
                stranger.do("write", type="edit", fields={"to": spot, "message": text})
                stranger.do("write", type="reaction", fields={"to": spot, "reaction": text[:16]})
            stranger.do("send", text="after: all")
            expect(kestrel.chat.row("after: all").last).to_be_attached()
            tame(kestrel.chat.root, STRANGE, "replies, edits and reactions")
            this.survived(3 * len(every))
            seen_again(this, kestrel, len(every))


FILL = """import asyncio, base64, json

import linkup_nb as lu

async def fill():
    drive = await panel.node.drive(name="results")
    for path, data, about in json.loads(base64.b64decode({coded!r})):
        if about == "link":
            await drive.symlink(path, data)
        else:
            await drive.put(path, data.encode(), metadata=about)
    return drive

drive = lu.run(fill())
lu.run(drive.put("/changed.txt", b"later"))
"""
SHOWN = (
    "drive",
    "lu.run(drive.history())",
    "lu.run(drive.diff(1))",
    "lu.run(drive.entry(paths[0]))",
    "lu.run(drive.compare(paths[0], 1, drive.version))",
    "panel.node",
    "panel.node.store",
)


def drive(this: Round) -> None:
    """Files: their names, contents, links and metadata, in the Drive tab and as the values of cells."""
    every = [encodable(text) for text in payloads().values() if len(text) < 5000]
    sample = this.rolls.sample(every, SAMPLE)
    named = [text.replace("/", "|").replace("\0", "").replace("\\", "")[:60].strip(" .") or "x" for text in every]
    files: list[tuple[str, str, object]] = [(f"/names/{name}", "x", {"about": name}) for name in named]
    files += [(f"/links/{at}", text.replace("\0", "") or "x", "link") for at, text in enumerate(sample)]
    for suffix in SUFFIXES:
        files += [(f"/{suffix}/{at}.{suffix}", text, None) for at, text in enumerate(sample)]
    coded = base64.b64encode(json.dumps(files).encode()).decode()
    cells = [FILL.format(coded=coded), f"paths = [{files[0][0]!r}]", *SHOWN]
    with laboratory(this) as (_, open_notebook):
        kestrel = open_notebook("kestrel", cells)
        for number in range(3):
            kestrel.run(number)
        for number, shown in enumerate(SHOWN):
            kestrel.run(3 + number)
            tame(kestrel.cell(3 + number).locator(".jp-OutputArea"), WILD, shown)
            this.survived(len(named) if number < 3 else 1)
        chat = kestrel.chat
        chat.root.get_by_role("tab", name="Drive").click()
        chat.root.locator(".lu-drive").filter(has_text="results").click()
        for folder in ("names", "links", *SUFFIXES):
            chat.hook("files").get_by_role("button", name=folder, exact=True).first.click()
            rows = chat.hook("files").get_by_role("button")
            expect(rows.nth(1)).to_be_visible()
            tame(chat.root, WILD, f"the names in {folder}")
            if folder in SUFFIXES:
                for at in range(SAMPLE):
                    rows.filter(has_text=f"{at}.{folder}").first.click()
                    expect(chat.hook("expression")).to_contain_text(f"{at}.{folder}")
                    tame(chat.root, WILD, f"{folder}: {sample[at]}")
                    this.survived()
            this.survived(len(named) if folder == "names" else 1)
            chat.hook("crumbs").get_by_role("button").first.click()


TRIALS = [
    Trial("LinkUp room", linkup_room),
    Trial("room with memory", memory_room),
    Trial("drive", drive),
]
