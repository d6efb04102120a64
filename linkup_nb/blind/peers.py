"""The blind peers of a node: services that hold its cores, which they cannot read, while everybody is away.

They hold what they are asked to by its key alone, and give it to whoever has that key. The protocol is that of the npm
packages `blind-peer` and `blind-peering`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from linkup_nb.blind.link import BlindLink
from linkup_nb.blind.loan import Loan
from linkup_nb.blind.status import BlindPeer, BlindPeerState, held_in_words
from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import PeerInfo
from linkup_nb.errors import LinkupError, UsageError
from linkup_nb.loops import Events, Tasks, Timers
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import short_key

GATHER = 0.2  # seconds for which changes are gathered before blind peers are told
WATCH_EVERY = 5.0  # seconds between two looks at whether they hold what they were given
CALL_EVERY = 60.0  # seconds until one that is away is called again
LOOK_EVERY = 20.0  # seconds until one that is here is asked again what others have given it
PATIENCE = 30.0  # seconds without any progress after which one that holds too little is said to

log = logging.getLogger("linkup_nb")


class BlindPeers(Events):
    """Stays connected with the blind peers that `loans()` name, for as long as they name them.

    Call `changed` whenever what is lent may have. Emits `update` when `status` of one has changed.
    """

    def __init__(self, swarm: Swarm, loans: Callable[[], Iterable[Loan]]) -> None:
        super().__init__(asyncio.get_running_loop())
        self._swarm = swarm
        self._loans = loans
        self._links: dict[bytes, BlindLink] = {}
        self._joined: dict[bytes, float] = {}  # loop time of the last time that it was looked for
        self._said: dict[bytes, str] = {}
        self._timers = Timers()
        self._tasks = Tasks()
        swarm.on("connection", self._connected)
        swarm.on("disconnection", self._disconnected)

    def open(self) -> None:
        """Begin; the loans are there."""
        self._tasks.start(self._watch(), "watching blind peers")

    async def close(self) -> None:
        """Leave all; the swarm is closed by its owner."""
        self._timers.close()
        await self._tasks.cancel()
        for link in self._links.values():
            link.close()
        self._links.clear()

    def changed(self) -> None:
        """Something may be lent that was not, or to others."""
        self._timers.start("look", GATHER, lambda: self._tasks.start(self._look(), "lending to blind peers"))

    def status(self, key: bytes) -> BlindPeer:
        """Where we stand with the blind peer of this key; a snapshot, which any thread may take."""
        link = self._links.get(key)
        if link is None:
            if key not in self._joined:
                return BlindPeer(key, BlindPeerState.IDLE, "It is not connected: there is nothing to hold yet.")
            return BlindPeer(key, BlindPeerState.AWAY, f"It is away: {self._why_away(key)}")
        if link.refused:
            return BlindPeer(key, BlindPeerState.REFUSES, "It is connected, and refuses to hold anything for us.")
        held = link.held()
        cores, whole = len(held), sum(one.there >= one.blocks for one in held)
        blocks, there = sum(one.blocks for one in held), sum(one.there for one in held)
        text = held_in_words(cores, whole, blocks, there)
        state = BlindPeerState.HOLDS if cores == whole else BlindPeerState.FETCHING
        if state is BlindPeerState.FETCHING and self._loop.time() - link.progress_at > PATIENCE:
            state, text = BlindPeerState.SHORT, f"{text[:-1]}: it has taken no more for {PATIENCE:g} s."
        return BlindPeer(key, state, text, cores, whole, blocks, there)

    def _why_away(self, key: bytes) -> str:
        with suppress(UsageError):
            if error := self._swarm.peer(key).last_error:
                return error
        return "nobody has answered yet."

    def _wanted(self) -> frozenset[bytes]:
        return frozenset(key for loan in self._loans() for key in loan.blind_peers) - {self._swarm.public_key}

    async def _watch(self) -> None:
        while True:
            await self._look()
            now = self._loop.time()
            for link in self._links.values():
                held = sum(one.there for one in link.held())
                if held != link.held_before:
                    link.held_before, link.progress_at = held, now
            await asyncio.sleep(WATCH_EVERY)

    async def _look(self) -> None:
        wanted, now = self._wanted(), self._loop.time()
        for key in self._joined.keys() - wanted:
            del self._joined[key]
            if link := self._links.pop(key, None):
                link.close()
            await self._swarm.leave_peer(key)
        for key in wanted:
            if key not in self._links and now - self._joined.get(key, -CALL_EVERY) >= CALL_EVERY:
                self._joined[key] = now
                await self._call(key)
        for link in tuple(self._links.values()):
            link.give()
            if now - link.looked_at >= LOOK_EVERY:
                link.look()
        self._say()

    async def _call(self, key: bytes) -> None:
        connected = next((one for one in self._swarm.connections if one.remote_public_key == key), None)
        if connected:
            self._link(connected)
        try:
            await self._swarm.join_peer(key)
        except (OSError, LinkupError) as error:
            log.warning("The blind peer %s cannot be called: %s", short_key(key), error)

    def _connected(self, connection: Connection, _: PeerInfo) -> None:
        if connection.remote_public_key in self._wanted():
            self._link(connection)

    def _link(self, connection: Connection) -> None:
        if earlier := self._links.pop(connection.remote_public_key, None):
            earlier.close()
        self._links[connection.remote_public_key] = BlindLink(connection, self._loans, self.changed)

    def _disconnected(self, connection: Connection, _: PeerInfo) -> None:
        link = self._links.get(connection.remote_public_key)
        if link and link.connection is connection:
            del self._links[connection.remote_public_key]
            link.close()
        self.changed()

    def _say(self) -> None:
        """Have it seen what has changed; what is amiss stands in the log, too."""
        said = {key: self.status(key) for key in self._joined}
        for key, status in said.items():
            amiss = status.state in (BlindPeerState.REFUSES, BlindPeerState.SHORT)
            if self._said.get(key) != status.text and amiss:
                log.warning("The blind peer %s: %s", short_key(key), status.text)
        texts = {key: status.text for key, status in said.items()}
        if texts != self._said:
            self._said = texts
            self.emit("update")
