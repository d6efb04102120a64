"""notebooks/bots/librarian.py."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.bot.files import load
from tests.bot.talking import talking_to
from tests.bot.test_dice import answers
from tests.rooms.nodes import PATIENCE

NOTES = "# Monday\n\nThe library opens at nine.\nIt closes at five.\n\nUlm has three towers.\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the bot answers from."""
    folder = tmp_path / "files"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "monday.md").write_text(NOTES)
    (folder / "people.csv").write_text("city,people\nBonn,2\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n opens \xff")
    monkeypatch.setenv("LINKUP_BOT_DRIVE", str(folder))
    return folder


def linked(answer: str) -> tuple[str, int, str]:
    """The key, the version and the path of the link in an answer."""
    [found] = re.findall(r"`linkup://(\w+)\+(\d+)(/[^`]+)`", answer)
    return found[0], int(found[1]), found[2]


@pytest.mark.parametrize("kind", ["memory", "linkup"])
async def test_it_quotes_a_passage_and_links_the_version_that_others_can_read(
    tmp_path: Path, kind: str, folder: Path
) -> None:
    bot = load("librarian").bot
    async with talking_to(bot, tmp_path, kind) as (kestrel, room):
        answer = await answers(room, "!ask when does the library open")
        assert answer.startswith("```\nThe library opens at nine.\nIt closes at five.\n```\n")
        key, version, path = linked(answer)
        assert path == "/notes/monday.md"

        (folder / "notes" / "monday.md").write_text("The library opens at ten.\n")
        later = await answers(room, "!ask when the LIBRARY opens")
        assert later.startswith("```\nThe library opens at ten.\n```\n")
        assert linked(later)[1] > version

        drive = await kestrel.drive(f"linkup://{key}+{version}{path}")
        async with asyncio.timeout(PATIENCE):
            await drive.bee.core.wait_for_length(linked(later)[1], timeout=None)
            assert await drive[version].get(path) == NOTES.encode()
            assert await drive[linked(later)[1]].get(path) == b"The library opens at ten.\n"


@pytest.mark.usefixtures("folder")
async def test_it_says_so_when_nothing_fits(tmp_path: Path) -> None:
    bot = load("librarian").bot
    async with talking_to(bot, tmp_path, "memory") as (_, room):
        assert "has these words" in await answers(room, "!ask elephants")
        assert "For instance" in await answers(room, "!ask '\" * ?'")
        assert "has these words" in await answers(room, "!ask 'elephant\" OR passage:x NEAR('")
        listed = await answers(room, "!files")
        assert [line.rpartition("/")[2] for line in listed.splitlines()] == [
            "monday.md`",
            "people.csv`",
            "picture.png`",
        ]


async def test_it_answers_from_a_drive_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = load("librarian").bot
    async with talking_to(bot, tmp_path, "memory") as (kestrel, room):
        theirs = await kestrel.drive(name="results")
        await theirs.put("/towers.txt", b"Ulm has three towers: `one`, ``two`` and ```three```")
        monkeypatch.setenv("LINKUP_BOT_DRIVE", theirs.id)
        answer = await answers(room, "!ask towers")
        assert answer.startswith("````\nUlm has three towers: `one`, ``two`` and ```three```\n````\n")
        assert linked(answer) == (theirs.id, theirs.version, "/towers.txt")


async def test_a_drive_that_nobody_has_is_said_to_be_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("librarian")
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setenv("LINKUP_BOT_DRIVE", "a" * 64)
    async with talking_to(module.bot, tmp_path, "memory") as (_, room):
        for line in ("!ask towers", "!files"):
            assert await answers(room, line) == "Nobody who has the drive is here now: ask again later."


def test_long_texts_are_quoted_in_pieces_and_what_is_no_text_is_not() -> None:
    passages = load("librarian").passages
    pieces = passages(("line of a long table\n" * 100 + "x" * 2000).encode())
    assert all(0 < len(piece) <= 500 for piece in pieces)
    assert sum(piece.count("line of") for piece in pieces) == 100
    assert passages(b"\xff\x00") == []
    assert passages(b" \n\n \n") == []
