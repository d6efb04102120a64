"""Checks of a lesson: each looks at live objects, and says what to notice, or which mistake an answer likely is."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

MAX_ITEMS = 1000  # of a list that is an answer
MAX_NAME = 20  # characters of a kind of answer
MAX_ERROR = 80  # characters of an error that is given as an answer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hint:
    """What is said of a wrong answer, in 160 characters at most; `look` is an expression whose value shows more."""

    name: str
    text: str
    look: str


Said: TypeAlias = "str | Hint"
"""What a check gives: the sentence to notice when the answer is right, else a hint."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an answer has to be, in words, and whether one is."""

    words: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Check:
    """A check: the method that judges, what it takes, its hints by name, and the cell that answers it.

    `kind` is `None` for one that takes no answer, and looks only at what the learner has done.
    """

    name: str
    judge: Callable[..., Awaitable[Said]]
    kind: Kind | None
    hints: Mapping[str, Hint]
    solution: str


class NotRun(Exception):  # no error: the learner has not come so far
    """The cells that a check looks at have not run yet; the sentence says which to run."""


def check(
    name: str, *, kind: Kind | None, hints: Sequence[Hint], solution: str
) -> Callable[[Callable[..., Awaitable[Said]]], Check]:
    """Make a check of a lesson out of a method `(self, answer)`, or `(self)` where `kind` is `None`.

    Order the hints by how likely they are; one called "other" exists always, for what nobody foresaw.
    """
    by_name = {hint.name: hint for hint in hints}
    assert "other" in by_name, f"the check {name!r} has no hint for what nobody foresaw"
    return lambda judge: Check(name, judge, kind, by_name, solution)


def first(likely: Mapping[str, bool]) -> str:
    """The name of the first hint that holds."""
    return next((name for name, holds in likely.items() if holds), "other")


def is_number(value: object) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def are_numbers(value: object) -> bool:
    """Whether it is a list of whole numbers."""
    return isinstance(value, list | tuple) and len(value) <= MAX_ITEMS and all(map(is_number, value))


NUMBER = Kind("one whole number", is_number)
NUMBERS = Kind("a list of whole numbers", are_numbers)


def common(kind: Kind | None, answer: object) -> Hint | None:
    """The hint for an answer that is none, whatever was asked."""
    if inspect.iscoroutine(answer):
        answer.close()
        return Hint("coroutine", "You gave something that has still to run: write `await` before it.", "")
    if isinstance(answer, BaseException):
        said = str(answer)[:MAX_ERROR]
        return Hint("exception", f"You gave the error itself: it says “{said}”. What does that tell you?", "")
    if kind is None:
        return None
    nothing = Hint("nothing", "Nothing is given yet: put your answer in place of the three dots.", "")
    if _is_open(answer) or (isinstance(answer, tuple) and any(map(_is_open, answer))):
        return nothing
    try:
        fits = kind.holds(answer)
    except Exception:  # noqa: BLE001  # whatever an object of the learner's own does
        fits = False
    if fits:
        return None
    if answer is None:
        return nothing
    return Hint("kind", f"You gave {_described(answer)}; what is asked for is {kind.words}.", "")


def _is_open(answer: object) -> bool:
    """Whether the three dots, or nothing, still stand there."""
    return answer is ... or (isinstance(answer, str) and not answer.strip())


def _described(answer: object) -> str:
    """An answer in words: of what kind, and, for a list, what is in it."""
    kind = type(answer).__name__[:MAX_NAME]
    if not isinstance(answer, list | tuple | set) or not answer:
        return kind
    if len(answer) > MAX_ITEMS:
        return f"a {kind} of {len(answer):,}"
    inside = sorted({type(one).__name__[:MAX_NAME] for one in answer})
    return f"a {kind} of {inside[0]}" if len(inside) == 1 else f"a {kind} of {', '.join(inside[:3])}"
