"""Which rooms are met on which connections: each room is offered on all, and each that the peer knows is met."""

from linkup_nb.channels import Channels
from linkup_nb.connection.connection import Connection
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.rooms.memory.session import RoomSession
from linkup_nb.wire.rooms import PROTOCOL, channel_id


class RoomLinks:
    """Which rooms are met on which connections; cores are copied to proven peers only."""

    def __init__(self, store: Corestore) -> None:
        self._store = store
        self._sessions: dict[bytes, RoomSession] = {}
        self._links: dict[Channels, _Link] = {}

    def add(self, session: RoomSession) -> None:
        """Offer a room that has been opened on every connection, now and later."""
        self._sessions[session.keys.topic] = session
        session.on("copy", self._copy)
        for link in self._links.values():
            link.meet(session)

    def remove(self, session: RoomSession) -> None:
        """Offer a room no longer."""
        del self._sessions[session.keys.topic]

    def connected(self, connection: Connection) -> None:
        """A connection has opened."""
        channels = Channels.of(connection)
        link = self._links[channels] = _Link(channels, self._sessions)
        channels.on_end(lambda: self._links.pop(channels, None))
        for session in self._sessions.values():
            link.meet(session)

    def _copy(self, connection: Connection) -> None:
        link = self._links.get(Channels.of(connection))
        if link:
            self._store.replicate(connection, only=link.may_copy)


class _Link:
    """The rooms on one connection."""

    def __init__(self, channels: Channels, sessions: dict[bytes, RoomSession]) -> None:
        self._channels = channels
        self._sessions = sessions
        self._peers: dict[bytes, RoomPeer] = {}
        channels.accept(PROTOCOL, self._accept)

    def meet(self, session: RoomSession) -> None:
        """Open a room here."""
        self._peers[session.keys.topic] = session.meet(self._channels)

    def may_copy(self, key: bytes) -> bool:
        """Whether the peer has proven to be in a room that a core belongs to."""
        return any(
            topic in self._sessions and self._sessions[topic].has(key)
            for topic, peer in self._peers.items()
            if peer.proven
        )

    def _accept(self, id: bytes) -> bool:
        hash = self._channels.connection.handshake_hash
        for session in self._sessions.values():
            if id == channel_id(hash, session.keys.secret):
                self.meet(session)
                return True
        return False
