"""The Noise handshake XX over Ed25519 keys: `Noise_XX_Ed25519_ChaChaPoly_BLAKE2b`.

Specification: noiseprotocol.org, revision 34. As in the npm packages `noise-handshake` and `noise-curve-ed`, keys are
Ed25519 keys and a Diffie-Hellman result is the compressed Edwards point itself, so X25519 libraries do not fit.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import blake2b, sha512

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult_ed25519_noclamp,
)
from nacl.exceptions import CryptoError

from linkup_nb.errors import HandshakeError
from linkup_nb.wire.keys import KEY_SIZE, KeyPair

TAG_SIZE = 16  # bytes

XX = (("e",), ("e", "ee", "s", "es"), ("s", "se"))  # what each message carries; the initiator sends the first
MESSAGE_SIZES = (32, 96, 64)  # bytes of each message of XX, payloads being empty


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """What both ends hold in the end: a key to send with, one to receive with, and a hash that names the session."""

    tx: bytes = field(repr=False)
    rx: bytes = field(repr=False)
    hash: bytes
    remote_public_key: bytes


class Handshake:
    """One end of an XX handshake with empty payloads.

    The initiator calls `send`, `receive`, `send`; the responder `receive`, `send`, `receive`. Then `result` is set.
    After an error the handshake is of no more use.
    """

    def __init__(self, initiator: bool, static: KeyPair, ephemeral: KeyPair) -> None:
        self.initiator = initiator
        self.result: HandshakeResult | None = None
        self.remote_public_key: bytes | None = None
        self._static = static
        self._ephemeral = ephemeral
        self._remote_ephemeral = b""
        self._messages = 0
        self._key: bytes | None = None
        self._nonce = 0
        self._chaining_key = b"Noise_XX_Ed25519_ChaChaPoly_BLAKE2b".ljust(64, b"\0")
        self._hash = self._chaining_key
        self._mix_hash(b"")  # an empty prologue is mixed in too

    def send(self) -> bytes:
        """The next message of ours."""
        message = b""
        for token in XX[self._messages]:
            if token == "e":
                self._mix_hash(self._ephemeral.public_key)
                message += self._ephemeral.public_key
            elif token == "s":
                message += self._encrypt_and_hash(self._static.public_key)
            else:
                self._mix_dh(token)
        message += self._encrypt_and_hash(b"")
        self._finish_message()
        return message

    def receive(self, message: bytes) -> None:
        """Take the peer's next message; raises `HandshakeError` when it is not one, or was tampered with."""
        if len(message) != MESSAGE_SIZES[self._messages]:
            raise HandshakeError(
                f"handshake message {self._messages + 1} has {MESSAGE_SIZES[self._messages]} bytes, got {len(message)}"
            )
        for token in XX[self._messages]:
            if token == "e":
                self._remote_ephemeral, message = message[:KEY_SIZE], message[KEY_SIZE:]
                self._mix_hash(self._remote_ephemeral)
            elif token == "s":
                sealed, message = message[: KEY_SIZE + TAG_SIZE], message[KEY_SIZE + TAG_SIZE :]
                self.remote_public_key = self._decrypt_and_hash(sealed)
            else:
                self._mix_dh(token)
        self._decrypt_and_hash(message)
        self._finish_message()

    def _finish_message(self) -> None:
        self._messages += 1
        if self._messages < len(XX):
            return
        assert self.remote_public_key is not None
        first, second = self._hkdf(b"")
        tx, rx = (first, second) if self.initiator else (second, first)
        self.result = HandshakeResult(tx[:KEY_SIZE], rx[:KEY_SIZE], self._hash, self.remote_public_key)

    def _mix_dh(self, token: str) -> None:
        """Mix in a shared secret: `token` names the initiator's key, then the responder's, each `e` or `s`."""
        mine, theirs = (token[0], token[1]) if self.initiator else (token[1], token[0])
        pair = self._ephemeral if mine == "e" else self._static
        remote = self._remote_ephemeral if theirs == "e" else self.remote_public_key
        assert remote is not None
        self._chaining_key, key = self._hkdf(_diffie_hellman(pair, remote))
        self._key = key[:KEY_SIZE]
        self._nonce = 0

    def _mix_hash(self, data: bytes) -> None:
        self._hash = blake2b(self._hash + data).digest()

    def _hkdf(self, secret: bytes) -> tuple[bytes, bytes]:
        temporary = hmac.digest(self._chaining_key, secret, "blake2b")
        first = hmac.digest(temporary, b"\x01", "blake2b")
        return first, hmac.digest(temporary, first + b"\x02", "blake2b")

    def _next_nonce(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return nonce

    def _encrypt_and_hash(self, plain: bytes) -> bytes:
        sealed = plain
        if self._key is not None:
            sealed = crypto_aead_chacha20poly1305_ietf_encrypt(plain, self._hash, self._next_nonce(), self._key)
        self._mix_hash(sealed)
        return sealed

    def _decrypt_and_hash(self, sealed: bytes) -> bytes:
        plain = sealed
        if self._key is not None:
            try:
                plain = crypto_aead_chacha20poly1305_ietf_decrypt(sealed, self._hash, self._next_nonce(), self._key)
            except CryptoError:
                raise HandshakeError("a handshake message was forged or damaged") from None
        self._mix_hash(sealed)
        return plain


def _diffie_hellman(pair: KeyPair, public_key: bytes) -> bytes:
    digest = bytearray(sha512(pair.secret_key[:KEY_SIZE]).digest()[:32])
    digest[0] &= 248
    digest[31] &= 127
    digest[31] |= 64
    try:
        return crypto_scalarmult_ed25519_noclamp(bytes(digest), public_key)
    except CryptoError:
        raise HandshakeError("the peer's key is not a usable point of the curve") from None
