"""What handlers do wrong, and what people write that fits none."""

import asyncio
import html
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import linkup_nb as lu
from linkup_nb.bot import handlers
from linkup_nb.bot.handlers import MAX_RUNNING, Handlers
from linkup_nb.bot.limits import PERSON_BURST
from tests.bot.talking import KINDS, Log, Seen, make_bot, talking_to, texts
from tests.rooms.nodes import PATIENCE, until

STUCK = """
import logging, sys, threading
import linkup_nb as lu

bot = lu.Bot("stuck")

@bot.every(0.01)
def hang():
    print("hangs", flush=True)
    threading.Event().wait()

async def topic():
    async with bot:
        await bot.node.create_room("games")

import asyncio
import html
asyncio.run(topic())
bot.run()
"""


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler is slow after a tenth of a second."""
    monkeypatch.setattr(handlers, "SLOW", 0.1)
    monkeypatch.setattr(handlers, "LOOK_EVERY", 0.02)


@pytest.fixture
def going() -> Iterator[threading.Event]:
    """What functions wait for that never return: until the test is over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
async def log() -> AsyncIterator[Log]:
    log = Log()
    logger = logging.getLogger("linkup_nb.bot")
    before = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    yield log
    logger.setLevel(before)
    logger.removeHandler(log)


def named(log: Log) -> list[str]:
    return [line for line in log.lines if "has been running" in line]


async def test_a_handler_that_fails_is_logged_with_its_message_and_the_bot_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bot = make_bot(tmp_path)

    @bot.command("!fail")
    def fail() -> None:
        raise RuntimeError("a mistake of the author")

    @bot.command("!hang")
    async def hang() -> None:
        await asyncio.Event().wait()

    bot.command("!fine")(lambda: "fine")
    async with talking_to(bot, tmp_path, "memory") as (_, room):
        for line in ("!fail", "!hang", "!fine"):
            await room.send(line)
        await until(lambda: texts(room)[-1] == "fine", room)
    failure = next(record for record in caplog.records if "failed" in record.message)
    assert "'!fail'" in failure.message
    assert failure.exc_info
    assert "a mistake of the author" in str(failure.exc_info[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("soon")
async def test_others_go_on_beside_handlers_that_never_return_and_these_are_named(
    tmp_path: Path, kind: str, log: Log, going: threading.Event
) -> None:
    bot = make_bot(tmp_path)
    bot.on("message", lambda: going.wait())
    bot.on("onMessage", lambda peer, message: going.wait())

    @bot.command("!block")
    def block() -> None:
        going.wait()

    @bot.command("!hang")
    async def hang() -> None:
        await asyncio.Event().wait()

    bot.command("!fine")(lambda: "fine")
    async with talking_to(bot, tmp_path, kind) as (kestrel, room):
        for line in ("hello", "!block", "!hang", "!fine"):
            await room.send(line)
        await until(lambda: "fine" in texts(room), room, kestrel)
        await log.until(lambda: len(named(log)) == 4)
    assert sorted(line.partition(" for ")[0] for line in named(log)) == [
        "!block has been running",
        "!hang has been running",
        "on message has been running",
        "on message has been running",
    ]
    assert any("from 'kestrel'" in line and "'!block'" in line for line in named(log))


@pytest.mark.usefixtures("soon")
async def test_a_coroutine_function_that_does_not_give_way_is_named_too(log: Log) -> None:
    running = Handlers()
    running.open()

    async def stubborn() -> None:
        end = time.monotonic() + PATIENCE
        while not named(log) and time.monotonic() < end:
            time.sleep(0.01)  # noqa: ASYNC251  # that is what it does wrong

    running.start(stubborn, "!stubborn", "a message")
    await log.until(lambda: bool(named(log)))
    await running.close()
    assert named(log) == ["!stubborn has been running for 0 s, for 'a message'."]


def test_a_process_ends_though_a_function_never_returns(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "hangs\n"
        assert process.stdout.readline() == "hangs\n"  # of the second run, by which there is a room
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_does_not_fit_is_answered_with_the_usage_and_logged_nowhere(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    bot = make_bot(tmp_path)

    @bot.command("!roll")
    def roll(sides: int = 6, *, times: int = 1) -> str:
        return "4"

    usage = "Usage: `!roll [sides] [--times TIMES]`"
    async with talking_to(bot, tmp_path, kind) as (_, room):
        for line, answer in (
            ('!roll "unclosed', f"No closing quotation: close it, or put a \\ before it. {usage}"),
            ("!roll six", f"sides is a whole number, not 'six'. {usage}"),
            ("!roll 6 7", f"'7' is one word too many: put what belongs together between quotes. {usage}"),
            ("!roll --times", f"--times needs a value. {usage}"),
        ):
            count = len(room)
            await room.send(line)
            await until(lambda: len(room) == count + 2, room)  # noqa: B023
            assert shown(texts(room)[-1]) == answer
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def shown(text: str) -> str:
    """What Markdown shows of a text."""
    return html.unescape(text)


async def test_what_a_function_raises_is_its_failure_and_not_the_bots(tmp_path: Path, log: Log) -> None:
    bot = make_bot(tmp_path)

    @bot.command("!first")
    def first() -> str:
        return next(text for text in ("a", "b") if text == "c")

    bot.command("!fine")(lambda: "fine")
    async with talking_to(bot, tmp_path, "memory") as (kestrel, room):
        await room.send("!first")
        await log.until(lambda: any("!first failed" in line for line in log.lines))
        await room.send("!fine")
        await until(lambda: texts(room)[-1] == "fine", room, kestrel)


async def test_what_comes_while_too_many_handlers_run_is_dropped_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bot = make_bot(tmp_path)
    going, enough = asyncio.Event(), asyncio.Event()
    begun = 0

    @bot.on("message")
    async def slow() -> None:
        nonlocal begun
        begun += 1
        if begun == MAX_RUNNING:
            enough.set()
        await going.wait()

    async with talking_to(bot, tmp_path, "memory") as (_, room):
        for number in range(MAX_RUNNING + 3):
            await room.send(f"{number}")
        await until(lambda: sum("is not handled" in record.message for record in caplog.records) == 3, room, bot.node)
        await asyncio.wait_for(enough.wait(), PATIENCE)
        assert begun == MAX_RUNNING
        going.set()


async def test_two_bots_that_answer_everything_are_held_to_the_rate_of_answers(tmp_path: Path, log: Log) -> None:
    echo = make_bot(tmp_path)
    echo.on("message", lambda message: message.text)
    other = lu.Bot("parrot", path=tmp_path / "parrot", discovery=[lu.Local(mdns=False)])
    other.on("message", lambda message: message.text)
    async with talking_to(echo, tmp_path, "memory") as (kestrel, room), other:
        theirs = await other.join(getattr(room, "invite", ""))
        await until(lambda: all(peer.here for peer in theirs.peers) and len(theirs.peers) == 2, theirs, other.node)
        await room.send("hello")
        await until(lambda: len(room) > 2 * PERSON_BURST, room, kestrel)
        await log.until(lambda: any("an answer to" in line for line in log.lines))


async def test_a_cell_that_is_run_again_puts_its_handlers_in_the_place_of_the_earlier_ones(tmp_path: Path) -> None:
    bot = make_bot(tmp_path)
    seen = Seen()

    def cell(edition: str) -> None:
        @bot.command("!edition")
        def edition_of() -> str:
            return edition

        @bot.on("message")
        def hear(message: lu.TextMessage) -> None:
            seen.put((edition, message.text))

        @bot.every(0.01)
        def tick() -> None:
            seen.put((edition, "tick"))

    async with talking_to(bot, tmp_path, "memory") as (kestrel, room):
        cell("first")
        while await seen.get() != ("first", "tick"):
            pass
        cell("second")
        await room.send("!edition")
        await until(lambda: texts(room)[-1] == "second", room, kestrel)
        await room.send("hello")
        while await seen.get() != ("second", "hello"):
            pass
        assert [what for what in [await seen.get() for _ in range(5)] if what != ("second", "tick")] == []
