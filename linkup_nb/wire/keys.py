"""Ed25519 key pairs, the keys derived from keys, and z-base-32, the way people write them down.

Formats: libsodium's Ed25519; the npm packages `hypercore-crypto` (discovery keys, namespaces) and `z32`.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Self

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from linkup_nb.errors import DecodeError

KEY_SIZE = 32  # bytes; seeds and public keys
SIGNATURE_SIZE = 64  # bytes

_Z32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
_Z32_VALUES = {letter: value for value, letter in enumerate(_Z32)}


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Who a peer is: 32 bytes of public key; 64 of secret key, which are the seed and the public key again."""

    public_key: bytes
    secret_key: bytes = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key pair of a 32-byte seed; keep the seed as secret as the key."""
        if len(seed) != KEY_SIZE:
            raise ValueError(f"a seed is {KEY_SIZE} bytes, not {len(seed)}")
        return cls(*crypto_sign_seed_keypair(seed))

    def sign(self, message: bytes) -> bytes:
        """A detached 64-byte signature."""
        return crypto_sign(message, self.secret_key)[:SIGNATURE_SIZE]

    def __repr__(self) -> str:
        return f"KeyPair({self.public_key.hex()})"


def verify(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Whether the owner of this public key signed exactly this message; `False` also for malformed input."""
    if len(signature) != SIGNATURE_SIZE or len(public_key) != KEY_SIZE:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


def blake2b_256(data: bytes, *, key: bytes = b"") -> bytes:
    """The stack's hash: 32 bytes of BLAKE2b, keyed when a key is given."""
    return blake2b(data, digest_size=32, key=key).digest()


def discovery_key(key: bytes) -> bytes:
    """What may be announced in public for a 32-byte key or topic that is itself a secret."""
    return blake2b_256(b"hypercore", key=key)


def namespace(name: str, ids: list[int]) -> list[bytes]:
    """32-byte constants that keep the uses of one hash apart, one for each id from 0 to 255."""
    name_hash = blake2b_256(name.encode())
    return [blake2b_256(name_hash + bytes([number])) for number in ids]


def z32encode(data: bytes) -> str:
    """Letters and digits that are easily read out; 52 of them for a 32-byte key."""
    digits = -(-len(data) * 8 // 5)
    value = int.from_bytes(data, "big") << (digits * 5 - len(data) * 8)
    return "".join(_Z32[value >> shift & 31] for shift in range(digits * 5 - 5, -1, -5))


def z32decode(text: str) -> bytes:
    """The bytes behind z-base-32 text; raises `DecodeError` for anything that `z32encode` does not write."""
    value = 0
    for letter in text.lower():
        if letter not in _Z32_VALUES:
            raise DecodeError(f"{letter!r} is not a letter of z-base-32")
        value = value << 5 | _Z32_VALUES[letter]
    size = len(text) * 5 // 8
    spare = len(text) * 5 - size * 8
    if spare >= 5 or value & ((1 << spare) - 1):
        raise DecodeError(f"z-base-32 text of {len(text)} letters does not end on a whole byte")
    return (value >> spare).to_bytes(size, "big")
