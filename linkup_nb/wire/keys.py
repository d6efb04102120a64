"""Ed25519 key pairs, BLAKE2b hashes, discovery keys and namespaces, and keys as z-base-32 text.

Formats: libsodium's Ed25519 (RFC 8032); the npm packages `hypercore-crypto` (hash, discovery keys, namespaces) and
`z32`.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Self

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from linkup_nb.errors import DecodeError

KEY_SIZE = 32  # bytes; seeds and public keys
SIGNATURE_SIZE = 64  # bytes
SHORT_END = 4  # letters at each end of a short key: 36 bits in all

_Z32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
_Z32_VALUES = {letter: value for value, letter in enumerate(_Z32)}


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key pair: a 32-byte public key, and a 64-byte secret key (the seed and the public key again)."""

    public_key: bytes
    secret_key: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key pair of a 32-byte seed; keep the seed as secret as the key."""
        if len(seed) != KEY_SIZE:
            raise ValueError(f"A seed is {KEY_SIZE} bytes, not {len(seed)}.")
        return cls(*crypto_sign_seed_keypair(seed))

    def sign(self, message: bytes) -> bytes:
        """A detached 64-byte signature."""
        return crypto_sign(message, self.secret_key)[:SIGNATURE_SIZE]

    def __repr__(self) -> str:
        return f"KeyPair({self.public_key.hex()})"


def verify(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Whether this 64-byte signature of the message is valid under the public key; `False` also for malformed input."""
    if len(signature) != SIGNATURE_SIZE or len(public_key) != KEY_SIZE:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def blake2b_256(data: bytes, *, key: bytes = b"") -> bytes:
    """BLAKE2b (RFC 7693) with a 32-byte digest, the stack's one hash; keyed when a key of up to 64 bytes is given."""
    return blake2b(data, digest_size=32, key=key).digest()


def discovery_key(key: bytes) -> bytes:
    """The discovery key of a 32-byte key or topic: a hash that may be announced where the key itself is secret."""
    return blake2b_256(b"hypercore", key=key)


def namespace(name: str, ids: list[int]) -> list[bytes]:
    """The 32-byte constants of a namespace, one for each id from 0 to 255, that keep the uses of one hash apart."""
    name_hash = blake2b_256(name.encode())
    return [blake2b_256(name_hash + bytes([number])) for number in ids]


def z32encode(data: bytes) -> str:
    """z-base-32 text: 52 letters and digits for a 32-byte key."""
    digits = -(-len(data) * 8 // 5)
    value = int.from_bytes(data, "big") << (digits * 5 - len(data) * 8)
    return "".join(_Z32[value >> shift & 31] for shift in range(digits * 5 - 5, -1, -5))


def short_key(key: bytes) -> str:
    """How a key is shown where it only has to be told apart: its first and last letters, as `tkrq…3dsy`."""
    text = z32encode(key)
    return f"{text[:SHORT_END]}…{text[-SHORT_END:]}"


def z32decode(text: str) -> bytes:
    """The bytes of z-base-32 text; raises `DecodeError` for anything but what `z32encode` writes, in either case."""
    value = 0
    for letter in text.lower():
        if letter not in _Z32_VALUES:
            raise DecodeError(f"The alphabet of z-base-32 has no {letter!r}.")
        value = value << 5 | _Z32_VALUES[letter]
    size = len(text) * 5 // 8
    spare = len(text) * 5 - size * 8
    if spare >= 5 or value & ((1 << spare) - 1):
        raise DecodeError(f"A z-base-32 text of {len(text)} letters does not end on a whole byte.")
    return (value >> spare).to_bytes(size, "big")
