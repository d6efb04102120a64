"""How fast one peer may talk: what is over that waits in its own connection, and nobody else notices."""

import asyncio
import time

MESSAGES_PER_SECOND = 1000  # messages taken from one peer, in the long run
BURST = 2000  # messages taken from one peer at once
BYTES_PER_MESSAGE = 16_384  # of which a larger message counts as several: 16 MB/s in the long run
MESSAGES_PER_TURN = 32  # messages of one peer that are handled before the others get their turn


class Flow:
    """A token bucket that makes its peer wait."""

    def __init__(self) -> None:
        self._tokens = float(BURST)
        self._at = time.monotonic()
        self._taken = 0

    async def take(self, size: int, *, messages: int = 1) -> None:
        """Wait until the peer may have this handled: that many `messages`, of `size` bytes."""
        now = time.monotonic()
        earned = (now - self._at) * MESSAGES_PER_SECOND
        self._at = now
        self._tokens = min(BURST, self._tokens + earned) - messages - size / BYTES_PER_MESSAGE
        self._taken += 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / MESSAGES_PER_SECOND)
        elif self._taken % MESSAGES_PER_TURN == 0:
            await asyncio.sleep(0)
