"""Many protocols on one connection: the one reader of a connection whose messages are Protomux frames."""

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable
from typing import Protocol

from linkup_nb.errors import ConnectionClosed, PeerError, PeerTimeout
from linkup_nb.loops import Tasks
from linkup_nb.wire.keys import short_key
from linkup_nb.wire.protomux import (
    Channel,
    ChannelState,
    Closed,
    Drained,
    MuxEvent,
    Offered,
    Opened,
    Protomux,
    Received,
)

TURN = 64  # events that are handled before what answers them leaves: one connection alone gains by many
MIN_TURN = 8  # events, among many connections, which wait meanwhile
MAX_UNSENT = 64 * 1024 * 1024  # bytes for one channel that the peer does not take
MAX_UNSENT_FRAMES = 2**18  # on one connection, likewise

log = logging.getLogger("linkup_nb")


class MessageStream(Protocol):
    """What channels need of a connection: messages in both directions, and an end."""

    initiator: bool
    handshake_hash: bytes
    remote_public_key: bytes
    closed: bool

    async def read(self) -> bytes:
        """The next message; raises `ConnectionClosed` at the end."""

    async def write(self, message: bytes) -> None:
        """Send a message; waits while the peer is slow, raises `ConnectionClosed` at the end."""

    async def close(self, reason: Exception | None = None) -> None:
        """End it."""


class Handler(Protocol):
    """The callbacks of a channel. What `opened`, `received` or `drained` raises closes the connection with that reason.

    Raise a `PeerError` for a fault of the peer; anything else is logged, as a fault on this side.
    """

    def opened(self, handshake: bytes) -> None:
        """Both ends have opened the channel."""

    def received(self, type: int, payload: bytes) -> None:
        """The peer sent a message."""

    def drained(self) -> None:
        """The channel is ready again after `send` returned `False`."""

    def ended(self) -> None:
        """The peer closed or rejected the channel, or the connection has ended; the last callback."""


Acceptor = Callable[[bytes], bool]
"""Called with the id of a channel that the peer opened: opens the same one and returns `True`, or `False` to reject."""

_channels: "weakref.WeakKeyDictionary[MessageStream, Channels]" = weakref.WeakKeyDictionary()


def protocols_on(connection: MessageStream) -> tuple[dict[int, str], dict[int, str]] | None:
    """The protocols of its channels, by our numbers and by the peer's; `None` if it has not been divided into any."""
    channels = _channels.get(connection)
    return channels._mux.protocols if channels else None


class Channels:
    """The channels of one connection; get them with `Channels.of`. All methods are for the loop that did so first."""

    def __init__(self, connection: MessageStream) -> None:
        self.connection = connection
        self._mux = Protomux()
        self._events: deque[MuxEvent] = deque()  # that are not handled yet
        self._handlers: dict[Channel, Handler] = {}
        self._acceptors: dict[str, list[Acceptor]] = {}
        self._at_end: list[Callable[[], object]] = []
        self._wake = asyncio.Event()
        self._relieved = asyncio.Event()
        self._reading = False  # whether the reader is at the events of a message
        self._given_up = False
        self._ended = False
        self._tasks = Tasks()
        self._tasks.start(self._read(), "reading channels")
        self._tasks.start(self._write(), "writing channels")

    @classmethod
    def of(cls, connection: MessageStream) -> "Channels":
        """The channels of this connection, made at the first call; from then on nobody else may read it."""
        if connection not in _channels:
            _channels[connection] = cls(connection)
        return _channels[connection]

    def accept(self, protocol: str, acceptor: Acceptor) -> None:
        """Call `acceptor` for each channel of this protocol that the peer opens."""
        self._acceptors.setdefault(protocol, []).append(acceptor)

    def refuse(self, protocol: str, acceptor: Acceptor) -> None:
        """Remove an acceptor."""
        self._acceptors[protocol].remove(acceptor)

    def on_end(self, action: Callable[[], object]) -> None:
        """Call `action()` when the connection has ended."""
        self._at_end.append(action)

    def off_end(self, action: Callable[[], object]) -> None:
        """Remove what `on_end` added."""
        if action in self._at_end:
            self._at_end.remove(action)

    def open(self, protocol: str, id: bytes, handshake: bytes, handler: Handler) -> Channel:
        """Open a channel, or accept the one that the peer opened; the callbacks of `handler` follow, `ended` the last.

        Raises `UsageError` if this end has it open already.
        """
        channel = self._mux.open(protocol, id, handshake)
        if self._ended:
            asyncio.get_running_loop().call_soon(self._notify, handler.ended)
        else:
            self._handlers[channel] = handler
        self._wake.set()
        return channel

    def send(self, channel: Channel, type: int, payload: bytes) -> bool:
        """Queue a message; after `False`, wait for `drained` before the next. Once it is closed, nothing is sent."""
        if channel.state is ChannelState.CLOSED:  # its handler is notified of that after what came before
            return True
        self._wake.set()
        ready = channel.send(type, payload)
        if (channel.unsent > MAX_UNSENT or self._mux.unsent > MAX_UNSENT_FRAMES) and not self._given_up:
            self._given_up = True
            self._tasks.start(self._end(PeerTimeout("The peer does not read what it is sent.")), "ending channels")
        return ready

    def close(self, channel: Channel) -> None:
        """Close a channel at both ends; no callback of its handler follows."""
        channel.close()
        self._handlers.pop(channel, None)
        self._wake.set()

    def resume(self, channel: Channel) -> None:
        """Deliver the messages of a paused channel again, those held back first."""
        channel.resume()
        self._relieved.set()
        self._wake.set()

    async def _read(self) -> None:
        try:
            while True:
                self._mux.receive_data(await self.connection.read())
                self._reading = True
                while self._handle_events():
                    self._wake.set()
                    await asyncio.sleep(0)  # what was answered leaves before the rest is looked at
                self._reading = False
                self._wake.set()
                while self._mux.congested:
                    self._relieved.clear()
                    await self._relieved.wait()
        except ConnectionClosed:
            await self._end(None)
        except Exception as error:  # noqa: BLE001  # whatever it is, who uses this connection is notified
            await self._end(error)

    async def _write(self) -> None:
        try:
            while True:
                self._handle_own_events()
                while (message := self._mux.data_to_send()) is not None:
                    await self.connection.write(message)
                    self._handle_own_events()
                self._wake.clear()
                await self._wake.wait()
        except ConnectionClosed:
            pass  # the reader ends the channels, after what has come before the end
        except Exception as error:  # noqa: BLE001
            await self._end(error)

    def _handle_own_events(self) -> None:
        """Handle what has come of this end's calls, unless the reader is at it."""
        while not self._reading and self._handle_events():
            pass

    def _handle_events(self) -> bool:
        """Handle the events of one turn; whether there are more."""
        events = self._events
        for _ in range(max(MIN_TURN, TURN // (len(_channels) or 1))):
            if not events:
                events.extend(self._mux.events())
                if not events:
                    return False
            event = events.popleft()
            if isinstance(event, Received):
                if handler := self._handlers.get(event.channel):
                    handler.received(event.type, event.payload)
            elif isinstance(event, Offered):
                acceptors = self._acceptors.get(event.protocol, ())
                # A channel may have been opened here since the peer's offer came.
                if self._mux.is_pending(event) and not any(acceptor(event.id) for acceptor in acceptors):
                    self._mux.reject(event)
            elif handler := self._handlers.get(event.channel):
                if isinstance(event, Opened):
                    handler.opened(event.handshake)
                elif isinstance(event, Drained):
                    handler.drained()
                elif isinstance(event, Closed):
                    del self._handlers[event.channel]
                    handler.ended()
        return True

    async def _end(self, reason: Exception | None) -> None:
        if self._ended:
            return
        self._ended = True
        _channels.pop(self.connection, None)  # else it would live for ever: what refers to it is its value there
        if not isinstance(reason, PeerError | None):
            peer = short_key(self.connection.remote_public_key)
            log.error("The connection with %s is closed: a handler of its channels failed.", peer, exc_info=reason)
        handlers, self._handlers = self._handlers, {}
        for handler in handlers.values():
            self._notify(handler.ended)
        for action in tuple(self._at_end):
            self._notify(action)
        await self.connection.close(reason)
        await self._tasks.cancel()

    def _notify(self, callback: Callable[[], object]) -> None:
        """Call back; what it raises is logged, and keeps nothing from the others."""
        try:
            callback()
        except Exception:
            log.exception("A handler failed at the end of its connection.")
