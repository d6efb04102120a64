"""A feed that is followed: its core, and what of it is being fetched."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from linkup_nb.errors import LinkupError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.download import Download
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.block import Body, HelloBody, MalformedBlock
from linkup_nb.rooms.memory.hello import verify_hello
from linkup_nb.rooms.memory.rows import BlockRow


class Writing(NamedTuple):
    """Blocks that wait to be written, and who waits for their rows."""

    bodies: Sequence[Body]
    channel: str
    written: "asyncio.Future[list[BlockRow]]"


class OpenFeed:
    """A feed whose core is open, and what of it is being fetched."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.key = core.key
        self.changed = asyncio.Event()
        self.fetched_to = 0
        self.downloads: list[Download] = []
        self.waits_until = 0  # µs: its next block is from the future
        self.introduced = asyncio.Event()
        self.provers = 0  # peers whose word for it is being checked
        self.bulk: asyncio.Task[None] | None = None
        self.reader: asyncio.Task[None] | None = None

    def fetch_anew(self) -> None:
        """What is wanted of it has changed."""
        self._stop()
        self.downloads.clear()
        self.fetched_to = 0
        self.changed.set()

    def wake(self, *_: object) -> None:
        """There may be something new to read."""
        self.changed.set()

    async def close(self) -> None:
        """Fetch nothing more of it."""
        self._stop()
        if self.reader:
            self.reader.cancel()
        await self.core.close()

    def _stop(self) -> None:
        for download in self.downloads:
            download.cancel()
        if self.bulk:
            self.bulk.cancel()


async def says_hello(core: Core, topic: bytes, timeout: float) -> bool:
    """Whether a core, which may be anything, is a feed of the room with this topic."""
    with suppress(TimeoutError, LinkupError, MalformedBlock):
        _, hello = blocks.decode(await core.get(0, timeout=timeout)).body()
        return isinstance(hello, HelloBody) and bool(verify_hello(hello, topic, core.key))
    return False


async def blocks_here(core: Core, start: int, end: int) -> list[bytes]:
    """The blocks from `start` on that are here without a gap, before `end`."""
    if end <= start:
        return []
    if end <= core.contiguous_length:
        return await core.read(start, end)
    found = []
    with suppress(LinkupError):
        while start < end and await core.has(start):
            found.append(await core.get(start, timeout=0))
            start += 1
    return found
