"""How a file differs between two versions."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.comparison import MAX_COMPARED, MAX_LINES
from linkup_nb.hyperdrive.drive import Drive


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        yield drive


async def test_texts_are_compared_by_lines(drive: Drive) -> None:
    await drive.put("/notes.txt", b"one\ntwo\nthree\n")
    await drive.put("/notes.txt", b"one\n2\nthree\n")

    comparison = await drive.compare("/notes.txt", 2, 3)

    assert not comparison.same
    assert comparison.lines[2:] == ("@@ -1,3 +1,3 @@", " one", "-two", "+2", " three")
    assert "is the same" in str(await drive.compare("/notes.txt", 2, 2))


@pytest.mark.parametrize(
    ("path", "before", "after", "removed", "added"),
    [
        ("/t.csv", b"a,b\n1,2\n3,4\n3,4\n", b'a,b\n3,4\n5,"6"\n', (("1", "2"), ("3", "4")), (("5", "6"),)),
        ("/t.jsonl", b'{"a":1,"b":2}\n{"c":3}\n', b'{"b": 2, "a": 1}\n{"c":4}\n', ({"c": 3},), ({"c": 4},)),
    ],
)
async def test_tables_are_compared_by_rows(
    drive: Drive, path: str, before: bytes, after: bytes, removed: tuple[Any, ...], added: tuple[Any, ...]
) -> None:
    await drive.put(path, before)
    await drive.put(path, after)

    comparison = await drive.compare(path, 2, 3)

    assert (comparison.removed, comparison.added, comparison.lines) == (removed, added, ())


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"\0\0\0", b"x" * (MAX_COMPARED + 1)], ids=["bytes", "zeros", "too large"]
)
async def test_the_rest_is_compared_by_size_and_hash(drive: Drive, content: bytes) -> None:
    await drive.put("/file", b"short")
    await drive.put("/file", content)

    comparison = await drive.compare("/file", 2, 3)

    assert (comparison.before.size, comparison.after.size, comparison.lines) == (5, len(content), ())
    assert str(comparison) == f"/file: 5 bytes became {len(content)}"


async def test_a_file_that_began_between_the_versions(drive: Drive) -> None:
    await drive.put("/other", b"")
    await drive.put("/new.txt", b"hello\n")

    comparison = await drive.compare("/new.txt", 2, 3)

    assert (comparison.before.size, comparison.lines[-1]) == (None, "+hello")


async def test_a_table_of_which_nothing_is_left_keeps_its_columns(drive: Drive) -> None:
    await drive.put("/t.csv", b"a,b\n1,2\n")
    await drive.put("/t.csv", b"")

    comparison = await drive.compare("/t.csv", 2, 3)

    assert (comparison.columns, comparison.removed) == (("a", "b"), (("a", "b"), ("1", "2")))


@pytest.mark.parametrize("path", ["/t.csv", "/t.jsonl", "/t.txt"])
async def test_an_empty_file_is_not_no_file(drive: Drive, path: str) -> None:
    await drive.put(path, b"")

    comparison = await drive.compare(path, 1, 2)

    assert (comparison.same, comparison.before.size, comparison.after.size) == (False, None, 0)


@pytest.mark.parametrize("path", ["/t.csv", "/t.jsonl"])
async def test_what_is_named_a_table_and_is_none_is_compared_as_a_text(drive: Drive, path: str) -> None:
    await drive.put(path, b'{"a":' * 100_000)
    await drive.put(path, b'a\x00b,c\r"')

    comparison = await drive.compare(path, 2, 3)

    assert not comparison.same
    assert str(comparison)


async def test_a_text_of_too_many_lines_is_compared_by_size_and_hash(drive: Drive) -> None:
    await drive.put("/t.txt", b"a\n" * MAX_LINES)
    await drive.put("/t.txt", b"b\n" * (MAX_LINES + 1))

    comparison = await drive.compare("/t.txt", 2, 3)

    assert (comparison.lines, comparison.same) == ((), False)


async def test_its_repr_is_one_line_and_its_text_says_what_differs(drive: Drive) -> None:
    await drive.put("/t.csv", b"a,b\n1,2\n")
    await drive.put("/t.csv", b"a,b\n3,4\n5,6\n")
    comparison = await drive.compare("/t.csv", 2, 3)

    assert repr(comparison) == "Comparison('/t.csv', versions 2 and 3: -1 +2)"
    assert str(comparison) == "- 1, 2\n+ 3, 4\n+ 5, 6"
    assert repr(await drive.compare("/t.csv", 3, 3)) == "Comparison('/t.csv', versions 3 and 3: the same)"
