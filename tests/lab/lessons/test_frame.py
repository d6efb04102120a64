"""What holds for every lesson: nothing is left over, progress stays, bad names get a sentence."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from platformdirs import user_data_path

import linkup_nb as lu
from linkup_nb.lab.lessons.opening import end
from linkup_nb.lab.lessons.progress import CheckProgress, keep, read
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


@pytest.mark.parametrize("number", [4, 7])
def test_an_interpreter_that_ends_amid_a_lesson_says_nothing_and_leaves_nothing(number: int, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    ended = subprocess.run(
        [sys.executable, "-c", f"import linkup_nb as lu\nlesson, node = lu.lab.lesson({number}), lu.start()"],
        env=os.environ | {"TMPDIR": str(temporary), "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert os.listdir(temporary) == []
    assert not list((tmp_path / "data").rglob("*-wal")), "a store was not closed"


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


def test_two_kernels_at_one_lesson_lose_no_try() -> None:
    often = "from linkup_nb.lab.lessons.progress import keep\nfor _ in range(40): keep(3, 'k', done=False, seconds=1)"
    kernels = [subprocess.Popen([sys.executable, "-c", often]) for _ in range(2)]
    assert [kernel.wait(60) for kernel in kernels] == [0, 0]
    assert read().lessons["3"].checks["k"].tries == 80


def test_a_kernel_that_stands_still_holds_up_no_lesson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.lab.lessons.progress.LOCK_TIMEOUT", 0.1)
    before = keep(3, "k", done=False, seconds=1).checks["k"].tries
    with FileLock(user_data_path("linkup_nb", appauthor=False) / "lessons" / "3.lock"):
        assert keep(3, "k", done=False, seconds=1).checks["k"].tries == before + 1
    assert read().lessons["3"].checks["k"].tries == before


def test_an_answer_that_never_ends_gets_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.lab.lessons.frame.CHECK_TIMEOUT", 0.2)
    enough = threading.Event()

    class Endless(list[int]):
        def __iter__(self) -> Iterator[int]:
            while not enough.is_set():
                yield 1

    lesson = lu.lab.lesson(3)
    try:
        assert lesson.check("near", Endless()).hint == "slow"
    finally:
        enough.set()


def test_what_was_given_is_described_by_what_is_in_it() -> None:
    lesson = lu.lab.lesson(4)
    assert "You gave a list of str;" in lesson.check("siblings", ["10", "13", "3"]).text
    assert "You gave a list of 1,000,000;" in lesson.check("siblings", [3] * 1_000_000).text
    assert lesson.check("siblings", (10, ...)).hint == "nothing"


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
