"""The server half of a node of the DHT: it answers requests, stores announcements, and relays messages."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_bytes
from time import monotonic, time

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdht.io import DhtIo
from linkup_nb.wire.compact import Decoder
from linkup_nb.wire.dht.connect import Mode, PeerHandshake, PeerHolepunch
from linkup_nb.wire.dht.records import (
    MAX_RECORDS,
    MAX_VALUE,
    DhtAnnouncement,
    DhtCommand,
    MutableValue,
    PeerRecord,
    decode_least_seq,
    encode_records,
)
from linkup_nb.wire.dht.rpc import (
    TOKEN_ROTATION,
    Address,
    DhtReply,
    DhtRequest,
    DhtTokens,
    Failure,
    Internal,
    decode_delay,
    decode_port,
)
from linkup_nb.wire.dht.scope import may_follow, scope
from linkup_nb.wire.dht.store import DhtStore
from linkup_nb.wire.dht.table import Table
from linkup_nb.wire.keys import blake2b_256

MAX_DELAY = 10.0  # seconds that a DELAYED_PING may request
MAX_DELAYED = 256  # such replies that wait

_RELAYED = (DhtCommand.PEER_HANDSHAKE, DhtCommand.PEER_HOLEPUNCH)


@dataclass(frozen=True, slots=True)
class Identity:
    """A key whose owner takes calls at this node: its record, and the callbacks for the messages to it."""

    record: PeerRecord
    on_handshake: Callable[[DhtRequest, Address], None]
    on_holepunch: Callable[[DhtRequest, Address], None]


class DhtServer:
    """Answers requests. Only a node that has an id, because its address is known and stays, keeps things for others.

    Messages for one of the `identities`, which are by the hashes of their keys, go to its callbacks; those for others
    are passed on. `check(address)` is called for a node that is reported dead.
    """

    def __init__(self, io: DhtIo, table: Table, store: DhtStore, check: Callable[[Address], object]) -> None:
        self.identities: dict[bytes, Identity] = {}
        self.passed_on: Counter[DhtCommand] = Counter()  # messages between a client and a server
        self._io = io
        self._table = table
        self._store = store
        self._check = check
        self._tokens = DhtTokens(token_bytes(32))
        self._rotated_at = monotonic()
        self._delayed = 0
        self._internal: dict[int, Callable[[DhtRequest, Address, int], None]] = {
            Internal.PING: self._on_ping,
            Internal.PING_NAT: self._on_ping_nat,
            Internal.FIND_NODE: self._on_find_node,
            Internal.DOWN_HINT: self._on_down_hint,
            Internal.DELAYED_PING: self._on_delayed_ping,
        }
        self._stored: dict[int, Callable[[bytes, DhtRequest, Address, int], None]] = {
            DhtCommand.FIND_PEER: self._on_find_peer,
            DhtCommand.LOOKUP: self._on_lookup,
            DhtCommand.ANNOUNCE: self._on_announce,
            DhtCommand.UNANNOUNCE: self._on_unannounce,
            DhtCommand.MUTABLE_PUT: self._on_mutable_put,
            DhtCommand.MUTABLE_GET: self._on_mutable_get,
            DhtCommand.IMMUTABLE_PUT: self._on_immutable_put,
            DhtCommand.IMMUTABLE_GET: self._on_immutable_get,
        }

    def serve(self, request: DhtRequest, sender: Address, room: int) -> None:
        """Answer a request; with more than `room` bytes only once the sender's address is proven."""
        self._rotate()
        if request.token is not None and not self._tokens.valid(request.token, sender[0]):
            self._io.counters["requests refused: wrong token"] += 1
            self._reply(request, sender, room, error=Failure.INVALID_TOKEN, token=self._tokens.issue(sender[0]))
            return
        try:
            self._dispatch(request, sender, room)
        except DecodeError:
            self._io.counters["requests dropped: malformed value"] += 1

    def _rotate(self) -> None:
        periods = int((monotonic() - self._rotated_at) / TOKEN_ROTATION)
        for _ in range(min(periods, 2)):
            self._tokens.rotate(token_bytes(32))
        self._rotated_at += periods * TOKEN_ROTATION

    def _dispatch(self, request: DhtRequest, sender: Address, room: int) -> None:
        if not request.internal and request.command in _RELAYED:
            identity = self.identities.get(request.target or b"")
            if identity is None:
                self._relay(request, sender, room)
            elif request.command == DhtCommand.PEER_HANDSHAKE:
                identity.on_handshake(request, sender)
            else:
                identity.on_holepunch(request, sender)
        elif request.internal and request.command in self._internal:
            self._internal[request.command](request, sender, room)
        elif not request.internal and request.command in self._stored and self._io.id is not None:
            if request.target is None:
                raise DecodeError("A request has no target.")
            self._stored[request.command](request.target, request, sender, room)
        else:
            self._reply(request, sender, room, error=Failure.UNKNOWN_COMMAND, nodes=True)

    def _reply(
        self,
        request: DhtRequest,
        to: Address,
        room: int,
        value: bytes | None = None,
        *,
        error: int = Failure.NONE,
        token: bytes | None = None,
        nodes: bool = False,
    ) -> None:
        closer = tuple(self._nodes(request.target, to)) if nodes and request.target is not None else ()
        self._io.answer(DhtReply(request.tid, to, self._io.id, token, closer, error, value), to, room)

    def _nodes(self, target: bytes, requester: Address) -> list[Address]:
        reaches = scope(requester[0])
        return [node for node in self._table.closest(target) if node != requester and scope(node[0]) >= reaches]

    def _read(self, request: DhtRequest, sender: Address, room: int, value: bytes | None) -> None:
        self._reply(request, sender, room, value, token=self._tokens.issue(sender[0]), nodes=True)

    def _on_ping(self, request: DhtRequest, sender: Address, room: int) -> None:
        self._reply(request, sender, room)

    def _on_ping_nat(self, request: DhtRequest, sender: Address, room: int) -> None:
        self._reply(request, (sender[0], decode_port(request.value or b"")), room)

    def _on_find_node(self, request: DhtRequest, sender: Address, room: int) -> None:
        self._reply(request, sender, room, nodes=True)

    def _on_down_hint(self, request: DhtRequest, sender: Address, room: int) -> None:
        self._check(Decoder(request.value or b"").ipv4_address())
        self._reply(request, sender, room)

    def _on_delayed_ping(self, request: DhtRequest, sender: Address, room: int) -> None:
        delay = decode_delay(request.value or b"")
        if delay > MAX_DELAY or self._delayed >= MAX_DELAYED:
            self._io.counters["requests dropped: too many or too long delays"] += 1
            return
        self._delayed += 1
        asyncio.get_running_loop().call_later(delay, self._end_delay, request, sender, room)

    def _end_delay(self, request: DhtRequest, sender: Address, room: int) -> None:
        self._delayed -= 1
        self._reply(request, sender, room)

    def _on_find_peer(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        forward = self._store.forwards.get(target, monotonic())
        identity = self.identities.get(target)
        record = identity.record if identity else forward and forward.record
        self._read(request, sender, room, bytes(record) if record else None)

    def _on_lookup(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        now = monotonic()
        records = self._store.records(target, now)
        if target in self.identities:
            records.append(self.identities[target].record)
        if len(records) > MAX_RECORDS:
            records = random.sample(records, MAX_RECORDS)  # so that all have a chance
        value = encode_records(records, self._store.bump_of(target, now)) if records else None
        self._read(request, sender, room, value)

    def _on_announce(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        announcement, now = DhtAnnouncement.decode(request.value or b""), monotonic()
        if announcement.record is None and announcement.refresh is not None and request.token is not None:
            if self._store.refresh(announcement.refresh, sender, now):
                self._reply(request, sender, room)
            else:
                self._io.counters["announcements refused: nothing to refresh"] += 1
        elif record := self._signed(DhtCommand.ANNOUNCE, target, request, announcement):
            self._store.announce(target, record, sender, now, refresh=announcement.refresh)
            if announcement.bump is not None and target != blake2b_256(record.public_key):
                self._store.bump(target, announcement.bump, sender[0], int(time() * 1000), now)
            self._reply(request, sender, room)

    def _on_unannounce(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        announcement = DhtAnnouncement.decode(request.value or b"")
        if record := self._signed(DhtCommand.UNANNOUNCE, target, request, announcement):
            self._store.unannounce(target, record.public_key)
            self._reply(request, sender, room)

    def _signed(
        self, command: DhtCommand, target: bytes, request: DhtRequest, announcement: DhtAnnouncement
    ) -> PeerRecord | None:
        """The record that a request announces, if it is signed by the peer that it names and for us."""
        if request.token is None or self._io.id is None:
            self._io.counters["announcements refused: no token"] += 1
        elif not announcement.valid(command, target, self._io.id, request.token):
            self._io.counters["announcements refused: wrong signature"] += 1
        else:
            return announcement.record
        return None

    def _on_mutable_get(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        least = decode_least_seq(request.value or b"")
        kept = self._store.mutable.get(target, monotonic())
        self._read(request, sender, room, kept.encode_reply() if kept and kept.seq >= least else None)

    def _on_mutable_put(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        put = MutableValue.decode_put(request.value or b"")
        if request.token is None or put.target != target or not put.value or not put.valid:
            self._io.counters["values refused: no token, or wrong signature or target"] += 1
            return
        kept = self._store.mutable.get(target, monotonic())
        error = Failure.NONE
        if kept and put.seq == kept.seq and put.value != kept.value:
            error = Failure.SEQ_REUSED
        elif kept and put.seq < kept.seq:
            error = Failure.SEQ_TOO_LOW
        else:
            self._store.mutable.put(target, put, sender[0], monotonic())
        self._reply(request, sender, room, error=error)

    def _on_immutable_get(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        self._read(request, sender, room, self._store.immutable.get(target, monotonic()))

    def _on_immutable_put(self, target: bytes, request: DhtRequest, sender: Address, room: int) -> None:
        value = request.value or b""
        if request.token is None or not 0 < len(value) <= MAX_VALUE or blake2b_256(value) != target:
            self._io.counters["values refused: no token, too long, or wrong target"] += 1
            return
        self._store.immutable.put(target, value, sender[0], monotonic())
        self._reply(request, sender, room)

    def _relay(self, request: DhtRequest, sender: Address, room: int) -> None:
        if request.target is None or request.value is None:
            raise DecodeError("A message to pass on has no target or no value.")
        forward = self._store.forwards.get(request.target, monotonic())
        server = forward.address if forward else None
        if request.command == DhtCommand.PEER_HANDSHAKE:
            self._relay_handshake(request, PeerHandshake.decode(request.value), sender, server, room)
        else:
            self._relay_holepunch(request, PeerHolepunch.decode(request.value), sender, server)

    def _relay_handshake(
        self, request: DhtRequest, message: PeerHandshake, sender: Address, server: Address | None, room: int
    ) -> None:
        match message.mode:
            case Mode.FROM_CLIENT if (to := message.relay_address or server) is not None:
                self._pass_on(request, PeerHandshake(Mode.FROM_RELAY, message.noise, sender), to, sender, server)
            case Mode.FROM_CLIENT:
                self._reply(request, sender, room, nodes=True)  # nearer nodes may know the peer
            case Mode.FROM_RELAY if server is not None:
                second = PeerHandshake(Mode.FROM_SECOND_RELAY, message.noise, message.peer_address, sender)
                self._pass_on(request, second, server, sender, server)
            case Mode.FROM_SERVER if message.peer_address is not None:
                self._hand_over(request, PeerHandshake(Mode.REPLY, message.noise, sender), message.peer_address, sender)
            case _:
                self._io.counters["messages not passed on: no way to the peer"] += 1

    def _relay_holepunch(
        self, request: DhtRequest, message: PeerHolepunch, sender: Address, server: Address | None
    ) -> None:
        match message.mode:
            case Mode.FROM_CLIENT if (to := message.peer_address or server) is not None:
                onward = PeerHolepunch(Mode.FROM_RELAY, message.id, message.payload, sender)
                self._pass_on(request, onward, to, sender, server)
            case Mode.FROM_SERVER if message.peer_address is not None:
                back = PeerHolepunch(Mode.REPLY, message.id, message.payload, sender)
                self._hand_over(request, back, message.peer_address, sender)
            case _:
                self._io.counters["messages not passed on: no way to the peer"] += 1

    def _pass_on(
        self,
        request: DhtRequest,
        message: PeerHandshake | PeerHolepunch,
        to: Address,
        sender: Address,
        server: Address | None,
    ) -> None:
        """Forward a request with its number, to the address that its sender names or to the server we relay for."""
        if to != server and not may_follow(to, sender):
            self._io.counters["messages not passed on: address not allowed"] += 1
            return
        self.passed_on[DhtCommand(request.command)] += 1
        self._io.send(
            DhtRequest(request.tid, to, request.command, id=self._io.id, target=request.target, value=bytes(message)),
            to,
        )

    def _hand_over(
        self, request: DhtRequest, message: PeerHandshake | PeerHolepunch, to: Address, sender: Address
    ) -> None:
        """Forward a server's message to the client as our reply to its request."""
        if not may_follow(to, sender):
            self._io.counters["messages not passed on: address not allowed"] += 1
            return
        self._io.send(DhtReply(request.tid, to, self._io.id, value=bytes(message)), to)
