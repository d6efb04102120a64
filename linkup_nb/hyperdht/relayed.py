"""Connecting through a relay, when no hole can be punched: it joins the streams of two peers that send it one token."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from linkup_nb.channels import Channels
from linkup_nb.connection.connection import Connection
from linkup_nb.errors import NotReachable, PeerError
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.loops import Tasks
from linkup_nb.wire.blind_relay import PAIR, PROTOCOL, TOKEN_SIZE, Pair
from linkup_nb.wire.noise import NoiseHandshake

HEAD_START = 5.0  # seconds for a hole to be punched, before a relay is requested
RELAY_TIMEOUT = 15.0  # seconds to connect to a relay, and for the other peer to come there; as in hyperdht
FAREWELL = 2.0  # seconds for what was sent last to be sent again, before the relay is left
MAX_PAIRING = 16  # calls that wait for a relay, as strangers can name relays too

Offer = tuple[bytes, bytes]  # a relay's public key, and a token for it


@dataclass(frozen=True, slots=True)
class Agreement:
    """Which relay two peers meet at, with which token; the `initiator` is the peer that named it."""

    key: bytes
    token: bytes
    initiator: bool


class Relays:
    """Our part in being relayed; `through` is the key of a relay that we name to peers, if we have one.

    `reach(key)` connects to a relay, with another key pair than the one that peers see.
    """

    def __init__(
        self, node: DhtNode, reach: Callable[[bytes], Awaitable[tuple[Connection, Way]]], through: bytes | None
    ) -> None:
        self._node = node
        self._reach = reach
        self._through = through
        self._pairing = 0
        self._tasks = Tasks()

    def offer(self) -> Offer | None:
        """Our relay, as a handshake announces it; `None` without one."""
        return (self._through, os.urandom(TOKEN_SIZE)) if self._through is not None else None

    async def connect(self, agreed: Agreement, stream: PeerStream, handshake: NoiseHandshake) -> Connection:
        """The connection to a peer, through a relay, once the handshake is over.

        Raises `NotReachable`, or another `PeerError` with the reason why the relay could not be used.
        """
        if self._pairing >= MAX_PAIRING:
            raise NotReachable(f"{MAX_PAIRING} other calls are waiting for a relay; try again later.")
        self._pairing += 1
        relay: Connection | None = None
        try:
            async with asyncio.timeout(RELAY_TIMEOUT):
                relay, way = await self._reach(agreed.key)
                if way[0] is not self._node.socket:
                    raise NotReachable("The relay is behind a firewall itself: choose one that everyone reaches.")
                relay.confirm()
                await relay.opened()
                way = way[0], relay.address  # it may speak from its other socket
                stream.relay = way
                remote_id = await _request_pair(relay, Pair(agreed.initiator, agreed.token, stream.id))
            # A relay in JavaScript sends nothing on to a peer whose own first packet has not come.
            connection = stream.connect(way, remote_id, handshake, show=True)
        except BaseException as error:
            if relay is not None:
                self._tasks.start(relay.close(), "leaving a relay")
            if isinstance(error, TimeoutError):
                raise NotReachable(f"The peer did not come to the relay within {RELAY_TIMEOUT:g} s.") from None
            raise
        finally:
            self._pairing -= 1
        connection.relayed = True
        connection.on("close", partial(self._leave, relay))
        relay.on("close", partial(self._left, connection))
        return connection

    async def close(self) -> None:
        """Wait for nobody any more; connections to relays end with the node."""
        await self._tasks.cancel()

    def _leave(self, relay: Connection, reason: Exception | None) -> None:
        if not relay.closed:
            self._tasks.start(_close_after(FAREWELL, relay), "leaving a relay")

    def _left(self, connection: Connection, reason: Exception | None) -> None:
        if not connection.closed:
            self._tasks.start(connection.close(PeerError("The relay between us hung up.")), "the end of a relay")


def agree(ours: Offer | None, theirs: Offer | None, *, dialling: bool) -> Agreement | None:
    """The relay for a call: the one that the called peer names, else the caller's."""
    if ours is not None and not (dialling and theirs is not None):
        return Agreement(*ours, initiator=True)
    return Agreement(*theirs, initiator=False) if theirs is not None else None


class _PairRequest:
    """The handler of the channel on which a relay gets our request."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def opened(self, handshake: bytes) -> None:
        """The request has been sent already."""

    def received(self, type: int, payload: bytes) -> None:
        if type == PAIR and not self.answer.done():
            pair = Pair.decode(payload)
            if (pair.token, pair.initiator) == (self._pair.token, self._pair.initiator):
                self.answer.set_result(pair.stream_id)

    def drained(self) -> None:
        """One message is never too much."""

    def ended(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(NotReachable("The relay does not relay for us."))


async def _request_pair(relay: Connection, pair: Pair) -> int:
    """The stream at the relay that we are to send to, once the other peer has come."""
    request, channels = _PairRequest(pair), Channels.of(relay)
    channel = channels.open(PROTOCOL, relay.public_key, b"", request)
    channels.send(channel, PAIR, bytes(pair))
    return await request.answer


async def _close_after(seconds: float, connection: Connection) -> None:
    await asyncio.sleep(seconds)
    await connection.close()
