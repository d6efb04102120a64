"""Calling a peer whose key is known: a handshake through nodes of the DHT, then a way to it that is looked for.

What is done, and in which order, is that of the npm package `hyperdht`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile

from linkup_nb.connection.addresses import may_dial
from linkup_nb.connection.connection import Connection
from linkup_nb.errors import LinkupError, NotReachable, PeerError, PeerTimeout
from linkup_nb.hyperdht.attempts import Attempts, Call
from linkup_nb.hyperdht.holepunch import Punchers
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.own_addresses import local_addresses
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.hyperdht.relayed import HEAD_START as PUNCH_HEAD_START
from linkup_nb.hyperdht.relayed import Relays
from linkup_nb.hyperdht.rounds import punch_hole, settle
from linkup_nb.loops import Tasks
from linkup_nb.wire.dht.connect import Firewall
from linkup_nb.wire.dht.rpc import Internal
from linkup_nb.wire.dht.scope import Scope, scope
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.udx.events import Address

MAX_DIALS = 64  # at a time; further ones wait
HANG_UP_TIMEOUT = 3.0  # seconds for the answer to a call that was given up
PASSIVE_TIMEOUT = 10.0  # seconds for a peer that is to send first, because everyone reaches us


class DhtDialer:
    """Calls peers from one node, as the owner of one key; through `relays`, if there is no other way."""

    def __init__(self, node: DhtNode, key_pair: KeyPair, punchers: Punchers, relays: Relays | None = None) -> None:
        self._node = node
        self._key_pair = key_pair
        self._punchers = punchers
        self._relays = relays
        self._slots = asyncio.Semaphore(MAX_DIALS)
        self._tasks = Tasks()

    async def dial(self, public_key: bytes, relays: Sequence[Address] = ()) -> Connection:
        """A connection to the owner of a key, established; `confirm` or close it. `relays` may know the peer.

        Raises a `PeerError` with the reason why there is none: `NotReachable`, `PeerTimeout`, or `HandshakeError`.
        """
        connection, _ = await self.reach(public_key, relays)
        return connection

    async def reach(self, public_key: bytes, relays: Sequence[Address] = ()) -> tuple[Connection, Way]:
        """As `dial`, and by which way the peer was reached."""
        async with self._slots:
            found: asyncio.Future[Way] = asyncio.get_running_loop().create_future()
            stream = PeerStream(self._node, partial(settle, found))
            offer = self._relays.offer() if self._relays is not None else None
            attempts = Attempts(self._node, self._key_pair, public_key, stream.id, offer)
            calling = self._tasks.start(attempts.run(relays), "a call", awaited=True)
            hanging_up: asyncio.Task[None] | None = None
            try:
                call = await asyncio.shield(calling)
                try:
                    async with asyncio.timeout(PUNCH_HEAD_START if call.relay_through else None):
                        way = await self._find_way(call, stream, found)
                except (PeerError, TimeoutError) as cause:
                    return await self._relay(call, stream, cause)
                assert call.payload.udx_id is not None
                return stream.connect(way, call.payload.udx_id, call.handshake), way
            except asyncio.CancelledError:
                hanging_up = self._tasks.start(self._hang_up(calling, stream), "hanging up")
                raise
            finally:
                if hanging_up is None:
                    stream.give_up()

    async def close(self) -> None:
        """Give up the calls that are still under way."""
        await self._tasks.cancel()

    async def _hang_up(self, calling: "asyncio.Task[Call]", stream: PeerStream) -> None:
        """End a call that was given up, also at a peer that takes it only now.

        After a `passive` call the peer has connected its stream already. In the npm package `hyperswarm` that would
        replace its connection to us, and then wait for us in vain, refusing every further call.
        """
        try:
            async with asyncio.timeout(HANG_UP_TIMEOUT):
                call = await calling
            if (call.passive or not call.relayed) and call.payload.udx_id is not None:
                stream.hang_up(call.server_address, call.payload.udx_id)
        except (LinkupError, TimeoutError):
            calling.cancel()
        finally:
            stream.give_up()

    async def _relay(self, call: Call, stream: PeerStream, cause: Exception) -> tuple[Connection, Way]:
        """The connection through a relay, if there is one, to a peer to which there is no other way."""
        if self._relays is None or call.relay_through is None:
            raise cause
        try:
            connection = await self._relays.connect(call.relay_through, stream, call.handshake)
        except LinkupError as error:
            why = str(cause) or f"No hole could be punched within {PUNCH_HEAD_START:g} s."
            raise NotReachable(f"{why} A relay did not help either: {error}") from None
        assert stream.relay is not None
        return connection, stream.relay

    async def _find_way(self, call: Call, stream: PeerStream, found: asyncio.Future[Way]) -> Way:
        """How to send to a peer that has answered."""
        here, payload = self._node.socket, call.payload
        if not call.relayed:
            return here, call.relay
        if payload.firewall == Firewall.OPEN or not payload.relays:
            public = (address for address in payload.addresses4 if scope(address[0]) is Scope.WORLD)
            return here, next(filter(lambda address: may_dial(*address), public), call.server_address)
        if call.passive:
            with suppress(TimeoutError):
                async with asyncio.timeout(PASSIVE_TIMEOUT):
                    return await asyncio.shield(found)
            raise NotReachable(f"The peer was to send first, and did not within {PASSIVE_TIMEOUT:g} s.")
        if call.client_address[0] == call.server_address[0]:
            near = await self._nearby(payload.addresses4, call.server_address)
            if near is not None:
                return here, near
        return await punch_hole(self._node, self._punchers, call, stream, found)

    async def _nearby(self, addresses: Sequence[Address], seen_at: Address) -> Address | None:
        """An address of a peer behind the same router, if it answers there.

        Only there may a peer name an address of our own network; and one of our machine, if it is seen there itself.
        """
        least = min(scope(seen_at[0]), Scope.SITE)
        ours = [address for address, _ in local_addresses(self._node)]
        theirs = [address for address in addresses if may_dial(*address) and least <= scope(address[0]) < Scope.WORLD]
        for address in sorted(theirs, key=lambda address: max(_same_bytes(address[0], own) for own in ours))[-1:]:
            with suppress(PeerTimeout):
                await self._node.request(address, Internal.PING, internal=True, retries=0)
                return address
        return None


def _same_bytes(one: str, other: str) -> int:
    """How many bytes two addresses begin with alike."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(one.split("."), other.split("."), strict=True))
    return len(list(alike))
