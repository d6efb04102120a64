"""When to dial a peer, and how: a few peers at a time, each one address after another, less often the more it fails."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from linkup_nb.connection.connection import Connection, connect
from linkup_nb.errors import LinkupError
from linkup_nb.loops import Tasks
from linkup_nb.swarm.peer import SwarmPeer
from linkup_nb.wire.keys import KeyPair

MAX_PARALLEL_DIALS = 16  # peers that are dialled at one time
DIAL_TIMEOUT = 4.0  # seconds for one address to answer and prove its key
RETRY_DELAYS = (1.0, 5.0, 15.0, 60.0)  # seconds until a failed dial is repeated; after them only when found once more
JITTER = 0.25  # of a delay, up or down, so that two peers or a whole room do not dial in step


class Dialer:
    """Dials peers until they are connected.

    `admit` gets each connection whose peer has proven its key, and confirms or closes it, also after `stop`.
    `wanted` is called before each dial; `changed` when the state of a peer has changed, `failed` when all ways to it
    have failed: then call `lost` unless it has come by itself.
    """

    def __init__(
        self,
        key_pair: KeyPair,
        admit: Callable[[Connection], None],
        wanted: Callable[[SwarmPeer], bool],
        changed: Callable[[], None],
        failed: Callable[[SwarmPeer], None],
    ) -> None:
        self._key_pair = key_pair
        self._admit = admit
        self._wanted = wanted
        self._changed = changed
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(MAX_PARALLEL_DIALS)
        self._tasks = Tasks()

    def found(self, peer: SwarmPeer, new_address: bool) -> None:
        """The peer is still announced: dial it, soon if there is a new address to try, else when it is its turn."""
        if new_address:
            peer.attempts = 0
            self._dial_at(peer, peer.dialled_at + RETRY_DELAYS[0])
        elif not peer.retry:
            self._dial_at(peer, peer.dialled_at + RETRY_DELAYS[-1])

    def lost(self, peer: SwarmPeer) -> None:
        """Its connection has ended, or could not be made: dial it later, unless that has failed too often."""
        if peer.attempts <= len(RETRY_DELAYS):
            delay = RETRY_DELAYS[max(peer.attempts, 1) - 1]
            self._dial_at(peer, self._loop.time() + delay * random.uniform(1 - JITTER, 1 + JITTER))

    def stop(self, peer: SwarmPeer) -> None:
        """Dial it no more for now."""
        if peer.retry:
            peer.retry.cancel()
            peer.retry = None
        if peer.dial:
            peer.dial.cancel()
            peer.dial = None

    async def close(self) -> None:
        """Give up all dials."""
        await self._tasks.cancel()

    def _dial_at(self, peer: SwarmPeer, when: float) -> None:
        if peer.dial or not self._wanted(peer):
            return
        if peer.retry:
            peer.retry.cancel()
        peer.retry = self._loop.call_at(max(when, self._loop.time()), self._start, peer)

    def _start(self, peer: SwarmPeer) -> None:
        peer.retry = None
        if self._wanted(peer):
            peer.dial = self._tasks.start(self._dial(peer), "a dial")
        self._changed()

    async def _dial(self, peer: SwarmPeer) -> None:
        try:
            async with self._slots:
                peer.attempts += 1
                peer.dialled_at = self._loop.time()
                for host, port in peer.addresses:
                    if await self._try(peer, f"{host}:{port}", self._connect(peer, host, port)):
                        return
                for reach in peer.reaches:
                    if await self._try(peer, "not over TCP", reach()):
                        return
        finally:
            if peer.dial is asyncio.current_task():
                peer.dial = None
        self._failed(peer)

    async def _connect(self, peer: SwarmPeer, host: str, port: int) -> Connection:
        key = peer.public_key
        return await connect(host, port, self._key_pair, remote_public_key=key, timeout=DIAL_TIMEOUT, confirm=False)

    async def _try(self, peer: SwarmPeer, where: str, connecting: Awaitable[Connection]) -> bool:
        connection: Connection | None = None
        try:
            connection = await connecting
            self._admit(connection)
            await connection.opened()
        except (OSError, LinkupError) as error:
            peer.last_error = f"{where}: {error}"
        return connection is not None and connection.opened_at > 0
