"""A secret stream: a Noise handshake, then encrypted messages, over any stream of bytes.

Format: the npm package `@hyperswarm/secret-stream`. Every frame is a 3-byte little-endian length and a body. The bodies
are the three messages of the handshake, then one of 56 bytes each way (whose stream this is, and the header of its
libsodium secretstream), then secretstream messages of tag 0, one a frame. An empty message is a keep-alive.
"""

from enum import Enum

from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_ABYTES,
    crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    crypto_secretstream_xchacha20poly1305_init_pull,
    crypto_secretstream_xchacha20poly1305_pull,
    crypto_secretstream_xchacha20poly1305_push,
    crypto_secretstream_xchacha20poly1305_state,
)
from nacl.exceptions import CryptoError

from linkup_nb.errors import DecodeError, DecryptionError, FrameTooLarge, HandshakeError, PeerError, UsageError
from linkup_nb.wire.keys import KeyPair, blake2b_256, namespace
from linkup_nb.wire.noise import MESSAGE_SIZES, Handshake

LENGTH_SIZE = 3  # bytes of length before each frame
SEAL_SIZE = crypto_secretstream_xchacha20poly1305_ABYTES  # bytes that encryption adds to a message
HEADER_SIZE = crypto_secretstream_xchacha20poly1305_HEADERBYTES  # random bytes that begin a secretstream
ID_FRAME_SIZE = 32 + HEADER_SIZE  # bytes
MAX_FRAME = 2**24 - 1  # bytes of one frame; what its length can say
MAX_MESSAGE = MAX_FRAME - SEAL_SIZE  # bytes of one message

_INITIATOR, _RESPONDER = namespace("hyperswarm/secret-stream", [0, 1])


class State(Enum):
    """How far a secret stream has come."""

    HANDSHAKING = "handshaking"
    ESTABLISHED = "established"  # we know who the peer is
    OPEN = "open"  # both ends have confirmed; messages may be sent
    CLOSED = "closed"  # the peer broke the rules


class SecretStream:
    """One end of a secret stream; the owner moves the bytes.

    `header` is 24 random bytes and `ephemeral` a key pair for this stream alone. With `remote_public_key`, any other
    peer fails the handshake, and an initiator does so without having told who it is.
    After every call, send what `data_to_send` returns. Call `confirm` once the stream is established and wanted.
    """

    def __init__(
        self,
        initiator: bool,
        static: KeyPair,
        ephemeral: KeyPair,
        header: bytes,
        *,
        max_frame: int = MAX_FRAME,
        remote_public_key: bytes | None = None,
    ) -> None:
        self.state = State.HANDSHAKING
        self.initiator = initiator
        self.remote_public_key = remote_public_key
        self.handshake_hash = b""
        self.keep_alives_received = 0
        self._handshake = Handshake(initiator, static, ephemeral)
        self._handshake_sizes = list(MESSAGE_SIZES[1::2] if initiator else MESSAGE_SIZES[::2])
        self._max_frame = max_frame
        self._header = header
        self._encrypt = crypto_secretstream_xchacha20poly1305_state()
        self._decrypt = crypto_secretstream_xchacha20poly1305_state()
        self._rx = b""
        self._confirmed = False
        self._peer_confirmed = False
        self._received = bytearray()
        self._to_send = bytearray()
        self._held_back = b""  # an initiator's last handshake message, which says who it is
        if initiator:
            self._queue_frame(self._handshake.send())

    def data_to_send(self) -> bytes:
        """What is to go to the peer now: handshake frames; nothing most of the time."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take bytes from the peer as they come; returns the messages that they complete, oldest first.

        Raises a `PeerError` when the peer breaks the rules: the stream is then closed, and so should its transport be.
        """
        received = self._received
        received += data
        messages: list[bytes] = []
        start = 0
        try:
            while len(received) - start >= LENGTH_SIZE:
                size = int.from_bytes(received[start : start + LENGTH_SIZE], "little")
                self._check_size(size)
                end = start + LENGTH_SIZE + size
                if end > len(received):
                    break
                frame = bytes(received[start + LENGTH_SIZE : end])
                start = end
                if self._peer_confirmed:
                    message = self._open(frame)
                    if message:
                        messages.append(message)
                    else:
                        self.keep_alives_received += 1
                elif self.state is State.HANDSHAKING:
                    self._receive_handshake(frame)
                else:
                    self._receive_id(frame)
        except PeerError:
            self.state = State.CLOSED
            raise
        del received[:start]
        return messages

    @property
    def inside_frame(self) -> bool:
        """Whether the bytes received so far end in the middle of a frame."""
        return bool(self._received)

    def confirm(self) -> None:
        """Agree to this stream, once it is established; an initiator says who it is only now."""
        if self.state is not State.ESTABLISHED or self._confirmed:
            raise UsageError("a secret stream is confirmed once, when it is established")
        self._confirmed = True
        self._to_send += self._held_back
        role = _INITIATOR if self.initiator else _RESPONDER
        self._queue_frame(blake2b_256(role, key=self.handshake_hash) + self._header)
        self._open_if_both_confirmed()

    def send(self, message: bytes) -> bytes:
        """The frame that carries this message of at most `MAX_MESSAGE` bytes; an empty one is a keep-alive.

        Frames must go to the peer in the order of these calls.
        """
        if self.state is not State.OPEN:
            raise UsageError("a message can be sent once the secret stream is open")
        if len(message) > MAX_MESSAGE:
            raise UsageError(f"a message holds at most {MAX_MESSAGE} bytes, this one has {len(message)}")
        body = crypto_secretstream_xchacha20poly1305_push(self._encrypt, message)
        return len(body).to_bytes(LENGTH_SIZE, "little") + body

    def _check_size(self, size: int) -> None:
        if self._peer_confirmed:
            if size > self._max_frame:
                raise FrameTooLarge(f"a frame has at most {self._max_frame} bytes here, the peer's has {size}")
            if size < SEAL_SIZE:
                raise DecodeError(f"a frame has at least {SEAL_SIZE} bytes, the peer's has {size}")
            return
        expected = self._handshake_sizes[0] if self._handshake_sizes else ID_FRAME_SIZE
        if size != expected:
            raise HandshakeError(f"the handshake goes on with a frame of {expected} bytes, the peer's has {size}")

    def _receive_handshake(self, frame: bytes) -> None:
        self._handshake.receive(frame)
        del self._handshake_sizes[0]
        if self._handshake.remote_public_key is None:
            self._queue_frame(self._handshake.send())
            return
        if self.remote_public_key not in (None, self._handshake.remote_public_key):
            raise HandshakeError("the peer is not the one that was asked for: its public key is another")
        if self.initiator:
            self._held_back = _frame(self._handshake.send())
        result = self._handshake.result
        assert result is not None
        self.remote_public_key = result.remote_public_key
        self.handshake_hash = result.hash
        self._rx = result.rx
        # Both ends derive a secretstream from key and header alike, so this is init_push with a header of our choice.
        crypto_secretstream_xchacha20poly1305_init_pull(self._encrypt, self._header, result.tx)
        self.state = State.ESTABLISHED

    def _receive_id(self, frame: bytes) -> None:
        if not self._confirmed and self.initiator:
            raise HandshakeError("the peer went ahead before the handshake was over")
        stream_id, header = frame[:32], frame[32:]
        role = _RESPONDER if self.initiator else _INITIATOR
        if stream_id != blake2b_256(role, key=self.handshake_hash):
            raise HandshakeError("the peer's stream belongs to another handshake")
        crypto_secretstream_xchacha20poly1305_init_pull(self._decrypt, header, self._rx)
        self._peer_confirmed = True
        self._open_if_both_confirmed()

    def _open_if_both_confirmed(self) -> None:
        if self._confirmed and self._peer_confirmed:
            self.state = State.OPEN

    def _open(self, frame: bytes) -> bytes:
        try:
            message, _ = crypto_secretstream_xchacha20poly1305_pull(self._decrypt, frame)
        except CryptoError:
            raise DecryptionError("a frame was forged or damaged on its way") from None
        return message

    def _queue_frame(self, body: bytes) -> None:
        self._to_send += _frame(body)


def _frame(body: bytes) -> bytes:
    return len(body).to_bytes(LENGTH_SIZE, "little") + body
