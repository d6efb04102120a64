"""What has happened to files, where something began, and how versions differ."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.history import MAX_COMPARED, Event, Operation


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    async with Corestore(tmp_path / "store") as store, await Drive.open(store) as drive:
        yield drive


async def _changes(drive: Drive) -> None:
    await drive.put("/a/x", b"1")
    await drive.put("/b", b"22")
    await drive.put("/a/x", b"333")
    await drive.symlink("/a/link", "x")
    await drive.delete("/a/x")
    await drive.put("/a/x", b"")


def _told(event: Event) -> tuple[int, str, str, int | None, int | None]:
    return (event.version, event.path, event.operation.value, event.size_before, event.size_after)


EXPECTED = [
    (2, "/a/x", "put", None, 1),
    (3, "/b", "put", None, 2),
    (4, "/a/x", "put", 1, 3),
    (5, "/a/link", "link", None, None),
    (6, "/a/x", "delete", 3, None),
    (7, "/a/x", "put", None, 0),
]


async def test_the_history_of_everything_both_ways(drive: Drive) -> None:
    await _changes(drive)

    assert [_told(event) async for event in drive.history()] == EXPECTED
    assert [_told(event) async for event in drive.history(newest_first=True)] == EXPECTED[::-1]


async def test_the_history_of_a_file_and_of_a_folder(drive: Drive) -> None:
    await _changes(drive)
    await drive.put("/ab", b"not in the folder")

    assert [event.version async for event in drive.history("/a/x")] == [2, 4, 6, 7]
    assert [event.version async for event in drive.history("/a", newest_first=True)] == [7, 6, 5, 4, 2]
    [first] = [event async for event in drive[2].history("/a/x")]
    assert first.operation is Operation.PUT
    assert first.blob
    assert first.blob.byte_length == 1


async def test_newest_first_reads_no_more_than_it_needs(drive: Drive) -> None:
    for index in range(200):
        await drive.put("/a", b"%d" % index)
    fresh = await Drive.open(drive._source.store)

    newest = await anext(aiter(fresh.history("/a", newest_first=True)))

    assert (newest.version, newest.size_before) == (201, 3)
    assert len(fresh.bee._blocks) == 2


async def test_a_table_of_the_history(drive: Drive) -> None:
    await _changes(drive)

    frame = await drive.history("/a").to_pandas()

    assert list(frame["version"]) == [2, 4, 5, 6, 7]
    assert frame["size_after"].sum() == 4


@pytest.mark.parametrize("begun", [2, 57, 101])
async def test_bisecting_finds_where_something_began_in_few_steps(drive: Drive, begun: int) -> None:
    for index in range(100):
        await drive.put("/value", b"%d" % (index + 2))
    asked: list[int] = []

    async def holds(past: Drive) -> bool:
        asked.append(past.version)
        return int(await past.get("/value") or 0) >= begun

    assert await drive.bisect(holds) == begun
    assert len(asked) <= 8
    assert await drive.bisect(lambda past: False) is None


async def test_bisecting_finds_the_change_inside_of_a_batch(drive: Drive) -> None:
    for _ in range(3):
        async with drive.batch() as batch:
            for index in range(40):
                await batch.put(f"/{index * 7 % 40}", b"%d" % index)
        async with drive.batch() as batch:
            for index in range(30):
                await batch.delete(f"/{index}")

    async def has_both(past: Drive) -> bool:
        return await past.exists("/31") and await past.exists("/39")

    assert await drive.bisect(has_both) == 1 + 34
    for event in [event async for event in drive.history("/")]:
        assert await drive[event.version].exists(event.path) == (event.operation is Operation.PUT)


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
        ("/t.csv", b"a,b\n1,2\n3,4\n3,4\n", b'a,b\n3,4\n5,"6"\n', ("1, 2", "3, 4"), ("5, 6",)),
        ("/t.jsonl", b'{"a":1,"b":2}\n{"c":3}\n', b'{"b": 2, "a": 1}\n{"c":4}\n', ('{"c": 3}',), ('{"c": 4}',)),
    ],
)
async def test_tables_are_compared_by_rows(
    drive: Drive, path: str, before: bytes, after: bytes, removed: tuple[str, ...], added: tuple[str, ...]
) -> None:
    await drive.put(path, before)
    await drive.put(path, after)

    comparison = await drive.compare(path, 2, 3)

    assert (comparison.removed, comparison.added, comparison.lines) == (removed, added, ())


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * (MAX_COMPARED + 1)], ids=["bytes", "too large"])
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
