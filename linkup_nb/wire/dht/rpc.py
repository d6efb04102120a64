"""The datagrams of the DHT: requests to a node, and its replies.

Format: the npm package `dht-rpc`, version 3 of its protocol (`lib/io.js`). The first byte tells requests from replies,
the second holds the flags of the optional fields; then come the transaction id, the receiver's address as the sender
sees it, and the fields.
"""

import struct
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from linkup_nb.errors import DecodeError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import blake2b_256

MAX_CLOSER_NODES = 20  # in one reply; those beyond are ignored
MAX_DATAGRAM = 1472  # bytes; the DHT's datagrams are never fragmented
ID_SIZE = 32  # bytes of ids, targets and tokens
TOKEN_ROTATION = 7.5  # seconds after which `DhtTokens` should be given its next secret

_START = struct.Struct("<BBH")  # kind, flags, transaction id
_REQUEST = 0x03
_REPLY = 0x13
_ID, _TOKEN, _INTERNAL, _TARGET, _VALUE = 1, 2, 4, 8, 16  # flags of a request
_CLOSER_NODES, _ERROR = 4, 8  # flags of a reply, in place of the third and fourth

Address = tuple[str, int]


class Internal(IntEnum):
    """The commands of `dht-rpc` itself, which every node answers."""

    PING = 0
    PING_NAT = 1  # the reply goes to another port, the request's value
    FIND_NODE = 2
    DOWN_HINT = 3  # the node at the address in the request's value does not reply
    DELAYED_PING = 4  # reply after as many milliseconds as the request's value says


class Failure(IntEnum):
    """The error field of a reply; a reply may hold other numbers too."""

    NONE = 0
    UNKNOWN_COMMAND = 1
    INVALID_TOKEN = 2
    SEQ_REUSED = 16  # another value is stored under this sequence number
    SEQ_TOO_LOW = 17  # a newer value is stored


class DhtRequest(NamedTuple):
    """A request; `to` is the receiver's address. Only persistent nodes send their id."""

    tid: int  # 16 bits, echoed in the reply
    to: Address
    command: int
    internal: bool = False  # `command` is one of `Internal`
    id: bytes | None = None
    token: bytes | None = None  # the one that the receiver issued us, for writes
    target: bytes | None = None
    value: bytes | None = None

    def __bytes__(self) -> bytes:
        flags = (_INTERNAL if self.internal else 0) | (_TARGET if self.target is not None else 0)
        encoder = _begin(_REQUEST, flags, self).uint(self.command)
        if self.target is not None:
            encoder.fixed(self.target, ID_SIZE)
        if self.value is not None:
            encoder.buffer(self.value)
        return bytes(encoder)


class DhtReply(NamedTuple):
    """A reply; `to` is the requester's address as the node sees it: a sample for `NatSampler`."""

    tid: int
    to: Address
    id: bytes | None = None
    token: bytes | None = None
    closer_nodes: tuple[Address, ...] = ()
    error: int = 0  # one of `Failure`, or an unknown number
    value: bytes | None = None

    def __bytes__(self) -> bytes:
        flags = (_CLOSER_NODES if self.closer_nodes else 0) | (_ERROR if self.error else 0)
        encoder = _begin(_REPLY, flags, self)
        if self.closer_nodes:
            encoder.ipv4_addresses(self.closer_nodes)
        if self.error:
            encoder.uint(self.error)
        if self.value is not None:
            encoder.buffer(self.value)
        return bytes(encoder)


def decode(datagram: bytes) -> DhtRequest | DhtReply:
    """The request or reply in a datagram; raises `DecodeError` if it is neither.

    Use an id only if it is the `node_id` of the datagram's source address.
    """
    if len(datagram) > MAX_DATAGRAM:
        raise DecodeError(f"A datagram of the DHT has at most {MAX_DATAGRAM} bytes, got {len(datagram)}.")
    decoder = Decoder(datagram)
    kind, flags, tid = _START.unpack(decoder.fixed(_START.size))
    if kind not in (_REQUEST, _REPLY):
        raise DecodeError("The datagram is neither a request nor a reply of the DHT.")
    to = decoder.ipv4_address()
    id_ = decoder.fixed(ID_SIZE) if flags & _ID else None
    token = decoder.fixed(ID_SIZE) if flags & _TOKEN else None
    if kind == _REQUEST:
        command = decoder.uint()
        target = decoder.fixed(ID_SIZE) if flags & _TARGET else None
        value = decoder.buffer() if flags & _VALUE else None
        return DhtRequest(tid, to, command, bool(flags & _INTERNAL), id_, token, target, value)
    nodes = decoder.ipv4_addresses() if flags & _CLOSER_NODES else []
    error = decoder.uint() if flags & _ERROR else 0
    value = decoder.buffer() if flags & _VALUE else None
    return DhtReply(tid, to, id_, token, tuple(nodes[:MAX_CLOSER_NODES]), error, value)


@lru_cache(4096)
def node_id(address: Address) -> bytes:
    """The id of the node at a public address; a node cannot choose it."""
    return blake2b_256(bytes(Encoder().ipv4_address(*address)))


def distance(one: bytes, other: bytes) -> int:
    """How far an id is from another, or from a target."""
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")


def encode_port(port: int) -> bytes:
    """The value of PING_NAT."""
    return port.to_bytes(2, "little")


def decode_port(value: bytes) -> int:
    """The port in the value of PING_NAT."""
    return int.from_bytes(Decoder(value).fixed(2), "little")


def encode_delay(seconds: float) -> bytes:
    """The value of DELAYED_PING."""
    return round(seconds * 1000).to_bytes(4, "little")


def decode_delay(value: bytes) -> float:
    """The seconds in the value of DELAYED_PING."""
    return int.from_bytes(Decoder(value).fixed(4), "little") / 1000


class DhtTokens:
    """Shows that whoever writes to us gets mail at the host that it claims: a token is given for a read, then shown.

    `secret` is 32 random bytes; call `rotate` with others every `TOKEN_ROTATION` seconds.
    """

    def __init__(self, secret: bytes) -> None:
        self._secrets = [secret, secret]

    def rotate(self, secret: bytes) -> None:
        """Give tokens of another secret; those of the one before are still good, older ones are not."""
        self._secrets = [secret, self._secrets[0]]

    def issue(self, host: str) -> bytes:
        """The token for a host."""
        return _token(self._secrets[0], host)

    def valid(self, token: bytes | None, host: str) -> bool:
        """Whether we gave this token to that host lately."""
        return token is not None and token in [_token(secret, host) for secret in self._secrets]


def _token(secret: bytes, host: str) -> bytes:
    return blake2b_256(host.encode(), key=secret)


def _begin(kind: int, flags: int, packet: DhtRequest | DhtReply) -> Encoder:
    """What both begin with; `flags` are those of the fields that only one of them has."""
    if packet.id is not None:
        flags |= _ID
    if packet.token is not None:
        flags |= _TOKEN
    if packet.value is not None:
        flags |= _VALUE
    encoder = Encoder().raw(_START.pack(kind, flags, packet.tid)).ipv4_address(*packet.to)
    if packet.id is not None:
        encoder.fixed(packet.id, ID_SIZE)
    if packet.token is not None:
        encoder.fixed(packet.token, ID_SIZE)
    return encoder
