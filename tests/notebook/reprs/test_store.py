"""How logs and drives look as the value of a cell, and what strangers cannot do to it."""

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from IPython.core.interactiveshell import InteractiveShell

from linkup_nb import Corestore, Drive
from linkup_nb.hyperdrive.blobs import BlobId
from linkup_nb.hyperdrive.comparison import Comparison, Side
from linkup_nb.hyperdrive.entry import Entry
from linkup_nb.hyperdrive.history import Change, Changes, Event, Operation
from linkup_nb.notebook.charts.card import VEGA_LITE
from linkup_nb.notebook.reprs import display
from linkup_nb.notebook.reprs.html import MAX_EXACT, MAX_LISTED
from linkup_nb.notebook.reprs.store import MAX_COLUMNS, MAX_LINES
from linkup_nb.wire.keys import short_key

EVIL = '<img src=x onerror="alert(1)">\u202efdp.exe"><script>alert(1)</script>'
HUGE = "x" * 1_000_000
BLOB = BlobId(0, 1, 0, 5)
SIDES = (Side(2, 5, "a" * 64), Side(3, 7, "b" * 64))
MAX_HTML = 50_000  # characters


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance()
    display.register()
    yield shell
    InteractiveShell.clear_instance()


class Opened(NamedTuple):
    store: Corestore
    drive: Drive


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        yield Opened(store, drive)


def shown(shell: InteractiveShell, value: object) -> dict[str, Any]:
    assert shell.display_formatter
    data, _ = shell.display_formatter.format(value)  # type: ignore[no-untyped-call]
    return dict(data)


def drawn(shell: InteractiveShell, value: object) -> str:
    data = shown(shell, value)
    assert "\n" not in data["text/plain"]
    return str(data["text/html"])


def row(html: str, name: str) -> str:
    """What stands beside a name in a table."""
    found = re.search(f">{name}</td><td[^>]*>([^<]*)<", html)
    assert found, html
    return found[1]


async def test_a_core_shows_what_it_has_but_no_key(shell: InteractiveShell, opened: Opened) -> None:
    secret = bytes(range(32))
    core = await opened.store.core(name="log", encryption_key=secret)
    await core.append([b"one", b"two"])

    for view in (drawn(shell, core), drawn(shell, core.info), repr(core)):
        assert short_key(core.key) in view
        assert core.id not in view
        assert core.key.hex() not in view
        assert secret.hex() not in view
    assert row(drawn(shell, core), "blocks") == "2"
    assert "writable" in drawn(shell, core)
    assert row(drawn(shell, core.info), "encrypted") == "yes"
    await core.close()
    assert "closed" in drawn(shell, core)


def test_the_first_name_that_is_used_teaches_ipython() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance()\n"
        "import linkup_nb as lu; lu.Corestore\n"
        "from linkup_nb.hyperdrive.entry import Entry\n"
        "print('text/html' in shell.display_formatter.format(Entry('/a', 1, None))[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


async def test_a_store_shows_its_first_cores(shell: InteractiveShell, opened: Opened) -> None:
    for number in range(MAX_LISTED + 2):
        await opened.store.core(name=f"core {number}")
    count = len(opened.store.cores)

    html = drawn(shell, opened.store)

    assert html.count("<tr>") == 1 + MAX_LISTED
    assert f"… and {count - MAX_LISTED} more" in html
    assert opened.store._primary_key.hex() not in html
    await opened.store.close()
    assert "closed" in drawn(shell, opened.store)


async def test_a_drive_shows_its_version(shell: InteractiveShell, opened: Opened) -> None:
    await opened.drive.put("/a", b"1")

    assert row(drawn(shell, opened.drive), "version") == "2"
    assert "writable" in drawn(shell, opened.drive)
    assert row(drawn(shell, opened.drive[1]), "version") == "1"
    assert "read-only" in drawn(shell, opened.drive[1])
    assert row(drawn(shell, await opened.drive.info()), "peers") == "0"
    assert opened.drive.id not in drawn(shell, opened.drive)


async def test_what_lives_on_another_thread_is_drawn_here(shell: InteractiveShell, opened: Opened) -> None:
    core = await opened.store.core(name="log")
    await core.append([b"one", b"two", b"three"])
    await opened.drive.put("/a", b"1")
    views: list[str] = []
    things = [opened.store, opened.drive, opened.drive[1], core, await core.checkout(2)]

    thread = threading.Thread(target=lambda: views.extend(drawn(shell, thing) for thing in things))
    thread.start()
    await asyncio.to_thread(thread.join)

    assert len(views) == len(things)
    assert row(views[-1], "bytes") == "6"


async def test_a_part_of_a_history_and_a_diff_are_tables(shell: InteractiveShell, opened: Opened) -> None:
    drive = opened.drive
    for number in range(MAX_LISTED + 3):
        await drive.put(f"/file {number}", b"x" * 1500)
    await drive.delete("/file 0")

    history = shown(shell, tuple(await drive.history()))["text/html"]
    diff = drawn(shell, await drive.diff(2))
    assert history.count("<tr>") == diff.count("<tr>") == 1 + MAX_LISTED
    assert "… and 4 more" in history
    assert "… and 3 more" in diff
    assert ">put</td>" in history
    assert row(history, "/file 1") == ""
    assert "1,500</td></tr>" in history
    assert ">gone</td>" in diff
    assert "No changes" in drawn(shell, await drive.diff(2, 2))


async def test_a_history_a_tree_and_a_proof_are_pictures(shell: InteractiveShell, opened: Opened) -> None:
    await opened.drive.put("/notes.md", b"x")
    core = await opened.store.core(name="log")
    await core.append([b"x"] * 5)
    history, tree = await opened.drive.history(), await core.tree()
    assert isinstance(history, Changes)
    for value, text in (
        (history, "1 change from version 2 to 2, of 1 path."),
        (await opened.drive.bisect(lambda past: past.version > 1), "It holds from version 2 on:"),
        (tree, "Merkle tree of 5 blocks: roots 3, 8"),
        (tree.path(2), "Proof of block 2 of 5"),
        (await core.proof(2), "Proof of block 2 of 5"),
    ):
        data = shown(shell, value)
        assert set(data) == {VEGA_LITE, "text/plain"}
        assert data["text/plain"].startswith(text)
        assert set(shown(shell, [value])) == {"text/plain"}
        assert "\n" not in shown(shell, [value])["text/plain"]


async def test_an_entry_says_what_it_is(shell: InteractiveShell, opened: Opened) -> None:
    await opened.drive.put("/tool", b"#!", executable=True, metadata={"mime": "text/x-sh"})
    await opened.drive.symlink("/link", "tool")

    tool, link = drawn(shell, await opened.drive.entry("/tool")), drawn(shell, await opened.drive.entry("/link"))
    assert row(tool, "bytes") == "2"
    assert row(tool, "executable") == "yes"
    assert "text/x-sh" in tool
    assert "a symbolic link to" in link
    assert ">tool</td>" in link


async def test_a_text_shows_the_lines_that_differ(shell: InteractiveShell, opened: Opened) -> None:
    await opened.drive.put("/a.txt", b"one\n\ttwo\n")
    await opened.drive.put("/a.txt", b"one\n\t2\n" + b"line\n" * MAX_LINES)

    html = drawn(shell, await opened.drive.compare("/a.txt", 2, 3))

    assert "1 line removed, 41 added" in html
    assert ">-\ttwo</del>" in html
    assert ">+\t2</ins>" in html
    assert f"… and {1 + 1 + 2 + MAX_LINES - MAX_LINES} more" in html
    assert "the same" in drawn(shell, await opened.drive.compare("/a.txt", 3, 3))


async def test_a_table_shows_the_rows_that_differ_under_their_columns(shell: InteractiveShell, opened: Opened) -> None:
    await opened.drive.put("/t.csv", b"city,people\nUlm,1\n")
    await opened.drive.put("/t.csv", b"city,people\nUlm,2\n")
    await opened.drive.put("/t.jsonl", b'{"city":"Ulm","people":1}\n')
    await opened.drive.put("/t.jsonl", b'{"city":"Ulm"}\n')

    for html in (
        drawn(shell, await opened.drive.compare("/t.csv", 2, 3)),
        drawn(shell, await opened.drive.compare("/t.jsonl", 4, 5)),
    ):
        assert "1 row removed, 1 added" in html
        assert ">city</th>" in html
        assert html.count("Ulm") == 2
        assert html.count("<tr") == 3


async def test_the_rest_shows_sizes_and_hashes(shell: InteractiveShell, opened: Opened) -> None:
    await opened.drive.put("/a.bin", b"\xff")
    await opened.drive.put("/a.bin", b"\xff\xfe" * 1000)

    html = drawn(shell, await opened.drive.compare("/a.bin", 2, 3))

    assert row(html, "version 3") == "2,000"


async def test_a_download_shows_how_far_it_is(shell: InteractiveShell, opened: Opened) -> None:
    core = await opened.store.core(name="log")
    await core.append([b"one", b"two"])

    html = drawn(shell, await core.download())

    assert "2 of 2 are here: all here" in html
    assert 'value="2" max="2"' in html


async def test_a_server_shows_no_token(shell: InteractiveShell, opened: Opened) -> None:
    server = await opened.drive.serve()

    assert server.token
    assert server.token not in drawn(shell, server)
    assert server.token not in repr(server)
    await server.close()


@pytest.mark.parametrize("text", [EVIL, HUGE, "\udcff\x00\x1b[31m\u2066\ufeff" + EVIL], ids=["evil", "huge", "hidden"])
@pytest.mark.parametrize(
    "make",
    [
        lambda t: Entry(t, 3, BLOB, True, None, {t: [t] * 50}),
        lambda t: Entry(t, 3, None, False, t, t),
        lambda t: Event(3, t, Operation.PUT, None, 5, BLOB),
        lambda t: Change(t, None, Entry(t, 3, BLOB)),
        lambda t: Changes([Change(t, Entry(t, 2, None, False, t), Entry(t, 3, BLOB))] * 1000),
        lambda t: Comparison(t, *SIDES),
        lambda t: Comparison(t, *SIDES, lines=(t, t, f"-{t}", f"+{t}", t) * 100),
        lambda t: Comparison(t, *SIDES, columns=(t,) * 100, removed=((t,) * 100,) * 100, added=((t,),)),
        lambda t: Comparison(t, *SIDES, removed=({t: t, "a": [t]},) * 100, added=(t, None, {t: 1})),
        lambda t: Comparison(t, *SIDES, removed=({str(n) + t: t for n in range(100)},) * 100),
        lambda t: Comparison(t, *SIDES, columns=(), added=((),)),
    ],
)
async def test_what_strangers_wrote_is_only_text(shell: InteractiveShell, make: Any, text: str) -> None:
    html = drawn(shell, make(text))

    for forbidden in ("<img", "<script", "\u202e", "\u2066", "\ufeff", "\x00", "\x1b", "\udcff"):
        assert forbidden not in html
    assert "x" * (MAX_EXACT + 1) not in html
    assert len(html) < MAX_HTML
    html.encode()


async def test_what_was_added_shows_however_much_was_removed(shell: InteractiveShell) -> None:
    rows = tuple((f"row {number}",) for number in range(100))

    html = drawn(shell, Comparison("/t.csv", *SIDES, columns=("a",), removed=rows, added=rows[:2]))

    assert html.count(">-</td>") == MAX_LISTED - 2
    assert html.count(">+</td>") == 2
    assert "… and 90 more" in html


async def test_hidden_characters_of_a_name_show(shell: InteractiveShell) -> None:
    assert "fdp\\u202eexe" in drawn(shell, Entry("/fdp\u202eexe", 3, BLOB))


async def test_more_columns_than_fit_are_counted(shell: InteractiveShell) -> None:
    wide = Comparison("/t.csv", *SIDES, columns=("a",) * 20, added=(("1",) * 20,))

    assert f"… and {20 - MAX_COLUMNS} more" in drawn(shell, wide)
