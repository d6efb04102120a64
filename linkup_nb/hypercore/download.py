"""Downloads: ranges of blocks that are being fetched from whoever has them."""

import asyncio
from collections.abc import Callable

from linkup_nb.hypercore.log import Log
from linkup_nb.loops import from_any_loop, on_own_loop
from linkup_nb.progress import shown


class Downloads(tuple["Download", ...]):
    """Downloads that belong together; `await downloads.done()`, or watch `downloaded` of `total`."""

    def __repr__(self) -> str:
        return f"Downloads({len(self)} ranges, {self.downloaded} of {self.total} blocks)"

    @property
    def downloaded(self) -> int:
        """How many blocks of all ranges are here."""
        return sum(one.downloaded for one in self)

    @property
    def total(self) -> int:
        """How many blocks there are in all ranges."""
        return sum(one.total for one in self)

    @property
    def finished(self) -> bool:
        """Whether all blocks are here."""
        return all(one.finished for one in self)

    async def done(self, *, progress: bool | None = None, timeout: float | None = None) -> None:
        """Wait for all, with one bar for the whole; see `Download.done`."""
        await shown(self._done(timeout), lambda: (self.downloaded, self.total), "block", progress)

    async def _done(self, timeout: float | None) -> None:
        async with asyncio.timeout(timeout):
            for one in self:
                await one._done(None)

    def cancel(self) -> None:
        """Fetch no more of any; `done` returns then."""
        for one in self:
            one.cancel()


class BlockRange:
    """The blocks of a log from `start` to before `end` while they are fetched; `cursors`: how far at each peer."""

    def __init__(self, log: Log, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.cursors: dict[object, int] = {}
        self.completed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.completed.add_done_callback(lambda completed: completed.cancelled() or completed.exception())
        self._log = log
        self.recount()

    def __contains__(self, index: int) -> bool:
        return self.start <= index < self.end

    def recount(self) -> None:
        """Count the missing blocks again: some have gone away, or the end was cut off."""
        end = max(self.start, min(self.end, self._log.length))
        self.missing = self.end - self.start - self._log.blocks.count(self.start, end)
        self.cursors.clear()

    def rewind(self, peer: object, index: int) -> None:
        """Request from a peer again from block `index` on, if later ones were requested of it already."""
        if peer in self.cursors:
            self.cursors[peer] = min(self.cursors[peer], max(index, self.start))

    def complete(self, error: Exception | None = None) -> None:
        """Nothing more of it is fetched: all is here, nobody wants it, or an error keeps it from coming."""
        if self.completed.done():
            return
        if error:
            self.completed.set_exception(error)
        else:
            self.completed.set_result(None)


class Download:
    """The fetching of a range of blocks; `await download.done()`, or watch `downloaded` of `total`."""

    def __init__(self, log: Log, fetched: BlockRange, stop: Callable[[BlockRange], None]) -> None:
        self.start = fetched.start
        self.end = fetched.end
        self.total = fetched.end - fetched.start
        self.cancelled = False
        self._log = log
        self._range = fetched
        self._stop = stop
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"Download(blocks {self.start} to {self.end}, {self.downloaded} of {self.total})"

    @property
    def downloaded(self) -> int:
        """How many blocks of the range are here."""
        return self.total - self._range.missing

    @property
    def finished(self) -> bool:
        """Whether all blocks are here."""
        return self._range.missing == 0

    async def done(self, *, progress: bool | None = None, timeout: float | None = None) -> None:
        """Wait until all blocks are here, on disk.

        With `progress` a bar shows how far it is; without, only in a notebook, when it takes over a second. Raises
        `TimeoutError` after `timeout` seconds, `StoreError` when the disk refuses the blocks.
        """
        await shown(self._done(timeout), lambda: (self.downloaded, self.total), "block", progress)

    @from_any_loop
    async def _done(self, timeout: float | None) -> None:
        async with asyncio.timeout(timeout):
            await asyncio.shield(self._range.completed)
            if not self.cancelled:
                await self._log.store.flush()

    @on_own_loop
    def cancel(self) -> None:
        """Fetch no more of it; `done` returns then."""
        self.cancelled = True
        self._stop(self._range)
