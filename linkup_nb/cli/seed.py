"""A peer that keeps rooms and drives available: it is a member like any other, and fetches everything."""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from linkup_nb.blind.keeper import BlindKeeper
from linkup_nb.cli.metrics import Metrics
from linkup_nb.discovery.protocol import SharedDiscovery
from linkup_nb.errors import LinkupError, UsageError
from linkup_nb.hyperdrive.drive import Drive
from linkup_nb.loops import Tasks
from linkup_nb.node import Node
from linkup_nb.rooms.memory.invite import is_invite
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.names import clean
from linkup_nb.rooms.profile import read_seed
from linkup_nb.wire.keys import KeyPair, z32encode

log = logging.getLogger("linkup_nb")

PAUSE = 0.5  # seconds for which changes are gathered before it looks at what there is to hold
LOOK_EVERY = 30.0  # seconds after which it looks again without any
MAX_DRIVES_OF_ROOMS = 4_096  # drives of members that are held


class Seed:
    """`async with Seed(path, name)`: `hold` an invite or a key; what it held before, it holds again.

    One that is `blind` also holds the logs that others ask it to, without being able to read them, in `path`/blind.
    """

    def __init__(self, path: Path, name: str, *, blind: bool = False) -> None:
        self.node = Node(path, name=name)
        self.keeper: BlindKeeper | None = None
        self._blind = path / "blind" if blind else None
        self._tasks = Tasks()
        self._held: dict[str, int] = {}  # the version up to which all of a drive is here
        self._fetching: set[str] = set()
        self._said: dict[str, str] = {}
        self._metrics: Metrics | None = None
        self._changed = asyncio.Event()
        for event in ("room", "message", "update"):
            self.node.on(event, lambda *_: self._changed.set())

    async def __aenter__(self) -> Self:
        await self.node.open()
        if self._blind:
            try:
                await self._open_keeper(self._blind)
            except BaseException:
                await self.node.close()
                raise
        self._tasks.start(self._keep(), "keeping rooms and drives")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._metrics:
            self._metrics.close()
        await self._tasks.cancel()
        if self.keeper:
            await self.keeper.close()
        await self.node.close()

    async def _open_keeper(self, path: Path) -> None:
        await asyncio.to_thread(partial(path.mkdir, mode=0o700, exist_ok=True))
        key_pair = KeyPair.from_seed(await asyncio.to_thread(read_seed, path / "seed"))
        discovery = [one.share() for one in self.node.swarm.discovery if isinstance(one, SharedDiscovery)]
        self.keeper = BlindKeeper(path, key_pair, discovery)
        await self.keeper.open()
        figures = self.keeper.figures
        log.info("Blind peer %s holds %d logs.", z32encode(self.keeper.public_key), figures.cores)

    async def hold(self, what: str) -> None:
        """Hold the room of an invite, or the drive of a key. Raises `UsageError` for what is neither."""
        if is_invite(what):
            await self.node.join(what)
            return
        try:
            await self.node.drive(what)
        except UsageError as error:
            raise UsageError(f"{what[:20]!r} is neither an invite (linkup:…) nor the key of a drive: {error}") from None

    def serve_metrics(self, host: str, port: int) -> None:
        """Serve figures for Prometheus. Raises `UsageError` where the port cannot be had."""
        from linkup_nb.cli.metrics import Metrics

        self._metrics = Metrics(self.node, host, port, self.keeper)
        self._tasks.start(self._metrics.keep_counting(), "counting")

    async def _keep(self) -> None:
        while True:
            for room in self.node.rooms:
                if isinstance(room, MemoryRoom):
                    self._say(room.name, f"{len(room):,} messages of {len(room.peers) + 1} people")
                    for key in list(room.drive_keys.values())[:MAX_DRIVES_OF_ROOMS]:
                        with suppress(LinkupError):
                            self._fetch(await room.drive_of(key))
            for drive in self.node.drives.values():
                self._fetch(drive)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._changed.wait()
            await asyncio.sleep(PAUSE)
            self._changed.clear()

    def _fetch(self, drive: Drive) -> None:
        if drive.id not in self._fetching and self._held.get(drive.id, 0) < drive.version and not drive.writable:
            self._fetching.add(drive.id)
            self._tasks.start(self._fetch_all(drive), "fetching a drive")

    async def _fetch_all(self, drive: Drive) -> None:
        try:
            version = drive.version
            downloads = await drive.download()
            await downloads.done(progress=False)
            self._held[drive.id] = version
            self._say(f"drive {drive.id[:8]}", f"all of version {version}")
        except LinkupError as error:
            self._say(f"drive {drive.id[:8]}", str(error))
        finally:
            self._fetching.discard(drive.id)

    def _say(self, what: str, words: str) -> None:
        """Log it, unless it was the last that was said about this."""
        if self._said.get(what) != words:
            self._said[what] = words
            log.info("%s: %s", clean(what), clean(words))
