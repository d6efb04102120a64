"""A machine that has slept knows it by its clock."""

import asyncio
import time

import pytest

from linkup_nb.swarm import sleep
from linkup_nb.swarm.sleep import wakings


async def test_a_clock_that_has_jumped_means_that_we_have_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleep, "LOOK_EVERY", 0.01)
    ahead = 0.0
    monkeypatch.setattr(sleep, "time", lambda: time.time() + ahead)
    woken = aiter(wakings())
    for _ in range(2):
        waking = asyncio.ensure_future(anext(woken))
        await asyncio.sleep(0.1)  # time in which nothing happens
        assert not waking.done()
        ahead += 3600
        assert 3600 <= await asyncio.wait_for(waking, 10) < 3610
