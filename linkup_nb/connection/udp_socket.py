"""One UDP socket (IPv4, like all of the DHT) and its UDX streams: the only place where UDX meets the system.

On Linux one system call sends or receives up to 64 datagrams of a stream (`UDP_SEGMENT` and `UDP_GRO`, see udp(7)); a
single datagram takes as long in Python as all of them together.
"""

import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from linkup_nb.connection.addresses import offline
from linkup_nb.connection.udx_socket import PROBE, UdxSocket
from linkup_nb.errors import UsageError
from linkup_nb.wire.udx.events import Address, Datagrams, Event
from linkup_nb.wire.udx.packet import HEADER_SIZE

SOCKET_BUFFER = 4 * 1024 * 1024  # bytes requested each way; systems give what they allow
MAX_READS = 32  # batches taken in one turn of the loop, so that others have their turn too
IDLE_TIME = 0.00002  # seconds; had a datagram waited for us to be done, it would have been seen sooner
MAX_DATAGRAM = 65_536  # bytes

# From linux/udp.h and linux/in.h; Python names none of them.
_SOL_UDP = 17
_UDP_SEGMENT = 103
_UDP_GRO = 104
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DONT = 0
_IP_PMTUDISC_PROBE = 3
_LINUX = sys.platform == "linux"

_segment_size = struct.Struct("=H")
_received_size = struct.Struct("=i")


class UdpSocket(UdxSocket):
    """A `UdxSocket` over UDP, on a loop that must be able to watch sockets; raises `OSError` without the port."""

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
        super().__init__(on_event, on_datagram)
        self._buffer = memoryview(bytearray(MAX_DATAGRAM))
        self._socket = _open(host, port)
        self._in_batches = _LINUX and _batches(self._socket)
        self._loop.add_reader(self._socket, self._readable)

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()
        return host, port

    def send_datagram(self, data: bytes, address: Address) -> None:
        if not self._closed:
            with suppress(OSError):
                self._socket.sendto(data, address)

    def send_probe(self, address: Address, *, ttl: int | None = None) -> None:
        if ttl is None or self._closed:
            self.send_datagram(PROBE, address)
            return
        usual = self._socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self.send_datagram(PROBE, address)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, usual)

    def _release(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
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
            self.take(self._buffer[:size], segment, address, now)
            if was_idle and segment == size > HEADER_SIZE:
                break  # nothing else has come, most likely, or we are called again. Acknowledgements come bunched
        self.taken()

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
