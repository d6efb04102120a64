"""A core that a blind peer of ours fetches, while those are connected who have asked it to."""

import asyncio
from collections.abc import Callable

from linkup_nb.channels import Channels
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.download import Download
from linkup_nb.loops import Tasks


class Holding:
    """Fetches all blocks that `affords(core)` allows, also those that come later; `grown` is called as it grows."""

    def __init__(self, core: Core, affords: Callable[[Core], bool], grown: Callable[[Core], None]) -> None:
        self.core = core
        self.askers: set[Channels] = set()
        self._affords = affords
        self._grown = grown
        self._changed = asyncio.Event()
        self._downloads: list[Download] = []
        self._tasks = Tasks()
        for event in ("append", "truncate"):
            core.on(event, lambda *_: self._changed.set())
        core.on("download", lambda _: self._grown(core))
        self._tasks.start(self._fetch(), "fetching what a blind peer holds")

    async def close(self) -> None:
        """Fetch no more."""
        await self._tasks.cancel()
        for download in self._downloads:
            download.cancel()
        await self.core.close()

    async def _fetch(self) -> None:
        length = fork = 0
        while True:
            self._changed.clear()
            core = self.core
            if core.fork != fork:
                length, fork = 0, core.fork
            if core.length > length and self._affords(core):
                self._downloads = [download for download in self._downloads if not download.finished]
                self._downloads.append(await core.download(length, core.length))
                length = core.length
            await self._changed.wait()
