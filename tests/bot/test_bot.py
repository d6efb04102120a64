"""A bot in rooms of both kinds, with somebody who talks to it."""

import asyncio
import logging
import random
from datetime import timedelta
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.bot.limits import PERSON_BURST
from tests.bot.talking import KINDS, Seen, make_bot, talking_to, texts
from tests.rooms.nodes import PATIENCE, until

HELP = """- `!help` What I can do
- `!roll [sides] [--times TIMES]` Roll a die
- `!who`
- `!echo [words …]`"""


@pytest.mark.parametrize("kind", KINDS)
async def test_it_answers_commands_and_never_itself(tmp_path: Path, kind: str) -> None:
    bot = make_bot(tmp_path)

    @bot.command("!roll", help="Roll a die")
    def roll(sides: int = 6, *, times: int = 1) -> str:
        return " ".join(str(random.Random(sides).randint(1, sides)) for _ in range(times))

    @bot.command("!who")
    async def who(room: lu.Room, message: lu.Message) -> str:
        return f"{message.name} in {len(room.peers) + 1}"

    @bot.command("!echo")
    def echo(*words: str) -> str:
        return " ".join(words)

    async with talking_to(bot, tmp_path, kind) as (_, room):
        for line, answer in (
            ("!roll 1 --times 3", "1 1 1"),
            ("!who", "kestrel in 2"),
            ("!echo !roll 1", "!roll 1"),  # what the bot says itself is no command
            ("!roll six", "sides is a whole number, not 'six'. Usage: `!roll [sides] [--times TIMES]`"),
            ("!help", HELP),
        ):
            before = len(room)
            sent = await room.send(line)
            await until(lambda: len(room) == before + 2, room)  # noqa: B023
            assert texts(room)[-1].replace("\\", "") == answer
            if kind == "memory":
                assert getattr(room[-1], "to", None) == getattr(sent, "id", "")


@pytest.mark.parametrize("kind", KINDS)
async def test_each_type_of_message_and_each_change_of_people_has_its_handlers(tmp_path: Path, kind: str) -> None:
    bot = make_bot(tmp_path)
    seen = Seen()
    bot.on("message", lambda message: seen.put(("message", message.text)))
    bot.on("file", lambda message, room: seen.put(("file", message.file_name, room.name)))
    bot.on("audio", lambda message: seen.put(("audio", str(message.size))))
    bot.on("join", lambda member: seen.put(("join", member.name)))
    bot.on("leave", lambda member: seen.put(("leave", member.name)))
    bot.on("onMessage", lambda peer, message: seen.put((peer.peerName, message.message, message.topic)))
    bot.on("onFile", lambda peer, message: seen.put((peer.peerName, message.fileName, message.fileData)))

    async def sees(*wanted: tuple[str, ...]) -> None:
        waiting = set(wanted)
        while waiting:
            waiting.discard(await seen.get())

    async with talking_to(bot, tmp_path, kind) as (_, room):
        name = bot.node.rooms[0].name
        await room.send("hello")
        await sees(("message", "hello"), ("kestrel", "hello", room.topic.hex()))
        await room.send_file(("a.txt", b"abc"))
        await sees(("file", "a.txt", name), ("kestrel", "a.txt", "YWJj"))
        await room.send_audio(b"webm")
        await sees(("audio", "4"))
        await room.leave()
        await sees(("leave", "kestrel"))


@pytest.mark.parametrize("kind", KINDS)
async def test_another_name_is_noticed(tmp_path: Path, kind: str) -> None:
    bot = make_bot(tmp_path)
    names = Seen()
    theirs = Seen()
    bot.on("icon", lambda member: names.put((member.name,)))
    bot.on("onIcon", lambda peer, message: theirs.put((message.type, message.peerName)))
    async with talking_to(bot, tmp_path, kind) as (kestrel, _):
        await kestrel.set_name("merlin")
        while await names.get() != ("merlin",):
            pass
        while await theirs.get() != ("icon", "merlin"):
            pass


async def test_history_starts_nothing_unless_it_is_asked_for(tmp_path: Path) -> None:
    async with lu.Node(tmp_path / "kestrel", name="kestrel", discovery=[lu.Local(mdns=False)]) as kestrel:
        room = await kestrel.create_room("games")
        await room.send("said before the bot was there")
        for number, since in enumerate((timedelta(0), timedelta(hours=1))):
            bot = lu.Bot("dice", path=tmp_path / str(number), discovery=[lu.Local(mdns=False)], since=since)
            seen: list[str] = []
            bot.on("message", lambda message, seen=seen: seen.append(message.text))
            async with asyncio.timeout(PATIENCE), bot:
                theirs = await bot.join(room.invite)
                await until(lambda: len(theirs) >= 1, theirs)  # noqa: B023
                await room.send(f"said to bot {number}")
                await until(lambda: f"said to bot {number}" in seen, theirs, bot.node)  # noqa: B023
            assert ("said before the bot was there" in seen) == bool(since)


async def test_nobody_can_have_it_talk_without_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "linkup_nb.bot")
    bot = make_bot(tmp_path)
    bot.command("!roll")(lambda: "4")
    async with talking_to(bot, tmp_path, "memory") as (_, room):
        for _ in range(4 * PERSON_BURST):
            await room.send("!roll")
        await until(lambda: sum("one too many" in record.message for record in caplog.records) > PERSON_BURST, room)
        assert PERSON_BURST <= texts(room).count("4") < 2 * PERSON_BURST


async def test_it_does_something_again_and_again(tmp_path: Path) -> None:
    bot = make_bot(tmp_path)
    times = Seen()
    bot.every(0.01)(lambda: times.put(()))
    async with asyncio.timeout(PATIENCE), bot:
        for _ in range(3):
            await times.get()


@pytest.mark.parametrize("period", ["", "h", "1 fortnight", "-1s", 0, -1, "0m"])
def test_what_is_no_period_is_refused(tmp_path: Path, period: str | float) -> None:
    with pytest.raises(lu.UsageError, match="A period is a number of seconds"):
        make_bot(tmp_path).every(period)


def test_wrong_uses_are_named(tmp_path: Path) -> None:
    bot = make_bot(tmp_path)
    with pytest.raises(lu.UsageError, match="no event 'mesage'"):
        bot.on("mesage")(print)
    with pytest.raises(lu.UsageError, match="one word"):
        bot.command("!roll it")
    bot.command("!roll")(lambda: "")
    with pytest.raises(lu.UsageError, match="has a command !roll already"):
        bot.command("!roll")(lambda: "")
    with pytest.raises(lu.UsageError, match="can take room and message: there is no 'text'"):
        bot.on("message", lambda text: None)
    with pytest.raises(lu.UsageError, match="not open"):
        _ = bot.node
    with pytest.raises(lu.UsageError, match="in no room"):
        bot.run()
