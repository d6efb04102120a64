"""A channel of `wakeup` on one connection: cores are named there to whoever has shown to know the capability."""

from collections.abc import Callable

from linkup_nb.channels import Channels
from linkup_nb.wire import wakeup as wire
from linkup_nb.wire.keys import discovery_key
from linkup_nb.wire.protomux import Channel
from linkup_nb.wire.wakeup import NamedCore


def _ignore(_: object) -> None:
    """What is of no use to this end."""


class WakeupChannel:
    """Opens the channel of a capability, or accepts the one that the peer opened.

    `named` is called with cores that the peer names, `wanted` with this channel when the peer wants to be told of
    cores, `ended` with it in the end. A peer that does not know the capability gets no further than opening it.
    """

    def __init__(
        self,
        channels: Channels,
        capability: bytes,
        *,
        named: Callable[[tuple[NamedCore, ...]], None] = _ignore,
        wanted: "Callable[[WakeupChannel], None]" = _ignore,
        ended: "Callable[[WakeupChannel], None]",
    ) -> None:
        self.channels = channels
        self.capability = capability
        self.proven = False
        self._named = named
        self._wanted = wanted
        self._ended = ended
        connection = channels.connection
        proof = wire.capability_proof(capability, connection.handshake_hash, initiator=connection.initiator)
        id = discovery_key(capability)
        self._channel: Channel = channels.open(wire.PROTOCOL, id, bytes(wire.Opening(proof)), self)

    def announce(self, cores: tuple[NamedCore, ...]) -> None:
        """Name cores to the peer, if it has shown to know the capability."""
        if self.proven and cores:
            self.channels.send(self._channel, wire.MessageType.ANNOUNCE, bytes(wire.Announce(cores)))

    def close(self) -> None:
        """Close it at both ends."""
        self.proven = False
        self.channels.close(self._channel)

    # What the channel calls

    def opened(self, handshake: bytes) -> None:
        """Check the peer's proof."""
        connection = self.channels.connection
        opening = wire.Opening.decode(handshake)
        expected = wire.capability_proof(self.capability, connection.handshake_hash, initiator=not connection.initiator)
        if opening.proof != expected:
            self.close()
            self._ended(self)
            return
        self.proven = True
        if opening.active:
            self._wanted(self)

    def received(self, type: int, payload: bytes) -> None:
        """Handle a message of the peer."""
        if type == wire.MessageType.ANNOUNCE:
            self._named(wire.Announce.decode(payload).cores)
        elif type == wire.MessageType.INFO and wire.Info.decode(payload).active:
            self._wanted(self)

    def drained(self) -> None:
        """What was sent has gone out."""

    def ended(self) -> None:
        """The peer has closed or rejected the channel."""
        self.proven = False
        self._ended(self)
