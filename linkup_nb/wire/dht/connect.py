"""The messages with which two peers of the DHT arrange a connection: the handshake, and the rounds of hole punching.

Format: the npm package `hyperdht` (`lib/messages.js`, `lib/secure-payload.js`). Relaying nodes pass the values of
PEER_HANDSHAKE and PEER_HOLEPUNCH on between the peers. Inside are a message of Noise IK, whose payload names addresses
and the UDX stream, and then encrypted payloads of the hole punching.
"""

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from typing import Self

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError

from linkup_nb.errors import DecodeError, DecryptionError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.dht.records import DhtCommand, signing_context
from linkup_nb.wire.dht.rpc import ID_SIZE, Address
from linkup_nb.wire.keys import KEY_SIZE, blake2b_256

VERSION = 1  # of the payload of a handshake
MAX_ADDRESSES = 16  # of one kind in one payload; those beyond are ignored
MAX_UDX_NUMBER = 2**32 - 1  # ids of streams, and numbers of packets
NONCE_SIZE = 24  # random bytes before an encrypted payload


class Mode(IntEnum):
    """On which leg of its route a message is."""

    FROM_CLIENT = 0
    FROM_SERVER = 1
    FROM_RELAY = 2
    FROM_SECOND_RELAY = 3
    REPLY = 4


class Firewall(IntEnum):
    """The kind of firewall or NAT that a peer is behind, as far as it knows."""

    UNKNOWN = 0
    OPEN = 1  # it receives datagrams of anybody
    CONSISTENT = 2  # endpoint-independent mapping (RFC 4787, section 4.1): one public address for all
    RANDOM = 3  # endpoint-dependent mapping: another public port for each remote address


class ErrorCode(IntEnum):
    """The error field of a handshake or hole punching payload: why a peer does not connect."""

    NONE = 0
    ABORTED = 1
    VERSION_MISMATCH = 2
    TRY_LATER = 3


@dataclass(frozen=True, slots=True)
class PeerHandshake:
    """The value of PEER_HANDSHAKE: `noise` is a message of Noise IK, `mode` one of `Mode` or an unknown number."""

    mode: int
    noise: bytes
    peer_address: Address | None = None
    relay_address: Address | None = None

    def __bytes__(self) -> bytes:
        flags = (self.peer_address is not None) * 1 | (self.relay_address is not None) * 2
        encoder = Encoder().uint(flags).uint(self.mode).buffer(self.noise)
        for address in (self.peer_address, self.relay_address):
            if address is not None:
                encoder.ipv4_address(*address)
        return bytes(encoder)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        flags = decoder.uint()
        return cls(
            mode=decoder.uint(),
            noise=decoder.buffer(),
            peer_address=decoder.ipv4_address() if flags & 1 else None,
            relay_address=decoder.ipv4_address() if flags & 2 else None,
        )


@dataclass(frozen=True, slots=True)
class Relay:
    """A relaying node, and the peer's address as that node sees it."""

    relay_address: Address
    peer_address: Address


@dataclass(frozen=True, slots=True)
class HandshakePayload:
    """The Noise payload of a handshake message: the sender's addresses, its firewall, and the UDX stream it has opened.

    Of another `version` than `VERSION` nothing else is read.
    """

    firewall: int = Firewall.UNKNOWN
    error: int = ErrorCode.NONE
    version: int = VERSION
    holepunch_id: int | None = None  # of a session of hole punching, whose rounds go through `relays`
    relays: tuple[Relay, ...] = ()
    addresses4: tuple[Address, ...] = ()
    addresses6: tuple[Address, ...] = ()
    udx_id: int | None = None
    udx_seq: int = 0
    reusable_socket: bool = False
    secret_stream: bool = True
    relay_through: tuple[bytes, bytes] | None = None  # public key and token, 32 bytes each, of a relay for the stream
    relay_addresses: tuple[Address, ...] | None = None

    def __bytes__(self) -> bytes:
        encoder = Encoder().uint(self.version).uint(self._flags).uint(self.error).uint(self.firewall)
        if self.holepunch_id is not None:
            encoder.uint(self.holepunch_id).array(list(self.relays), _write_relay)
        if self.addresses4:
            encoder.array(list(self.addresses4), _write_address)
        if self.addresses6:
            encoder.array(list(self.addresses6), _write_address6)
        if self.udx_id is not None:
            encoder.uint(1).uint(self.reusable_socket).uint(self.udx_id).uint(self.udx_seq)
        if self.secret_stream:
            encoder.uint(1)
        if self.relay_through is not None:
            key, token = self.relay_through
            encoder.uint(1).uint(0).fixed(key, KEY_SIZE).fixed(token, ID_SIZE)
        if self.relay_addresses is not None:
            encoder.array(list(self.relay_addresses), _write_address)
        return bytes(encoder)

    @property
    def _flags(self) -> int:
        return (
            (self.holepunch_id is not None) * 1
            | bool(self.addresses4) * 2
            | bool(self.addresses6) * 4
            | (self.udx_id is not None) * 8
            | self.secret_stream * 16
            | (self.relay_through is not None) * 32
            | (self.relay_addresses is not None) * 64
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        version = decoder.uint()
        if version != VERSION:
            return cls(version=version, secret_stream=False)
        flags, error, firewall = decoder.uint(), decoder.uint(), decoder.uint()
        holepunch_id, relays = None, []
        if flags & 1:
            holepunch_id, relays = decoder.uint(), decoder.array(_read_relay)
        addresses4 = decoder.array(Decoder.ipv4_address) if flags & 2 else []
        addresses6 = decoder.array(_read_address6) if flags & 4 else []
        udx_id, udx_seq, features = None, 0, 0
        if flags & 8:
            _, features, udx_id, udx_seq = (decoder.uint() for _ in range(4))
            if max(udx_id, udx_seq) > MAX_UDX_NUMBER:
                raise DecodeError(f"A UDX stream has 32-bit numbers, got {udx_id} and {udx_seq}.")
        if flags & 16:
            decoder.uint()  # the version of the secret stream; there is one
        relay_through = None
        if flags & 32:
            decoder.uint()  # version
            decoder.uint()  # flags, of which none is defined
            relay_through = decoder.fixed(KEY_SIZE), decoder.fixed(ID_SIZE)
        relay_addresses = decoder.array(Decoder.ipv4_address) if flags & 64 else None
        return cls(
            firewall=firewall,
            error=error,
            holepunch_id=holepunch_id,
            relays=tuple(relays[:MAX_ADDRESSES]),
            addresses4=tuple(addresses4[:MAX_ADDRESSES]),
            addresses6=tuple(addresses6[:MAX_ADDRESSES]),
            udx_id=udx_id,
            udx_seq=udx_seq,
            reusable_socket=bool(features & 1),
            secret_stream=bool(flags & 16),
            relay_through=relay_through,
            relay_addresses=None if relay_addresses is None else tuple(relay_addresses[:MAX_ADDRESSES]),
        )


@dataclass(frozen=True, slots=True)
class PeerHolepunch:
    """The value of PEER_HOLEPUNCH: `id` is the server's, `payload` an encrypted `HolepunchPayload`."""

    mode: int
    id: int
    payload: bytes
    peer_address: Address | None = None

    def __bytes__(self) -> bytes:
        encoder = Encoder().uint(self.peer_address is not None).uint(self.mode).uint(self.id).buffer(self.payload)
        if self.peer_address is not None:
            encoder.ipv4_address(*self.peer_address)
        return bytes(encoder)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        flags = decoder.uint()
        mode, id_, payload = decoder.uint(), decoder.uint(), decoder.buffer()
        return cls(mode, id_, payload, decoder.ipv4_address() if flags & 1 else None)


@dataclass(frozen=True, slots=True)
class HolepunchPayload:
    """The payload of one message in a round of hole punching; tokens have 32 bytes."""

    firewall: int
    round: int
    error: int = ErrorCode.NONE
    connected: bool = False
    punching: bool = False
    addresses: tuple[Address, ...] | None = None  # of the sender
    remote_address: Address | None = None  # the receiver's, as the sender knows it
    token: bytes | None = None  # proves, once echoed, that the receiver has that address
    remote_token: bytes | None = None  # the receiver's token, echoed

    def __bytes__(self) -> bytes:
        flags = (
            self.connected * 1
            | self.punching * 2
            | (self.addresses is not None) * 4
            | (self.remote_address is not None) * 8
            | (self.token is not None) * 16
            | (self.remote_token is not None) * 32
        )
        encoder = Encoder().uint(flags).uint(self.error).uint(self.firewall).uint(self.round)
        if self.addresses is not None:
            encoder.array(list(self.addresses), _write_address)
        if self.remote_address is not None:
            encoder.ipv4_address(*self.remote_address)
        for token in (self.token, self.remote_token):
            if token is not None:
                encoder.fixed(token, ID_SIZE)
        return bytes(encoder)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        flags, error, firewall, round_ = (decoder.uint() for _ in range(4))
        addresses = decoder.array(Decoder.ipv4_address)[:MAX_ADDRESSES] if flags & 4 else None
        return cls(
            firewall=firewall,
            round=round_,
            error=error,
            connected=bool(flags & 1),
            punching=bool(flags & 2),
            addresses=None if addresses is None else tuple(addresses),
            remote_address=decoder.ipv4_address() if flags & 8 else None,
            token=decoder.fixed(ID_SIZE) if flags & 16 else None,
            remote_token=decoder.fixed(ID_SIZE) if flags & 32 else None,
        )

    def seal(self, secret: bytes, nonce: bytes) -> bytes:
        """The payload of a `PeerHolepunch`; `nonce` is `NONCE_SIZE` random bytes, used once."""
        return nonce + crypto_secretbox(bytes(self), nonce, secret)

    @classmethod
    def open(cls, sealed: bytes, secret: bytes) -> Self:
        """The inverse of `seal`; raises `DecryptionError`, or `DecodeError`."""
        if len(sealed) < NONCE_SIZE:
            raise DecodeError(f"An encrypted payload has at least {NONCE_SIZE} bytes, got {len(sealed)}.")
        try:
            return cls.decode(crypto_secretbox_open(sealed[NONCE_SIZE:], sealed[:NONCE_SIZE], secret))
        except CryptoError:
            raise DecryptionError("A message of the hole punching was forged or damaged.") from None


def handshake_prologue() -> bytes:
    """The prologue of the Noise handshake between peers of the DHT (32 bytes)."""
    return signing_context(DhtCommand.PEER_HANDSHAKE)


def holepunch_secret(handshake_hash: bytes) -> bytes:
    """The 32-byte key for `HolepunchPayload.seal`, which both ends of a handshake derive from its hash."""
    return blake2b_256(signing_context(DhtCommand.PEER_HOLEPUNCH), key=handshake_hash)


def _write_address(encoder: Encoder, address: Address) -> None:
    encoder.ipv4_address(*address)


def _write_address6(encoder: Encoder, address: Address) -> None:
    host, port = address
    encoder.raw(IPv6Address(host).packed).raw(port.to_bytes(2, "little"))


def _read_address6(decoder: Decoder) -> Address:
    host = IPv6Address(decoder.fixed(16))
    return str(host), int.from_bytes(decoder.fixed(2), "little")


def _write_relay(encoder: Encoder, relay: Relay) -> None:
    encoder.ipv4_address(*relay.relay_address).ipv4_address(*relay.peer_address)


def _read_relay(decoder: Decoder) -> Relay:
    return Relay(decoder.ipv4_address(), decoder.ipv4_address())
