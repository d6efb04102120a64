"""A secret stream: a Noise handshake, then encrypted messages, over any stream of bytes.

Format: the npm package `@hyperswarm/secret-stream`. Every frame is a 3-byte little-endian length and a body. The bodies
are the three messages of the handshake, then one of 56 bytes each way (whose stream this is, and the header of its
libsodium secretstream), then secretstream messages of tag 0, one a frame. An empty message is a keep-alive.

Where the peers have shaken hands already, as those of the DHT do while they look for a way to each other, the bodies
begin with those of 56 bytes. The responder knows only from this one that the initiator is there: what came before may
have been recorded and sent again.
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


class StreamState(Enum):
    """How far a secret stream has come."""

    HANDSHAKING = "handshaking"
    ESTABLISHED = "established"  # we know who the peer is
    OPEN = "open"  # both ends have confirmed; messages may be sent
    CLOSED = "closed"  # the peer broke the rules


class FrameKind(Enum):
    """What a frame is."""

    HANDSHAKE = "handshake"
    ID = "id"
    KEEP_ALIVE = "keep-alive"
    MESSAGE = "message"


Watcher = Callable[[bool, FrameKind, int, bytes], None]
"""Is told of a frame: whether it is the peer's, what it is, its bytes with the length before it, and the message."""


class SecretStream:
    """One end of a secret stream; the owner moves the bytes.

    `handshake` is one of XX that is to be done here, or one of IK that is over: then an initiator's stream is
    established at once, a responder's with the first frame.
    `header` is 24 random bytes. With `remote_public_key`, any other peer fails the handshake, and an initiator does so
    without having told who it is.
    After every call, send what `data_to_send` returns. Call `confirm` once the stream is established and wanted.
    Each of `watchers` is told of every frame from then on.
    """

    def __init__(
        self,
        handshake: NoiseHandshake,
        header: bytes,
        *,
        max_frame: int = MAX_FRAME,
        remote_public_key: bytes | None = None,
    ) -> None:
        self.state = StreamState.HANDSHAKING
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
        self._held_back = b""  # an initiator's last handshake message, which says who it is
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
        """What is to go to the peer now: handshake frames; nothing most of the time."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive_buffer(self) -> memoryview:
        """Where the next bytes from the peer are to be put, at least one; then call `receive` with their number."""
        return self._view[self._received :]

    def receive(self, size: int) -> list[bytes]:
        """Take the `size` bytes put into `receive_buffer`; returns the messages that they complete, oldest first.

        Raises a `PeerError` when the peer breaks the rules: the stream is then closed, and so should its transport be.
        """
        self._received += size
        messages: list[bytes] = []
        try:
            self._take_frames(messages)
        except PeerError:
            self.state = StreamState.CLOSED
            raise
        return messages

    @property
    def inside_frame(self) -> bool:
        """Whether the bytes received so far end in the middle of a frame."""
        return self._received > 0

    def confirm(self) -> None:
        """Agree to this stream, once it is established; an initiator says who it is only now."""
        if self.state is not StreamState.ESTABLISHED or self._confirmed:
            raise UsageError("a secret stream is confirmed once, when it is established")
        self._confirmed = True
        if self._held_back:
            self._queue(FrameKind.HANDSHAKE, self._held_back)
        self._queue(FrameKind.ID, self._id(self.initiator) + self._header)
        self._open_if_both_confirmed()

    def send(self, message: bytes) -> bytearray:
        """The frame that carries this message of at most `MAX_MESSAGE` bytes; an empty one is a keep-alive.

        Frames must go to the peer in the order of these calls.
        """
        if self.state is not StreamState.OPEN:
            raise UsageError("a message can be sent once the secret stream is open")
        if len(message) > MAX_MESSAGE:
            raise UsageError(f"a message holds at most {MAX_MESSAGE} bytes, this one has {len(message)}")
        frame = self._sealer.seal(message)
        if self.watchers:
            self._tell(False, FrameKind.MESSAGE if message else FrameKind.KEEP_ALIVE, len(frame) - LENGTH_SIZE, message)
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
                self._tell(True, FrameKind.HANDSHAKE if self._handshake_sizes else FrameKind.ID, size)
                self._take_handshake(bytes(self._view[body:start]))
            elif size > SEAL_SIZE:
                messages.append(self._opener.open(self._pointer + body, size))
                if self.watchers:
                    self._tell(True, FrameKind.MESSAGE, size, messages[-1])
            else:
                self._opener.open(self._pointer + body, size)
                self.keep_alives_received += 1
                self._tell(True, FrameKind.KEEP_ALIVE, size)
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
                raise HandshakeError(f"the handshake goes on with a frame of {expected} bytes, the peer's has {size}")
        elif size > self._max_frame:
            raise FrameTooLarge(f"a frame has at most {self._max_frame} bytes here, the peer's has {size}")
        elif size < SEAL_SIZE:
            raise DecodeError(f"a frame has at least {SEAL_SIZE} bytes, the peer's has {size}")

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
            raise HandshakeError("the peer is not the one that was asked for: its public key is another")
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
        self.state = StreamState.ESTABLISHED

    def _take_id(self, frame: bytes) -> None:
        if self._held_back and not self._confirmed:
            raise HandshakeError("the peer went ahead before the handshake was over")
        stream_id, header = frame[:32], frame[32:]
        if stream_id != self._id(not self.initiator):
            raise HandshakeError("the peer's stream belongs to another handshake")
        self._opener = Opener(self._rx, header)
        if self.state is StreamState.HANDSHAKING:
            self._establish()
        self._open_if_both_confirmed()

    def _queue(self, kind: FrameKind, body: bytes) -> None:
        self._to_send += len(body).to_bytes(LENGTH_SIZE, "little") + body
        self._tell(False, kind, len(body))

    def _tell(self, received: bool, kind: FrameKind, size: int, message: bytes = b"") -> None:
        for watch in self.watchers:
            watch(received, kind, LENGTH_SIZE + size, message)

    def _id(self, initiator: bool) -> bytes:
        return blake2b_256(_INITIATOR if initiator else _RESPONDER, key=self.handshake_hash)

    def _open_if_both_confirmed(self) -> None:
        if self._confirmed and self._opener:
            self.state = StreamState.OPEN
