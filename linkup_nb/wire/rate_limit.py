"""How much of what strangers ask for is done."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and so many at once."""

    per_second: float
    burst: float


class Bucket:
    """A token bucket; `now` is in seconds."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = rate.burst
        self._at = now

    def take(self, now: float, amount: float = 1) -> bool:
        """Whether so much more is within the rate; it counts only then."""
        self._level = min(self._rate.burst, self._level + (now - self._at) * self._rate.per_second)
        self._at = now
        if self._level < amount:
            return False
        self._level -= amount
        return True


class RateLimit:
    """A rate for each source, and one for all; `max_sources` are remembered. `now` is in seconds."""

    def __init__(self, each: Rate, total: Rate, max_sources: int, now: float) -> None:
        self._each = each
        self._total = Bucket(total, now)
        self._max_sources = max_sources
        self._sources: OrderedDict[str, Bucket] = OrderedDict()

    def allows(self, source: str, now: float) -> bool:
        """Whether one more of this source is within the limits."""
        bucket = self._sources.get(source)
        if bucket is None:
            bucket = self._sources[source] = Bucket(self._each, now)
            if len(self._sources) > self._max_sources:
                self._sources.popitem(last=False)
        self._sources.move_to_end(source)
        return bucket.take(now) and self._total.take(now)
