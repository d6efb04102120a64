"""Each lesson's checks: every anticipated mistake gets its hint, every right answer something to notice."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import linkup_nb as lu
from linkup_nb.lab.lessons.checks import Check
from linkup_nb.lab.lessons.frame import CHECK_TIMEOUT, Lesson
from linkup_nb.lab.lessons.opening import end
from tests.lab.lessons.session import NUMBERS, Session, cells
from tests.lab.lessons.wrong_answers import AFTER, ALONE, BEFORE, Given

MAX_TEXT = 160  # characters of a hint
BAD = ["None", "...", "''", "asyncio.sleep(0)", "ValueError('no')", "float('nan')", "list(range(10**6))", "object()"]


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    end()


def declared(lesson: Lesson) -> dict[str, Check]:
    return lesson._checks()


async def give(session: Session, given: Given) -> str:
    """Do what a learner does; the check that it was, the hint by its name, "right" for none."""
    verdict = await session.run(given.source)
    assert ("right" if verdict.right else verdict.hint) == given.hint, (given.source, verdict)
    return f"{verdict.name}: {given.hint}"


@pytest.mark.parametrize("number", NUMBERS)
async def test_each_mistake_gets_its_hint(number: int) -> None:
    fired = set()
    session = Session()
    for given in [*BEFORE.get(number, []), *ALONE.get(number, [])]:
        await session.run(cells(number, solved=True)[0])
        fired.add(await give(session, given))
    session = Session()
    await session.begin(number)
    for given in AFTER[number]:
        fired.add(await give(session, given))
    for check in declared(session.names["lesson"]).values():
        assert f"{check.name}: right" in fired
        # What nobody foresaw cannot always be brought about.
        assert {hint for hint in check.hints if f"{check.name}: {hint}" not in fired} <= {"other"}, check.name


@pytest.mark.parametrize("number", NUMBERS)
async def test_each_hint_is_short_and_what_it_points_to_is_there(number: int) -> None:
    session = Session()
    for source in cells(number, solved=True):
        await session.run(source)
    session.names |= {"n": 0}
    for check in declared(session.names["lesson"]).values():
        for hint in check.hints.values():
            assert len(hint.text) <= MAX_TEXT, hint
            try:
                await session.run(hint.look)
            except lu.PeerError:
                assert "verify" in hint.look  # a forgery is what there is to see


@pytest.mark.parametrize("number", NUMBERS)
async def test_what_is_no_answer_gets_a_hint_for_that(number: int) -> None:
    session = Session()
    session.names["asyncio"] = asyncio
    await session.begin(number)
    lesson = session.names["lesson"]
    for check in declared(lesson).values():
        if check.kind is None:
            continue
        for bad in BAD:
            verdict = await session.run(f"lesson.check({check.name!r}, {bad})")
            assert not verdict.right
            if not (bad == "None" and check.kind.holds(None)):
                assert verdict.hint in ("nothing", "coroutine", "exception", "kind"), (check.name, bad, verdict)


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_check_that_is_asked_again_says_the_same_and_a_third_mistake_offers_the_way(number: int) -> None:
    session = Session()
    await session.begin(number)
    lesson = session.names["lesson"]
    for check in declared(lesson).values():
        wrong: list[Any] = [lesson.check(check.name, ...) for _ in range(3)]
        assert len({(verdict.right, verdict.hint, verdict.text) for verdict in wrong}) == 1
        if not wrong[0].right:
            assert [verdict.offer for verdict in wrong] == [False, False, True]
            assert f"lesson.show({check.name!r})" in repr(wrong[2])
        right = [await session.run(lesson.show(check.name).source) for _ in range(2)]
        assert all(verdict.right for verdict in right), right
        assert right[0].text == right[1].text


async def test_a_check_that_never_ends_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkup_nb.lab.lessons.frame.CHECK_TIMEOUT", 0.0)
    assert CHECK_TIMEOUT <= 5
    verdict = lu.lab.lesson(3).check("k", 4)
    assert (verdict.right, verdict.hint) == (False, "slow")
