"""The XSalsa20 stream cipher, which PyNaCl has inside and has no function for.

https://cr.yp.to/snuffle/xsalsa-20081128.pdf
"""

import ctypes
from collections.abc import Sequence
from struct import Struct
from typing import Any

from nacl.bindings import crypto_secretbox

_SIGMA = Struct("<4I").unpack(b"expand 32-byte k")
_words4 = Struct("<4I").unpack
_words8 = Struct("<8I")
_words16 = Struct("<16I")
_HIDDEN = 32  # bytes of key stream that libsodium's secretbox keeps for its own key
_BOX_TAG = 16  # bytes


def xsalsa20(data: bytes, nonce: bytes, key: bytes) -> bytes:
    """`data` xor the key stream of a 24-byte nonce and a 32-byte key; the same call decrypts."""
    if _native is None or not data:
        return in_python(data, nonce, key)
    out = bytearray(len(data))
    _native(ctypes.byref(ctypes.c_char.from_buffer(out)), data, len(data), nonce, key)
    return bytes(out)


def _find_native() -> Any:
    """libsodium's function, where PyNaCl's library shows it (as on Linux), or else `None`."""
    try:
        from nacl import _sodium

        function = ctypes.CDLL(_sodium.__file__).crypto_stream_xsalsa20_xor
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulonglong, ctypes.c_char_p, ctypes.c_char_p)
    return function


_native = _find_native()


def in_python(data: bytes, nonce: bytes, key: bytes) -> bytes:
    """The same where libsodium's function cannot be reached, at a quarter of a millisecond."""
    # PyNaCl's secretbox encrypts with the same key stream, from byte 32 on.
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
