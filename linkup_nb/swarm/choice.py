"""Which of several connections to a peer is the one, so that both ends come to the same answer.

Both ends of a pair may dial at once, so the end with the larger public key decides. It confirms one connection, the
first whose handshake ends there; the other end confirms all of them and uses the one that opens. No message is lost by
it, for only a connection that both have confirmed carries any.

The npm package `hyperswarm` confirms each at once, and of two keeps the one that the larger key has dialled. So over
UDX, where its peers are met, the larger key that is dialling lets incoming connections wait until it knows how
that ends.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from linkup_nb.connection.connection import Connection
from linkup_nb.errors import PeerError, PeerRefused
from linkup_nb.loops import Tasks
from linkup_nb.swarm.peer import SwarmPeer

DUPLICATE_GRACE = 1.0  # seconds that a second connection of a peer waits, at least, for the first one or our dial
GRACE_ROUND_TRIPS = 4  # round trips of the first connection that it waits, at least

REPLACED = "Replaced by a newer connection."


class Choice:
    """Confirms and ends the connections to each peer, until it has one.

    `chosen` is called before one is confirmed or used that the peer has made, for then there is no need to dial.
    `opened` and `ended` are called with the one connection, `ended` also with the reason; `lost` is called with a peer
    that has one less.
    """

    def __init__(
        self,
        public_key: bytes,
        *,
        chosen: Callable[[SwarmPeer], None],
        opened: Callable[[SwarmPeer, Connection], None],
        ended: Callable[[SwarmPeer, Connection, Exception | None], None],
        lost: Callable[[SwarmPeer], None],
    ) -> None:
        self._public_key = public_key
        self._chosen = chosen
        self._opened = opened
        self._ended = ended
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._closers = Tasks()

    def add(self, peer: SwarmPeer, connection: Connection) -> None:
        """Take a connection to a peer that has been established and is not confirmed."""
        if peer.connection and peer.connection.closed:
            self._detach(peer, peer.connection.close_reason)
        if connection.initiator and peer.open:  # the peer has come while we dialled
            self.end(connection, PeerRefused(REPLACED))
            return
        if not connection.initiator:
            self._end_pending(peer, [other for other in peer.pending if not other.initiator])
        peer.pending.append(connection)
        connection.on("open", partial(self._on_open, peer, connection))
        connection.on("close", partial(self._on_close, peer, connection))
        if not self._we_decide(peer):
            connection.confirm()
        elif peer.connection or (peer.dial and connection.transport == "udx" and not connection.initiator):
            self._give_grace(peer)
        else:
            self._confirm(peer, connection)

    def confirm_next(self, peer: SwarmPeer) -> bool:
        """Confirm the one that waits if there is no other; returns whether there is one that does."""
        newcomer = peer.newcomer
        if newcomer is None or peer.connection or not self._we_decide(peer):
            return False
        self._confirm(peer, newcomer)
        return True

    def drop(self, peer: SwarmPeer, reason: PeerError) -> None:
        """End the one connection to a peer, if there is one."""
        connection = peer.connection
        self._detach(peer, reason)
        if connection:
            self.end(connection, reason)

    def end(self, connection: Connection, reason: PeerError) -> None:
        """End a connection in the background."""
        self._closers.start(connection.close(reason), "closing a connection")

    async def finished(self) -> None:
        """Wait until all that was to end has ended."""
        await self._closers.wait()

    def _we_decide(self, peer: SwarmPeer) -> bool:
        return self._public_key > peer.public_key

    def _confirm(self, peer: SwarmPeer, connection: Connection) -> None:
        """The one that we confirm of all the connections to a peer with a smaller key."""
        self._end_grace(peer)
        peer.pending.remove(connection)
        peer.connection = connection
        if not connection.initiator:
            self._chosen(peer)
        connection.confirm()

    def _give_grace(self, peer: SwarmPeer) -> None:
        """Let a newcomer wait until it, or the connection or dial that was there before, has ended, or for a while."""
        if peer.open or not peer.connection:
            self._end_grace(peer)
            # If the old connection lives, its peer closes the newcomer as soon as it has noticed that.
            rtt = peer.connection.rtt if peer.connection else None
            grace = max(DUPLICATE_GRACE, GRACE_ROUND_TRIPS * (rtt or 0))
            peer.grace = self._loop.call_later(grace, self._grace_is_over, peer)

    def _grace_is_over(self, peer: SwarmPeer) -> None:
        peer.grace = None
        if newcomer := peer.newcomer:
            self.drop(peer, PeerRefused(REPLACED))
            self._confirm(peer, newcomer)

    def _end_grace(self, peer: SwarmPeer) -> None:
        if peer.grace:
            peer.grace.cancel()
            peer.grace = None

    def _on_open(self, peer: SwarmPeer, connection: Connection) -> None:
        if connection in peer.pending:  # the peer decides, and has decided
            peer.pending.remove(connection)
            self.drop(peer, PeerRefused(REPLACED))
            peer.connection = connection
            self._end_pending(peer, list(peer.pending))
        if peer.connection is connection:
            self._chosen(peer)
            self._opened(peer, connection)

    def _on_close(self, peer: SwarmPeer, connection: Connection, reason: Exception | None) -> None:
        if connection in peer.pending:
            peer.pending.remove(connection)
        elif peer.connection is connection:
            self._detach(peer, reason)
        else:
            return  # dropped, and already reported so
        if not peer.pending or not peer.connection:
            self._end_grace(peer)
        self.confirm_next(peer)
        self._lost(peer)

    def _detach(self, peer: SwarmPeer, reason: Exception | None) -> None:
        connection, peer.connection = peer.connection, None
        if connection and connection.opened_at:
            self._ended(peer, connection, reason)

    def _end_pending(self, peer: SwarmPeer, connections: list[Connection]) -> None:
        for connection in connections:
            peer.pending.remove(connection)
            self.end(connection, PeerRefused(REPLACED))
