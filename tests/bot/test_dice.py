"""notebooks/bots/dice.py."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import linkup_nb as lu
from linkup_nb.rooms.memory.message import RoomTextMessage
from tests.bot.files import load
from tests.bot.talking import KINDS, talking_to, texts
from tests.rooms.nodes import until

FRESH = "**Lunch?**\n\n1. pizza 0\n2. soup 0\n\nAnswer with `!vote 1` and so on."
FULL = f"`{'█' * 20}`"


async def answers(room: lu.Room, line: str) -> str:
    """What the bot says to a line."""
    count = len(room)
    await room.send(line)
    await until(lambda: len(room) == count + 2, room)
    return texts(room)[-1]


async def becomes(room: lu.Room, check: Callable[[RoomTextMessage], bool]) -> RoomTextMessage:
    """The message of the bot that has changed so."""

    def found() -> list[Any]:
        return [message for message in room.messages if isinstance(message, RoomTextMessage) and check(message)]

    await until(lambda: bool(found()), room)
    return found()[-1]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("dice", "answer"),
    [
        ("1", "**1**"),
        ("d1", "**1**"),
        ("3d1", "**3** = 1 + 1 + 1"),
        ("3D1-1", "**2** = 1 + 1 + 1 -1"),
        ("1d1+2", "**3** = 1 +2"),
    ],
)
def test_dice_are_thrown_and_added(dice: str, answer: str) -> None:
    assert load("dice").roll(dice) == answer


def test_each_side_comes_up() -> None:
    roll = load("dice").roll
    assert {roll() for _ in range(500)} == {f"**{side}**" for side in range(1, 7)}


@pytest.mark.parametrize("dice", ["", "d", "0", "0d6", "101d6", "1d0", "2d1000001", "six", "1e3", "-1", "3d6+", "٣d6"])
def test_what_is_no_dice_is_answered_with_how_they_are_written(dice: str) -> None:
    assert load("dice").roll(dice).startswith("Dice are written as 3d6+1")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_poll_counts_the_last_vote_of_each(tmp_path: Path, kind: str) -> None:
    bot = load("dice").bot
    async with talking_to(bot, tmp_path, kind) as (_, room):
        assert plain(await answers(room, '!poll "Lunch?" pizza soup')) == FRESH
        for vote, standing in ((2, ("1. pizza 0", f"2. soup {FULL} 1")), (1, (f"1. pizza {FULL} 1", "2. soup 0"))):
            if kind == "linkup":  # where nothing can change
                text = await answers(room, f"!vote {vote}")
            else:
                await room.send(f"!vote {vote}")
                changed = await becomes(room, lambda message: all(line in message.text for line in standing))  # noqa: B023
                text = changed.text
                assert plain(changed.edits[0].text) == FRESH
            assert all(line in text for line in standing)
        assert kind == "linkup" or sum("Lunch" in text and "!poll" not in text for text in texts(room)) == 1


async def test_what_is_no_poll_and_no_vote_is_said_in_a_sentence(tmp_path: Path) -> None:
    bot = load("dice").bot
    async with talking_to(bot, tmp_path, "memory") as (_, room):
        assert await answers(room, "!vote 1") == 'There is no poll here yet: ask with `!poll "Lunch?" pizza soup`.'
        assert (await answers(room, "!poll Lunch pizza")).startswith("A poll has a question and 2 to 10 options")
        await answers(room, "!poll Lunch pizza soup")
        assert await answers(room, "!vote 3") == "Vote for 1 to 2."
        assert (await answers(room, "!vote soup")).startswith("option is a whole number, not")


async def test_a_poll_that_is_shown_again_is_the_one_that_changes(tmp_path: Path) -> None:
    bot = load("dice").bot
    async with talking_to(bot, tmp_path, "memory") as (_, room):
        await answers(room, '!poll "Lunch?" pizza soup')
        assert plain(await answers(room, "!poll")) == FRESH
        await room.send("!vote 1")
        changed = await becomes(room, lambda message: message.edited)
        assert changed == room[-2]


async def test_what_people_write_into_a_poll_is_shown_as_they_wrote_it(tmp_path: Path) -> None:
    bot = load("dice").bot
    async with talking_to(bot, tmp_path, "memory") as (_, room):
        text = await answers(room, "!poll '**Bold**\n# Lines' 'a`b' <b>")
        assert plain(text).startswith("****Bold** # Lines**\n\n1. a`b 0\n2. <b> 0\n")
        assert "<b>" not in text


def plain(text: str) -> str:
    return html.unescape(text)
