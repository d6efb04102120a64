"""The Noise handshakes XX and IK over Ed25519 keys: `Noise_XX_Ed25519_ChaChaPoly_BLAKE2b`, and the same with IK.

Specification: The Noise Protocol Framework, revision 34 (noiseprotocol.org), whose sections are named below.
As in the npm packages `noise-handshake` and `noise-curve-ed`, which differ from section 12.1, keys are Ed25519 keys and
a Diffie-Hellman result is the compressed Edwards point itself, so X25519 libraries do not fit.
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

from linkup_nb.errors import HandshakeError, UsageError
from linkup_nb.wire.keys import KEY_SIZE, KeyPair

TAG_SIZE = 16  # bytes
MAX_PAYLOAD = 2048  # bytes in one message of IK; such messages travel in datagrams


@dataclass(frozen=True, slots=True)
class Pattern:
    """A handshake pattern (section 7.5): the tokens of each message, and its size in bytes with an empty payload.

    A token of two letters is a DH result: of the initiator's key, then the responder's, each ephemeral or static.
    """

    name: str
    messages: tuple[tuple[str, ...], ...]
    sizes: tuple[int, ...]
    max_payload: int
    responder_is_known: bool  # pre-message `<- s`: the initiator has its public key from the start


XX = Pattern("XX", (("e",), ("e", "ee", "s", "es"), ("s", "se")), (32, 96, 64), 0, False)
IK = Pattern("IK", (("e", "es", "s", "ss"), ("e", "ee", "se")), (96, 48), MAX_PAYLOAD, True)
MESSAGE_SIZES = XX.sizes


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """The outcome for one end: the 32-byte keys that it sends (`tx`) and receives (`rx`) with, and the handshake hash.

    The 64-byte hash (`h`, section 11.2) is the same at both ends and names the session: bind channels to it.
    """

    tx: bytes = field(repr=False)
    rx: bytes = field(repr=False)
    hash: bytes
    remote_public_key: bytes


class NoiseHandshake:
    """One end of a handshake: the HandshakeState of section 5.3.

    With XX, whose payloads are empty, the initiator calls `send`, `receive`, `send`, the responder `receive`, `send`,
    `receive`. With IK the initiator, who gives the responder's `remote_public_key`, calls `send`, `receive`, the
    responder `receive`, `send`. Then `result` is set. After an error make a new one.
    `ephemeral` must be random and used once.
    """

    def __init__(
        self,
        initiator: bool,
        static: KeyPair,
        ephemeral: KeyPair,
        *,
        pattern: Pattern = XX,
        prologue: bytes = b"",
        remote_public_key: bytes | None = None,
    ) -> None:
        if (remote_public_key is not None) != (initiator and pattern.responder_is_known):
            raise UsageError("Give `remote_public_key` to an initiator of IK, and to nobody else.")
        self.initiator = initiator
        self.public_key = static.public_key
        self.result: HandshakeResult | None = None
        self.remote_public_key = remote_public_key
        self._pattern = pattern
        self._static = static
        self._ephemeral = ephemeral
        self._remote_ephemeral = b""
        self._messages = 0
        self._key: bytes | None = None
        self._nonce = 0
        # Section 5.2, InitializeSymmetric: the protocol name is shorter than a hash, and zero-padded to one.
        self._chaining_key = f"Noise_{pattern.name}_Ed25519_ChaChaPoly_BLAKE2b".encode().ljust(64, b"\0")
        self._hash = self._chaining_key
        self._mix_hash(prologue)  # section 6; an empty one is mixed in too
        if pattern.responder_is_known:
            self._mix_hash(remote_public_key or static.public_key)

    def send(self, payload: bytes = b"") -> bytes:
        """Our next message (section 5.3, WriteMessage), its payload encrypted once there is a key.

        Raises `UsageError` for a payload that is too long.
        """
        if len(payload) > self._pattern.max_payload:
            raise UsageError(f"A payload has at most {self._pattern.max_payload} bytes, this one has {len(payload)}.")
        message = b""
        for token in self._pattern.messages[self._messages]:
            if token == "e":
                self._mix_hash(self._ephemeral.public_key)
                message += self._ephemeral.public_key
            elif token == "s":
                message += self._encrypt_and_hash(self._static.public_key)
            else:
                self._mix_dh(token)
        message += self._encrypt_and_hash(payload)
        self._finish_message()
        return message

    def receive(self, message: bytes) -> bytes:
        """Take the peer's next message (section 5.3, ReadMessage) and return its payload.

        Raises `HandshakeError` when it has the wrong size, was tampered with, or holds an unusable key.
        """
        self._check_size(len(message))
        for token in self._pattern.messages[self._messages]:
            if token == "e":
                self._remote_ephemeral, message = message[:KEY_SIZE], message[KEY_SIZE:]
                self._mix_hash(self._remote_ephemeral)
            elif token == "s":
                sealed, message = message[: KEY_SIZE + TAG_SIZE], message[KEY_SIZE + TAG_SIZE :]
                self.remote_public_key = self._decrypt_and_hash(sealed)
            else:
                self._mix_dh(token)
        payload = self._decrypt_and_hash(message)
        self._finish_message()
        return payload

    def _check_size(self, size: int) -> None:
        least = self._pattern.sizes[self._messages]
        most = least + self._pattern.max_payload
        if not least <= size <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            raise HandshakeError(f"Handshake message {self._messages + 1} has {expected} bytes, got {size}.")

    def _finish_message(self) -> None:
        self._messages += 1
        if self._messages < len(self._pattern.messages):
            return
        assert self.remote_public_key is not None
        first, second = self._hkdf(b"")  # section 5.2, Split
        tx, rx = (first, second) if self.initiator else (second, first)
        self.result = HandshakeResult(tx[:KEY_SIZE], rx[:KEY_SIZE], self._hash, self.remote_public_key)

    def _mix_dh(self, token: str) -> None:
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
        # Section 4.3, with two outputs.
        temporary = hmac.digest(self._chaining_key, secret, "blake2b")
        first = hmac.digest(temporary, b"\x01", "blake2b")
        return first, hmac.digest(temporary, first + b"\x02", "blake2b")

    def _next_nonce(self) -> bytes:
        # Section 12.3.
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
                raise HandshakeError("A handshake message was forged or damaged.") from None
        self._mix_hash(sealed)
        return plain


def _diffie_hellman(pair: KeyPair, public_key: bytes) -> bytes:
    # RFC 8032, section 5.1.5, steps 1 and 2: the secret scalar of an Ed25519 seed.
    digest = bytearray(sha512(pair.secret_key[:KEY_SIZE]).digest()[:32])
    digest[0] &= 248
    digest[31] &= 127
    digest[31] |= 64
    try:
        return crypto_scalarmult_ed25519_noclamp(bytes(digest), public_key)
    except CryptoError:
        raise HandshakeError("The peer's key is not a usable point of the curve.") from None
