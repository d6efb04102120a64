"""The topics that a discovery has joined: each is announced and looked up again and again until it is left."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from linkup_nb.discovery.protocol import FoundPeer
from linkup_nb.loops import Tasks, every


@dataclass(slots=True, eq=False)
class JoinedTopic:
    """One topic. A network subclasses it for what it has to remember of its announcement."""

    topic: bytes
    server: bool = False
    client: bool = False
    found: Callable[[FoundPeer], None] = lambda peer: None
    left: bool = False
    task: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    due: asyncio.Event = field(default_factory=asyncio.Event)


T = TypeVar("T", bound=JoinedTopic)


class Topics(Generic[T]):
    """Joins, leaves and refreshes topics, as `Discovery` has it.

    `make(topic)` makes the entry for a new topic, `look(entry)` announces and looks up once, by the entry's `server`
    and `client`, `withdraw(entry)` takes the announcement back. These have a topic for themselves, and at most
    `at_once` topics have their turn at a time. A look is repeated `pause(entry)` seconds later, and up to a fifth more.
    Set `entered` once the network has been entered: until then a join waits, at most `patience` seconds.
    """

    def __init__(
        self,
        make: Callable[[bytes], T],
        look: Callable[[T], Awaitable[None]],
        withdraw: Callable[[T], Awaitable[None]],
        *,
        pause: Callable[[T], float],
        patience: float,
        at_once: int,
    ) -> None:
        self.entered = asyncio.Event()
        self._make = make
        self._look_once = look
        self._withdraw_once = withdraw
        self._pause = pause
        self._patience = patience
        self._joined: dict[bytes, T] = {}
        self._at_once = asyncio.Semaphore(at_once)
        self._tasks = Tasks()

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._joined.values()))

    def __len__(self) -> int:
        return len(self._joined)

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        """See `Discovery`."""
        joined = self._joined.get(topic) or self._joined.setdefault(topic, self._make(topic))
        joined.server, joined.client, joined.found = server, client, found
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self.entered.wait()
        if not server:
            await self._withdraw(joined)
        await self._look(joined)
        if joined.task is None and not joined.left:
            joined.task = self._tasks.start(self._keep_looking(joined), "looking for peers on a topic")

    async def leave(self, topic: bytes) -> None:
        """See `Discovery`."""
        if left := self._joined.pop(topic, None):
            left.left = True
            if left.task:
                left.task.cancel()
            await self._withdraw(left)

    async def refresh(self, topic: bytes) -> None:
        """See `Discovery`."""
        if joined := self._joined.get(topic):
            await self._look(joined)

    def hurry(self) -> None:
        """Announce and look up all topics soon, without waiting for it."""
        for joined in self._joined.values():
            joined.due.set()

    async def close(self, timeout: float) -> None:
        """Leave every topic; what takes longer than `timeout` seconds is given up, and expires at the nodes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await every([self.leave(topic) for topic in list(self._joined)])
        await self._tasks.cancel()

    async def _keep_looking(self, joined: T) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause(joined) * random.uniform(1.0, 1.2)):
                    await joined.due.wait()
            joined.due.clear()
            await self._look(joined)

    async def _look(self, joined: T) -> None:
        async with joined.turn, self._at_once:
            if not joined.left:
                await self._look_once(joined)

    async def _withdraw(self, joined: T) -> None:
        async with joined.turn, self._at_once:
            await self._withdraw_once(joined)
