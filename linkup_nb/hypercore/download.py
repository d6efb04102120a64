"""Downloads: ranges of blocks that are being fetched from whoever has them."""

import asyncio
from collections.abc import Callable

from linkup_nb.hypercore.log import Log
from linkup_nb.loops import from_any_loop
from linkup_nb.progress import shown


class Download:
    """The fetching of a range of blocks; `await download.done()`, or watch `downloaded` of `total`."""

    def __init__(self, log: Log, start: int, end: int, stopped: Callable[["Download"], None]) -> None:
        self.start = start
        self.end = end
        self.total = end - start
        self.cancelled = False
        self.cursors: dict[object, int] = {}
        self._log = log
        self._stopped = stopped
        self._left = end - start - log.blocks.count(start, end)
        self._loop = asyncio.get_running_loop()
        self._finished = self._loop.create_future()
        self._finished.add_done_callback(lambda finished: finished.cancelled() or finished.exception())
        self.count()

    def __repr__(self) -> str:
        return f"Download(blocks {self.start} to {self.end}, {self.downloaded} of {self.total})"

    @property
    def downloaded(self) -> int:
        """How many blocks of the range are here."""
        return self.total - self._left

    @property
    def finished(self) -> bool:
        """Whether all blocks are here."""
        return self._left == 0

    async def done(self, *, progress: bool | None = None, timeout: float | None = None) -> None:
        """Wait until all blocks are here, on disk.

        With `progress` a bar shows how far it is; without, only in a notebook, when it takes over a second. Raises
        `TimeoutError` after `timeout` seconds, `StoreError` when the disk refuses the blocks.
        """
        await shown(self._done(timeout), lambda: (self.downloaded, self.total), "block", progress)

    @from_any_loop
    async def _done(self, timeout: float | None) -> None:
        async with asyncio.timeout(timeout):
            await asyncio.shield(self._finished)
            if not self.cancelled:
                await self._log.store.flush()

    def cancel(self) -> None:
        """Fetch no more of it."""
        self.cancelled = True
        self._finish()

    def fail(self, error: Exception) -> None:
        """Fetch no more of it: the disk refuses what has come."""
        if not self._finished.done():
            self._finished.set_exception(error)
        self._stopped(self)

    def arrived(self, index: int) -> None:
        """A block of the log has come."""
        if self.start <= index < self.end:
            self._left -= 1
            self.count()

    def recount(self) -> None:
        """Blocks have gone away, or the end has been cut off."""
        self._left = self.total - self._log.blocks.count(self.start, self.end)
        self.cursors.clear()

    def count(self) -> None:
        """End, if everything is here."""
        if self._left == 0:
            self._finish()

    def _finish(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)
        self._stopped(self)
