"""Answers from the files of a drive: `LINKUP_BOT_DRIVE=… python notebooks/bots/librarian.py INVITE`, then `!ask` there.

LINKUP_BOT_DRIVE is the key or link of a drive, anybody's, or a folder of this computer: that is copied into a drive of
the bot's own whenever somebody asks, each time as a new version if it has changed. An answer quotes a passage, and says
`linkup://KEY+VERSION/path`, by which everybody can read that very version, for instance with pandas, later too.
"""

import asyncio
import os
import re
import sqlite3
import sys

import linkup_nb as lu
from linkup_nb.hyperdrive.view import DriveView
from linkup_nb.rooms.names import clean

MAX_FILES = 2_000  # of a drive that are searched
MAX_BYTES = 262_144  # of a file that is searched
MAX_PASSAGE = 500  # characters
MAX_LISTED = 50  # files
PATIENCE = 20.0  # seconds for the whole of a drive that others have

bot = lu.Bot("librarian")
one_at_a_time = asyncio.Lock()
indexes: dict[tuple[str, int], sqlite3.Connection] = {}
"""The index of the version that was asked last."""


@bot.command("!ask", help="What the files say about these words, and where")
async def ask(*words: str) -> str:
    """The passage that fits best, and the link to the version that it is from."""
    wanted = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", " ".join(words)))
    if not wanted:
        return "What about? For instance `!ask opening hours`."
    try:
        async with one_at_a_time, asyncio.timeout(PATIENCE):
            drive = await newest()
            index = await index_of(drive)
    except TimeoutError:
        return "Nobody who has the drive is here now: ask again later."
    query = "SELECT path, passage FROM passages WHERE passage MATCH ? ORDER BY rank, rowid LIMIT 1"
    for path, passage in index.execute(query, (wanted,)):
        fence = "`" * max(3, 1 + longest_ticks(passage))
        return f"{fence}\n{passage}\n{fence}\n{link(drive, path)}"
    return f"Nothing in version {drive.version} of the drive has these words."


@bot.command("!files", help="Which files there are")
async def files() -> str:
    """The newest version, and links to its files."""
    try:
        async with one_at_a_time, asyncio.timeout(PATIENCE):
            drive = await newest()
            links = [link(drive, entry.path) async for entry in drive.list()]
    except TimeoutError:
        return "Nobody who has the drive is here now: ask again later."
    more = f"\n- … and {len(links) - MAX_LISTED} more" if len(links) > MAX_LISTED else ""
    return "\n".join(f"- {one}" for one in links[:MAX_LISTED]) + more or "The drive is empty."


async def newest() -> DriveView:
    """The drive as it is now; the answer and its link are of this very version."""
    source = os.environ.get("LINKUP_BOT_DRIVE", "")
    is_folder: bool = await asyncio.to_thread(os.path.isdir, source)
    if is_folder:
        drive = await bot.node.drive(name="library")
        await drive.mirror_from(source, progress=False)
    elif source:
        drive = await bot.node.drive(source)
        await drive.arrived()
        await drive.update()
    else:
        raise lu.UsageError("LINKUP_BOT_DRIVE names no drive: set it to a drive's key or link, or to a folder.")
    return drive.checkout(drive.version)


async def index_of(drive: DriveView) -> sqlite3.Connection:
    """The passages of all texts in it, to be searched."""
    which = (drive.id, drive.version)
    if which not in indexes:
        index = sqlite3.connect(":memory:", check_same_thread=False)
        index.execute("CREATE VIRTUAL TABLE passages USING fts5 (passage, path UNINDEXED)")
        found = [entry async for entry in drive.list()][:MAX_FILES]
        for entry in found:
            if 0 < entry.size <= MAX_BYTES:
                text = passages(await drive.get(entry.path) or b"")
                index.executemany("INSERT INTO passages VALUES (?, ?)", [(passage, entry.path) for passage in text])
        indexes.clear()
        indexes[which] = index
    return indexes[which]


def passages(data: bytes) -> list[str]:
    """The paragraphs of a text, long ones in pieces; none of what is no text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return []
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        piece = ""
        for line in paragraph.strip().splitlines():
            line = clean(line[:MAX_PASSAGE])
            if len(piece) + len(line) > MAX_PASSAGE:
                found.append(piece)
                piece = ""
            piece += line + "\n"
        found.append(piece)
    return [piece.strip() for piece in found if piece.strip()]


def link(drive: DriveView, path: str) -> str:
    """Where a file of this very version is, for everybody who can read drives; as code, and nothing of Markdown."""
    return in_code(f"linkup://{drive.id}+{drive.version}{path}")


def in_code(text: str) -> str:
    """A text as Markdown's code, whatever its author put into it."""
    fence = "`" * (1 + longest_ticks(text))
    return f"{fence} {clean(text)} {fence}" if len(fence) > 1 else f"`{clean(text)}`"


def longest_ticks(text: str) -> int:
    """How many backticks stand together in it: more of them are needed around it."""
    return max(map(len, re.findall("`+", text)), default=0)


if __name__ == "__main__":
    bot.run(*sys.argv[1:])
