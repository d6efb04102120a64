"""Invites that end: a candidate shows that it holds the invite's seed, and a member answers with the room's secret.

Format: the npm packages `blind-pairing` and `blind-pairing-core` 2 (its invites of version 1), a protocol on Protomux
whose channel has the room's topic as its id. Requests and responses are sealed with XChaCha20-Poly1305 under keys that
only those two can derive; what a member answers is checked against the topic, which is the secret's discovery key.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import Self

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from linkup_nb.errors import DecodeError
from linkup_nb.wire.compact import Decoder, Encoder
from linkup_nb.wire.keys import KEY_SIZE, SIGNATURE_SIZE, KeyPair, discovery_key, namespace, verify

PROTOCOL = "blind-pairing"
REQUEST = 0  # message types; the payload of each is a buffer
RESPONSE = 1
INVITE_VERSION = 1
MAX_USER_DATA = 4096  # bytes that a candidate may say of itself
NONCE_SIZE = 24  # bytes

_HAS_EXPIRY = 2  # flags of an invite
_HAS_TOPIC = 1

_SIGNATURE, _TOKEN, _INVITE_ID, _REQUEST_ID, _SESSION, _SESSION_KEY, _ENCRYPT, _NONCE = namespace(
    PROTOCOL, list(range(8))
)


class PairingStatus(IntEnum):
    """What a member answers."""

    CONFIRMED = 0
    REJECTED = 1
    USED = 2
    EXPIRED = 3


_REFUSALS = {PairingStatus.REJECTED, PairingStatus.USED, PairingStatus.EXPIRED}


@dataclass(frozen=True, slots=True)
class PairingInvite:
    """What a candidate needs: the seed of the invite's key pair, the topic, and when it ends, in seconds since 1970."""

    seed: bytes = field(repr=False)
    topic: bytes
    expires: int | None = None

    @property
    def public_key(self) -> bytes:
        """By which a member recognises a request; it opens nothing."""
        return KeyPair.from_seed(self.seed).public_key

    def __bytes__(self) -> bytes:
        encoder = Encoder().uint(INVITE_VERSION).uint(_HAS_TOPIC if self.expires is None else _HAS_TOPIC | _HAS_EXPIRY)
        encoder.fixed(self.seed, KEY_SIZE).fixed(self.topic, KEY_SIZE)
        return bytes(encoder if self.expires is None else encoder.raw(self.expires.to_bytes(4, "little")))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        version, flags = decoder.uint(), decoder.uint()
        if version != INVITE_VERSION or not flags & _HAS_TOPIC:
            raise DecodeError(f"An invite has version {INVITE_VERSION} and a topic, got version {version}.")
        seed, topic = decoder.fixed(KEY_SIZE), decoder.fixed(KEY_SIZE)
        expires = int.from_bytes(decoder.fixed(4), "little") if flags & _HAS_EXPIRY else None
        decoder.end()
        return cls(seed, topic, expires)


def invite_id(public_key: bytes) -> bytes:
    """By which requests name an invite: 32 bytes."""
    return _hash(_INVITE_ID, public_key)


@dataclass(frozen=True, slots=True)
class PairingRequest:
    """What a candidate sends to any member; `session` is what the response will be sealed for."""

    invite_id: bytes
    session: bytes
    sealed: bytes = field(repr=False)

    @classmethod
    def make(cls, invite: PairingInvite, user_data: bytes) -> Self:
        """A request that tells the member `user_data`; the same two give the same request."""
        pair = KeyPair.from_seed(invite.seed)
        key = pair.public_key
        session = _hash(_SESSION, _hash(_TOKEN, key, user_data))
        signature = pair.sign(_SIGNATURE + bytes(Encoder().buffer(session).buffer(user_data)))
        payload = bytes(Encoder().fixed(signature, SIGNATURE_SIZE).buffer(user_data))
        return cls(invite_id(key), session, _seal(payload, key, session))

    def __bytes__(self) -> bytes:
        return bytes(Encoder().fixed(self.invite_id, KEY_SIZE).buffer(self.session).buffer(self.sealed))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        return cls(decoder.fixed(KEY_SIZE), decoder.buffer(), decoder.buffer())

    def open(self, public_key: bytes) -> bytes:
        """What the candidate says of itself. Raises `DecodeError` if it does not hold the invite of this public key."""
        decoder = Decoder(_unseal(self.sealed, public_key, self.session))
        signature, user_data = decoder.fixed(SIGNATURE_SIZE), decoder.buffer()
        signed = _SIGNATURE + bytes(Encoder().buffer(self.session).buffer(user_data))
        if len(user_data) > MAX_USER_DATA or not verify(signed, signature, public_key):
            raise DecodeError("A request to join is not signed by its invite.")
        return user_data


@dataclass(frozen=True, slots=True)
class PairingResponse:
    """What a member answers to a request."""

    request_id: bytes
    sealed: bytes = field(repr=False)

    @classmethod
    def confirm(cls, public_key: bytes, session: bytes, secret: bytes) -> Self:
        """Gives the secret to who asked in this session with the invite of this public key."""
        return cls._make(
            public_key, session, bytes(Encoder().uint(PairingStatus.CONFIRMED).uint(0).fixed(secret, KEY_SIZE))
        )

    @classmethod
    def reject(cls, public_key: bytes, session: bytes, status: PairingStatus) -> Self:
        """Says that the invite is no longer good, and why."""
        return cls._make(public_key, session, bytes(Encoder().uint(status)))

    @classmethod
    def _make(cls, public_key: bytes, session: bytes, payload: bytes) -> Self:
        return cls(_hash(_REQUEST_ID, session), _seal(payload, _hash(_SESSION_KEY, public_key, session), session))

    def __bytes__(self) -> bytes:
        return bytes(Encoder().fixed(self.request_id, KEY_SIZE).buffer(self.sealed))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        decoder = Decoder(data)
        return cls(decoder.fixed(KEY_SIZE), decoder.buffer())

    def open(self, invite: PairingInvite, session: bytes) -> bytes | PairingStatus:
        """The room's secret, or why the member refused; `REJECTED` for a reason that is not known here, too.

        Raises `DecodeError` if this does not answer this session, or if what it gives is not the topic's secret.
        """
        if self.request_id != _hash(_REQUEST_ID, session):
            raise DecodeError("A response to a request to join answers another request.")
        key = _hash(_SESSION_KEY, invite.public_key, session)
        decoder = Decoder(_unseal(self.sealed, key, session))
        status = decoder.uint()
        if status != PairingStatus.CONFIRMED:
            return PairingStatus(status) if status in _REFUSALS else PairingStatus.REJECTED
        decoder.uint()  # flags, for what a later version may add
        secret = decoder.fixed(KEY_SIZE)
        if discovery_key(secret) != invite.topic:
            raise DecodeError("A response to a request to join gives the secret of another room.")
        return secret


def _hash(*parts: bytes, size: int = 32) -> bytes:
    return blake2b(b"".join(parts), digest_size=size).digest()


def _seal(data: bytes, key: bytes, session: bytes) -> bytes:
    nonce = _hash(_NONCE, key, session, size=NONCE_SIZE)
    return sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(data, nonce, nonce, _hash(_ENCRYPT, key))


def _unseal(data: bytes, key: bytes, session: bytes) -> bytes:
    nonce = _hash(_NONCE, key, session, size=NONCE_SIZE)
    try:
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(data, nonce, nonce, _hash(_ENCRYPT, key))
    except (CryptoError, ValueError):  # of one too short to be sealed it says that its length is negative
        raise DecodeError("A message of the pairing cannot be opened with this invite.") from None
