"""Being called: handshakes come through nodes of the DHT, or directly, and each may become one connection."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from secrets import randbits
from time import monotonic

from linkup_nb.connection.connection import HANDSHAKE_TIMEOUT, Connection
from linkup_nb.errors import LinkupError, PeerError, UsageError
from linkup_nb.hyperdht.holepunch import Puncher, Punchers, is_consistent, our_addresses
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.hyperdht.own_addresses import is_open, named_addresses
from linkup_nb.hyperdht.peer_stream import PeerStream, Way
from linkup_nb.hyperdht.relayed import HEAD_START as PUNCH_HEAD_START
from linkup_nb.hyperdht.relayed import Agreement, Relays, agree
from linkup_nb.hyperdht.self_announcement import SelfAnnouncement
from linkup_nb.hyperdht.server import Identity
from linkup_nb.loops import Tasks
from linkup_nb.wire.dht import connect as dht_connect
from linkup_nb.wire.dht.connect import (
    ErrorCode,
    Firewall,
    HandshakePayload,
    Mode,
    PeerHolepunch,
    handshake_prologue,
    holepunch_secret,
)
from linkup_nb.wire.dht.records import PeerRecord
from linkup_nb.wire.dht.rpc import DhtReply, DhtRequest
from linkup_nb.wire.dht.scope import may_follow
from linkup_nb.wire.dht.store import Shelf
from linkup_nb.wire.keys import KeyPair
from linkup_nb.wire.noise import IK, NoiseHandshake
from linkup_nb.wire.udx.events import Address

MAX_SESSIONS = (
    256  # handshakes answered or refused that are remembered; the host that sends most of them loses its oldest first
)
SESSION_LIFETIME = HANDSHAKE_TIMEOUT  # seconds for a peer to come after its handshake, or to start hole punching
PUNCH_LIFETIME = 45.0  # seconds from the handshake for a hole to be punched
SWEEP_EVERY = 1.0  # seconds


@dataclass(slots=True, eq=False)
class Session:
    """A peer whose handshake has been read. Without a `reply`, it is refused."""

    id: int
    client: Address
    reply: bytes | None = None
    handshake: NoiseHandshake | None = None
    remote_id: int = 0
    stream: PeerStream | None = None
    puncher: Puncher | None = None
    round: int = 0
    unpunched: asyncio.Event = field(default_factory=asyncio.Event)  # no hole is being punched, or not any more
    relay_through: Agreement | None = None
    relaying: asyncio.Task[None] | None = None
    connection: Connection | None = None
    began: float = field(default_factory=monotonic)


class DhtListener:
    """Takes calls for one key on a node.

    `refuses(public_key)` is called before a call costs more than its reading: the reason not to answer, or `None`.
    `admit(connection)` gets every connection whose peer has shown to be there; it is not confirmed. Callers that cannot
    come otherwise come through `relays`.
    """

    def __init__(
        self,
        node: DhtNode,
        key_pair: KeyPair,
        punchers: Punchers,
        refuses: Callable[[bytes], str | None],
        admit: Callable[[Connection], None],
        relays: Relays | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.announcement = SelfAnnouncement(node, key_pair)
        self._node = node
        self._key_pair = key_pair
        self._punchers = punchers
        self._refuses = refuses
        self._admit = admit
        self._relays = relays
        self._sessions: dict[
            bytes, Session
        ] = {}  # by the handshake message, which a caller repeats until it is answered
        self._by_id: dict[int, Session] = {}
        self._shelf: Shelf[bytes, Session] = Shelf(MAX_SESSIONS, PUNCH_LIFETIME, self._dropped)
        self._identity: Identity | None = None  # while calls are taken
        self._tasks = Tasks()

    async def open(self) -> None:
        """Take calls, and announce us; raises `UsageError` if somebody takes calls for this key at this node."""
        target = self.announcement.target
        if target in self._node.identities:
            raise UsageError("Calls for this key are taken here already; give each swarm its own key pair.")
        record = PeerRecord(self._key_pair.public_key)
        self._identity = Identity(record, self._on_handshake, self._on_holepunch)
        self._node.identities[target] = self._identity
        self._tasks.start(self._sweep(), "the end of unfinished calls")
        await self.announcement.open()

    async def close(self) -> None:
        """Take no more calls, give up unfinished ones, and take the announcement back."""
        if self._identity is not None:
            del self._node.identities[self.announcement.target]
            self._identity = None
        for noise in list(self._sessions):
            self._shelf.remove(noise)
        await self._tasks.cancel()
        await self.announcement.close()

    def _on_handshake(self, request: DhtRequest, sender: Address) -> None:
        message = dht_connect.PeerHandshake.decode(request.value or b"")
        direct = message.mode == Mode.FROM_CLIENT
        if not direct and message.peer_address is None:
            self.counters["calls dropped: passed on without the caller's address"] += 1
            return
        if not all(may_follow(named, sender) for named in (message.peer_address, message.relay_address) if named):
            self.counters["calls dropped: from an address that the node cannot know"] += 1
            return
        session = self._sessions.get(message.noise)
        if session is None:
            session = self._begin(message.noise, message.peer_address or sender, direct)
            self._sessions[message.noise] = session
            self._by_id[session.id] = session
            self._shelf.put(message.noise, session, sender[0], monotonic())
        if session.reply is None:
            return
        if direct:
            value = bytes(dht_connect.PeerHandshake(Mode.REPLY, session.reply))
            self._node.send(DhtReply(request.tid, sender, value=value), sender)
            return
        to = message.relay_address if message.mode == Mode.FROM_SECOND_RELAY else sender
        if to is not None:
            value = bytes(dht_connect.PeerHandshake(Mode.FROM_SERVER, session.reply, message.peer_address))
            self._pass_back(request, value, to)

    def _pass_back(self, request: DhtRequest, value: bytes, to: Address) -> None:
        self._node.send(DhtRequest(request.tid, to, request.command, target=request.target, value=value), to)

    def _begin(self, noise: bytes, client: Address, direct: bool) -> Session:
        session = Session(randbits(32), client)
        ephemeral = KeyPair.from_seed(os.urandom(32))
        handshake = NoiseHandshake(False, self._key_pair, ephemeral, pattern=IK, prologue=handshake_prologue())
        try:
            remote = HandshakePayload.decode(handshake.receive(noise))
        except PeerError:
            self.counters["calls dropped: not a handshake with us"] += 1
            return session
        assert handshake.remote_public_key is not None
        if self._refuses(handshake.remote_public_key) is not None:
            self.counters["calls refused"] += 1
            return session
        self._answer(session, handshake, remote)
        if session.stream is not None and (remote.firewall == Firewall.OPEN or direct):
            self._connect(session, (self._node.socket, client), show=True)
        elif session.puncher is not None and self._relays is not None and session.relay_through is not None:
            session.relaying = self._tasks.start(self._relay(session, session.relay_through), "a call through a relay")
        return session

    def _answer(self, session: Session, handshake: NoiseHandshake, remote: HandshakePayload) -> None:
        error = ErrorCode.NONE
        if remote.version != dht_connect.VERSION:
            error = ErrorCode.VERSION_MISMATCH
        elif remote.udx_id is None:
            error = ErrorCode.ABORTED
        else:
            session.handshake, session.remote_id = handshake, remote.udx_id
            session.stream = PeerStream(self._node, partial(self._connect, session))
        open_ = is_open(self._node)
        offer = self._relays.offer() if self._relays is not None and not open_ else None
        session.relay_through = agree(offer, remote.relay_through, dialling=False)
        payload = HandshakePayload(
            Firewall.OPEN if open_ else Firewall.UNKNOWN,
            error,
            holepunch_id=None if open_ else session.id,
            relays=() if open_ else self.announcement.relays,
            addresses4=named_addresses(self._node),
            udx_id=session.stream.id if session.stream is not None else 0,
            relay_through=offer,
            relay_addresses=self.announcement.addresses or None,
        )
        session.reply = handshake.send(bytes(payload))
        if session.stream is not None and not open_:
            assert handshake.result
            secret = holepunch_secret(handshake.result.hash)
            session.puncher = Puncher(self._node, session.stream, secret, self._punchers.turn, session.client)
            self._punchers.add(session.puncher)

    def _on_holepunch(self, request: DhtRequest, sender: Address) -> None:
        message = PeerHolepunch.decode(request.value or b"")
        session = self._by_id.get(message.id)
        peer = message.peer_address
        if session is None or session.puncher is None or peer is None or not may_follow(peer, sender):
            self.counters["hole punching dropped: unknown call"] += 1
            return
        try:
            reply = self._punch(session, session.puncher, message.payload, peer, sender)
        except PeerError:
            self.counters["hole punching dropped: forged or damaged"] += 1
            return
        value = bytes(PeerHolepunch(Mode.FROM_SERVER, 0, reply, peer))
        self._pass_back(request, value, sender)

    def _punch(self, session: Session, puncher: Puncher, sealed: bytes, peer: Address, sender: Address) -> bytes:
        """Take a round of the caller's, and return our answer."""
        payload = puncher.open(sealed)
        if payload.error != ErrorCode.NONE or (session.relaying is not None and session.unpunched.is_set()):
            self._stop_punching(session)
            return puncher.refuse(payload.round)
        token = puncher.token(peer[0])
        is_relay = self.announcement.is_relay(sender)
        if payload.round >= session.round:
            session.round = payload.round
            puncher.expected.append(peer)
            puncher.remote.update(payload, peer, peer[0] if is_relay and payload.remote_token == token else None)
        nat = self._node.nat
        if is_consistent(nat.firewall) and payload.remote_address in (our_addresses(nat) or ()):
            puncher.probe(peer)  # it has opened its own firewall already, so this may be all that is needed
        if puncher.remote.punching:
            if puncher.is_random and not puncher.turn.free:
                self._stop_punching(session)
                return puncher.refuse(session.round, ErrorCode.TRY_LATER)
            if not puncher.punch():
                self._stop_punching(session)
                return puncher.refuse(session.round)
        return puncher.round_message(
            session.round,
            punching=puncher.at_work,
            token=token if is_relay else None,
            remote_token=payload.token,
        )

    def _connect(self, session: Session, way: Way, *, show: bool = False) -> None:
        if session.connection is not None:
            return
        assert session.stream is not None
        assert session.handshake is not None
        if session.relaying is not None:
            session.relaying.cancel()
        self._keep(session, session.stream.connect(way, session.remote_id, session.handshake, show=show))

    async def _relay(self, session: Session, agreed: Agreement) -> None:
        """Come to a relay, if no hole can be punched."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PUNCH_HEAD_START):
                await session.unpunched.wait()
        self._stop_punching(session)  # lest the caller come by a hole while we go to the relay
        assert self._relays is not None
        assert session.stream is not None
        assert session.handshake is not None
        try:
            connection = await self._relays.connect(agreed, session.stream, session.handshake)
        except LinkupError:
            self.counters["calls that a relay did not bring"] += 1
            return
        self._keep(session, connection)

    def _keep(self, session: Session, connection: Connection) -> None:
        session.connection = connection
        self._stop_punching(session)
        self._tasks.start(self._welcome(connection), "a call")

    async def _welcome(self, connection: Connection) -> None:
        try:
            await connection.established()
        except LinkupError:
            self.counters["calls never finished"] += 1
            return
        self._admit(connection)

    def _stop_punching(self, session: Session) -> None:
        session.unpunched.set()
        if session.puncher is not None:
            self._punchers.remove(session.puncher)
            session.puncher.close(keep=session.stream.carrier if session.stream is not None else None)

    def _dropped(self, noise: bytes) -> None:
        session = self._sessions.pop(noise)
        del self._by_id[session.id]
        self._stop_punching(session)
        if session.relaying is not None:
            session.relaying.cancel()
        if session.stream is None:
            return
        if session.connection is None:
            self.counters["calls never finished"] += 1
            session.stream.give_up()
        elif not session.connection.remote_public_key:
            session.stream.abort()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            now = monotonic()
            self._shelf.sweep(now)
            for noise, session in list(self._sessions.items()):
                at_work = session.puncher is not None and session.puncher.at_work
                at_work |= session.relaying is not None and not session.relaying.done()
                if now - session.began > SESSION_LIFETIME and not at_work:
                    self._shelf.remove(noise)
