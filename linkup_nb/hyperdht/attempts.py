"""The handshake with a peer whose key is known, passed on by several nodes of the DHT until one brings its answer."""

import asyncio
import os
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from linkup_nb.connection.addresses import may_dial
from linkup_nb.errors import HandshakeError, LinkupError, NotReachable, PeerTimeout, ProtocolError
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.own_addresses import is_open, named_addresses
from linkup_nb.hyperdht.relayed import Agreement, Offer, agree
from linkup_nb.loops import end
from linkup_nb.wire.dht import connect as dht_connect
from linkup_nb.wire.dht.connect import (
    ErrorCode,
    Firewall,
    HandshakePayload,
    Mode,
    handshake_prologue,
)
from linkup_nb.wire.dht.records import DhtCommand
from linkup_nb.wire.dht.scope import may_follow
from linkup_nb.wire.keys import KeyPair, blake2b_256
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.udx.events import Address

MAX_ATTEMPTS = 3  # nodes at a time through which one peer is called
NEXT_AFTER = 0.1  # seconds for the answer by a node that is reported to know the peer, before the next is tried
HEAD_START = 0.5  # seconds for the nodes that are reported to know the peer, before others are looked for
CALL_TIMEOUT = 15.0  # seconds until the peer has answered


@dataclass(frozen=True, slots=True)
class Call:
    """A peer that has answered: its payload, the node that relayed it, and where that node sees it and us.

    `passive` if we have announced to it that everyone reaches us, so that it is to send first.
    """

    handshake: NoiseHandshake
    payload: HandshakePayload
    relay: Address
    server_address: Address
    client_address: Address
    relayed: bool
    passive: bool
    relay_through: Agreement | None


class Attempts:
    """One call: the same handshake message goes through several nodes at a time, until one brings the peer's answer.

    `stream_id` is the UDX stream that we have opened for the peer, `offer` the relay that we name to it.
    """

    def __init__(
        self, node: DhtNode, key_pair: KeyPair, public_key: bytes, stream_id: int, offer: Offer | None
    ) -> None:
        self._node = node
        self._public_key = public_key
        self._offer = offer
        self._passive = is_open(node)
        self._handshake = NoiseHandshake(
            True,
            key_pair,
            KeyPair.from_seed(os.urandom(32)),
            pattern=IK,
            prologue=handshake_prologue(),
            remote_public_key=public_key,
        )
        payload = HandshakePayload(
            Firewall.OPEN if self._passive else Firewall.UNKNOWN,
            addresses4=named_addresses(node),
            udx_id=stream_id,
            relay_through=offer,
        )
        self._noise = self._handshake.send(bytes(payload))
        self._answered: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        self._tried: set[Address] = set()
        self._slots = asyncio.Semaphore(MAX_ATTEMPTS)
        self._failure: LinkupError = NotReachable("No node of the network knows this peer: it is not there at present.")

    async def run(self, relays: Sequence[Address]) -> Call:
        """The first answer; `relays` are nodes that are reported to know the peer. Raises a `PeerError` without one."""
        search = asyncio.create_task(self._search(relays))
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await self._answered
        except TimeoutError:
            raise PeerTimeout(f"The peer did not answer within {CALL_TIMEOUT:g} s.") from None
        finally:
            await end(search)

    async def _search(self, relays: Sequence[Address]) -> None:
        async with asyncio.TaskGroup() as group:
            for relay in relays:
                if self._try(group, relay):
                    await asyncio.wait([self._answered], timeout=NEXT_AFTER)
            if self._tried:
                await asyncio.wait([self._answered], timeout=HEAD_START)
            if not self._answered.done():
                async for answer, _ in self._node.find_peer(self._public_key):
                    self._try(group, answer.sender)
        if not self._answered.done():
            self._answered.set_exception(self._failure)

    def _try(self, group: asyncio.TaskGroup, relay: Address) -> bool:
        if relay in self._tried or not may_dial(*relay) or self._answered.done():
            return False
        self._tried.add(relay)
        group.create_task(self._attempt(relay))
        return True

    async def _attempt(self, relay: Address) -> None:
        async with self._slots:
            if self._answered.done():
                return
            try:
                call = await self._call(relay)
            except PeerTimeout:
                self._failure = PeerTimeout("The peer is known and does not answer: it is gone, or does not want us.")
            except LinkupError as error:
                self._failure = error
            else:
                self._take(call)

    def _take(self, call: Call) -> None:
        """Whatever the peer itself has answered ends the search for it."""
        if not self._answered.done():
            try:
                _check(call.payload)
            except LinkupError as error:
                self._answered.set_exception(error)
            else:
                self._answered.set_result(call)

    async def _call(self, relay: Address) -> Call:
        value = bytes(dht_connect.PeerHandshake(Mode.FROM_CLIENT, self._noise))
        target = blake2b_256(self._public_key)
        answer = await self._node.request(relay, DhtCommand.PEER_HANDSHAKE, target=target, value=value)
        if answer.reply.value is None:
            raise NotReachable("The nodes that should know this peer do not know where it is.")
        reply = dht_connect.PeerHandshake.decode(answer.reply.value)
        if reply.mode != Mode.REPLY:
            raise ProtocolError("A node answered a handshake with something else.")
        handshake = copy(self._handshake)  # a node may have made the answer up; then others still have their chance
        payload = HandshakePayload.decode(handshake.receive(reply.noise))
        server = reply.peer_address or relay
        if not may_follow(server, relay):
            raise ProtocolError("A node reported the peer at an address that it cannot know.")
        relayed = reply.peer_address is not None
        through = agree(self._offer, payload.relay_through, dialling=True)
        return Call(handshake, payload, relay, server, answer.reply.to, relayed, self._passive, through)


def _check(payload: HandshakePayload) -> None:
    if payload.version != dht_connect.VERSION or payload.error == ErrorCode.VERSION_MISMATCH:
        raise HandshakeError("The peer speaks another version of the handshake.")
    if payload.error == ErrorCode.TRY_LATER:
        raise NotReachable("The peer is busy: try again later.")
    if payload.error != ErrorCode.NONE or payload.udx_id is None:
        raise NotReachable("The peer does not want to connect.")
