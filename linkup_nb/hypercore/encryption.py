"""Encrypted blocks: 8 bytes of padding, which are the encrypted fork, then the ciphertext.

Format: the npm package `hypercore` 11.37.1, `lib/default-encryption.js`.

Both are XSalsa20 without authentication; the Merkle tree, which hashes the ciphertext, is what authenticates.
"""

from typing import Self

from linkup_nb.errors import InvalidProof, UsageError
from linkup_nb.hypercore.xsalsa20 import xsalsa20
from linkup_nb.wire.keys import KEY_SIZE, blake2b_256, namespace

PADDING = 8  # bytes that encryption adds to a block

(_ENCRYPTION,) = namespace("hypercore", [5])


def block_key(core_key: bytes, encryption_key: bytes) -> bytes:
    """What reads the blocks of one log and of no other that is encrypted with the same key."""
    return blake2b_256(_ENCRYPTION + core_key + encryption_key)


class BlockCipher:
    """Encrypts and decrypts the blocks of one log; `encryption_key` is 32 bytes that its readers share."""

    def __init__(self, core_key: bytes, encryption_key: bytes, *, bare: bool = False) -> None:
        if len(encryption_key) != KEY_SIZE:
            raise UsageError(f"An encryption key is {KEY_SIZE} bytes, not {len(encryption_key)}.")
        # Logs that npm's `hypercore` makes with `compat` have no manifest.
        self._use(blake2b_256(encryption_key, key=core_key) if bare else block_key(core_key, encryption_key))

    @classmethod
    def of_block_key(cls, key: bytes) -> Self:
        """The cipher of the one log whose `block_key` this is."""
        cipher = cls.__new__(cls)
        cipher._use(key)
        return cipher

    def _use(self, key: bytes) -> None:
        self._key = key
        self._blinding = blake2b_256(key)

    def encrypt(self, index: int, fork: int, block: bytes) -> bytes:
        """The stored form of the block at `index`, appended under `fork`."""
        number = index.to_bytes(8, "little")
        padding = xsalsa20(fork.to_bytes(8, "little"), number + bytes(16), self._blinding)
        return padding + xsalsa20(block, number + padding + bytes(8), self._key)

    def decrypt(self, index: int, stored: bytes) -> bytes:
        """The block whose stored form this is. Raises `InvalidProof` for one that is too short to be encrypted."""
        if len(stored) < PADDING:
            raise InvalidProof(f"Block {index} has {len(stored)} bytes, fewer than encryption adds.")
        return xsalsa20(stored[PADDING:], index.to_bytes(8, "little") + stored[:PADDING] + bytes(8), self._key)
