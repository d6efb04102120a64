"""A blind peer: it holds the cores that it is asked to hold, and gives them to whoever knows their keys.

It knows no more than the keys: of encrypted cores it can read nothing. The protocol is that of the npm package
`blind-peer`, whose clients can ask it. It gives up nothing that it has begun to hold; once it is full it takes no more.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from linkup_nb.blind.asker import Asker
from linkup_nb.blind.holding import Holding
from linkup_nb.blind.kept import KeptCore, KeptCores
from linkup_nb.blind.wakeup import WakeupChannel
from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import Discovery, PeerInfo
from linkup_nb.errors import PeerError, StoreError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.loops import Events, Tasks, Timers, every, from_any_loop
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.swarm.topic import peer_topic
from linkup_nb.wire.blind_peer import HoldCores
from linkup_nb.wire.keys import KeyPair, short_key
from linkup_nb.wire.wakeup import NamedCore

MAX_CORES = 16_384  # that are held for all together
MAX_CORES_AN_ASKER = 2_048  # that are held because one peer has asked for them first
MAX_BYTES = 20 * 1024**3  # of all blocks, counted once their author's signature says how many there are
MAX_BYTES_AN_ASKER = 2 * 1024**3  # of the cores that one peer has asked for first
MAX_NAMED = 32  # cores that are named under one referrer, as npm's `blind-peer` 3.8.1 does it: the last that were given
GATHER = 0.5  # seconds for which growth is gathered before it is told

log = logging.getLogger("linkup_nb")


class Figures(NamedTuple):
    """What a blind peer holds at one moment: cores, bytes of all their blocks, and connections."""

    cores: int
    bytes: int
    connections: int
    refused: dict[str, int]
    """How often something was not taken, by the reason."""


class BlindKeeper(Events):
    """Holds cores in the folder `path`; peers call it by the public key of `key_pair`. `open` and `close` it."""

    def __init__(self, path: Path, key_pair: KeyPair, discovery: Sequence[Discovery]) -> None:
        super().__init__(asyncio.get_running_loop())
        self._path = path
        self._store = Corestore(path / "store")
        self._kept = KeptCores(path / "kept.sqlite3")
        self._swarm = Swarm(key_pair, discovery=discovery)
        self._askers: dict[Connection, Asker] = {}
        self._holdings: dict[bytes, Holding] = {}
        self._holding = asyncio.Lock()
        self._sizes: dict[bytes, tuple[int, int]] = {}  # blocks and bytes of each core, here or not
        self._of_asker: Counter[bytes] = Counter()  # bytes
        self._total = 0  # bytes
        self._refused: Counter[str] = Counter()
        self._timers = Timers()
        self._tasks = Tasks()
        self._swarm.on("connection", self._connected)
        self._swarm.on("disconnection", self._disconnected)

    @property
    def public_key(self) -> bytes:
        """By which it is called."""
        return self._swarm.public_key

    @property
    def figures(self) -> Figures:
        """A snapshot, which any thread may take."""
        return Figures(len(self._kept), self._total, len(self._askers), dict(self._refused))

    @from_any_loop
    async def open(self) -> None:
        """Hold what it held before, and be found. Raises `StoreError` for a folder that cannot be used."""
        await self._store.open()
        await self._kept.open()
        stored = await asyncio.to_thread(lambda: self._store.cores)
        for core in stored:
            if core.key in self._kept:
                self._measure(core.key, core.length, core.byte_length)
        await self._swarm.join(peer_topic(self.public_key), client=False)

    @from_any_loop
    async def close(self) -> None:
        """Be found no more; all that came is on disk."""
        self._timers.close()
        self._swarm.remove_listener("disconnection", self._disconnected)
        await self._tasks.cancel()
        await every([asker.close() for asker in self._askers.values()])
        await self._swarm.close()
        await every([holding.close() for holding in self._holdings.values()])
        await self._store.close()

    def _connected(self, connection: Connection, _: PeerInfo) -> None:
        asker = self._askers[connection] = Asker(connection, self._kept, self._hold, self._name)
        self._store.replicate(connection, only=asker.may_copy)

    def _disconnected(self, connection: Connection, _: PeerInfo) -> None:
        if isinstance(connection.close_reason, PeerError):
            log.info(
                "The connection with %s has ended: %s", short_key(connection.remote_public_key), connection.close_reason
            )
        if asker := self._askers.pop(connection, None):
            self._tasks.start(self._leave(asker), "leaving who has asked a blind peer")

    async def _leave(self, asker: Asker) -> None:
        await asker.close()
        async with self._holding:
            for key, holding in tuple(self._holdings.items()):
                holding.askers.discard(asker.channels)
                if not holding.askers:
                    del self._holdings[key]
                    await holding.close()

    # What is asked

    async def _hold(self, asker: Asker, request: HoldCores) -> None:
        keys = list(dict.fromkeys(core.key for core in request.cores))
        try:
            new = self._wanted(asker, keys, request.referrer)
            if new:
                await self._kept.add(new)
                log.info("%s asks to hold %d logs; there are %d.", short_key(asker.key), len(new), len(self._kept))
            for key in keys:
                if key in self._kept and not asker.gone:
                    await self._fetch(asker, key)
        except StoreError as error:
            self._refuse(asker, "the disk refuses", str(error))
        if request.referrer is not None:
            asker.name(request.referrer)

    def _wanted(self, asker: Asker, keys: list[bytes], referrer: bytes | None) -> list[KeptCore]:
        """What is to be kept that was not; a referrer is taken over for what was given without one."""
        wanted, of_asker, total = [], self._kept.of_asker(asker.key), len(self._kept)
        for key in keys:
            if key in self._kept:
                known = self._kept.core(key)
                if known.referrer is None and referrer is not None:
                    wanted.append(known._replace(referrer=referrer))
            elif of_asker >= MAX_CORES_AN_ASKER:
                self._refuse(asker, "too many logs for one", f"{MAX_CORES_AN_ASKER:,} are held for this peer already.")
                break
            elif total >= MAX_CORES:
                self._refuse(asker, "too many logs", f"{MAX_CORES:,} are held already.")
                break
            else:
                of_asker, total = of_asker + 1, total + 1
                wanted.append(KeptCore(key, referrer, asker.key))
        return wanted

    async def _fetch(self, asker: Asker, key: bytes) -> None:
        asker.given.add(key)
        async with self._holding:
            holding = self._holdings.get(key)
            if holding is None:
                core = await self._store.core(key=key)
                holding = self._holdings[key] = Holding(core, partial(self._affords, asker), self._grown)
            else:
                self._store.replicate(asker.connection, only=asker.may_copy)
            if not asker.gone:
                holding.askers.add(asker.channels)

    def _affords(self, asker: Asker, core: Core) -> bool:
        """Whether all blocks of a core may be fetched: its author's signature says how long and large it is."""
        key, size = core.key, core.byte_length
        more = size - self._sizes.get(key, (0, 0))[1]
        if self._of_asker[self._kept.core(key).asker] + more > MAX_BYTES_AN_ASKER:
            self._refuse(
                asker, "too large for one", f"{short_key(key)} is over {MAX_BYTES_AN_ASKER:,} bytes with others."
            )
        elif self._total + more > MAX_BYTES:
            self._refuse(asker, "too large", f"{short_key(key)} is over {MAX_BYTES:,} bytes with all others.")
        else:
            self._measure(key, core.length, size)
            return True
        return False

    def _measure(self, key: bytes, length: int, size: int) -> None:
        more = size - self._sizes.get(key, (0, 0))[1]
        self._of_asker[self._kept.core(key).asker] += more
        self._total += more
        self._sizes[key] = length, size

    def _refuse(self, asker: Asker, reason: str, sentence: str) -> None:
        self._refused[reason] += 1
        log.warning("Not held for %s: %s", short_key(asker.key), sentence)

    # What is told

    def _grown(self, core: Core) -> None:
        self._timers.start(core.id, GATHER, partial(self._tell, core))

    def _tell(self, core: Core) -> None:
        """Name what has grown to those who are told of its referrer, but for those who have given it themselves."""
        if core.contiguous_length == core.length:
            log.info("%s: all of %d blocks", short_key(core.key), core.length)
        referrer = self._kept.core(core.key).referrer
        for asker in self._askers.values():
            if referrer is not None and core.key not in asker.given:
                asker.tell(referrer, (NamedCore(core.key, core.length),))

    def _name(self, channel: WakeupChannel) -> None:
        """Somebody who knows a referrer wants to know what there is."""
        keys = self._kept.of_referrer(channel.capability, MAX_NAMED)
        channel.announce(tuple(NamedCore(key, self._sizes.get(key, (0, 0))[0]) for key in keys))
