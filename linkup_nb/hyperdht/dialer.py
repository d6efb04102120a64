"""Calling a peer whose key is known: nodes of the DHT pass our handshake on to it, then a way to it is looked for."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any, TypeVar

from linkup_nb.connection.addresses import lan_addresses, may_dial
from linkup_nb.connection.connection import Connection
from linkup_nb.errors import HandshakeError, LinkupError, NotReachable, PeerError, PeerTimeout, ProtocolError
from linkup_nb.hyperdht.holepunch import Puncher, Punchers
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.hyperdht.relayed import HEAD_START as PUNCH_HEAD_START
from linkup_nb.hyperdht.relayed import Agreement, Offer, Relays, agree
from linkup_nb.loops import end
from linkup_nb.wire.dht import connect as dht_connect
from linkup_nb.wire.dht.connect import (
    ErrorCode,
    Firewall,
    HandshakePayload,
    HolepunchPayload,
    Mode,
    PeerHolepunch,
    Relay,
    handshake_prologue,
    holepunch_secret,
)
from linkup_nb.wire.dht.records import DhtCommand
from linkup_nb.wire.dht.rpc import Internal
from linkup_nb.wire.dht.scope import Scope, may_follow, scope
from linkup_nb.wire.keys import KeyPair, blake2b_256
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.udx.events import Address

MAX_DIALS = 64  # at a time; further ones wait
MAX_ATTEMPTS = 3  # nodes at a time through which one peer is called
HEAD_START = 0.5  # seconds for the nodes that are said to know the peer, before others are looked for
CALL_TIMEOUT = 15.0  # seconds until the peer has answered
PASSIVE_TIMEOUT = 10.0  # seconds for a peer that is to send first, because everyone reaches us
SECOND_LOOK = 1.0  # seconds that a peer is given to learn of its firewall

T = TypeVar("T")

_RELAY_HELPS = "a relay helps: HyperDHT(relay_through=…) with the key that `linkup-nb relay` prints on a public server"
_UNPUNCHABLE = f"each of the two firewalls shows another port to everyone, so no hole can be punched; {_RELAY_HELPS}"


@dataclass(frozen=True, slots=True)
class Call:
    """A peer that has answered: what it said, through which node, and where that node sees it and us.

    `passive` if we have told it that everyone reaches us, so that it is to send first.
    """

    handshake: NoiseHandshake
    payload: HandshakePayload
    relay: Address
    server_address: Address
    client_address: Address
    relayed: bool
    passive: bool
    relay_through: Agreement | None


def local_addresses(node: DhtNode) -> tuple[Address, ...]:
    """Where peers in our own network reach us."""
    host, port = node.address
    if host == "0.0.0.0":
        return tuple((address, port) for address in lan_addresses()) or (("127.0.0.1", port),)
    return ((host, port),)


def named_addresses(node: DhtNode) -> tuple[Address, ...]:
    """All that we tell a peer of where we may be."""
    everywhere = (node.public_address,) if is_open(node) and node.public_address else ()
    return (*everywhere, *local_addresses(node))


def is_open(node: DhtNode) -> bool:
    """Whether whoever sends to us is heard."""
    return node.nat.firewall == Firewall.OPEN and node.public_address is not None


class DhtDialer:
    """Calls peers from one node, as the owner of one key; through `relays`, if there is no other way."""

    def __init__(self, node: DhtNode, key_pair: KeyPair, punchers: Punchers, relays: Relays | None = None) -> None:
        self._node = node
        self._key_pair = key_pair
        self._punchers = punchers
        self._relays = relays
        self._slots = asyncio.Semaphore(MAX_DIALS)

    async def dial(self, public_key: bytes, relays: Sequence[Address] = ()) -> Connection:
        """A connection to the owner of a key, established; `confirm` or close it. `relays` may know the peer.

        Raises a `PeerError` that says why there is none: `NotReachable`, `PeerTimeout`, or `HandshakeError`.
        """
        connection, _ = await self.reach(public_key, relays)
        return connection

    async def reach(self, public_key: bytes, relays: Sequence[Address] = ()) -> tuple[Connection, Way]:
        """As `dial`, and by which way the peer was reached."""
        async with self._slots:
            found: asyncio.Future[Way] = asyncio.get_running_loop().create_future()
            stream = PeerStream(self._node, partial(settle, found))
            try:
                call = await self._call(public_key, relays, stream.id)
                try:
                    async with asyncio.timeout(PUNCH_HEAD_START if call.relay_through else None):
                        way = await self._find_way(call, stream, found)
                except (PeerError, TimeoutError) as cause:
                    return await self._relay(call, stream, cause)
                assert call.payload.udx_id is not None
                return stream.connect(way, call.payload.udx_id, call.handshake), way
            finally:
                stream.give_up()

    async def _relay(self, call: Call, stream: PeerStream, cause: Exception) -> tuple[Connection, Way]:
        """The connection through a relay, if there is one, to a peer to which there is no other way."""
        if self._relays is None or call.relay_through is None:
            raise cause
        try:
            connection = await self._relays.connect(call.relay_through, stream, call.handshake)
        except LinkupError as error:
            why = str(cause) or f"no hole could be punched within {PUNCH_HEAD_START:g} s"
            raise NotReachable(f"{why}; and a relay did not help: {error}") from None
        assert stream.relay is not None
        return connection, stream.relay

    async def _call(self, public_key: bytes, relays: Sequence[Address], stream_id: int) -> Call:
        """Shake hands through the first node that passes our message on."""
        ephemeral = KeyPair.from_seed(os.urandom(32))
        handshake = NoiseHandshake(
            True,
            self._key_pair,
            ephemeral,
            pattern=IK,
            prologue=handshake_prologue(),
            remote_public_key=public_key,
        )
        passive = is_open(self._node)
        firewall = Firewall.OPEN if passive else Firewall.UNKNOWN
        offer = self._relays.offer() if self._relays is not None else None
        payload = HandshakePayload(
            firewall, addresses4=named_addresses(self._node), udx_id=stream_id, relay_through=offer
        )
        noise = handshake.send(bytes(payload))
        answered: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        attempts = _Attempts(self._node, public_key, noise, handshake, answered, passive, offer)
        search = asyncio.create_task(attempts.run(relays))
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await answered
        except TimeoutError:
            raise PeerTimeout(f"the peer did not answer within {CALL_TIMEOUT:g} s") from None
        finally:
            await end(search)

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
            raise NotReachable(f"the peer was to send first, and did not within {PASSIVE_TIMEOUT:g} s")
        if call.client_address[0] == call.server_address[0]:
            near = await self._nearby(payload.addresses4, call.server_address)
            if near is not None:
                return here, near
        async with self._puncher(call, stream, found) as puncher:
            return await _HolePunch(self._node, call, puncher, found).run()

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

    @asynccontextmanager
    async def _puncher(self, call: Call, stream: PeerStream, found: asyncio.Future[Way]) -> AsyncIterator[Puncher]:
        assert call.handshake.result
        puncher = Puncher(
            self._node,
            stream,
            holepunch_secret(call.handshake.result.hash),
            self._punchers.turn,
            call.server_address,
            partial(settle, found),
        )
        self._punchers.add(puncher)
        try:
            yield puncher
        finally:
            self._punchers.remove(puncher)
            puncher.close(keep=found.result()[0] if found.done() and not found.cancelled() else None)


class _Attempts:
    """Calls one peer through several nodes, until one of them brings its answer."""

    def __init__(
        self,
        node: DhtNode,
        public_key: bytes,
        noise: bytes,
        handshake: NoiseHandshake,
        answered: asyncio.Future[Call],
        passive: bool,
        offer: Offer | None,
    ) -> None:
        self._node = node
        self._public_key = public_key
        self._noise = noise
        self._handshake = handshake
        self._answered = answered
        self._passive = passive
        self._offer = offer
        self._tried: set[Address] = set()
        self._slots = asyncio.Semaphore(MAX_ATTEMPTS)
        self._failure: LinkupError = NotReachable("no node of the network knows this peer: it is not there at present")

    async def run(self, relays: Sequence[Address]) -> None:
        async with asyncio.TaskGroup() as group:
            for relay in relays:
                self._try(group, relay)
            if self._tried:
                await asyncio.wait([self._answered], timeout=HEAD_START)
            if not self._answered.done():
                async for answer, _ in self._node.find_peer(self._public_key):
                    self._try(group, answer.sender)
        if not self._answered.done():
            self._answered.set_exception(self._failure)

    def _try(self, group: asyncio.TaskGroup, relay: Address) -> None:
        if relay not in self._tried and may_dial(*relay) and not self._answered.done():
            self._tried.add(relay)
            group.create_task(self._attempt(relay))

    async def _attempt(self, relay: Address) -> None:
        async with self._slots:
            if self._answered.done():
                return
            try:
                call = await self._ask(relay)
            except PeerTimeout:
                self._failure = PeerTimeout("the peer is known and does not answer: it is gone, or does not want us")
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

    async def _ask(self, relay: Address) -> Call:
        value = bytes(dht_connect.PeerHandshake(Mode.FROM_CLIENT, self._noise))
        target = blake2b_256(self._public_key)
        answer = await self._node.request(relay, DhtCommand.PEER_HANDSHAKE, target=target, value=value)
        if answer.reply.value is None:
            raise NotReachable("the nodes that should know this peer do not know where it is")
        reply = dht_connect.PeerHandshake.decode(answer.reply.value)
        if reply.mode != Mode.REPLY:
            raise ProtocolError("a node answered a handshake with something else")
        handshake = copy(self._handshake)  # a node may have made the answer up; then others still have their chance
        payload = HandshakePayload.decode(handshake.receive(reply.noise))
        server = reply.peer_address or relay
        if not may_follow(server, relay):
            raise ProtocolError("a node says that the peer is at an address that it cannot know")
        relayed = reply.peer_address is not None
        through = agree(self._offer, payload.relay_through, dialling=True)
        return Call(handshake, payload, relay, server, answer.reply.to, relayed, self._passive, through)


def settle(future: asyncio.Future[T], result: T) -> None:
    """Set a result, unless it is known already or nobody waits for it any more."""
    if not future.done():
        future.set_result(result)


def _check(payload: HandshakePayload) -> None:
    if payload.version != dht_connect.VERSION or payload.error == ErrorCode.VERSION_MISMATCH:
        raise HandshakeError("the peer speaks another version of the handshake")
    if payload.error == ErrorCode.TRY_LATER:
        raise NotReachable("the peer is busy; try again later")
    if payload.error != ErrorCode.NONE or payload.udx_id is None:
        raise NotReachable("the peer does not want to connect")


class _HolePunch:
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
            raise NotReachable("the peer names no node that we could reach it through")
        self._relay = next((relay for relay in relays if relay.relay_address == call.relay), relays[0])

    async def run(self) -> Way:
        work = asyncio.create_task(self._work())
        both: list[asyncio.Future[Any]] = [work, self._found]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not self._found.done():
                work.result()
                raise NotReachable(f"no hole could be punched through the two firewalls; {_RELAY_HELPS}")
            return self._found.result()
        finally:
            with suppress(LinkupError):
                await end(work)

    async def _work(self) -> None:
        token = await self._probe(last=False)
        puncher, call = self._puncher, self._call
        if puncher.is_random and not puncher.turn.free:
            raise NotReachable("another hole is being punched at random; try again in half a minute")
        reply = await self._tell(
            Relay(call.relay, self._server_address),
            puncher.tell(
                self._next_round(),
                punching=True,
                token=puncher.token(self._server_address[0]),
                remote_token=token,
            ),
            puncher.token(self._server_address[0]),
        )
        if not reply.punching:
            raise NotReachable("the peer does not open its firewall for us")
        if not puncher.punch():
            raise NotReachable("what the peer says of its firewall leaves no way to it")
        await puncher.wait()

    async def _probe(self, *, last: bool) -> bytes | None:
        """Learn of the peer's firewall, and tell of ours. Returns the token that shows that we get what it sends."""
        puncher, server = self._puncher, self._server_address
        puncher.unlock(server)
        reply = await self._tell(self._relay, puncher.tell(self._next_round(), remote_address=server), None)
        for address in reply.addresses or ():
            if puncher.remote.firewall < Firewall.RANDOM and address != server and address[1]:
                puncher.unlock(address)
        if puncher.remote.firewall == Firewall.UNKNOWN or self._node.nat.firewall == Firewall.UNKNOWN:
            await asyncio.sleep(SECOND_LOOK)
        if (puncher.remote.firewall == Firewall.UNKNOWN or reply.token is None) and not last:
            return await self._probe(last=True)
        if Firewall.UNKNOWN in (puncher.remote.firewall, self._node.nat.firewall):
            await self._abort()
            whose = "ours" if self._node.nat.firewall == Firewall.UNKNOWN else "the peer's"
            raise NotReachable(f"nobody knows what kind of firewall is {whose}, so no hole can be punched")
        if puncher.remote.firewall == self._node.nat.firewall == Firewall.RANDOM:
            await self._abort()
            raise NotReachable(_UNPUNCHABLE)
        return reply.token

    async def _tell(self, relay: Relay, sealed: bytes, token: bytes | None) -> HolepunchPayload:
        """Send a payload through a node that knows the peer, and take the one that comes back."""
        call, target = self._call, blake2b_256(self._call.handshake.remote_public_key or b"")
        assert call.payload.holepunch_id is not None
        message = PeerHolepunch(Mode.FROM_CLIENT, call.payload.holepunch_id, sealed, relay.peer_address)
        answer = await self._node.request(
            relay.relay_address, DhtCommand.PEER_HOLEPUNCH, target=target, value=bytes(message)
        )
        reply = PeerHolepunch.decode(answer.reply.value or b"")
        if reply.mode != Mode.REPLY:
            raise ProtocolError("a node answered a message of the hole punching with something else")
        payload = self._puncher.open(reply.payload)
        if payload.error == ErrorCode.TRY_LATER:
            raise NotReachable("the peer is busy with another hole; try again later")
        if payload.error != ErrorCode.NONE:
            raise NotReachable("the peer gave up: no hole can be punched from its side")
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
            await self._tell(self._relay, self._puncher.refuse(self._next_round()), None)

    def _next_round(self) -> int:
        self._round += 1
        return self._round - 1


def _same_bytes(one: str, other: str) -> int:
    """How many bytes two addresses begin with alike."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(one.split("."), other.split("."), strict=True))
    return len(list(alike))
