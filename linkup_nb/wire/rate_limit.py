"""Token buckets: how many requests of strangers are served."""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and a burst of so many at once."""

    per_second: float
    burst: float


class Bucket:
    """A token bucket, full at first; `now` is in seconds on a clock that never goes back."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = rate.burst
        self._at = now

    def take(self, now: float, amount: float = 1) -> bool:
        """Take `amount` tokens; returns `False`, and takes none, when there are fewer."""
        self._level = min(self._rate.burst, self._level + (now - self._at) * self._rate.per_second)
        self._at = now
        if self._level < amount:
            return False
        self._level -= amount
        return True


class RateLimit:
    """A rate for each of the `max_sources` seen last, and one for all together. `now` is in seconds."""

    def __init__(self, each: Rate, total: Rate, max_sources: int, now: float) -> None:
        self._each = each
        self._total = Bucket(total, now)
        self._max_sources = max_sources
        self._sources: OrderedDict[str, Bucket] = OrderedDict()

    def allows(self, source: str, now: float) -> bool:
        """Count one more request of this source; returns `False` when it should be dropped."""
        bucket = self._sources.get(source)
        if bucket is None:
            bucket = self._sources[source] = Bucket(self._each, now)
            if len(self._sources) > self._max_sources:
                self._sources.popitem(last=False)
        self._sources.move_to_end(source)
        return bucket.take(now) and self._total.take(now)
