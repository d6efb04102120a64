"""UDX streams over whatever carries datagrams: what is due is sent, what comes reaches its stream, timers are kept."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from math import inf
from secrets import randbits
from time import monotonic
from typing import ParamSpec, Protocol

from linkup_nb.errors import NodeClosed
from linkup_nb.wire.udx.endpoint import Endpoint
from linkup_nb.wire.udx.events import Address, Datagrams, DataReceived, Event, StreamClosed
from linkup_nb.wire.udx.stream import IDLE_TIMEOUT, Stream

TIMER_STEP = 0.001  # seconds
PROBE = b"\0"  # as in hyperdht

log = logging.getLogger("linkup_nb")

P = ParamSpec("P")


class UdxSocket(ABC):
    """Carries the datagrams of an endpoint on the running loop; `UdpSocket` does so over the system's UDP.

    `on_event` is called with each event of a stream, `on_datagram` with what came to the port and is not UDX. Whoever
    is in `readers`, by the id of its stream here, is called instead when there is something to read.
    After calls on a stream, call `transmit_soon`.
    """

    def __init__(self, on_event: Callable[[Event], None], on_datagram: Callable[[bytes, Address], None]) -> None:
        self.endpoint = Endpoint()
        self.readers: dict[int, Callable[[], None]] = {}
        self._on_event = on_event
        self._on_datagram = on_datagram
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._busy_until = 0.0
        self._transmitting = False  # in this turn of the loop, or in the next
        self._unsent: deque[Datagrams] = deque()  # what there was no room for
        self._closed = False

    @property
    @abstractmethod
    def address(self) -> Address:
        """Where this socket is bound."""

    @abstractmethod
    def send_datagram(self, data: bytes, address: Address) -> None:
        """Send one datagram that is not UDX; like any, it may be lost."""

    @abstractmethod
    def send_probe(self, address: Address, *, ttl: int | None = None) -> None:
        """Send a single byte, which opens a firewall of ours; after `ttl` routers, if that is given, it is dropped."""

    @abstractmethod
    def _send(self, batches: deque[Datagrams]) -> None:
        """Send them all; those for which there is no room become `_unsent` and are sent later."""

    @abstractmethod
    def _release(self) -> None:
        """Give the port back."""

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
        if self._timer:
            self._timer.cancel()
        self._release()

    def take(self, received: memoryview, segment: int, address: Address, now: float) -> None:
        """Take datagrams that have come from one address, each of `segment` bytes but the last; call `taken` after."""
        endpoint, start = self.endpoint, 0
        while start < len(received):
            start += endpoint.receive_run(received[start:], segment, address, now)
            if start < len(received):
                datagram = received[start : start + segment]
                start += segment
                if not endpoint.receive_datagram(datagram, address, now):
                    self._call(self._on_datagram, bytes(datagram), address)

    def taken(self) -> None:
        """Report what has happened, and let what is answered until this turn of the loop ends go out together."""
        self._fire_events()
        self.transmit_soon()

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


class OpenSocket(Protocol):
    """Opens a socket on `host` and `port`, 0 for a free one; raises `OSError` when it cannot be had."""

    def __call__(
        self,
        host: str,
        port: int,
        *,
        on_event: Callable[[Event], None],
        on_datagram: Callable[[bytes, Address], None],
    ) -> UdxSocket: ...
