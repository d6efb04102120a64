"""The Drive tab, as its page sees it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from linkup_nb import Drive, Node
from linkup_nb.notebook import runtime
from linkup_nb.notebook.chat.uploads import CHUNK
from linkup_nb.notebook.explorer import tab
from linkup_nb.rooms.memory.room import MemoryRoom
from tests.notebook.page import Page

Start = Callable[..., Node]
Open = Callable[..., Page]


@pytest.fixture
def node(start: Start) -> Node:
    return start()


@pytest.fixture
def drive(node: Node) -> Drive:
    async def make() -> Drive:
        drive = await node.drive(name="results")
        await drive.put("/runs/energies.csv", b"T,L\n2.26,64\n2.27,64\n")
        await drive.put("/runs/energies.csv", b"T,L\n2.26,64\n2.27,128\n2.28,64\n")
        await drive.put("/notes.md", b"# Notes\n\n**bold**<script>alert(1)</script>\n")
        await drive.delete("/notes.md")
        return drive

    return runtime.run(make())


@pytest.fixture
def page(open_page: Open, node: Node, drive: Drive) -> Page:
    return open_page(node)


def evaluated(node: Node, python: str) -> Any:
    """What the footer's expression gives."""

    async def run() -> Any:
        scope: dict[str, Any] = {"lu": type("lu", (), {"start": lambda: node})}
        exec(f"async def value():\n    return {python}", scope)
        return await scope["value"]()

    return runtime.run(run())


def test_a_drive_is_listed_with_the_python_that_gives_it(page: Page, node: Node, drive: Drive) -> None:
    [shown] = page.request("drives")["drives"]
    assert (shown["name"], shown["group"], shown["version"]) == ("results", "yours", drive.version)
    assert evaluated(node, shown["python"]) is drive


def test_a_change_is_shown_without_asking(page: Page, drive: Drive) -> None:
    page.request("drives")
    runtime.run(drive.put("/more.txt", b"more"))
    page.sees(lambda content: content["type"] == "drives" and content["drives"][0]["version"] == drive.version)


def test_a_folder_is_listed_as_it_was_folders_first(page: Page, drive: Drive) -> None:
    now = page.request("folder", drive=drive.id, version=0, folder="/")["files"]
    assert [(file["name"], file["folder"]) for file in now] == [("runs", True)]
    then = page.request("folder", drive=drive.id, version=drive.version - 1, folder="/")["files"]
    assert [file["name"] for file in then] == ["runs", "notes.md"]


def test_two_versions_show_what_was_added_changed_and_removed(page: Page, drive: Drive) -> None:
    newest = drive.version
    listing = page.request("folder", drive=drive.id, version=newest, folder="/", since=2)
    assert {file["name"]: file["change"] for file in listing["files"]} == {"runs": "~"}
    back = page.request("folder", drive=drive.id, version=newest, folder="/", since=newest - 1)
    assert {file["name"]: file["change"] for file in back["files"]} == {"runs": "", "notes.md": "-"}
    added = page.request("folder", drive=drive.id, version=newest - 1, folder="/", since=2)
    assert {file["name"]: file["change"] for file in added["files"]} == {"runs": "~", "notes.md": "+"}


def test_marks_are_gathered_and_those_of_a_file_counted(page: Page, drive: Drive) -> None:
    marks = page.request("marks", drive=drive.id, path="/notes.md", most=400)["marks"]
    assert [(mark["last"], mark["own"]) for mark in marks] == [(2, 0), (3, 0), (4, 1), (5, 1)]
    [one] = page.request("marks", drive=drive.id, path="", most=1)["marks"]
    assert (one["first"], one["last"], one["changes"]) == (2, 5, 4)
    runtime.run(drive.put("/later.txt", b"later"))
    assert page.request("marks", drive=drive.id, most=400)["marks"][-1]["last"] == drive.version


def test_previews_are_tables_and_safe_text(page: Page, node: Node, drive: Drive) -> None:
    table = page.request("preview", drive=drive.id, version=0, path="/runs/energies.csv")
    assert '<td class="lu-right">128</td>' in table["html"]
    assert evaluated(node, table["python"]).startswith(b"T,L")
    text = page.request("preview", drive=drive.id, version=4, path="/notes.md")
    assert "<strong>bold</strong>" in text["html"]
    assert "<script" not in text["html"]


@pytest.mark.parametrize(
    ("name", "data", "kind", "says"),
    [
        ("/a.bin", bytes(range(256)) * 20, "html", "00000010  10 11 12"),
        ("/a.png", b"<svg onload=alert(1)>", "html", "&lt;svg"),
        ("/a.parquet", b"PAR1 broken", "html", ""),
        ("/a.jsonl", b'{"a": 1}\n{"b": [2]}\n', "html", '<td class="lu-right">1</td>'),
        ("/a.jsonl", b'{"a": 1}\nnot json', "html", "6e 6f 74"),
        ("/a.csv", b'a,"b\nnever closed', "html", "<th>a</th>"),
        ("/empty", b"", "none", ""),
        ("/a.json", b"[" * 100_000, "html", "[["),
        ("/a.md", "x\u202eevil".encode(), "html", "xevil"),
        ("/a.py", b"```\nprint(1)", "html", "print"),
    ],
)
def test_whatever_a_file_holds_its_preview_is_bounded_and_safe(
    page: Page, drive: Drive, name: str, data: bytes, kind: str, says: str
) -> None:
    runtime.run(drive.put(name, data))
    shown = page.request("preview", drive=drive.id, version=0, path=name)
    assert (shown["kind"], says in shown["html"]) == (kind, True)
    assert len(shown["html"]) < 2_000_000


def test_only_the_beginning_of_a_large_file_is_read(page: Page, drive: Drive) -> None:
    runtime.run(drive.put("/long.csv", b"a,b\n" + b"1,2\n" * 500_000))
    shown = page.request("preview", drive=drive.id, version=0, path="/long.csv")
    assert shown["note"] == "Shown are the first 200 rows."
    runtime.run(drive.put("/large.png", bytes(11_000_000)))
    assert page.request("preview", drive=drive.id, version=0, path="/large.png")["note"].startswith(
        "This is over 10 MiB"
    )


def cells(row: dict[str, Any]) -> list[Any]:
    """A row as its sign and its cells; one that has changed as what it was and is."""
    texts = [cell["text"] if cell["was"] is None else (cell["was"], cell["text"]) for cell in row["cells"]]
    return [row["sign"], *texts]


def test_a_comparison_of_tables_has_the_cells_that_differ(page: Page, node: Node, drive: Drive) -> None:
    compared = page.request("compare", drive=drive.id, path="/runs/energies.csv", a=2, b=3)
    assert compared["summary"] == "1 row changed, +1 -0"
    assert compared["columns"] == ["T", "L"]
    assert [cells(row) for row in compared["differing"]] == [["~", "2.27", ("64", "128")], ["+", "2.28", "64"]]
    assert evaluated(node, compared["python"]).counts == (1, 2)


def test_history_find_and_restore(page: Page, drive: Drive) -> None:
    changes = page.request("file_history", drive=drive.id, path="/notes.md")["changes"]
    assert [(change["version"], change["operation"]) for change in changes] == [(5, "delete"), (4, "put")]
    found = page.request("find", drive=drive.id, path="/runs/energies.csv", text="2.28")
    assert (found["found"], found["sentence"]) == (3, "In the file since v3. Looked at 2 of 2 versions.")
    assert page.request("restore", drive=drive.id, path="/notes.md", version=4)["version"] == 6
    assert runtime.run(drive.get("/notes.md")) == runtime.run(drive[4].get("/notes.md"))


def test_files_go_in_by_chunks_and_out_again(page: Page, drive: Drive) -> None:
    first, second = bytes(CHUNK), b"the end"
    about: dict[str, Any] = {"drive": drive.id, "path": "/big.bin", "upload": "u1", "chunks": 2}
    assert page.request("put", [first], index=0, **about).get("version") is None
    assert page.request("put", [second], index=1, **about)["version"] == drive.version
    content, buffers = page.answer(page.ask("read", drive=drive.id, version=0, path="/big.bin", index=1))
    assert (content["chunks"], content["size"], buffers) == (2, len(first + second), [second])


def test_one_opens_it_in_a_browser_of_this_machine(page: Page, drive: Drive) -> None:
    link = page.request("serve", drive=drive.id, version=2, path="/runs/energies.csv")["link"]
    assert link.startswith("http://")
    assert "version=2" in link


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("mount", {"key": "abc"}, "64 hexadecimal digits"),
        ("mount", {"key": "https://example.com"}, "begins with linkup://"),
        ("mount", {"name": ""}, "visible"),
        ("folder", {"version": 99, "folder": "/"}, "This drive has 5 versions, and no version 99."),
        ("preview", {"version": 0, "path": "/none"}, "There is no file /none in version 5."),
        ("find", {"path": "/none", "text": "x"}, "There has never been a file /none."),
        ("put", {"path": "/x", "upload": "u", "index": 0, "chunks": 10_000}, "At most 256 MiB"),
        ("put", {"path": "/", "upload": "u", "index": 0, "chunks": 1}, "A path names a file"),
    ],
)
def test_bad_input_gets_one_sentence(
    page: Page, drive: Drive, kind: str, fields: dict[str, Any], sentence: str
) -> None:
    about = fields if kind == "mount" else {"drive": drive.id, **fields}
    assert sentence in page.refused(kind, [b"x"] if kind == "put" else None, **about)


def test_a_drive_that_nobody_has_says_so_in_time(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tab, "PATIENCE", 0.2)
    key = page.request("mount", key="ab" * 32)["drive"]
    assert page.refused("folder", drive=key, version=0, folder="/") == tab.NOBODY
    page.request("forget_drive", drive=key)
    assert page.refused("folder", drive=key, version=0, folder="/").startswith("This drive is no longer among yours")


def test_somebody_else_reads_it_by_its_key(start: Start, open_page: Open, page: Page, drive: Drive) -> None:
    other = open_page(start("otter"))
    assert other.request("mount", key=f"linkup://{drive.id}")["drive"] == drive.id
    other.request("drives")
    other.sees(
        lambda content: (
            content["type"] == "drives"
            and any(one["id"] == drive.id and one["version"] == drive.version for one in content["drives"])
        )
    )
    shown = other.request("preview", drive=drive.id, version=2, path="/runs/energies.csv")
    assert "2.26" in shown["html"]
    assert other.refused("put", [b"x"], drive=drive.id, path="/x", upload="u", index=0, chunks=1).count(".") == 1


def test_the_drives_of_a_room_s_members_are_there(start: Start, open_page: Open) -> None:
    ann, bob = start("ann"), start("bob")
    hers, his = open_page(ann), open_page(bob)
    hers.request("create", name="physics")
    room = ann.rooms[0]
    assert isinstance(room, MemoryRoom)
    his.request("join", word=room.invite)
    hers.state(lambda state: state["status"]["level"] == "ok")
    runtime.run(room.send_file(("energies.csv", b"T\n2.27\n")))
    his.row(lambda row: "energies.csv" in str(row.get("file")))
    his.request("drives")
    listed, _ = his.sees(
        lambda content: any(
            drive["name"] == "ann" and drive["group"] == "physics" and drive["version"]
            for drive in content.get("drives", [])
        )
    )
    [drive] = [one for one in listed["drives"] if one["name"] == "ann"]
    shown = his.request("preview", drive=drive["id"], version=0, path=_first(his, drive["id"], "/"))
    assert "2.27" in shown["html"]


def _first(page: Page, drive: str, folder: str) -> str:
    """The first file in a folder, however deep."""
    [file] = page.request("folder", drive=drive, version=0, folder=folder)["files"]
    return str(file["path"]) if not file["folder"] else _first(page, drive, file["path"])


def test_rows_that_begin_alike_twice_are_not_paired(page: Page, drive: Drive) -> None:
    for text in (b"k,v\n1,a\n1,b\n2,c\n", b"k,v\n1,x\n1,y\n2,c,more\n"):
        runtime.run(drive.put("/t.csv", text))
    compared = page.request("compare", drive=drive.id, path="/t.csv", a=drive.version - 1, b=drive.version)
    assert [cells(row) for row in compared["differing"]] == [
        ["-", "1", "a"],
        ["-", "1", "b"],
        ["+", "1", "x"],
        ["+", "1", "y"],
        ["~", "2", "c", ("", "more")],
    ]


def test_objects_on_lines_are_compared_by_their_names(page: Page, drive: Drive) -> None:
    for text in (b'{"id": 1, "v": 2}\n{"id": 2}\n', b'{"id": 1, "v": 3, "w": [1]}\n{"id": 2}\n'):
        runtime.run(drive.put("/t.jsonl", text))
    compared = page.request("compare", drive=drive.id, path="/t.jsonl", a=drive.version - 1, b=drive.version)
    assert compared["columns"] == ["id", "v", "w"]
    assert [cells(row) for row in compared["differing"]] == [["~", "1", ("2", "3"), ("", "[1]")]]


def test_pictures_are_looked_at_side_by_side_and_the_comparison_stays_selected(page: Page, drive: Drive) -> None:
    for size in (3, 5):
        out = io.BytesIO()
        Image.new("RGB", (size, size)).save(out, "PNG")
        runtime.run(drive.put("/p.png", out.getvalue()))
    a, b = drive.version - 1, drive.version
    compared = page.request("compare", drive=drive.id, path="/p.png", a=a, b=b)
    assert compared["pictures"]
    for version in (a, b):
        assert page.request("preview", drive=drive.id, version=version, path="/p.png", beside=True)["kind"] == "picture"


def test_a_folder_is_restored(page: Page, drive: Drive) -> None:
    then = drive.version - 1  # while there were notes
    restored = page.request("restore", drive=drive.id, path="/", version=then)
    assert (restored["changed"], restored["version"]) == (1, drive.version)
    assert runtime.run(drive.exists("/notes.md"))
    assert "no /nothing in version" in page.refused("restore", drive=drive.id, path="/nothing", version=then)


def test_a_folder_is_mirrored_once_one_has_seen_what_would_change(
    page: Page, node: Node, drive: Drive, tmp_path: Path
) -> None:
    local = tmp_path / "out"
    about: dict[str, Any] = {"drive": drive.id, "version": drive.version - 1, "folder": "/", "local": str(local)}
    would = page.request("mirror", **about)
    assert would["changed"] == 2
    assert would["sentence"].startswith(f"It would add 2 files in {local}: ")
    assert not local.exists()
    page.request("mirror", **about, dry=False)
    assert (local / "notes.md").is_file()
    assert page.request("mirror", **about)["sentence"] == f"{local} is the same already."
    assert evaluated(node, would["python"]) == []
    (local / "more.txt").write_bytes(b"more")
    page.request("mirror", **about | {"version": 0, "folder": "/in", "back": True, "dry": False})
    assert runtime.run(drive.get("/in/more.txt")) == b"more"
    assert "Name a folder" in page.refused("mirror", **about | {"local": " "})


def test_what_is_ones_own_is_not_cleared(page: Page, drive: Drive) -> None:
    assert "yours" in page.refused("clear_drive", drive=drive.id)


def test_somebody_elses_drive_is_fetched_with_progress_and_cleared(
    start: Start, open_page: Open, node: Node, drive: Drive
) -> None:
    runtime.run(drive.put("/big", bytes(range(256)) * 8_000))
    other = start("otter")
    page = open_page(other)
    theirs = runtime.run(other.drive(drive.id))
    runtime.run(theirs.arrived())
    page.request("drives")
    runtime.run(fetched(theirs))
    assert page.request("preview", drive=drive.id, version=0, path="/big")["stored"] == 100
    page.request("clear_drive", drive=drive.id)
    assert page.request("preview", drive=drive.id, version=0, path="/big")["stored"] == 0
    page.request("clear_drive", drive=drive.id)
    runtime.run(node.close())  # so that it takes as long as one looks
    page.request("download_drive", drive=drive.id)
    page.sees(lambda content: content["type"] == "drives" and content["drives"][0]["fetching"].endswith(" %"))


async def fetched(drive: Drive) -> None:
    await (await drive.download()).done(progress=False)


def test_a_drive_that_is_cut_while_one_looks_says_so(page: Page, drive: Drive) -> None:
    page.request("drives")
    head = drive.version
    page.request("marks", drive=drive.id, most=100)
    runtime.run(drive.bee.core.truncate(3))
    cut, _ = page.sees(lambda content: content["type"] == "drives" and content["drives"][0]["trouble"])
    assert (cut["drives"][0]["version"], "cut its history" in cut["drives"][0]["trouble"]) == (3, True)
    assert page.refused("folder", drive=drive.id, version=head, folder="/").startswith("This drive has 3 versions")
    assert page.request("marks", drive=drive.id, most=100)["head"] == 3
    runtime.run(drive.put("/after.txt", b"after"))
    files = page.request("folder", drive=drive.id, version=0, folder="/")["files"]
    assert [file["name"] for file in files] == ["runs", "after.txt"]
