"""What a DHT node stores for others: announcements, the addresses of peers that it relays to, and values.

Everything expires. When a shelf is full, the host with most entries loses its oldest: a flood displaces itself.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from linkup_nb.wire.dht.records import MutableValue, PeerRecord
from linkup_nb.wire.dht.rpc import Address
from linkup_nb.wire.keys import blake2b_256

RECORD_LIFETIME = 20 * 60.0  # seconds; peers announce again before
VALUE_LIFETIME = 48 * 3600.0  # seconds
MAX_RECORDS = 16_384  # announcements in all, about 10 MB
MAX_PER_TARGET = 64  # announcements on one target
MAX_FORWARDS = 16_384
MAX_VALUES = 8_192  # of each kind, about 10 MB
MAX_REFRESHES = 16_384  # hashes by which announcements are renewed, one an announcement, about 10 MB
MAX_BUMPS = 16_384  # targets, about 5 MB
MAX_BUMP_DRIFT = 60_000  # milliseconds by which a bump may be ahead of our clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Stored(Generic[V]):
    value: V
    source: str
    until: float


class Shelf(Generic[K, V]):
    """Up to `size` values, each for `lifetime` seconds after it was put last. `source` is the host that put it.

    `dropped` is called with the key of each value that is removed, expires, or is replaced.
    """

    def __init__(self, size: int, lifetime: float, dropped: Callable[[K], object] = lambda key: None) -> None:
        self._size = size
        self._lifetime = lifetime
        self._dropped = dropped
        self._kept: dict[K, _Stored[V]] = {}
        self._sources: dict[str, dict[K, None]] = {}  # keys, the oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: K, value: V, source: str, now: float) -> None:
        """Store a value, replacing the one under this key."""
        self.remove(key)
        if len(self._kept) >= self._size:
            self.sweep(now)
        if len(self._kept) >= self._size:
            largest = max(self._sources, key=lambda source: len(self._sources[source]))
            self.remove(next(iter(self._sources[largest])))
        self._kept[key] = _Stored(value, source, now + self._lifetime)
        self._sources.setdefault(source, {})[key] = None

    def get(self, key: K, now: float) -> V | None:
        """The value under this key, unless it has expired."""
        kept = self._kept.get(key)
        return kept.value if kept is not None and kept.until > now else None

    def remove(self, key: K) -> None:
        """Remove a value, if it is there."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            keys = self._sources[kept.source]
            del keys[key]
            if not keys:
                del self._sources[kept.source]
            self._dropped(key)

    def sweep(self, now: float) -> None:
        """Remove what has expired."""
        for key in [key for key, kept in self._kept.items() if kept.until <= now]:
            self.remove(key)


@dataclass(frozen=True, slots=True)
class Forward:
    """The address to relay a peer's messages to, and its record."""

    address: Address
    record: PeerRecord


class DhtStore:
    """The storage of a DHT node; verify before you store. `now` is in seconds on a clock that never goes back.

    Call `sweep` every minute or so.
    """

    def __init__(self) -> None:
        self.forwards: Shelf[bytes, Forward] = Shelf(MAX_FORWARDS, RECORD_LIFETIME)
        self.mutable: Shelf[bytes, MutableValue] = Shelf(MAX_VALUES, VALUE_LIFETIME)
        self.immutable: Shelf[bytes, bytes] = Shelf(MAX_VALUES, VALUE_LIFETIME)
        self._records: Shelf[tuple[bytes, bytes], PeerRecord] = Shelf(MAX_RECORDS, RECORD_LIFETIME, self._dropped)
        self._targets: dict[bytes, dict[bytes, str]] = {}  # the keys on each target, and where each came from
        self._refreshes: Shelf[bytes, tuple[bytes, PeerRecord]] = Shelf(MAX_REFRESHES, RECORD_LIFETIME)
        self._bumps: Shelf[bytes, int] = Shelf(MAX_BUMPS, RECORD_LIFETIME)

    @property
    def counts(self) -> dict[str, int]:
        """How many entries of each kind are stored."""
        return {
            "announcements": len(self._records),
            "relayed peers": len(self.forwards),
            "mutable values": len(self.mutable),
            "immutable values": len(self.immutable),
        }

    @property
    def announced_from(self) -> dict[bytes, frozenset[str]]:
        """The hosts whose announcements are stored, by target; our own are from 127.0.0.1."""
        return {target: frozenset(tuple(keys.values())) for target, keys in tuple(self._targets.items())}

    def announce(
        self, target: bytes, record: PeerRecord, sender: Address, now: float, *, refresh: bytes | None = None
    ) -> None:
        """Store an announcement that came from `sender`; on the hash of the peer's own key, become its relay.

        The 32-byte preimage of the hash `refresh` renews it; see `refresh`.
        """
        key, host = record.public_key, sender[0]
        if refresh is not None:
            self._refreshes.put(refresh, (target, record), host, now)
        if target == blake2b_256(key):
            self.forwards.put(target, Forward(sender, record), host, now)
            return
        on_target = self._targets.get(target, {})
        if len(on_target) >= MAX_PER_TARGET and key not in on_target:
            [(crowd, _)] = Counter(on_target.values()).most_common(1)
            self._records.remove((target, next(key for key, source in on_target.items() if source == crowd)))
        self._records.put((target, key), record, host, now)
        self._targets.setdefault(target, {})[key] = host

    def refresh(self, preimage: bytes, sender: Address, now: float) -> bool:
        """Renew the announcement that came with the hash of these 32 bytes; false if none did.

        They take the place of that hash: who made a chain of hashes renews it again with the bytes before them.
        """
        hashed = blake2b_256(preimage)
        kept = self._refreshes.get(hashed, now)
        if kept is None:
            return False
        self._refreshes.remove(hashed)
        target, record = kept
        self.announce(target, record, sender, now, refresh=preimage)
        return True

    def bump(self, target: bytes, bump: int, source: str, clock: int, now: float) -> None:
        """Keep a target's bump if it is larger than the one before, and at most `MAX_BUMP_DRIFT` ahead of `clock`.

        Both are in milliseconds since 1970; `source` is the host that sent it.
        """
        if self.bump_of(target, now) < bump <= clock + MAX_BUMP_DRIFT:
            self._bumps.put(target, bump, source, now)

    def bump_of(self, target: bytes, now: float) -> int:
        """A target's bump in milliseconds since 1970; 0 if it has none."""
        return self._bumps.get(target, now) or 0

    def unannounce(self, target: bytes, public_key: bytes) -> None:
        """Remove an announcement, if it is there."""
        if target == blake2b_256(public_key):
            self.forwards.remove(target)
        self._records.remove((target, public_key))

    def records(self, target: bytes, now: float) -> list[PeerRecord]:
        """The records announced on a target; on the hash of a peer's own key, the peer that we relay to."""
        kept = [self._records.get((target, key), now) for key in self._targets.get(target, ())]
        forward = self.forwards.get(target, now)
        return [record for record in (forward and forward.record, *kept) if record]

    def sweep(self, now: float) -> None:
        """Remove what has expired."""
        self.forwards.sweep(now)
        self.mutable.sweep(now)
        self.immutable.sweep(now)
        self._records.sweep(now)
        self._refreshes.sweep(now)
        self._bumps.sweep(now)

    def _dropped(self, where: tuple[bytes, bytes]) -> None:
        target, key = where
        del self._targets[target][key]
        if not self._targets[target]:
            del self._targets[target]
