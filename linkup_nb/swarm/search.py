"""The search for the peers on one topic, through every discovery at once."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress

from linkup_nb.discovery.protocol import Discovery, FoundPeer
from linkup_nb.loops import Tasks, every

FIRST_PAUSE = 1.0  # seconds until a missed peer is looked for again, doubling up to the last; also the least
LAST_PAUSE = 600.0  # seconds
EARLY_LOOKS = 2  # after the one at joining, whoever was found
JITTER = 0.25  # of a pause, up or down, so that two peers that look for each other do not look in step


class TopicSearch:
    """Joins a topic through the discoveries that have started, until `stop`; after it they have to `leave`.

    Those who are on the topic may have come a moment after we looked, and have looked a moment before we were
    announced; most discoveries look again minutes later. So it looks again soon, `EARLY_LOOKS` times, and then, less
    and less often, while `misses` reports a missed peer.
    """

    def __init__(
        self,
        topic: bytes,
        *,
        server: bool,
        client: bool,
        discoveries: Mapping[Discovery, asyncio.Task[None]],
        found: Callable[[FoundPeer], None],
        misses: Callable[[], bool],
    ) -> None:
        self._topic = topic
        self._server = server
        self._client = client
        self._found = found
        self._misses = misses
        self._joined: list[Discovery] = []
        self._hurried = asyncio.Event()
        self._tasks = Tasks()
        self._joining: list[asyncio.Task[None]] = []
        for discovery, started in discoveries.items():
            self.add(discovery, started)
        self._tasks.start(self._keep_looking(), "looking again")

    def add(self, discovery: Discovery, started: asyncio.Task[None]) -> None:
        """Join through one more discovery, once it has started."""
        self._joining.append(self._tasks.start(self._join(discovery, started), f"joining through {discovery!r}"))

    async def flushed(self) -> None:
        """Wait until the topic is announced and was looked up once, by every discovery that works."""
        if self._joining:
            await asyncio.wait(self._joining)

    def hurry(self) -> None:
        """Announce and look up again now, or `FIRST_PAUSE` after the last time."""
        self._hurried.set()

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.cancel()

    async def _join(self, discovery: Discovery, started: asyncio.Task[None]) -> None:
        await asyncio.wait([started])
        if started.cancelled() or started.exception():
            return  # it has been logged
        await discovery.join(self._topic, server=self._server, client=self._client, found=self._found)
        self._joined.append(discovery)

    async def _keep_looking(self) -> None:
        await self.flushed()
        pause = FIRST_PAUSE
        early = EARLY_LOOKS
        while True:
            due = self._client and (early > 0 or self._misses())
            with suppress(TimeoutError):
                async with asyncio.timeout(pause * random.uniform(1 - JITTER, 1 + JITTER) if due else None):
                    await self._hurried.wait()
            if self._hurried.is_set():
                pause = FIRST_PAUSE
            elif not (early > 0 or self._misses()):
                continue
            early -= 1
            self._hurried.clear()
            await every([discovery.refresh(self._topic) for discovery in self._joined])
            await asyncio.sleep(FIRST_PAUSE)
            pause = min(2 * pause, LAST_PAUSE)
