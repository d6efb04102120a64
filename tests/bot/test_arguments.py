"""What somebody types behind a command, as the arguments of its handler."""

from contextlib import suppress
from enum import Enum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkup_nb.bot.arguments import Signature
from linkup_nb.errors import UsageError


class Colour(Enum):
    red = 1
    blue = 2


def roll(message: object, sides: int = 6, *, times: int = 1, loud: bool = False) -> None: ...
def paint(what: str, colour: Colour, size: Literal["small", "large"] = "small") -> None: ...
def total(*numbers: float) -> None: ...
def maybe(limit: int | None = None, ok: bool = True) -> None: ...


@pytest.mark.parametrize(
    ("handler", "line", "values", "options"),
    [
        (roll, "", [], {}),
        (roll, "20", [20], {}),
        (roll, "20 --times 3 --loud", [20], {"times": 3, "loud": True}),
        (roll, "--times=3", [], {"times": 3}),
        (roll, "--loud=no 4", [4], {"loud": False}),
        (paint, "'the old house' red", ["the old house", Colour.red], {}),
        (paint, "house blue large", ["house", Colour.blue, "large"], {}),
        (total, "1 2.5 -3", [1.0, 2.5, -3.0], {}),
        (total, "", [], {}),
        (maybe, "7 no", [7, False], {}),
    ],
)
def test_words_become_what_the_handler_names(
    handler: object, line: str, values: list[object], options: dict[str, object]
) -> None:
    signature = Signature(handler)  # type: ignore[arg-type]
    assert signature.parse(line) == (values, options)


@pytest.mark.parametrize(
    ("handler", "line", "sentence"),
    [
        (roll, '"unclosed', "No closing quotation"),
        (roll, "six", "sides is a whole number, not 'six'"),
        (roll, "6 7", "'7' is one word too many"),
        (roll, "--times", "--times needs a value"),
        (roll, "--times many", "--times is a whole number, not 'many'"),
        (paint, "house", "colour is missing"),
        (paint, "house green", "colour is one of red, blue, not 'green'"),
        (paint, "house red huge", "size is one of small, large, not 'huge'"),
        (total, "1 x", "numbers is a number, not 'x'"),
        (maybe, "1 perhaps", "ok is yes or no, not 'perhaps'"),
        (roll, "9" * 5000, "sides is a whole number"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(handler: object, line: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Signature(handler).parse(line)  # type: ignore[arg-type]


def test_the_usage_shows_what_may_be_left_out() -> None:
    assert Signature(roll).usage == "[sides] [--times TIMES] [--loud]"
    assert Signature(paint).usage == "what colour [small|large]"
    assert Signature(total).usage == "[numbers …]"


@given(st.text())
def test_no_line_of_a_stranger_is_more_than_a_wrong_usage(line: str) -> None:
    for handler in (roll, paint, total, maybe):
        with suppress(UsageError):
            Signature(handler).parse(line)
