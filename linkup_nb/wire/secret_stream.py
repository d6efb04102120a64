"""A secret stream: a Noise handshake, then encrypted messages, over any stream of bytes.

Format: the npm package `@hyperswarm/secret-stream`. Every frame is a 3-byte little-endian length and a body. The bodies
are the three messages of Noise XX, then one of 56 bytes each way (the stream id, and the header of libsodium's
secretstream), then secretstream messages of tag MESSAGE, one a frame. An empty message is a keep-alive.

Where the handshake (Noise IK) is over before there is a stream, as between peers of the DHT, the bodies begin with
those of 56 bytes. Only this one proves to the responder that the initiator is there: what came before may be a replay.
"""

from collections.abc import Callable
from enum import Enum
from mmap import mmap

from linkup_nb.errors import DecodeError, FrameTooLarge, HandshakeError, PeerError, UsageError
from linkup_nb.wire.keys import blake2b_256, namespace
from linkup_nb.wire.noise import MESSAGE_SIZES, HandshakeResult, NoiseHandshake
from linkup_nb.wire.seal import HEADER_SIZE, LENGTH_SIZE, SEAL_SIZE, Opener, Sealer, pointer

ID_FRAME_SIZE = 32 + HEADER_SIZE  # bytes
MAX_FRAME = 2**24 - 1  # bytes of one frame; what its length can say
MAX_MESSAGE = MAX_FRAME - SEAL_SIZE  # bytes of one message
RECEIVE_BUFFER = 256 * 1024  # bytes taken from the transport at a time, more only for a frame that is larger

_INITIATOR, _RESPONDER = namespace("hyperswarm/secret-stream", [0, 1])


class SecretStreamState(Enum):
    """How far a secret stream has come."""

    HANDSHAKING = "handshaking"
    ESTABLISHED = "established"  # the peer's public key is known and proven
    OPEN = "open"  # both ends have confirmed; messages may be sent
    CLOSED = "closed"  # the peer violated the protocol


class FrameKind(Enum):
    """What a frame carries."""

    HANDSHAKE = "handshake"
    ID = "id"
    KEEP_ALIVE = "keep-alive"
    MESSAGE = "message"


Watcher = Callable[[bool, FrameKind, int, bytes], None]
"""Called for each frame: whether it was received, its kind, its size in bytes with the prefix, and the message."""


class SecretStream:
    """One end of a secret stream; the owner moves the bytes.

    `handshake` is a new one of XX, which is done here, or a finished one of IK: then an initiator's stream is
    established at once, a responder's with the first frame.
    `header` is 24 random bytes. With `remote_public_key`, any other peer fails the handshake, and an initiator does so
    before it has revealed its own key.
    After every call, send what `data_to_send` returns. Call `confirm` once the stream is established and wanted.
    Each of `watchers` is called for every frame from then on.
    """

    def __init__(
        self,
        handshake: NoiseHandshake,
        header: bytes,
        *,
        max_frame: int = MAX_FRAME,
        remote_public_key: bytes | None = None,
    ) -> None:
        self.state = SecretStreamState.HANDSHAKING
        self.initiator = handshake.initiator
        self.remote_public_key: bytes | None = None
        self.handshake_hash = b""
        self.keep_alives_received = 0
        self.watchers: tuple[Watcher, ...] = ()
        self._handshake = handshake
        self._handshake_sizes = list(MESSAGE_SIZES[1::2] if handshake.initiator else MESSAGE_SIZES[::2])
        self._max_frame = max_frame
        self._expected_key = remote_public_key
        self._header = header
        self._confirmed = False
        self._rx = b""
        self._sealer: Sealer
        self._opener: Opener | None = None  # there is one once the peer has confirmed
        self._to_send = bytearray()
        self._held_back = b""  # an initiator's last handshake message, which reveals its public key
        self._replace_buffer(RECEIVE_BUFFER)
        self._received = 0
        if handshake.result:
            self._handshake_sizes.clear()
            self._take_result(handshake.result)
            if handshake.initiator:
                self._establish()
        elif self.initiator:
            self._queue(FrameKind.HANDSHAKE, self._handshake.send())

    def data_to_send(self) -> bytes:
        """The handshake frames to send now; empty most of the time."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive_buffer(self) -> memoryview:
        """The buffer for the next bytes from the peer, at least one; fill it, then call `receive` with their number."""
        return self._view[self._received :]

    def receive(self, size: int) -> list[bytes]:
        """Take the `size` bytes put into `receive_buffer`; returns the messages that they complete, oldest first.

        Raises a `PeerError` when the peer violates the protocol: the stream is then closed; close its transport too.
        """
        self._received += size
        messages: list[bytes] = []
        try:
            self._take_frames(messages)
        except PeerError:
            self.state = SecretStreamState.CLOSED
            raise
        return messages

    @property
    def inside_frame(self) -> bool:
        """Whether the bytes received so far end in the middle of a frame."""
        return self._received > 0

    def confirm(self) -> None:
        """Accept this stream, once it is established; an initiator reveals its public key only now."""
        if self.state is not SecretStreamState.ESTABLISHED or self._confirmed:
            raise UsageError("Confirm a secret stream once, when it is established.")
        self._confirmed = True
        if self._held_back:
            self._queue(FrameKind.HANDSHAKE, self._held_back)
        self._queue(FrameKind.ID, self._id(self.initiator) + self._header)
        self._open_if_both_confirmed()

    def send(self, message: bytes) -> bytearray:
        """The frame that carries this message of at most `MAX_MESSAGE` bytes; an empty one is a keep-alive.

        Frames must go to the peer in the order of these calls.
        """
        if self.state is not SecretStreamState.OPEN:
            raise UsageError("Send messages once the secret stream is open.")
        if len(message) > MAX_MESSAGE:
            raise UsageError(f"A message has at most {MAX_MESSAGE} bytes, this one has {len(message)}.")
        frame = self._sealer.seal(message)
        if self.watchers:
            kind = FrameKind.MESSAGE if message else FrameKind.KEEP_ALIVE
            self._notify(False, kind, len(frame) - LENGTH_SIZE, message)
        return frame

    def _take_frames(self, messages: list[bytes]) -> None:
        buffer, received, start, needed = self._buffer, self._received, 0, 0
        while received - start >= LENGTH_SIZE:
            size = buffer[start] | buffer[start + 1] << 8 | buffer[start + 2] << 16
            if self._opener is None or not SEAL_SIZE <= size <= self._max_frame:
                self._check_size(size)
            needed = LENGTH_SIZE + size
            if needed > received - start:
                break
            body = start + LENGTH_SIZE
            start += needed
            needed = 0
            if self._opener is None:
                self._notify(True, FrameKind.HANDSHAKE if self._handshake_sizes else FrameKind.ID, size)
                self._take_handshake(bytes(self._view[body:start]))
            elif size > SEAL_SIZE:
                messages.append(self._opener.open(self._pointer + body, size))
                if self.watchers:
                    self._notify(True, FrameKind.MESSAGE, size, messages[-1])
            else:
                self._opener.open(self._pointer + body, size)
                self.keep_alives_received += 1
                self._notify(True, FrameKind.KEEP_ALIVE, size)
        self._keep_rest(start, needed)

    def _keep_rest(self, start: int, needed: int) -> None:
        """Move the beginning of an incomplete frame to the front of a buffer that will hold all of it."""
        view, rest = self._view, self._received - start
        if needed > len(view):
            self._replace_buffer(needed + RECEIVE_BUFFER)
        elif needed <= RECEIVE_BUFFER < len(view):
            self._replace_buffer(RECEIVE_BUFFER)
        if rest and (start or self._view is not view):
            self._view[:rest] = view[start : self._received]
        self._received = rest

    def _replace_buffer(self, size: int) -> None:
        self._buffer = mmap(-1, size)  # not a bytearray: pages take memory only once the peer has filled them
        self._view = memoryview(self._buffer)
        self._pointer = pointer(self._buffer)

    def _check_size(self, size: int) -> None:
        if self._opener is None:
            expected = self._handshake_sizes[0] if self._handshake_sizes else ID_FRAME_SIZE
            if size != expected:
                raise HandshakeError(f"The next frame of the handshake has {expected} bytes, the peer's has {size}.")
        elif size > self._max_frame:
            raise FrameTooLarge(f"A frame has at most {self._max_frame} bytes here, the peer's has {size}.")
        elif size < SEAL_SIZE:
            raise DecodeError(f"A frame has at least {SEAL_SIZE} bytes, the peer's has {size}.")

    def _take_handshake(self, frame: bytes) -> None:
        if not self._handshake_sizes:
            self._take_id(frame)
            return
        self._handshake.receive(frame)
        del self._handshake_sizes[0]
        if self._handshake.remote_public_key is None:
            self._queue(FrameKind.HANDSHAKE, self._handshake.send())
            return
        if self._expected_key not in (None, self._handshake.remote_public_key):
            raise HandshakeError("The peer has another public key than the one that was dialled.")
        if self.initiator:
            self._held_back = self._handshake.send()
        assert self._handshake.result
        self._take_result(self._handshake.result)
        self._establish()

    def _take_result(self, result: HandshakeResult) -> None:
        self.handshake_hash = result.hash
        self._rx = result.rx
        self._sealer = Sealer(result.tx, self._header)

    def _establish(self) -> None:
        self.remote_public_key = self._handshake.remote_public_key
        self.state = SecretStreamState.ESTABLISHED

    def _take_id(self, frame: bytes) -> None:
        if self._held_back and not self._confirmed:
            raise HandshakeError("The peer sent its stream id before the handshake was over.")
        stream_id, header = frame[:32], frame[32:]
        if stream_id != self._id(not self.initiator):
            raise HandshakeError("The peer's stream id belongs to another handshake.")
        self._opener = Opener(self._rx, header)
        if self.state is SecretStreamState.HANDSHAKING:
            self._establish()
        self._open_if_both_confirmed()

    def _queue(self, kind: FrameKind, body: bytes) -> None:
        self._to_send += len(body).to_bytes(LENGTH_SIZE, "little") + body
        self._notify(False, kind, len(body))

    def _notify(self, received: bool, kind: FrameKind, size: int, message: bytes = b"") -> None:
        for watch in self.watchers:
            watch(received, kind, LENGTH_SIZE + size, message)

    def _id(self, initiator: bool) -> bytes:
        return blake2b_256(_INITIATOR if initiator else _RESPONDER, key=self.handshake_hash)

    def _open_if_both_confirmed(self) -> None:
        if self._confirmed and self._opener:
            self.state = SecretStreamState.OPEN
