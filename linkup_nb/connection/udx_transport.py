"""A UDX stream as asyncio's transports are, so that a connection need not know what carries it."""

import asyncio
import errno
import os
from collections.abc import Callable
from time import monotonic

from linkup_nb.connection.udx_socket import UdxSocket
from linkup_nb.errors import UsageError
from linkup_nb.wire.udx.events import (
    Closing,
    EndDelivered,
    EndReceived,
    Event,
    RoomToWrite,
    StreamClosed,
)
from linkup_nb.wire.udx.stream import Stream, StreamState

SILENCE = 1.5  # seconds after our end, in which a peer that is there has acknowledged it


class UdxTransport(asyncio.Transport):
    """Carries what one protocol writes on a connected stream.

    Pass all events of the stream to `on_event`, then call `start` once. `on_lost` is called when the stream is over.
    """

    def __init__(self, udx: UdxSocket, stream: Stream, on_lost: Callable[[], None]) -> None:
        super().__init__()
        if stream.state is not StreamState.CONNECTED:
            raise UsageError("A stream carries a connection once it is connected: call connect_stream first.")
        self._udx = udx
        self._stream = stream
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._protocol: asyncio.BufferedProtocol
        self._reading_paused = False
        self._writing_paused = False
        self._eof_received = False
        self._eof_written = False
        self._ended_at: float | None = None
        self._end_delivered = False
        self._closing = False
        self._closed: StreamClosed | None = None
        self._lost = False

    def start(self, protocol: asyncio.BufferedProtocol) -> None:
        """Let the protocol have what has come and what will come."""
        self._protocol = protocol
        protocol.connection_made(self)
        self._udx.readers[self._stream.local_id] = self._deliver
        self._loop.call_soon(self._deliver)

    def on_event(self, event: Event) -> None:
        """Take an event of the stream."""
        match event:
            case EndReceived():
                self._deliver()
            case RoomToWrite():
                self._writing_paused = False
                self._protocol.resume_writing()
            case EndDelivered():
                self._end_delivered = True
                self._leave_if_done()
            case StreamClosed():
                self._closed = event
                self._deliver()

    def minimum_rtt(self) -> float | None:
        """The shortest round trip to the peer so far, in seconds."""
        return self._stream.minimum_rtt

    def congestion(self) -> tuple[int, float | None]:
        """The congestion window in bytes, and the smoothed round trip in seconds."""
        return self._stream.congestion

    def get_extra_info(self, name: str, default: object = None) -> object:
        """The peer's address, where it has last spoken from, is all that there is to know."""
        return self._stream.remote if name == "peername" else default

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        self._loop.call_soon(self._deliver)

    def get_write_buffer_size(self) -> int:
        return self._stream.buffered

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data, which must not be changed any more; what is written after the end is lost, as it is over TCP."""
        if self._closed or self._eof_written:
            return
        self._stream.write(data)
        self._udx.transmit_soon()
        if self._stream.over_high_mark and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """End our side. If nothing was sent, be gone without a sound: for the peer, a first packet is a connection."""
        if self._stream.untouched and not self._stream.buffered:
            self.abort()
        elif not (self._closed or self._eof_written):
            self._eof_written = True
            self._ended_at = monotonic()
            self._stream.end()
            self._udx.transmit_soon()

    def close(self) -> None:
        """Send what was written, and leave as soon as it has arrived, or if nothing comes from the peer any more."""
        self._closing = True
        self.write_eof()
        self._leave_if_done()
        self._loop.call_later(SILENCE, self._leave_if_silent)

    def abort(self) -> None:
        self._closing = True
        self._stream.destroy()
        self._udx.transmit_soon()

    def _leave_if_done(self) -> None:
        """A peer to which nothing more is sent may still write for ever."""
        if self._closing and self._end_delivered and not self._stream.receiver.ended:
            self.abort()

    def _leave_if_silent(self) -> None:
        if not self._lost and self._ended_at is not None and self._stream.received_at < self._ended_at:
            self.abort()

    def _deliver(self) -> None:
        stream, receiver, protocol = self._stream, self._stream.receiver, self._protocol
        while receiver.readable and not self._reading_paused:
            room = memoryview(protocol.get_buffer(-1))
            data = stream.read(len(room))
            room[: len(data)] = data
            protocol.buffer_updated(len(data))
            self._udx.transmit_soon()
        if not (receiver.ended or self._closed) or (receiver.readable and not self._closing):
            return
        if receiver.ended and not self._eof_received:
            self._eof_received = True
            protocol.eof_received()
            self.close()
        if self._closed and not self._lost:
            self._lost = True
            self._on_lost()
            protocol.connection_lost(_error(self._closed.closing))


def _error(closing: Closing) -> Exception | None:
    match closing:
        case Closing.ENDED | Closing.DESTROYED:
            return None
        case Closing.RESET:
            return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        case Closing.TIMED_OUT | Closing.IDLE:
            return TimeoutError(closing.value)
