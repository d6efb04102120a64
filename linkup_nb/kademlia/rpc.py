"""The datagrams of our Kademlia network: three calls, their replies, and a socket that survives anything sent to it.

A datagram is framed as in the package `rpcudp` 5.0: one byte (0 a request, 1 a reply), a 20-byte id, MessagePack: of a
request `[name, arguments]`, of a reply its value. The package's own protocol class is not used: it looks up whatever
method a stranger names, takes a reply from any address, and loses exceptions in a task for each datagram.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

import msgspec

from linkup_nb.connection.addresses import may_dial
from linkup_nb.kademlia.announcements import (
    MAX_ANNOUNCEMENT_BYTES,
    MAX_PER_TARGET,
    TOKEN_SIZE,
    Address,
    source_of,
)
from linkup_nb.wire.keys import KEY_SIZE
from linkup_nb.wire.rate_limit import Rate, RateLimit

MAX_DATAGRAM = 1200  # bytes; passes every path unfragmented
MAX_NAMED = 40  # nodes in one reply: enough that the living among them suffice when many are dead
AMPLIFICATION = 3  # bytes sent to an unproven address for each byte from it, at most, as in QUIC (RFC 9000, 8.1)
MAX_OUTSTANDING = 512  # requests of ours that wait for a reply
RESEND_AFTER = 0.5  # seconds without a reply until the request is sent once more
REPLY_TIMEOUT = 2.0  # seconds without a reply until a node counts as silent
REQUESTS_PER_SECOND = 100  # answered for one source
REQUEST_BURST = 500  # answered at once for one source, such as a peer that joins dozens of topics again
TOTAL_PER_SECOND = 500  # answered for all: a flood takes a few percent of one core
TOTAL_BURST = 2000
MAX_SOURCES = 1024  # sources whose rate is remembered

_REQUEST, _REPLY = b"\x00", b"\x01"
_ID_SIZE = 20  # bytes
_HEADER_SIZE = 1 + _ID_SIZE

_Key = Annotated[bytes, msgspec.Meta(min_length=KEY_SIZE, max_length=KEY_SIZE)]
_Token = Annotated[bytes, msgspec.Meta(min_length=TOKEN_SIZE, max_length=TOKEN_SIZE)]
_SignedAnnouncement = Annotated[bytes, msgspec.Meta(max_length=MAX_ANNOUNCEMENT_BYTES)]


class _Fields(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    pass


class Pong(_Fields):
    """I am here."""


class Ping(_Fields):
    """Are you there?"""


class NodesFound(_Fields):
    """What is known close to a target: a token to announce with, the asker's own address as seen from here, the
    nodes that are closest (packed addresses), and announcements on just that target.
    """

    token: _Token
    seen_as: Annotated[bytes, msgspec.Meta(min_length=6, max_length=6)]
    nodes: Annotated[bytes, msgspec.Meta(max_length=6 * MAX_NAMED)]
    announcements: Annotated[list[_SignedAnnouncement], msgspec.Meta(max_length=MAX_PER_TARGET)]

    def __post_init__(self) -> None:
        if len(self.nodes) % 6:
            raise ValueError("The last address is cut short.")


class Lookup(_Fields):
    """Requests the nodes close to a target and the announcements on it. The padding makes room for the reply."""

    target: _Key
    padding: bytes = bytes(346)


class Stored(_Fields):
    """Whether the announcement is kept."""

    kept: bool


class Announce(_Fields):
    """Keep this announcement; the token comes from a `Lookup` that the same address made."""

    target: _Key
    token: _Token
    announcement: _SignedAnnouncement


Call = Ping | Lookup | Announce
Reply = Pong | NodesFound | Stored

_NAMES: dict[type[Call], str] = {Ping: "ping", Lookup: "lookup", Announce: "announce"}
_REPLIES: dict[type[Call], msgspec.msgpack.Decoder[Reply]] = {
    Ping: msgspec.msgpack.Decoder(Pong),
    Lookup: msgspec.msgpack.Decoder(NodesFound),
    Announce: msgspec.msgpack.Decoder(Stored),
}
_ARGUMENTS: dict[str, msgspec.msgpack.Decoder[Call]] = {
    name: msgspec.msgpack.Decoder(call) for call, name in _NAMES.items()
}
_ENVELOPE = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
_MALFORMED = (ValueError, RecursionError)  # all that msgspec raises for bytes of any kind

PING_SIZE = _HEADER_SIZE + len(msgspec.msgpack.encode(["ping", []]))  # bytes
NODES_OVERHEAD = _HEADER_SIZE + 1 + (2 + TOKEN_SIZE) + (2 + 6) + 2 + 3  # bytes of a reply that names nothing


def request_limit(now: float) -> RateLimit:
    """How many requests are answered; `now` is monotonic seconds."""
    each, total = Rate(REQUESTS_PER_SECOND, REQUEST_BURST), Rate(TOTAL_PER_SECOND, TOTAL_BURST)
    return RateLimit(each, total, MAX_SOURCES, now)


@dataclass(slots=True)
class _Outstanding:
    address: Address
    call: type[Call]
    datagram: bytes
    future: "asyncio.Future[Reply | None]"
    timer: asyncio.TimerHandle


class RpcEndpoint(asyncio.DatagramProtocol):
    """Requests and replies on one UDP socket.

    `answer(call, address, room)` gives the reply to a well-formed request, which as a datagram may have `room` bytes.
    Without it no request is answered, so that nobody takes us for a node. It listens at `address`. Everything that is
    dropped is counted in `counters`, by reason.
    """

    def __init__(self, answer: Callable[[Call, Address, int], Reply] | None = None) -> None:
        self.address: Address = ("0.0.0.0", 0)
        self.counters: Counter[str] = Counter()
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None
        self._full = False
        self._outstanding: dict[bytes, _Outstanding] = {}
        self._limit = request_limit(time.monotonic())

    def request(self, address: Address, call: Call) -> "asyncio.Future[Reply | None]":
        """Ask a node; the future gets the reply, of the kind that this call has, or `None` when none came in time.

        It is done already when the request could not be sent.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply | None] = loop.create_future()
        message_id = secrets.token_bytes(_ID_SIZE)
        datagram = _REQUEST + message_id + msgspec.msgpack.encode([_NAMES[type(call)], call])
        if len(self._outstanding) >= MAX_OUTSTANDING:
            self.counters["requests not sent: too many outstanding"] += 1
            future.set_result(None)
        elif not self._send(datagram, address):
            future.set_result(None)
        else:
            timer = loop.call_later(RESEND_AFTER, self._resend, message_id)
            self._outstanding[message_id] = _Outstanding(address, type(call), datagram, future, timer)
        return future

    def close(self) -> None:
        """Close the socket; requests that are still outstanding get `None`."""
        if self._transport:
            self._transport.close()
        for message_id in list(self._outstanding):
            self._resolve(message_id, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.address = transport.get_extra_info("sockname")

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def error_received(self, exc: Exception) -> None:
        self.counters["network errors"] += 1

    def datagram_received(self, data: bytes, addr: Address) -> None:
        kind, message_id, body = data[:1], data[1:_HEADER_SIZE], data[_HEADER_SIZE:]
        if len(data) > MAX_DATAGRAM:
            self.counters["datagrams dropped: too long"] += 1
        elif kind == _REQUEST and body:
            self._receive_request(message_id, body, addr)
        elif kind == _REPLY and body:
            self._receive_reply(message_id, body, addr)
        else:
            self.counters["datagrams dropped: malformed"] += 1

    def _receive_request(self, message_id: bytes, body: bytes, address: Address) -> None:
        if self._answer is None:
            self.counters["requests dropped: not a node"] += 1
            return
        if not self._limit.allows(source_of(address), time.monotonic()):
            self.counters["requests dropped: too many"] += 1
            return
        if message_id in self._outstanding:
            self.counters["requests dropped: our own"] += 1
            return
        try:
            name, arguments = _ENVELOPE.decode(body)
            call = _ARGUMENTS[name].decode(arguments) if name in _ARGUMENTS else None
        except _MALFORMED:
            self.counters["datagrams dropped: malformed"] += 1
            return
        if call is None:
            self.counters["requests dropped: unknown call"] += 1
            return
        # A request may cost its sender's address the reply and one ping, which checks a newcomer.
        room = min(MAX_DATAGRAM, AMPLIFICATION * (_HEADER_SIZE + len(body)) - PING_SIZE)
        reply = self._answer(call, address, room)
        self._send(_REPLY + message_id + msgspec.msgpack.encode(reply), address)

    def _receive_reply(self, message_id: bytes, body: bytes, address: Address) -> None:
        outstanding = self._outstanding.get(message_id)
        if outstanding is None or outstanding.address != address:
            self.counters["replies dropped: not requested"] += 1
            return
        try:
            reply = _REPLIES[outstanding.call].decode(body)
        except _MALFORMED:
            self.counters["datagrams dropped: malformed"] += 1
            return
        self._resolve(message_id, reply)

    def _resend(self, message_id: bytes) -> None:
        outstanding = self._outstanding[message_id]
        timeout = REPLY_TIMEOUT - RESEND_AFTER
        outstanding.timer = asyncio.get_running_loop().call_later(timeout, self._resolve, message_id, None)
        self._send(outstanding.datagram, outstanding.address)

    def _resolve(self, message_id: bytes, reply: Reply | None) -> None:
        outstanding = self._outstanding.pop(message_id)
        outstanding.timer.cancel()
        if not outstanding.future.done():
            outstanding.future.set_result(reply)

    def _send(self, datagram: bytes, address: Address) -> bool:
        if not may_dial(*address):
            self.counters["datagrams not sent: address not allowed"] += 1
            return False
        if self._full or self._transport is None or self._transport.is_closing():
            self.counters["datagrams not sent: socket full or closed"] += 1
            return False
        self._transport.sendto(datagram, address)
        return True
