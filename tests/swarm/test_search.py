"""Somebody who is missed is looked for soon again, then less and less often."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from linkup_nb.discovery.protocol import Announcer, FoundPeer
from linkup_nb.loops import Tasks
from linkup_nb.swarm import search
from linkup_nb.swarm.search import TopicSearch

TOPIC = bytes(range(32))
PATIENCE = 10.0  # seconds


class Clock:
    """A discovery that notes when it was refreshed."""

    name = "clock"
    this_machine_only = True

    def __init__(self) -> None:
        self.looks: list[float] = []
        self._looked = asyncio.Event()

    async def start(self, announcer: Announcer) -> None: ...
    async def leave(self, topic: bytes) -> None: ...
    async def close(self) -> None: ...

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        self._note()

    async def refresh(self, topic: bytes) -> None:
        assert topic == TOPIC
        self._note()

    def describe(self) -> str:
        return "Looks at the clock."

    async def has_looked(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.looks) < times:
                self._looked.clear()
                await self._looked.wait()

    def _note(self) -> None:
        self.looks.append(asyncio.get_running_loop().time())
        self._looked.set()


async def ready() -> None: ...


def begin(clock: Clock, misses: Callable[[], bool], *, client: bool = True) -> TopicSearch:
    started = Tasks().start(ready(), "starting")
    return TopicSearch(
        TOPIC, server=True, client=client, discoveries={clock: started}, found=lambda peer: None, misses=misses
    )


async def test_while_somebody_is_missed_the_pauses_grow_and_a_hurry_makes_them_short_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(search, "LAST_PAUSE", 0.4)
    clock = Clock()
    looking = begin(clock, lambda: True)
    await clock.has_looked(6)
    pauses = [later - earlier for earlier, later in pairwise(clock.looks)]
    spacings = (0.0, 0.05, 0.05, 0.05, 0.05)
    least = [0.75 * pause + spacing for pause, spacing in zip((0.05, 0.1, 0.2, 0.4, 0.4), spacings, strict=True)]
    assert all(pause > bound for pause, bound in zip(pauses, least, strict=True))
    begun = asyncio.get_running_loop().time()
    for _ in range(100):
        looking.hurry()
    await clock.has_looked(7)
    assert clock.looks[6] - begun < 0.3  # not a whole pause of 0.4
    await looking.stop()


async def test_whoever_makes_us_hurry_all_the_time_makes_us_look_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FIRST_PAUSE", 0.1)
    clock = Clock()
    looking = begin(clock, lambda: False)
    await looking.flushed()
    for times in range(2, 7):
        looking.hurry()
        await clock.has_looked(times)
    assert all(later - earlier > 0.09 for earlier, later in pairwise(clock.looks[1:]))
    await looking.stop()


@pytest.mark.parametrize(("misses", "client", "looks"), [(False, True, 1 + search.EARLY_LOOKS), (True, False, 1)])
async def test_when_nobody_is_missed_it_looks_twice_more_and_when_nobody_is_sought_never(
    misses: bool, client: bool, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FIRST_PAUSE", 0.01)
    clock = Clock()
    looking = begin(clock, lambda: misses, client=client)
    await looking.flushed()
    await asyncio.sleep(0.2)  # time in which nothing happens
    assert len(clock.looks) == looks
    looking.hurry()
    await clock.has_looked(looks + 1)
    await looking.stop()
