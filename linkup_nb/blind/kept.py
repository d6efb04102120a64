"""Which cores a blind peer of ours has promised to hold, for whom, and under which referrers it names them."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from linkup_nb.errors import StoreError
from linkup_nb.wire.keys import discovery_key

_TABLES = """
CREATE TABLE IF NOT EXISTS kept (
    number INTEGER PRIMARY KEY,  -- in the order in which they were given
    key BLOB NOT NULL UNIQUE,
    referrer BLOB,
    asker BLOB NOT NULL  -- the public key of who gave it first
);
"""


class KeptCore(NamedTuple):
    """A core, the secret under which it is named if there is one, and the public key of who asked first."""

    key: bytes
    referrer: bytes | None
    asker: bytes


class KeptCores:
    """The table in the file `path`; what is in memory is what is on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cores: dict[bytes, KeptCore] = {}
        self._of_asker: Counter[bytes] = Counter()
        self._by_referrer: dict[bytes, dict[bytes, None]] = {}
        self._referrers: dict[bytes, bytes] = {}  # by discovery key
        self._keys: dict[bytes, bytes] = {}  # likewise
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Read the file, or make it. Raises `StoreError`."""
        for core in await asyncio.to_thread(self._load):
            self._take(core)

    def __len__(self) -> int:
        return len(self._cores)

    def __contains__(self, key: bytes) -> bool:
        return key in self._cores

    def core(self, key: bytes) -> KeptCore:
        """A core that is among them."""
        return self._cores[key]

    def key_of(self, discovery_key: bytes) -> bytes | None:
        """The key of the core with this discovery key."""
        return self._keys.get(discovery_key)

    def referrer_of(self, discovery_key: bytes) -> bytes | None:
        """The referrer with this discovery key."""
        return self._referrers.get(discovery_key)

    def of_referrer(self, referrer: bytes, most: int) -> list[bytes]:
        """The cores that are named under a referrer, the last that was given first."""
        return list(reversed(self._by_referrer.get(referrer, {})))[:most]

    def of_asker(self, asker: bytes) -> int:
        """How many somebody has asked for first."""
        return self._of_asker[asker]

    async def add(self, cores: Sequence[KeptCore]) -> None:
        """Keep more, or a referrer for those that had none; on disk when this returns. Raises `StoreError`."""
        async with self._writing:
            await asyncio.to_thread(self._save, cores)
        for core in cores:
            self._take(core)

    def _take(self, core: KeptCore) -> None:
        if core.key not in self._cores:
            self._of_asker[core.asker] += 1
            self._keys[discovery_key(core.key)] = core.key
        self._cores[core.key] = core
        if core.referrer is not None:
            self._by_referrer.setdefault(core.referrer, {})[core.key] = None
            self._referrers[discovery_key(core.referrer)] = core.referrer

    def _load(self) -> list[KeptCore]:
        try:
            with closing(self._connect()) as database:
                database.executescript(_TABLES)
                return [
                    KeptCore(*row) for row in database.execute("SELECT key, referrer, asker FROM kept ORDER BY number")
                ]
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} cannot be read ({error}): put back its copy, or move it away.") from error

    def _save(self, cores: Sequence[KeptCore]) -> None:
        try:
            with closing(self._connect()) as database, database:
                database.executemany(
                    "INSERT INTO kept (key, referrer, asker) VALUES (?, ?, ?)"
                    " ON CONFLICT (key) DO UPDATE SET referrer = excluded.referrer",
                    cores,
                )
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} cannot be written: {error}.") from error

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path)
        database.execute("PRAGMA synchronous = FULL")
        return database
