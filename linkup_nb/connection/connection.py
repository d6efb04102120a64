"""One secret stream over TCP or UDX: messages in both directions, kept alive, never more in memory than agreed."""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Self, cast

from linkup_nb.connection import tcp
from linkup_nb.connection.tap import Tap
from linkup_nb.connection.udx_transport import UdxTransport
from linkup_nb.errors import ConnectionClosed, DecodeError, HandshakeError, LinkupError, PeerError, PeerTimeout
from linkup_nb.loops import Events, from_any_loop, on_own_loop
from linkup_nb.wire.keys import KeyPair, short_key
from linkup_nb.wire.noise import NoiseHandshake
from linkup_nb.wire.seal import HEADER_SIZE
from linkup_nb.wire.secret_stream import SecretStream, SecretStreamState

HANDSHAKE_TIMEOUT = 10.0  # seconds from the first byte to an open connection
KEEP_ALIVE = 5.0  # seconds; a period in which nothing was sent ends with an empty message
PEER_TIMEOUT = 15.0  # seconds of silence after which a peer that sends keep-alives is dead
WRITE_TIMEOUT = 30.0  # seconds in which a peer that we write to may take nothing
WRITE_CHECKS = 5  # looks at what has left, within that time
CLOSE_TIMEOUT = 5.0  # seconds for a connection that we close to send what was written
FAREWELL = 1.0  # seconds that a peer may take to close its end after ours
UDX_FAREWELL = 0.25  # seconds; over UDX, peers in JavaScript do not answer our end by theirs
SEND_HIGH_WATER = 128 * 1024  # bytes waiting to leave above which `write` waits
RECEIVE_HIGH_WATER = 256 * 1024  # bytes waiting to be read above which the peer has to wait
MESSAGE_OVERHEAD = 64  # bytes that a waiting message takes besides its own
TURN_SIZE = 256 * 1024  # bytes that one caller may write before everything else on the loop has its turn
BATCH_SIZE = 64 * 1024  # bytes of small frames that leave together


class Connection(Events):
    """An encrypted connection to one peer, made by `connect` or by a server, over "tcp" or "udx", its `transport`.

    Emits `open` and `close` (with the reason, `None` for an ordinary end). `async for message in connection` reads
    until it ends. A peer that violates the protocol is disconnected, with the violation as `close_reason`.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        handshake: NoiseHandshake,
        *,
        remote_public_key: bytes | None = None,
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.initiator = handshake.initiator
        self.public_key = handshake.public_key
        self.remote_public_key = b""
        self.handshake_hash = b""
        self.relayed = False
        """Whether a third peer passes on what goes over it, which it cannot read."""
        self.opened_at = 0.0
        self.bytes_sent = 0
        self.bytes_received = 0
        self.closed = False
        self.close_reason: Exception | None = None
        self._stream = SecretStream(handshake, os.urandom(HEADER_SIZE), remote_public_key=remote_public_key)
        self._transport = transport
        self._rtt: float | None = None
        self._handshake_sent_at = 0.0
        self._established = asyncio.Event()
        self._opened = asyncio.Event()
        self._ended = asyncio.Event()
        self._silent_ticks = 0
        self._sent_since_tick = False
        self._incoming: deque[bytes] = deque()
        self._incoming_size = 0
        self._readers: set[asyncio.Future[None]] = set()
        self._reading_paused = False
        self._turn = asyncio.Lock()
        self._writers = 0  # callers that wait for their turn or for room
        self._sent_in_turn = 0
        self._writing_paused = False
        self._writable = asyncio.Event()
        self._batch: list[bytearray] = []
        self._batch_size = 0
        self._spoke = False  # since the last bytes of the peer

        if isinstance(transport, UdxTransport):
            self.transport, self._minimum_rtt = "udx", transport.minimum_rtt
        else:
            sock: socket.socket = transport.get_extra_info("socket")
            tcp.prepare(sock, WRITE_TIMEOUT)
            transport.set_write_buffer_limits(high=SEND_HIGH_WATER)
            self.transport, self._minimum_rtt = "tcp", partial(tcp.minimum_rtt, sock)
        late = PeerTimeout(f"The handshake took over {HANDSHAKE_TIMEOUT:g} s.")
        self._timer = self._loop.call_later(HANDSHAKE_TIMEOUT, self._fail, late)
        self._send_handshake()
        self._note_progress()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open" if self._opened.is_set() else "opening"
        host, port = self.address
        peer = short_key(self.remote_public_key) if self.remote_public_key else "?"
        return f"Connection(to {peer} at {host}:{port}, {state})"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the peer, which may change while it is connected over UDX."""
        # One that was gone before we accepted its connection has no address any more.
        host, port = (self._transport.get_extra_info("peername") or ("", 0))[:2]
        return host, port

    @property
    def rtt(self) -> float | None:
        """Seconds to the peer and back: the shortest that was seen, where the system knows it, else the handshake's."""
        if not self.closed:
            self._rtt = self._minimum_rtt() or self._rtt
        return self._rtt

    @property
    def congestion(self) -> tuple[int, float | None] | None:
        """Bytes that may be in flight now and the smoothed round trip in seconds; `None` over TCP. See `tap`."""
        return self._transport.congestion() if isinstance(self._transport, UdxTransport) else None

    @from_any_loop
    async def write(self, message: bytes, *, timeout: float | None = WRITE_TIMEOUT) -> None:
        """Send one message of at most 16,777,198 bytes; messages leave in the order of the calls.

        Waits while more than `SEND_HIGH_WATER` bytes (UDX: `HIGH_MARK`) are on their way out. A peer that takes nothing
        for `timeout` seconds meanwhile is disconnected with `PeerTimeout`. Raises `ConnectionClosed` when the
        connection has ended.
        """
        sent = not (self._writers or self._writing_paused)
        if sent:
            self._send(message)
            self._sent_in_turn += len(message)
            if not self._writing_paused:
                if self._sent_in_turn > TURN_SIZE:
                    self._sent_in_turn = 0
                    await asyncio.sleep(0)
                return
        self._writers += 1
        try:
            async with self._turn:
                await self._room_to_write(timeout)
                if not sent:
                    self._send(message)
                    await self._room_to_write(timeout)
        finally:
            self._writers -= 1

    @from_any_loop
    async def read(self, *, timeout: float | None = None) -> bytes:
        """The next message; raises `TimeoutError` when none comes within `timeout` seconds, then call it again.

        Raises `ConnectionClosed` once the connection has ended and all its messages are read.
        """
        if not self._incoming:
            if timeout is None:
                await self._wait_for_message()
            else:
                async with asyncio.timeout(timeout):
                    await self._wait_for_message()
        message = self._incoming.popleft()
        self._incoming_size -= len(message) + MESSAGE_OVERHEAD
        if self._reading_paused and self._incoming_size <= RECEIVE_HIGH_WATER // 2:
            self._resume_reading()
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.read()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    def tap(self) -> Tap:
        """Watch the frames from now on, in both directions, until `close` of what this returns."""
        return Tap(self, self._stream)

    @from_any_loop
    async def established(self) -> None:
        """Wait until the peer has proven its key; raises the reason if the connection ends first. `confirm` is next."""
        await self._established.wait()
        self._raise_if_closed()

    @on_own_loop
    def confirm(self) -> None:
        """Agree to this connection; it opens when the peer has agreed too, see `opened`."""
        self._raise_if_closed()
        self._stream.confirm()
        self._send_handshake()
        self._note_progress()

    @from_any_loop
    async def opened(self) -> None:
        """Wait until both ends have confirmed; raises the reason if the connection ends first."""
        await self._opened.wait()
        self._raise_if_closed()

    @from_any_loop
    async def close(self, reason: Exception | None = None) -> None:
        """Send what was written, for at most `CLOSE_TIMEOUT` seconds, then end the connection and wait for its end."""
        self._finish(reason)
        await self._ended.wait()

    @from_any_loop
    async def wait_closed(self) -> None:
        """Wait for the end of the connection, whoever ends it."""
        await self._ended.wait()

    async def _wait_for_message(self) -> None:
        while not self._incoming:
            if self._ended.is_set():
                raise ConnectionClosed(self.close_reason)
            waiter = self._loop.create_future()
            self._readers.add(waiter)
            try:
                await waiter
            finally:
                self._readers.discard(waiter)

    def _raise_if_closed(self) -> None:
        if self.closed:
            raise self.close_reason or ConnectionClosed()

    async def _room_to_write(self, timeout: float | None) -> None:
        patience, waiting = WRITE_CHECKS, self._transport.get_write_buffer_size()
        while self._writing_paused and not self.closed:
            try:
                # In parts, so that a pause of this whole process is taken for one part of the peer's silence at most.
                async with asyncio.timeout(timeout and timeout / WRITE_CHECKS):
                    await self._writable.wait()
            except TimeoutError:
                patience, before, waiting = patience - 1, waiting, self._transport.get_write_buffer_size()
                if waiting < before:
                    patience = WRITE_CHECKS
                elif not patience:
                    self._fail(PeerTimeout(f"The peer has taken nothing of what was sent for {timeout:g} s."))
        if self.closed:
            raise ConnectionClosed(self.close_reason)

    def _send(self, message: bytes) -> None:
        """An answer leaves at once; what follows it in the same loop turn leaves together, in few system calls."""
        if self.closed:
            raise ConnectionClosed(self.close_reason)
        frame = self._stream.send(message)
        self._sent_since_tick = True
        self.bytes_sent += len(frame)
        if not (self._spoke or self._batch):
            self._spoke = True
            self._transport.write(frame)
            return
        if not self._batch:
            self._loop.call_soon(self._flush)
        self._batch.append(frame)
        self._batch_size += len(frame)
        if self._batch_size >= BATCH_SIZE:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._transport.write(b"".join(self._batch))
            self._batch.clear()
            self._batch_size = 0

    def _wake_readers(self) -> None:
        for waiter in self._readers:
            if not waiter.done():
                waiter.set_result(None)

    def _pause_writing(self) -> None:
        self._writing_paused = True
        self._writable.clear()

    def _resume_writing(self) -> None:
        self._writing_paused = False
        self._writable.set()

    def _resume_reading(self) -> None:
        self._reading_paused = False
        self._transport.resume_reading()

    def _send_handshake(self) -> None:
        data = self._stream.data_to_send()
        if data:
            self._handshake_sent_at = self._loop.time()
            self.bytes_sent += len(data)
            self._transport.write(data)

    def _receive(self, size: int) -> None:
        if self.closed:
            return
        self.bytes_received += size
        self._silent_ticks = 0
        self._spoke = False
        try:
            messages = self._stream.receive(size)
        except PeerError as error:
            self._fail(error)
            return
        if not self._opened.is_set():
            self._send_handshake()
            self._note_progress()
        if messages:
            self._incoming.extend(messages)
            self._incoming_size += sum(map(len, messages)) + MESSAGE_OVERHEAD * len(messages)
            self._wake_readers()
            if self._incoming_size > RECEIVE_HIGH_WATER and not self._reading_paused:
                self._reading_paused = True
                self._transport.pause_reading()

    def _note_progress(self) -> None:
        stream = self._stream
        if stream.remote_public_key and not self._established.is_set():
            self.remote_public_key = stream.remote_public_key
            self.handshake_hash = stream.handshake_hash
            self._rtt = self._loop.time() - self._handshake_sent_at if self._handshake_sent_at else None
            self._established.set()
        if stream.state is SecretStreamState.OPEN:
            self._timer.cancel()
            self._timer = self._loop.call_later(KEEP_ALIVE, self._tick)
            self.opened_at = time.time()
            self._opened.set()
            self.emit("open")

    def _tick(self) -> None:
        """Keep the connection alive, and notice a peer that no longer does.

        Silence is counted in ticks: a machine that slept has missed them all, so it does not blame the peer.
        """
        self._timer = self._loop.call_later(KEEP_ALIVE, self._tick)
        if not self._sent_since_tick and not self._writing_paused:
            self._send(b"")
        self._sent_since_tick = False
        if self._stream.keep_alives_received and not self._reading_paused:
            self._silent_ticks += 1
            if self._silent_ticks * KEEP_ALIVE > PEER_TIMEOUT:
                self._fail(PeerTimeout(f"The peer has been silent for over {PEER_TIMEOUT:g} s."))

    def _peer_ended(self) -> None:
        if not self._opened.is_set():
            self._end(HandshakeError("The peer hung up before the connection was open."))
        elif self._stream.inside_frame:
            self._end(DecodeError("The peer hung up in the middle of a frame."))
        else:
            self._flush()
            self._end(None)

    def _finish(self, reason: Exception | None) -> None:
        """Send what was written and our end, then wait for the end of the peer.

        Closing at once would reset the connection if bytes of the peer lie unread, and lose what we sent last.
        """
        if self.closed:
            return
        self._flush()
        self._end(reason)
        self._transport.write_eof()
        self._timer.cancel()
        self._timer = self._loop.call_later(UDX_FAREWELL if self.transport == "udx" else FAREWELL, self._leave)
        if self._reading_paused:
            self._resume_reading()

    def _leave(self) -> None:
        self._transport.close()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)

    def _fail(self, reason: LinkupError) -> None:
        """End the connection now; what was not sent yet is lost."""
        self._end(reason)
        self._transport.abort()

    def _end(self, reason: Exception | None) -> None:
        if not self.closed:
            self.closed = True
            self.close_reason = reason
            self._batch.clear()
            self._timer.cancel()
            self._timer = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)

    def _lost(self, error: Exception | None) -> None:
        self._end(_broken(error) if error else None)
        self._timer.cancel()
        for event in (self._established, self._opened, self._ended, self._writable):
            event.set()
        self._wake_readers()
        self.emit("close", self.close_reason)


class Protocol(asyncio.BufferedProtocol):
    """What the transport calls, passed on to the connection that `accept` makes of it, if any."""

    def __init__(self, accept: Callable[[asyncio.Transport], Connection | None]) -> None:
        self._accept = accept
        self.connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection = self._accept(cast(asyncio.Transport, transport))

    def get_buffer(self, sizehint: int) -> memoryview:
        assert self.connection
        return self.connection._stream.receive_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        assert self.connection
        self.connection._receive(nbytes)

    def eof_received(self) -> None:
        if self.connection:
            self.connection._peer_ended()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.connection:
            self.connection._lost(exc)

    def pause_writing(self) -> None:
        assert self.connection
        self.connection._pause_writing()

    def resume_writing(self) -> None:
        assert self.connection
        self.connection._resume_writing()


async def connect(
    host: str,
    port: int,
    key_pair: KeyPair | None = None,
    *,
    remote_public_key: bytes | None = None,
    timeout: float = HANDSHAKE_TIMEOUT,
    confirm: bool = True,
) -> Connection:
    """Connect to a peer that listens at `host` and `port`, as `key_pair` or as nobody in particular.

    With `remote_public_key`, a peer that cannot prove to own it gets `HandshakeError` and does not learn our key.
    The connection is open when this returns; with `confirm=False` it is only established, and waits for `confirm()`.
    Raises `PeerTimeout` after `timeout` seconds, `HandshakeError`, or `OSError` when nothing listens there.
    """
    own = key_pair or KeyPair.from_seed(os.urandom(32))
    loop = asyncio.get_running_loop()
    handshake = NoiseHandshake(True, own, KeyPair.from_seed(os.urandom(32)))
    protocol = Protocol(lambda transport: Connection(transport, handshake, remote_public_key=remote_public_key))
    try:
        async with asyncio.timeout(timeout):
            await loop.create_connection(lambda: protocol, host, port)
            assert protocol.connection
            await protocol.connection.established()
            if confirm:
                protocol.connection.confirm()
                await protocol.connection.opened()
            return protocol.connection
    except BaseException as error:
        late = PeerTimeout(f"{host}:{port} did not answer within {timeout:g} s.")
        if protocol.connection:
            protocol.connection._fail(late)
        if isinstance(error, TimeoutError):
            raise late from None
        raise


def adopt(transport: UdxTransport, handshake: NoiseHandshake) -> Connection:
    """The connection over a stream to a peer whose handshake is over; it is established: `confirm` it next."""
    protocol = Protocol(lambda transport: Connection(transport, handshake))
    transport.start(protocol)
    assert protocol.connection
    return protocol.connection


def _broken(error: Exception) -> PeerError:
    if isinstance(error, TimeoutError):
        return PeerTimeout("The peer no longer answers.")
    return PeerError(f"The connection broke: {error.strerror if isinstance(error, OSError) else error}.")
