"""Which rooms are met on which connections: each room is offered on all, and each that the peer knows is met.

Where one is not in a room yet, each peer is asked to let one in.
"""

import asyncio
from collections.abc import Callable

from linkup_nb.channels import Channels, MessageStream
from linkup_nb.connection.connection import Connection
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.rooms.memory.admission import Candidate
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.wire import blind_pairing
from linkup_nb.wire.rooms import PROTOCOL, channel_id

ASK_AGAIN = 30.0  # seconds until a peer that did not know a room is asked again: it may have joined meanwhile


class RoomLinks:
    """Which rooms are met on which connections; cores are copied to proven peers only.

    Those of which `shared` is true are copied to every peer that proves to know them.
    """

    def __init__(self, store: Corestore, shared: Callable[[bytes], bool]) -> None:
        self._store = store
        self._shared = shared
        self._sessions: dict[bytes, RoomSession] = {}
        self._links: dict[Channels, _Link] = {}
        self._candidates: list[Candidate] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, session: RoomSession) -> None:
        """Offer a room that has been opened on every connection, now and later."""
        self._sessions[session.keys.topic] = session
        session.on("copy", self._copy)
        session.on("lend", lambda: self._lend(session))
        for link in self._links.values():
            link.meet(session)

    def remove(self, session: RoomSession) -> None:
        """Offer a room no longer."""
        del self._sessions[session.keys.topic]

    def add_candidate(self, candidate: Candidate) -> None:
        """Ask to be let into a room on every connection, now and later."""
        self._candidates.append(candidate)
        self._ask()

    def remove_candidate(self, candidate: Candidate) -> None:
        """Ask no more."""
        self._candidates.remove(candidate)
        candidate.close()

    def close(self) -> None:
        """Ask nobody any more."""
        for candidate in tuple(self._candidates):
            self.remove_candidate(candidate)
        if self._timer:
            self._timer.cancel()

    def _ask(self) -> None:
        if self._timer:
            self._timer.cancel()
        for candidate in self._candidates:
            for channels in self._links:
                candidate.meet(channels)
        self._timer = asyncio.get_running_loop().call_later(ASK_AGAIN, self._ask) if self._candidates else None

    def connected(self, connection: Connection) -> None:
        """A connection has opened."""
        channels = Channels.of(connection)
        link = self._links[channels] = _Link(channels, self._sessions, self._shared)
        channels.on_end(lambda: self._links.pop(channels, None))
        self._copy(connection)
        for session in self._sessions.values():
            link.meet(session)
        for candidate in self._candidates:
            candidate.meet(channels)

    def copy(self) -> None:
        """Copy what may be copied now on every connection."""
        for channels in tuple(self._links):
            self._copy(channels.connection)

    def _lend(self, session: RoomSession) -> None:
        """Copy what may be copied now with the blind peers of a room."""
        for channels in tuple(self._links):
            if channels.connection.remote_public_key in session.blind_peers:
                self._copy(channels.connection)

    def _copy(self, connection: MessageStream) -> None:
        link = self._links.get(Channels.of(connection))
        if link and not self._store.closed:
            self._store.replicate(connection, only=link.may_copy)


class _Link:
    """The rooms on one connection."""

    def __init__(self, channels: Channels, sessions: dict[bytes, RoomSession], shared: Callable[[bytes], bool]) -> None:
        self._channels = channels
        self._sessions = sessions
        self._shared = shared
        self._peers: dict[bytes, RoomPeer] = {}
        channels.accept(PROTOCOL, self._accept)
        channels.accept(blind_pairing.PROTOCOL, self._accept_candidate)

    def meet(self, session: RoomSession) -> None:
        """Open a room here."""
        self._peers[session.keys.topic] = session.meet(self._channels)

    def may_copy(self, key: bytes) -> bool:
        """Whether a core is for everybody who has its key, or the peer may have it.

        That is who has proven to be in the room it belongs to, and a blind peer of that room.
        """
        if self._shared(key):
            return True
        met = (topic for topic, peer in self._peers.items() if peer.proven)
        sessions = [self._sessions[topic] for topic in met if topic in self._sessions]
        whose = self._channels.connection.remote_public_key
        sessions += [session for session in self._sessions.values() if whose in session.blind_peers]
        return any(session.has(key) for session in sessions)

    def _accept(self, id: bytes) -> bool:
        hash = self._channels.connection.handshake_hash
        for session in self._sessions.values():
            if id == channel_id(hash, session.keys.secret):
                self.meet(session)
                return True
        return False

    def _accept_candidate(self, topic: bytes) -> bool:
        session = self._sessions.get(topic)
        if session is None:
            return False
        session.admission.accept(self._channels)
        return True
