"""What holds for every lesson: nothing is left over, progress stays, bad names get a sentence."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.lab.lessons.opening import end
from linkup_nb.lab.lessons.progress import CheckProgress
from tests.lab.lessons.session import NUMBERS


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    end()


def left(folder: Path) -> tuple[int, int, list[str]]:
    """Open files and sockets, threads, and files in the temporary folder."""
    return len(os.listdir("/proc/self/fd")), threading.active_count(), sorted(os.listdir(folder))


def test_nothing_is_left_of_lessons_that_have_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lu.lab.lesson(1)
    end()  # what is loaded and made once for all
    before = left(tmp_path)
    for number in NUMBERS:
        lu.lab.lesson(number)  # ends the one before
    end()
    files, threads, folders = left(tmp_path)
    assert (threads, folders) == before[1:]
    assert files <= before[0] + 2  # of sqlite's and of the loop's own


def test_a_lesson_whose_making_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("linkup_nb.lab.lessons.xor.NODES", 10_000)
    threads = threading.active_count()
    with pytest.raises(lu.UsageError):
        lu.lab.lesson(3)
    assert os.listdir(tmp_path) == []
    assert threading.active_count() == threads


def test_a_lesson_that_has_ended_says_so() -> None:
    first = lu.lab.lesson(6)
    second = lu.lab.lesson(6)
    assert first.closed
    assert repr(first) == "<Lesson 6, closed>"
    verdict = first.check("broke", 40)
    assert (verdict.hint, verdict.look) == ("closed", "lesson = lu.lab.lesson(6)")
    assert second.check("broke", 40).right


@pytest.mark.parametrize("number", [0, 9, "4", True, None])
def test_there_are_lessons_1_to_8(number: object) -> None:
    with pytest.raises(lu.UsageError, match="There are lessons 1 to 8, and no"):
        lu.lab.lesson(number)  # type: ignore[arg-type]


def test_a_name_that_is_not_there_gets_those_that_are() -> None:
    lesson = lu.lab.lesson(4)
    with pytest.raises(lu.UsageError, match="Lesson 4 has no check 'x'; there are: 'siblings' and 'notices'"):
        lesson.check("x")
    for ask in (lesson.show, lesson.predict, lesson.explain):
        with pytest.raises(lu.UsageError, match="Lesson 4 has no"):
            ask("x")


def test_progress_stays_and_names_no_answer() -> None:
    lu.lab.lesson(6).check("broke", 39)
    progress = lu.lab.lesson(6).progress
    assert progress.lessons["6"].checks == {"broke": CheckProgress(1, False)}
    lu.lab.lesson(6).check("broke", 40)
    lu.lab.lesson(6).check("broke", 39)
    progress = lu.lab.lesson(3).progress
    assert progress.lessons["6"].checks == {"broke": CheckProgress(3, True)}
    assert repr(progress) == "lesson 6: broke ✓; 3 tries, 0 min"


async def test_a_class_sees_what_each_has_shared_and_only_that(tmp_path: Path) -> None:
    lesson = lu.lab.lesson(6)
    async with lu.Node(tmp_path, name="<b>Ann</b>", discovery=[]) as node:
        room = await node.create_room("class")
        assert "Nobody has shared yet" in repr(lu.lab.class_progress(room))
        lesson.check("broke", 39)
        await lesson.share(room)
        lesson.check("broke", 40)
        await lesson.share(room)
        shown = lu.lab.class_progress(room)
        assert repr(shown) == "<b>Ann</b>, lesson 6: broke ✓; 2 tries, 0 min"
        assert "<b>" not in (shown._repr_html_() or "")
        linkup = await node.create_room("lobby", linkup=True)
        with pytest.raises(lu.UsageError, match="in a room with memory"):
            lu.lab.class_progress(linkup)


async def test_what_a_stranger_shares_as_progress_is_shown_as_nothing_if_it_is_none(tmp_path: Path) -> None:
    class Nonsense:
        def __init__(self, shared: object) -> None:
            self.shared = shared

        def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
            return {"text/plain": "progress", "application/vnd.linkup.lessons+json": self.shared}

    async with lu.Node(tmp_path, name="Eve", discovery=[]) as node:
        room = await node.create_room("class")
        many: dict[str, object] = {str(number): {} for number in range(1000)}
        nonsense: list[object] = [
            7,
            [],
            {"lessons": 3},
            {"lessons": {"1": {"checks": {"x": {"tries": -1}}}}},
            {"lessons": many},
        ]
        for shared in nonsense:
            await room.send(Nonsense(shared))
        assert lu.lab.class_progress(room).learners == {}
