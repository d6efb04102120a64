"""How often people may have a bot do something."""

import time
from collections.abc import Hashable

PERSON_BURST = 5  # commands that one person may give at once in a room
PERSON_RATE = 0.5  # of them a second after that
ROOM_BURST = 20  # commands that a room may give at once
ROOM_RATE = 4.0  # of them a second after that
MAX_PEOPLE = 4_096  # people whose commands are counted; those who gave one longest ago are forgotten


class Limits:
    """Counts commands by person and room."""

    def __init__(self) -> None:
        self._balances: dict[Hashable, tuple[float, float]] = {}

    def allow(self, room: bytes, person: bytes) -> bool:
        """Whether somebody may give another command in a room now; counts it if so."""
        now = time.monotonic()
        mine = self._balance((room, person), PERSON_BURST, PERSON_RATE, now)
        all = self._balance(room, ROOM_BURST, ROOM_RATE, now)
        if mine < 1 or all < 1:
            return False
        self._balances[room, person] = (mine - 1, now)
        self._balances[room] = (all - 1, now)
        while len(self._balances) > MAX_PEOPLE:
            del self._balances[next(iter(self._balances))]
        return True

    def _balance(self, whose: Hashable, burst: int, rate: float, now: float) -> float:
        balance, at = self._balances.pop(whose, (float(burst), now))
        balance = min(float(burst), balance + (now - at) * rate)
        self._balances[whose] = (balance, now)
        return balance
