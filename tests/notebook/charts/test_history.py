from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linkup_nb import Corestore, Drive
from linkup_nb.hyperdrive.history import Bisection, Changes, Event, Operation
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.notebook.charts.bisection import bisection
from linkup_nb.notebook.charts.card import CROSSED
from linkup_nb.notebook.charts.history import MAX_MARKS, MAX_PATHS, history
from tests.notebook.charts.pictures import kept, marks, rows, shown


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Drive]:
    """Lesson 6: notes, prices that go wrong with version 40, and the notes deleted at 67."""
    async with Corestore(tmp_path) as store:
        drive = await Drive.open(store)
        await drive.put("/notes.md", b"# Expedition\n")
        for day in range(64):
            await drive.put("/prices.csv", b"%d" % (-3 if day >= 37 else day))
        await drive.delete("/notes.md")
        yield drive


async def test_each_path_has_a_lane_with_what_became_of_it(drive: Drive) -> None:
    changes = await drive.history()
    picture = kept(lambda: history(changes))
    assert picture.text.splitlines() == [
        "66 changes from version 2 to 67, of 2 paths.",
        "/notes.md: 2 changes, put at 2, at last deleted at 67.",
        "/prices.csv: 64 changes, put at 3, at last put at 66, 2 bytes then.",
    ]
    notes = marks(picture, path="/notes.md")
    assert [(row["version"], row["operation"]) for row in notes] == [(2, "put"), (67, "delete")]
    assert notes[1]["shape"] == CROSSED
    assert notes[0]["x"] < notes[1]["x"]
    assert {"/notes.md", "/prices.csv", "version", "2", "67"} <= shown(picture)


async def test_a_line_is_where_the_file_is_there(drive: Drive) -> None:
    changes = await drive.history()
    picture = kept(lambda: history(changes))
    (lane,) = {row["y"] for row in marks(picture, path="/notes.md")}
    (line,) = [row for row in rows(picture, y=lane) if "x2" in row]
    put, deleted = marks(picture, path="/notes.md")
    assert (line["x"], line["x2"]) == (put["x"], deleted["x"])


async def test_the_newest_first_are_the_same_picture(drive: Drive) -> None:
    forwards, backwards = await drive.history(), await drive.history(newest_first=True)
    assert kept(lambda: history(forwards)) == kept(lambda: history(backwards))


def event(version: int, path: str, operation: Operation = Operation.PUT) -> Event:
    return Event(version, path, operation, None, None if operation is Operation.DELETE else 1, None)


def test_what_is_too_much_is_counted() -> None:
    changes = Changes(event(2 + number, f"/{number % 40}") for number in range(1000))
    picture = kept(lambda: history(changes))
    assert f"… and {40 - MAX_PATHS} more paths and {1000 - MAX_MARKS} more changes" in picture.spec["title"]["subtitle"]
    assert len(marks(picture, operation="put")) == MAX_MARKS
    assert "… and 36 more." in picture.text


def test_a_hostile_path_is_only_text_and_is_cut() -> None:
    evil = "/<img src=x onerror=alert(1)>\u202e\n" + "x" * 100_000 + "\u202e.txt"
    picture = kept(lambda: history(Changes([event(2, evil)])))
    drawn = str(picture.spec) + picture.text
    assert "\u202e" not in drawn
    assert len(drawn) < 10_000
    assert any(label.endswith("\\u202e.txt") for label in shown(picture))


def test_one_change_and_none() -> None:
    assert "put at 7, 1 byte then" in kept(lambda: history(Changes([event(7, "/a")]))).text
    assert history(Changes()) is None


async def test_a_bisection_is_a_number_with_the_looks_that_it_took(drive: Drive) -> None:
    async def bad(past: DriveView) -> bool:
        return b"-3" in (await past.get("/prices.csv") or b"")

    found = await drive.bisect(bad)
    assert found == 40
    assert isinstance(found, Bisection)
    assert [look.version for look in found.looks] == [67, 34, 51, 43, 39, 41, 40]
    picture = kept(lambda: bisection(found))
    assert picture.text.splitlines() == [
        "It holds from version 40 on: found in 7 looks among 67 versions.",
        "Looks: 67 yes, 34 no, 51 yes, 43 yes, 39 no, 41 yes, 40 yes.",
    ]
    assert [(row["from"], row["to"]) for row in rows(picture) if "from" in row] == [
        (1, 67),
        (1, 67),
        (35, 67),
        (35, 51),
        (35, 43),
        (40, 43),
        (40, 41),
    ]
    assert {row["shape"] for row in marks(picture, answer="holds")} == {"square"}


async def test_a_bisection_of_one_version(drive: Drive) -> None:
    found = await drive.bisect(lambda past: True, 5, 5)
    assert found is not None
    assert "found in 1 look among 1 version" in kept(lambda: bisection(found)).text
