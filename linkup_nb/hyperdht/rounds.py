"""The rounds of hole punching, as the caller sees them: messages through a node by which both ends learn where to send.

As in the npm package `hyperdht` (its `docs/holepunch.md`).
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from linkup_nb.errors import LinkupError, NotReachable, ProtocolError
from linkup_nb.hyperdht.attempts import Call
from linkup_nb.hyperdht.holepunch import Puncher, Punchers
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.loops import end
from linkup_nb.wire.dht.connect import (
    ErrorCode,
    Firewall,
    HolepunchPayload,
    Mode,
    PeerHolepunch,
    Relay,
    holepunch_secret,
)
from linkup_nb.wire.dht.records import DhtCommand
from linkup_nb.wire.dht.scope import may_follow
from linkup_nb.wire.keys import blake2b_256

T = TypeVar("T")

SECOND_LOOK = 1.0  # seconds that a peer is given to learn of its firewall

_USE_A_RELAY = "use a relay: HyperDHT(relay_through=…) with the key that `linkup-nb relay` prints on a public server."
_UNPUNCHABLE = f"Each of the two firewalls shows another port to everyone, so no hole can be punched; {_USE_A_RELAY}"


async def punch_hole(
    node: DhtNode, punchers: Punchers, call: Call, stream: PeerStream, found: asyncio.Future[Way]
) -> Way:
    """The way to a peer behind a firewall, once its probe has come, or `found` is set; else raises `NotReachable`."""
    assert call.handshake.result
    secret = holepunch_secret(call.handshake.result.hash)
    puncher = Puncher(node, stream, secret, punchers.turn, call.server_address, partial(settle, found))
    punchers.add(puncher)
    try:
        return await _Rounds(node, call, puncher, found).run()
    finally:
        punchers.remove(puncher)
        puncher.close(keep=found.result()[0] if found.done() and not found.cancelled() else None)


def settle(future: asyncio.Future[T], result: T) -> None:
    """Set a result, unless it is known already or nobody waits for it any more."""
    if not future.done():
        future.set_result(result)


class _Rounds:
    """The rounds of messages with a peer behind a firewall, by which both come to know where to send."""

    def __init__(self, node: DhtNode, call: Call, puncher: Puncher, found: asyncio.Future[Way]) -> None:
        self._node = node
        self._call = call
        self._puncher = puncher
        self._found = found
        self._round = 0
        self._server_address = call.server_address
        known = call.server_address
        relays = [relay for relay in call.payload.relays if may_follow(relay.relay_address, known)]
        if not relays:
            raise NotReachable("The peer names no node that we could reach it through.")
        self._relay = next((relay for relay in relays if relay.relay_address == call.relay), relays[0])

    async def run(self) -> Way:
        work = asyncio.create_task(self._work())
        both: list[asyncio.Future[Any]] = [work, self._found]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not self._found.done():
                work.result()
                raise NotReachable(f"No hole could be punched through the two firewalls; {_USE_A_RELAY}")
            return self._found.result()
        finally:
            with suppress(LinkupError):
                await end(work)

    async def _work(self) -> None:
        token = await self._probe(last=False)
        puncher, call = self._puncher, self._call
        if puncher.is_random and not puncher.turn.free:
            raise NotReachable("Another hole is being punched at random; try again in half a minute.")
        reply = await self._exchange(
            Relay(call.relay, self._server_address),
            puncher.round_message(
                self._next_round(),
                punching=True,
                token=puncher.token(self._server_address[0]),
                remote_token=token,
            ),
            puncher.token(self._server_address[0]),
        )
        if not reply.punching:
            raise NotReachable("The peer does not open its firewall for us.")
        if not puncher.punch():
            raise NotReachable("The firewall that the peer reports leaves no way to it.")
        await puncher.wait()

    async def _probe(self, *, last: bool) -> bytes | None:
        """Exchange firewalls with the peer. Returns the token that shows that we get what it sends."""
        puncher, server = self._puncher, self._server_address
        puncher.unlock(server)
        reply = await self._exchange(
            self._relay, puncher.round_message(self._next_round(), remote_address=server), None
        )
        for address in reply.addresses or ():
            if puncher.remote.firewall < Firewall.RANDOM and address != server and address[1]:
                puncher.unlock(address)
        if puncher.remote.firewall == Firewall.UNKNOWN or self._node.nat.firewall == Firewall.UNKNOWN:
            await asyncio.sleep(SECOND_LOOK)
        if (puncher.remote.firewall == Firewall.UNKNOWN or reply.token is None) and not last:
            return await self._probe(last=True)
        if Firewall.UNKNOWN in (puncher.remote.firewall, self._node.nat.firewall):
            await self._abort()
            whose = "our" if self._node.nat.firewall == Firewall.UNKNOWN else "the peer's"
            raise NotReachable(f"The kind of {whose} firewall is not known, so no hole can be punched.")
        if puncher.remote.firewall == self._node.nat.firewall == Firewall.RANDOM:
            await self._abort()
            raise NotReachable(_UNPUNCHABLE)
        return reply.token

    async def _exchange(self, relay: Relay, sealed: bytes, token: bytes | None) -> HolepunchPayload:
        """Send a payload through a node that knows the peer, and return the peer's reply."""
        call, target = self._call, blake2b_256(self._call.handshake.remote_public_key or b"")
        assert call.payload.holepunch_id is not None
        message = PeerHolepunch(Mode.FROM_CLIENT, call.payload.holepunch_id, sealed, relay.peer_address)
        answer = await self._node.request(
            relay.relay_address, DhtCommand.PEER_HOLEPUNCH, target=target, value=bytes(message)
        )
        reply = PeerHolepunch.decode(answer.reply.value or b"")
        if reply.mode != Mode.REPLY:
            raise ProtocolError("A node answered a message of the hole punching with something else.")
        payload = self._puncher.open(reply.payload)
        if payload.error == ErrorCode.TRY_LATER:
            raise NotReachable("The peer is busy with another hole; try again later.")
        if payload.error != ErrorCode.NONE:
            raise NotReachable("The peer gave up: no hole can be punched from its side.")
        echoed = token is not None and payload.remote_token == token
        named_by = self._call.server_address
        self._puncher.remote.update(payload, named_by, relay.peer_address[0] if echoed else None)
        if reply.peer_address is not None and may_follow(reply.peer_address, relay.relay_address):
            self._puncher.expected.append(reply.peer_address)
            if relay.relay_address == call.relay and reply.peer_address != self._server_address:
                self._server_address = reply.peer_address  # it now sends from another socket
                self._puncher.unlock(reply.peer_address)
        return payload

    async def _abort(self) -> None:
        with suppress(LinkupError):
            await self._exchange(self._relay, self._puncher.refuse(self._next_round()), None)

    def _next_round(self) -> int:
        self._round += 1
        return self._round - 1
