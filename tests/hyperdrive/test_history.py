"""What has happened to files, where something began, and how versions differ."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hyperdrive import view
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.hyperdrive.history import Changes, Event, Operation
from linkup_nb.hyperdrive.view import DriveView


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

    async def holds(past: DriveView) -> bool:
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

    async def has_both(past: DriveView) -> bool:
        return await past.exists("/31") and await past.exists("/39")

    assert await drive.bisect(has_both) == 1 + 34
    for event in [event async for event in drive.history("/")]:
        assert await drive[event.version].exists(event.path) == (event.operation is Operation.PUT)


async def test_all_of_a_history_or_of_a_diff_is_awaited_at_once(drive: Drive) -> None:
    await _changes(drive)

    history, diff = await drive.history("/a/x"), await drive.diff(3, 6, "/a")

    assert [event.version for event in history] == [2, 4, 6, 7]
    assert [(change.path, change.after) for change in diff] == [
        ("/a/link", await drive.entry("/a/link")),
        ("/a/x", None),
    ]
    assert isinstance(history, Changes)


async def test_each_has_a_repr_of_one_line(drive: Drive) -> None:
    await _changes(drive)
    history, diff = await drive.history("/a/x"), await drive.diff(2, 6)
    entry = await drive.entry("/a/link")

    assert repr(drive.diff(2, 6)) == f"Diff('/' of {drive!r}, version 2 to version 6)"
    assert repr(drive.history("/a/x")) == f"History('/a/x' of {drive!r})"
    assert repr(history[1]) == "Event(version 4, put '/a/x', 1 → 3 bytes)"
    assert repr(history[2]) == "Event(version 6, delete '/a/x', 3 bytes less)"
    assert repr(entry) == "Entry('/a/link', version 5, a link to 'x')"
    assert [repr(change) for change in diff] == [
        "Change('/a/link' is new: Entry('/a/link', version 5, a link to 'x'))",
        "Change('/a/x' is gone: Entry('/a/x', version 2, 1 bytes))",
        "Change('/b' is new: Entry('/b', version 3, 2 bytes))",
    ]
    assert repr(Changes(history * 3)).endswith(", … and 7 more)")


async def test_a_path_that_fills_the_screen_is_cut_in_a_repr(drive: Drive) -> None:
    await drive.put("/" + "x" * 4000 + "\u202e", b"")
    [event] = await drive.history()
    [change] = await drive.diff(1)

    for thing in (event, change, change.after):
        assert len(repr(thing)) < 600
        assert "\u202e" not in repr(thing)


def test_everything_by_which_a_drive_is_written_is_known_of_its_past() -> None:
    added = {name for name in set(dir(Drive)) - set(dir(DriveView)) if not name.startswith("_")}
    assert added - {"open", "serve", "purge", "check_writable"} == view._WRITING


async def test_who_writes_into_the_past_is_told_where_to_write(drive: Drive) -> None:
    await drive.put("/a", b"1")
    past: Any = drive[2]

    with pytest.raises(AttributeError, match="The past of a drive cannot be changed: call put of the drive itself"):
        await past.put("/a", b"2")
    assert not hasattr(past, "nothing_of_this_name")
