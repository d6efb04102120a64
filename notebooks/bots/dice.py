"""Dice and polls: `python notebooks/bots/dice.py INVITE`, and then `!help` in the room.

A poll is one message, which changes as votes come in; in a LinkUp room, where nothing can change, it is said again.
Polls and votes are in a database in the bot's profile before anybody hears of them, so none is lost when it is killed.
"""

import asyncio
import json
import random
import re
import sqlite3
import sys
from contextlib import closing
from typing import NamedTuple

import linkup_nb as lu
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.names import clean, escape_markdown

MAX_DICE = 100  # of one roll
MAX_SIDES = 1_000_000  # of a die
MAX_OPTIONS = 10  # of a poll
MAX_TEXT = 200  # characters of a question or an option
BAR = 20  # characters of the longest bar

TABLES = """
CREATE TABLE IF NOT EXISTS polls (
    id INTEGER PRIMARY KEY, room BLOB NOT NULL, question TEXT NOT NULL, options TEXT NOT NULL, message TEXT);
CREATE TABLE IF NOT EXISTS votes (
    poll INTEGER NOT NULL, voter BLOB NOT NULL, option INTEGER NOT NULL, PRIMARY KEY (poll, voter));
"""

bot = lu.Bot("dice")
one_at_a_time = asyncio.Lock()  # else an earlier count could be written after a later one


@bot.command("!roll", help="Roll dice: !roll, !roll 20, !roll 3d6+1")
def roll(dice: str = "1d6") -> str:
    """The sum, and each die if there are several."""
    match = re.fullmatch(r"(?:(\d{0,9})d)?(\d{1,9})([+-]\d{1,9})?", dice.lower(), re.ASCII)
    count, sides = (int(match[1] or 1), int(match[2])) if match else (0, 0)
    if not (1 <= count <= MAX_DICE and 1 <= sides <= MAX_SIDES):
        return f"Dice are written as 3d6+1: up to {MAX_DICE} of them with up to {MAX_SIDES:,} sides."
    added = int((match and match[3]) or 0)
    thrown = [random.randint(1, sides) for _ in range(count)]
    each = " + ".join(map(str, thrown)) + (f" {added:+d}" if added else "")
    return f"**{sum(thrown) + added}**" + (f" = {each}" if count > 1 or added else "")


class Poll(NamedTuple):
    """A question, what one can answer, and the id of the message that shows it, if it has one."""

    id: int
    question: str
    options: list[str]
    message: str | None


@bot.command("!poll", help='Ask: !poll "Lunch?" pizza soup. Alone it shows the latest poll again')
async def poll(room: lu.Room, question: str = "", *options: str) -> str | None:
    """Ask, or show the latest poll again."""
    texts = [clean(text) for text in (question, *options)]
    if question and not (2 <= len(options) <= MAX_OPTIONS and all(0 < len(text) <= MAX_TEXT for text in texts)):
        return f"A poll has a question and 2 to {MAX_OPTIONS} options, each of up to {MAX_TEXT} characters."
    async with one_at_a_time:
        with closing(database()) as polls, polls:
            if question:
                values = (room.topic, texts[0], json.dumps(texts[1:]))
                polls.execute("INSERT INTO polls (room, question, options) VALUES (?, ?, ?)", values)
            else:
                polls.execute("UPDATE polls SET message = NULL WHERE room = ?", (room.topic,))
        return await show(room)


@bot.command("!vote", help="Answer the latest poll by a number; the last vote of each counts")
async def vote(room: lu.Room, message: lu.Message, option: int) -> str | None:
    """Count a vote, and show it."""
    async with one_at_a_time:
        with closing(database()) as polls, polls:
            latest = find(polls, room)
            if latest and not 1 <= option <= len(latest.options):
                return f"Vote for 1 to {len(latest.options)}."
            if latest:
                polls.execute("REPLACE INTO votes VALUES (?, ?, ?)", (latest.id, message.key, option - 1))
        return await show(room)


def database() -> sqlite3.Connection:
    """The polls and votes."""
    polls = sqlite3.connect(bot.node.path / "polls.sqlite")
    polls.executescript(TABLES)
    return polls


def find(polls: sqlite3.Connection, room: lu.Room) -> Poll | None:
    """The latest poll of a room."""
    query = "SELECT id, question, options, message FROM polls WHERE room = ? ORDER BY id DESC LIMIT 1"
    for id, question, options, message in polls.execute(query, (room.topic,)):
        return Poll(id, question, json.loads(options), message)
    return None


async def show(room: lu.Room) -> str | None:
    """Have the latest poll's message say how it stands, or say it anew."""
    with closing(database()) as polls, polls:
        latest = find(polls, room)
        if latest is None:
            return 'There is no poll here yet: ask with `!poll "Lunch?" pizza soup`.'
        text = standing(latest, [option for (option,) in polls.execute(VOTES, (latest.id,))])
        if latest.message and isinstance(room, MemoryRoom):
            await room.message(latest.message).edit(text)
        else:
            said = await bot.say(room, text)
            polls.execute("UPDATE polls SET message = ? WHERE id = ?", (getattr(said, "id", None), latest.id))
    return None


VOTES = "SELECT option FROM votes WHERE poll = ?"


def standing(poll: Poll, votes: list[int]) -> str:
    """A poll as people see it."""
    most = max(1, *(votes.count(number) for number in range(len(poll.options))))
    lines = [f"**{escape_markdown(poll.question)}**", ""]
    for number, option in enumerate(poll.options):
        count = votes.count(number)
        bar = f" `{'█' * -(-BAR * count // most)}`" if count else ""
        lines.append(f"{number + 1}. {escape_markdown(option)}{bar} {count}")
    return "\n".join([*lines, "", "Answer with `!vote 1` and so on."])


if __name__ == "__main__":
    bot.run(*sys.argv[1:])
