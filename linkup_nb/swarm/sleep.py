"""Noticing that this machine has slept: a laptop that was shut, a virtual machine that was paused."""

import asyncio
from collections.abc import AsyncIterator
from time import time

LOOK_EVERY = 2.0  # seconds between looks at the clock
JUMP = 15.0  # seconds between two looks, above the pause, that mean sleep; peers wait as long, see PEER_TIMEOUT


async def wakings() -> AsyncIterator[float]:
    """Goes on each time that the machine has woken, or its clock was put forward: the seconds that it has missed.

    It compares with the clock on the wall: on some systems the monotonic one stands still during sleep, on others not.
    """
    while True:
        before = time()
        await asyncio.sleep(LOOK_EVERY)
        if (missed := time() - before - LOOK_EVERY) > JUMP:
            yield missed
