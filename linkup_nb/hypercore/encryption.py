"""Encrypted blocks, as hypercore 11 lays them out: 8 bytes of padding, the encrypted fork, then the ciphertext.

Both are XSalsa20 without authentication; the Merkle tree, which hashes the ciphertext, is what authenticates.
https://cr.yp.to/snuffle/xsalsa-20081128.pdf
"""

from collections.abc import Sequence
from struct import Struct

from nacl.bindings import crypto_secretbox

from linkup_nb.errors import InvalidProof, UsageError
from linkup_nb.wire.keys import KEY_SIZE, blake2b_256, namespace

PADDING = 8  # bytes that encryption adds to a block

(_ENCRYPTION,) = namespace("hypercore", [5])
_SIGMA = Struct("<4I").unpack(b"expand 32-byte k")
_words4 = Struct("<4I").unpack
_words8 = Struct("<8I")
_words16 = Struct("<16I")
_HIDDEN = 32  # bytes of key stream that libsodium's secretbox keeps for its own key
_BOX_TAG = 16  # bytes


class BlockCipher:
    """Encrypts and decrypts the blocks of one log; `encryption_key` is 32 bytes that its readers share."""

    def __init__(self, core_key: bytes, encryption_key: bytes) -> None:
        if len(encryption_key) != KEY_SIZE:
            raise UsageError(f"an encryption key is {KEY_SIZE} bytes, not {len(encryption_key)}")
        self._key = blake2b_256(_ENCRYPTION + core_key + encryption_key)
        self._blinding = blake2b_256(self._key)

    def encrypt(self, index: int, fork: int, block: bytes) -> bytes:
        """The stored form of the block at `index`, appended under `fork`."""
        number = index.to_bytes(8, "little")
        padding = xsalsa20(fork.to_bytes(8, "little"), number + bytes(16), self._blinding)
        return padding + xsalsa20(block, number + padding + bytes(8), self._key)

    def decrypt(self, index: int, stored: bytes) -> bytes:
        """The block whose stored form this is. Raises `InvalidProof` for one that is too short to be encrypted."""
        if len(stored) < PADDING:
            raise InvalidProof(f"block {index} has {len(stored)} bytes, fewer than encryption adds")
        return xsalsa20(stored[PADDING:], index.to_bytes(8, "little") + stored[:PADDING] + bytes(8), self._key)


def xsalsa20(data: bytes, nonce: bytes, key: bytes) -> bytes:
    """`data` xor the XSalsa20 key stream of a 24-byte nonce and a 32-byte key; the same call decrypts."""
    # PyNaCl has no bare XSalsa20. Its secretbox encrypts with the same key stream, from byte 32 on.
    subkey = _hsalsa20(nonce[:16], key)
    head = data[:_HIDDEN]
    stream = _salsa20_block(nonce[16:], subkey)[: len(head)]
    out = (int.from_bytes(head, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(head), "little")
    if len(data) <= _HIDDEN:
        return out
    return out + crypto_secretbox(data[_HIDDEN:], nonce, key)[_BOX_TAG:]


def _hsalsa20(nonce: bytes, key: bytes) -> bytes:
    state = _rounds(_layout(_words8.unpack(key), _words4(nonce)))
    return _words8.pack(*(state[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))


def _salsa20_block(nonce: bytes, key: bytes) -> bytes:
    """The first 64 bytes of key stream."""
    start = _layout(_words8.unpack(key), _words4(nonce + bytes(8)))
    return _words16.pack(*((a + b) & 0xFFFFFFFF for a, b in zip(start, _rounds(start), strict=True)))


def _layout(key: Sequence[int], nonce: Sequence[int]) -> list[int]:
    a, b, c, d = _SIGMA
    return [a, *key[:4], b, *nonce, c, *key[4:], d]


def _rounds(state: Sequence[int]) -> list[int]:
    """Twenty rounds: ten times over the columns, then over the rows."""
    x = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            t = x[a] + x[d] & 0xFFFFFFFF
            x[b] ^= t << 7 & 0xFFFFFFFF | t >> 25
            t = x[b] + x[a] & 0xFFFFFFFF
            x[c] ^= t << 9 & 0xFFFFFFFF | t >> 23
            t = x[c] + x[b] & 0xFFFFFFFF
            x[d] ^= t << 13 & 0xFFFFFFFF | t >> 19
            t = x[d] + x[c] & 0xFFFFFFFF
            x[a] ^= t << 18 & 0xFFFFFFFF | t >> 14
    return x


_COLUMNS = [(5 * i % 16, (5 * i + 4) % 16, (5 * i + 8) % 16, (5 * i + 12) % 16) for i in range(4)]
_ROWS = [(5 * i, *(4 * i + (i + j) % 4 for j in (1, 2, 3))) for i in range(4)]
_QUARTERS = _COLUMNS + _ROWS
