"""Encrypted frames: libsodium's secretstream (XChaCha20-Poly1305, tag MESSAGE, no additional data), length-prefixed.

This calls the binding inside PyNaCl directly. PyNaCl's public wrappers make two copies of each message, keep a third
for ever, and spend as long on a chat message as its encryption takes.
"""

from typing import Any, TypeAlias

from nacl._sodium import ffi, lib  # type: ignore[import-not-found]
from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_ABYTES,
    crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    crypto_secretstream_xchacha20poly1305_STATEBYTES,
)

from linkup_nb.errors import DecryptionError

LENGTH_SIZE = 3  # bytes of little-endian length before each frame
SEAL_SIZE = crypto_secretstream_xchacha20poly1305_ABYTES  # bytes that encryption adds to a message
HEADER_SIZE = crypto_secretstream_xchacha20poly1305_HEADERBYTES  # random bytes that begin a secretstream

Pointer: TypeAlias = Any  # C data; cffi has no types for it

_push = lib.crypto_secretstream_xchacha20poly1305_push
_pull = lib.crypto_secretstream_xchacha20poly1305_pull


def pointer(buffer: object) -> Pointer:
    """A pointer to the bytes of a writable buffer; keeps the buffer alive."""
    return ffi.from_buffer(buffer)


def _state(key: bytes, header: bytes) -> Pointer:
    """The initial state for a 32-byte key and a header, the same for the sender and the receiver."""
    state = ffi.new("unsigned char[]", crypto_secretstream_xchacha20poly1305_STATEBYTES)
    lib.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
    return state


class Sealer:
    """The sending end of a secretstream."""

    def __init__(self, key: bytes, header: bytes) -> None:
        self._state = _state(key, header)

    def seal(self, message: bytes) -> bytearray:
        """The next frame, with its length before it; frames must arrive in the order of these calls."""
        size = len(message)
        frame = bytearray(LENGTH_SIZE + SEAL_SIZE + size)
        frame[:LENGTH_SIZE] = (SEAL_SIZE + size).to_bytes(LENGTH_SIZE, "little")
        _push(self._state, ffi.from_buffer(frame) + LENGTH_SIZE, ffi.NULL, message, size, ffi.NULL, 0, 0)
        return frame


class Opener:
    """The receiving end of a secretstream."""

    def __init__(self, key: bytes, header: bytes) -> None:
        self._state = _state(key, header)

    def open(self, frame: Pointer, size: int) -> bytes:
        """The message in the next frame, of `size` bytes without its length; the frame is overwritten.

        Raises `DecryptionError` if it was forged, damaged, or is not the next one.
        """
        message = frame + 1
        if _pull(self._state, message, ffi.NULL, ffi.NULL, frame, size, ffi.NULL, 0):
            raise DecryptionError("A frame was forged or damaged on its way.")
        opened: bytes = ffi.buffer(message, size - SEAL_SIZE)[:]
        return opened
