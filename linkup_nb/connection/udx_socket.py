"""One UDP socket (IPv4, like all of the DHT) and its UDX streams: the only place where UDX meets the system.

On Linux one system call sends or receives up to 64 datagrams of a stream (`UDP_SEGMENT` and `UDP_GRO`, see udp(7)); a
single datagram takes as long in Python as all of them together.
"""

import asyncio
import logging
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from secrets import randbits
from time import monotonic
from typing import ParamSpec

from linkup_nb.connection.addresses import offline
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.wire.udx.endpoint import Endpoint
from linkup_nb.wire.udx.events import Address, Datagrams, DataReceived, Event, StreamClosed
from linkup_nb.wire.udx.packet import HEADER_SIZE
from linkup_nb.wire.udx.stream import IDLE_TIMEOUT, Stream

SOCKET_BUFFER = 4 * 1024 * 1024  # bytes requested each way; systems give what they allow
MAX_READS = 32  # batches taken in one turn of the loop, so that others have their turn too
IDLE_TIME = 0.00002  # seconds; had a datagram waited for us to be done, it would have been seen sooner
MAX_DATAGRAM = 65_536  # bytes
TIMER_STEP = 0.001  # seconds
PROBE = b"\0"  # as in hyperdht

# From linux/udp.h and linux/in.h; Python names none of them.
_SOL_UDP = 17
_UDP_SEGMENT = 103
_UDP_GRO = 104
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DONT = 0
_IP_PMTUDISC_PROBE = 3
_LINUX = sys.platform == "linux"

log = logging.getLogger("linkup_nb")

P = ParamSpec("P")

_segment_size = struct.Struct("=H")
_received_size = struct.Struct("=i")


class UdxSocket:
    """Carries the datagrams of an endpoint on the running loop, which must be able to watch sockets.

    `on_event` is called with each event of a stream, `on_datagram` with what came to the port and is not UDX. Whoever
    is in `readers`, by the id of its stream here, is called instead when there is something to read.
    After calls on a stream, call `transmit_soon`. Raises `OSError` when the port cannot be had.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        on_event: Callable[[Event], None],
        on_datagram: Callable[[bytes, Address], None],
    ) -> None:
        if offline() and not host.startswith("127."):
            raise UsageError("LINKUP_OFFLINE is set: use an address 127.x.x.x.")
        self.endpoint = Endpoint()
        self.readers: dict[int, Callable[[], None]] = {}
        self._on_event = on_event
        self._on_datagram = on_datagram
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._busy_until = 0.0
        self._transmitting = False  # in this turn of the loop, or in the next
        self._unsent: deque[Datagrams] = deque()  # what the system had no room for
        self._buffer = memoryview(bytearray(MAX_DATAGRAM))
        self._closed = False
        self._socket = _open(host, port)
        self._in_batches = _LINUX and _batches(self._socket)
        self._loop.add_reader(self._socket, self._readable)

    @property
    def address(self) -> Address:
        """Where this socket is bound."""
        host, port = self._socket.getsockname()
        return host, port

    def open_stream(self, local_id: int | None = None, *, idle_timeout: float | None = IDLE_TIMEOUT) -> Stream:
        """A new stream, its id random if none is given; send the peer the id, and connect the stream to the peer's."""
        if self._closed:
            raise NodeClosed("This socket has been closed: start the node again.")
        if local_id is None:
            local_id = self.unused_id()
        return self.endpoint.open_stream(local_id, monotonic(), idle_timeout=idle_timeout)

    def unused_id(self) -> int:
        """A random id that no stream has."""
        while self.endpoint.has(unused := randbits(32)):
            pass
        return unused

    def connect_stream(self, stream: Stream, remote_id: int, address: Address) -> None:
        """Connect a stream of this socket."""
        stream.connect(remote_id, address, monotonic())
        self.transmit_soon()

    def send_datagram(self, data: bytes, address: Address) -> None:
        """Send one datagram that is not UDX; like any, it may be lost."""
        if not self._closed:
            with suppress(OSError):
                self._socket.sendto(data, address)

    def send_probe(self, address: Address, *, ttl: int | None = None) -> None:
        """Send a single byte, which opens a firewall of ours; after `ttl` routers, if that is given, it is dropped."""
        if ttl is None or self._closed:
            self.send_datagram(PROBE, address)
            return
        usual = self._socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self.send_datagram(PROBE, address)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, usual)

    def transmit_soon(self) -> None:
        """Send what streams have to send, once this turn of the loop is over."""
        if not self._transmitting and not self._closed:
            self._transmitting = True
            self._loop.call_soon(self._transmit)

    def close(self) -> None:
        """Destroy all streams, notify their peers, and give the port back."""
        if self._closed:
            return
        for stream in self.endpoint.streams:
            stream.destroy()
        self._transmit()
        self._closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        if self._timer:
            self._timer.cancel()
        self._socket.close()

    def _readable(self) -> None:
        now = monotonic()
        was_idle = now > self._busy_until + IDLE_TIME
        for _ in range(MAX_READS):
            try:
                size, ancillary, _, address = self._socket.recvmsg_into([self._buffer], 64)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue  # the system reports that an earlier datagram did not arrive
            segment = size
            for level, kind, data in ancillary:
                if level == _SOL_UDP and kind == _UDP_GRO:
                    (segment,) = _received_size.unpack(data)
            self._receive(size, segment, address, now)
            if was_idle and segment == size > HEADER_SIZE:
                break  # nothing else has come, most likely, or we are called again. Acknowledgements come bunched
        self._fire_events()
        self.transmit_soon()  # what is answered until then takes the acknowledgement with it

    def _receive(self, size: int, segment: int, address: Address, now: float) -> None:
        endpoint, buffer, start = self.endpoint, self._buffer, 0
        while start < size:
            start += endpoint.receive_run(buffer[start:size], segment, address, now)
            if start < size:
                datagram = buffer[start : min(start + segment, size)]
                start += segment
                if not endpoint.receive_datagram(datagram, address, now):
                    self._call(self._on_datagram, bytes(datagram), address)

    def _transmit(self) -> None:
        self._transmitting = False
        if self._closed:
            return
        if not self._unsent:
            self._send(deque(self.endpoint.datagrams_to_send(monotonic())))
        self._fire_events()
        due = self.endpoint.get_timer()
        if due is not None and not self._unsent and not self._transmitting and due < self._timer_at:
            self._set_timer(due)
        self._busy_until = monotonic()

    def _set_timer(self, due: float) -> None:
        """Wake up then; a timer that turns out to be early only looks for the next one."""
        if self._timer:
            self._timer.cancel()
        self._timer_at = due
        # libuv counts in whole steps: without one more, a timer is too early, and set again until its time has come
        delay = max(0.0, due - monotonic()) + TIMER_STEP
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, inf
        self.transmit_soon()  # after callbacks that are about to answer what has just come

    def _fire_events(self) -> None:
        while (event := self.endpoint.next_event()) is not None:
            stream_id = event.stream_id
            if type(event) is DataReceived and stream_id in self.readers:
                self._call(self.readers[stream_id])
            else:
                self._call(self._on_event, event)
            if type(event) is StreamClosed:
                self.readers.pop(stream_id, None)

    def _call(self, callback: Callable[P, None], *arguments: P.args, **named: P.kwargs) -> None:
        try:
            callback(*arguments, **named)
        except Exception:
            log.exception("A callback for what has come to a socket failed.")  # and must not stop the other streams

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket)
        unsent, self._unsent = self._unsent, deque()
        self._send(unsent)
        self._transmit()

    def _send(self, batches: deque[Datagrams]) -> None:
        while batches:
            batch = batches.popleft()
            try:
                if len(batch.data) <= batch.segment_size:
                    if batch.is_probe and _LINUX:
                        self._send_probe(batch)
                    else:
                        self._socket.sendto(batch.data, batch.address)
                elif self._in_batches:
                    how = [(_SOL_UDP, _UDP_SEGMENT, _segment_size.pack(batch.segment_size))]
                    self._socket.sendmsg([batch.data], how, 0, batch.address)
                else:
                    batches.extendleft(_one_by_one(batch)[::-1])
            except (BlockingIOError, InterruptedError):
                batches.appendleft(batch)
                self._unsent = batches
                self._loop.add_writer(self._socket, self._writable)
                return
            except OSError:
                # This path takes no batches, or not of this size; a single datagram is lost as on its way.
                if len(batch.data) > batch.segment_size:
                    batches.extendleft(_one_by_one(batch)[::-1])

    def _send_probe(self, batch: Datagrams) -> None:
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        try:
            self._socket.sendto(batch.data, batch.address)
        finally:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)


def _one_by_one(batch: Datagrams) -> list[Datagrams]:
    data, size = batch.data, batch.segment_size
    return [Datagrams(batch.address, data[start : start + size], size) for start in range(0, len(data), size)]


def _open(host: str, port: int) -> socket.socket:
    """A UDP socket that is bound and does not block."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        if _LINUX:
            opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        opened.bind((host, port))
    except BaseException:
        opened.close()
        raise
    return opened


def _batches(opened: socket.socket) -> bool:
    """Let the system hand over datagrams in batches; false if it can neither do that nor send them."""
    try:
        opened.setsockopt(_SOL_UDP, _UDP_GRO, 1)
        opened.getsockopt(_SOL_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True
