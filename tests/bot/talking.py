"""A bot, and somebody who is in a room with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import linkup_nb as lu
from tests.rooms.nodes import PATIENCE, until

KINDS = ["memory", "linkup"]


class Seen:
    """What plain functions, which run in threads, have seen."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue = asyncio.Queue[tuple[str, ...]]()
        self.get = self._queue.get

    def put(self, what: tuple[str, ...]) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, what)


class Log(logging.Handler):
    """What a logger says, from whatever thread; made on the loop that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._said = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._loop.call_soon_threadsafe(self._said.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._said.clear()
                await self._said.wait()


def make_bot(path: Path, **options: object) -> lu.Bot:
    return lu.Bot("dice", path=path / "dice", discovery=[lu.Local(mdns=False)], **options)  # type: ignore[arg-type]


@asynccontextmanager
async def talking_to(
    bot: lu.Bot, path: Path, kind: str, *, patience: float = PATIENCE
) -> AsyncIterator[tuple[lu.Node, lu.Room]]:
    """Somebody, and their room with the bot in it."""
    async with (
        asyncio.timeout(patience),
        lu.Node(path / "kestrel", name="kestrel", discovery=[lu.Local(mdns=False)]) as kestrel,
        bot,
    ):
        room = await kestrel.create_room("games", linkup=kind == "linkup")
        theirs = await bot.join(getattr(room, "invite", room.topic))
        await until(lambda: [peer.here for peer in room.peers] == [True], room, kestrel)
        await until(lambda: [peer.here for peer in theirs.peers] == [True], theirs, bot.node)
        yield kestrel, room


def texts(room: lu.Room) -> list[str]:
    return [message.text for message in room.messages if isinstance(message, lu.TextMessage)]
