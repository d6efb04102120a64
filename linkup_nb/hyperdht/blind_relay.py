"""Relaying for peers between whom no hole can be punched: what they send is passed on, and cannot be read here."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from time import monotonic

from linkup_nb.channels import Channels
from linkup_nb.connection.connection import Connection
from linkup_nb.errors import LinkupError, PeerRefused, ProtocolError
from linkup_nb.hyperdht.node import DhtNode
from linkup_nb.loops import Tasks, every
from linkup_nb.wire.blind_relay import PAIR, PROTOCOL, UNPAIR, Pair, Unpair
from linkup_nb.wire.udx.events import Address
from linkup_nb.wire.udx.joint import Joint, JointEnd

MAX_SESSIONS = 512  # connections; further peers get no answer
MAX_SESSIONS_OF_HOST = 32  # connections from one address
MAX_PAIRINGS = 16  # streams of one connection, joined or waiting
MAX_JOINTS = 256  # pairs of streams that are joined
PAIRING_TIMEOUT = 60.0  # seconds until the other peer has come, and for a connection without any pairing
JOINT_TIMEOUT = 60.0  # seconds of silence of both peers
SWEEP_EVERY = 1.0  # seconds


class BlindRelay:
    """Joins streams on a node's socket for whoever connects there; pass each connection to `admit`.

    The node should be one that everyone reaches. A peer is sent to only at the address of its own connection, so
    nobody can have others flooded; and what is over a limit is refused and counted in `counters`.
    """

    def __init__(self, node: DhtNode) -> None:
        self.counters: Counter[str] = Counter()
        self._node = node
        self._sessions: set[_Session] = set()
        self._waiting: dict[bytes, _Half] = {}  # by token
        self._joints: dict[bytes, Joint] = {}
        self._tasks = Tasks()
        self._tasks.start(self._sweep(), "the end of unused relaying")

    @property
    def joints(self) -> Mapping[bytes, Joint]:
        """The pairs of streams that are joined now."""
        return self._joints

    def refuses(self, public_key: bytes) -> str | None:
        """Why no more peers are connected with at the moment."""
        return "the relay is full" if len(self._sessions) >= MAX_SESSIONS else None

    def admit(self, connection: Connection) -> None:
        """Relay for a peer whose connection is established."""
        self._tasks.start(self._serve(connection), "relaying for a peer")

    async def close(self) -> None:
        """Relay for nobody any more."""
        await self._tasks.cancel()
        await every([session.connection.close() for session in self._sessions])

    async def _serve(self, connection: Connection) -> None:
        host = connection.address[0]
        if sum(session.connection.address[0] == host for session in self._sessions) >= MAX_SESSIONS_OF_HOST:
            self.counters["connections over the limit of one host"] += 1
            await connection.close(PeerRefused(f"One host has at most {MAX_SESSIONS_OF_HOST} connections here."))
            return
        session = _Session(self, connection)
        self._sessions.add(session)
        connection.on("close", lambda reason: self._lost(session))
        try:
            connection.confirm()
            await connection.opened()
        except LinkupError:
            self._lost(session)
            return
        session.open()

    def _lost(self, session: "_Session") -> None:
        self._sessions.discard(session)
        for token in tuple(session.tokens):
            self._part(token)

    def _pair(self, session: "_Session", pair: Pair) -> None:
        if pair.token in self._joints:
            self.counters["pairings requested twice"] += 1
            return
        if pair.token not in session.tokens and len(session.tokens) >= MAX_PAIRINGS:
            self.counters["pairings over the limit of one peer"] += 1
            raise PeerRefused(f"A peer has at most {MAX_PAIRINGS} pairings here.")
        half = _Half(session, pair)
        other = self._waiting.setdefault(pair.token, half)
        session.tokens.add(pair.token)
        if other is half:
            return
        if other.pair.initiator == pair.initiator:
            self.counters["pairings requested twice"] += 1
        elif len(self._joints) >= MAX_JOINTS:
            self.counters["pairings over the limit of all"] += 1
            self._part(pair.token)
            raise PeerRefused(f"At most {MAX_JOINTS} pairs are relayed for at a time: try again later.")
        else:
            self._join(other, half)

    def _join(self, one: "_Half", other: "_Half") -> None:
        token, udx = one.pair.token, self._node.socket
        del self._waiting[token]
        first, second = (JointEnd(udx.unused_id(), half.pair.stream_id, half.session.address) for half in (one, other))
        self._joints[token] = udx.endpoint.join(first, second, monotonic())
        self.counters["pairs relayed for"] += 1
        for half, end in ((one, first), (other, second)):
            half.session.send(Pair(half.pair.initiator, token, end.local_id))

    def _part(self, token: bytes) -> None:
        self._waiting.pop(token, None)
        if joint := self._joints.pop(token, None):
            self._node.socket.endpoint.part(joint)
            self.counters["bytes relayed"] += joint.carried
        for session in self._sessions:
            session.tokens.discard(token)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            now = monotonic()
            for token, joint in tuple(self._joints.items()):
                if joint.over or now - joint.received_at > JOINT_TIMEOUT:
                    self._part(token)
            for token, half in tuple(self._waiting.items()):
                if now - half.at > PAIRING_TIMEOUT:
                    self.counters["pairings whose other peer never came"] += 1
                    self._part(token)
            for session in tuple(self._sessions):
                if session.tokens:
                    session.used_at = now
                elif now - session.used_at > PAIRING_TIMEOUT:
                    self._tasks.start(session.connection.close(), "the end of an idle connection")


class _Half:
    """The request of one of the two peers of a pairing."""

    def __init__(self, session: "_Session", pair: Pair) -> None:
        self.session = session
        self.pair = pair
        self.at = monotonic()


class _Session:
    """A peer that may request pairings; `tokens` are those of its requests."""

    def __init__(self, relay: BlindRelay, connection: Connection) -> None:
        self.connection = connection
        self.tokens: set[bytes] = set()
        self.used_at = monotonic()
        self._relay = relay

    def open(self) -> None:
        self._channels = Channels.of(self.connection)
        self._channel = self._channels.open(PROTOCOL, self.connection.remote_public_key, b"", self)

    def address(self) -> Address:
        """Where the peer is at present."""
        return self.connection.address

    def send(self, pair: Pair) -> None:
        self._channels.send(self._channel, PAIR, bytes(pair))

    def opened(self, handshake: bytes) -> None:
        """Nothing is agreed on in the opening."""

    def received(self, type: int, payload: bytes) -> None:
        if type == PAIR:
            self._relay._pair(self, Pair.decode(payload))
        elif type == UNPAIR:
            token = Unpair.decode(payload).token
            if token in self.tokens:
                self._relay._part(token)
        else:
            raise ProtocolError(f"A relay knows no message {type}.")

    def drained(self) -> None:
        """A relay never sends so much that it has to wait."""

    def ended(self) -> None:
        self._relay._lost(self)
