"""Progress bars for what takes long: in a notebook's cell by themselves, elsewhere for those who ask for one."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from linkup_nb.surroundings import surroundings

DELAY = 1.0  # seconds that something may take without a bar
INTERVAL = 0.1  # seconds between two looks at how far it is

R = TypeVar("R")


@dataclass(slots=True)
class Tally:
    """How much has been done, and of how much, if that is known. One thread counts, any may read."""

    done: int = 0
    total: int | None = None

    async def count(self, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """The pieces, counted when the next one is asked for."""
        async for piece in pieces:
            yield piece
            self.done += len(piece)


async def shown(
    work: Coroutine[Any, Any, R], how_far: Callable[[], tuple[int, int | None]], unit: str, show: bool | None
) -> R:
    """Await `work` and return its result; meanwhile show a bar of `how_far` (done, total).

    The bar is made on the caller's thread, and so belongs to its cell.
    With `show=None` in a notebook only, and only when it takes over a second. The unit "B" is bytes.
    """
    of_cell = surroundings().bar()
    if show is False or (show is None and not of_cell):
        return await work
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=DELAY if show is None else 0)
        if show or not task.done():
            with _bar(of_cell, unit, how_far()[1]) as bar:
                await _follow(task, how_far, bar)
        return await task
    finally:
        task.cancel()


async def _follow(task: asyncio.Future[Any], how_far: Callable[[], tuple[int, int | None]], bar: Any) -> None:
    ended = False
    while not ended:
        ended = bool((await asyncio.wait([task], timeout=INTERVAL))[0])
        done, total = how_far()
        if total != bar.total:
            bar.reset(total)
        bar.update(done - bar.n)


def _bar(of_cell: Any | None, unit: str, total: int | None) -> Any:
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Bar(of_cell or tqdm):  # type: ignore[misc]
        monitor_interval = 0  # the first bar with another one starts a thread that stays

    return Bar(total=total, unit=unit, unit_scale=unit == "B")
