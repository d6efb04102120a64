"""Protomux: many protocols on one stream of messages.

Format: the npm package `protomux`. A frame is the sender's local id of a channel, a message type and a payload; channel
0 carries the control messages below and batches of frames. A channel is open once both ends have opened one of the same
protocol and id; closing it at one end closes it at both. The messages of one end keep their order.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, IntEnum
from typing import NamedTuple

from linkup_nb.errors import PeerRefused, ProtocolError, UsageError
from linkup_nb.wire.compact import Decoder, Encoder, encode_uint

MAX_CHANNELS = 2**16  # opened by the peer on one stream; JavaScript's Corestore opens one for each core it has
MAX_OFFERED = 32 * 1024 * 1024  # bytes, about, of channels that the peer opened and that are not answered yet
OFFER_OVERHEAD = 1024  # bytes, about, that such a channel takes besides its id and handshake
MAX_BATCH = 2**17  # frames that come in one message
MAX_NAME = 256  # bytes of a protocol's name, and of an id
HELD_HIGH_WATER = 32 * 1024  # bytes held for channels that are paused or not open yet; above it, stop reading
HELD_OVERHEAD = 64  # bytes, about, that a message takes besides its payload: empty ones are bounded too
SEND_HIGH_WATER = 256 * 1024  # bytes queued on one channel, above which `send` returns `False`
SEND_LOW_WATER = 64 * 1024  # bytes queued on one channel, at which it has `Drained`
BATCH_SIZE = 64 * 1024  # bytes of frames that go out as one batch


class Control(IntEnum):
    """The messages of channel 0."""

    BATCH = 0
    OPEN = 1
    REJECT = 2
    CLOSE = 3


class ChannelState(Enum):
    """The state of a channel."""

    OPENING = "opening"  # the peer has neither opened nor rejected it
    OPEN = "open"
    CLOSED = "closed"


class Offered(NamedTuple):
    """The peer opened a channel that this end has not: answer with `open` of the same, or with `reject`."""

    protocol: str
    id: bytes


class Opened(NamedTuple):
    """Both ends have opened a channel; `handshake` is the payload of the peer's open message."""

    channel: "Channel"
    handshake: bytes


class Received(NamedTuple):
    """A message arrived on an open channel."""

    channel: "Channel"
    type: int
    payload: bytes


class Drained(NamedTuple):
    """A channel is ready again after `send` returned `False`."""

    channel: "Channel"


class Closed(NamedTuple):
    """The peer closed a channel or rejected it."""

    channel: "Channel"


MuxEvent = Offered | Opened | Received | Drained | Closed


class Channel:
    """One protocol on the stream; made by `Protomux.open`."""

    def __init__(self, mux: "Protomux", protocol: str, id: bytes, local: int) -> None:
        self.protocol = protocol
        self.id = id
        self.state = ChannelState.OPENING
        self._mux = mux
        self._local = local
        self._remote = 0
        self._prefix = bytes(Encoder().uint(local))
        self._queued = 0
        self._full = False
        self._held: deque[tuple[int, bytes]] | None = None

    def __repr__(self) -> str:
        return f"<Channel {self.protocol} {self.id.hex()[:8]} {self.state.value}>"

    @property
    def unsent(self) -> int:
        """Bytes queued here that have not been sent."""
        return self._queued

    def send(self, type: int, payload: bytes) -> bool:
        """Queue a message; after `False`, wait for `Drained` before sending more. Raises `UsageError` once closed."""
        if self.state is ChannelState.CLOSED:
            raise UsageError(f"{self!r} is closed: open it again to send.")
        kind = encode_uint(type)
        self._queued += len(kind) + len(payload)
        self._mux._queue.append((self, kind, payload))
        self._full = self._full or self._queued > SEND_HIGH_WATER
        return not self._full

    def close(self) -> None:
        """Close at both ends, after what has been sent."""
        if self.state is not ChannelState.CLOSED:
            self._mux._control(Encoder().uint(Control.CLOSE).uint(self._local))
            self._mux._forget(self, notify=False)

    def pause(self) -> None:
        """Hold back what the peer sends on this channel until `resume`."""
        if self._held is None:
            self._held = deque()

    def resume(self) -> None:
        """Deliver the messages of this channel again, those held back first."""
        held, self._held = self._held, None
        self._mux._release(self, held or ())


class _Offer(NamedTuple):
    remote: int
    handshake: bytes
    held: deque[tuple[int, bytes]]

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return OFFER_OVERHEAD + len(self.handshake)


def split(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames in one message of the stream, each with its channel's id.

    Raises `DecodeError` where they are cut short, and `PeerRefused` after `MAX_BATCH`.
    """
    for number, start, end in _frames(message):
        yield number, message[start:end]


def _frames(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Each frame's channel, and where in the message it begins and ends."""
    if not message:
        return
    source = Decoder(message)
    number = source.uint()
    if number or not source.remaining or message[1] != Control.BATCH:
        yield number, source.at, len(message)
        return
    source.uint()
    number = source.uint()
    frames = 0
    while source.remaining:
        size = source.uint()
        frames += 1
        if frames > MAX_BATCH:
            raise PeerRefused(f"A message has at most {MAX_BATCH} frames.")
        if size:
            start = source.at
            source.skip(size)
            yield number, start, start + size
        else:
            number = source.uint()


class Protomux:
    """One end of a multiplexed stream; the owner moves the messages.

    After every call, act on `events` and send what `data_to_send` returns. While `congested`, do not read on.
    """

    def __init__(self) -> None:
        self._queue: deque[tuple[Channel | None, bytes, bytes]] = deque()  # large payloads are copied once, at the end
        self._events: list[MuxEvent] = []
        self._corks = 0
        self._held_bytes = 0
        self._local: dict[int, Channel | None] = {}
        self._free: list[int] = []
        self._remote: list[Channel | _Offer | None] = [None]  # number 0 is not a channel
        self._open = 0
        self._channels: dict[tuple[str, bytes], Channel] = {}
        self._waiting: dict[tuple[str, bytes], deque[int]] = {}
        self._offers: dict[tuple[str, bytes], _Offer] = {}
        self._offered_bytes = 0

    @property
    def congested(self) -> bool:
        """Whether so much is held for paused or opening channels that the stream should not be read on."""
        return self._held_bytes > HELD_HIGH_WATER

    @property
    def protocols(self) -> tuple[dict[int, str], dict[int, str]]:
        """The protocols of the channels, by our ids and by the peer's."""
        ours = {number: channel.protocol for number, channel in self._local.items() if channel}
        theirs = {channel._remote: channel.protocol for channel in self._channels.values() if channel._remote}
        return ours, theirs

    @property
    def unsent(self) -> int:
        """How many frames are queued here."""
        return len(self._queue)

    def open(self, protocol: str, id: bytes = b"", handshake: bytes = b"") -> Channel:
        """Open a channel, or accept the one that the peer offered. Raises `UsageError` if it is open here already."""
        name = (protocol, id)
        if name in self._channels:
            raise UsageError(f"{self._channels[name]!r} is open already: use that one, or close it first.")
        local = self._free.pop() if self._free else len(self._local) + 1
        channel = self._local[local] = self._channels[name] = Channel(self, protocol, id, local)
        self._control(Encoder().uint(Control.OPEN).uint(local).string(protocol).buffer(id).raw(handshake))
        offer = self._take_offer(name)
        if offer:
            self._pair(channel, offer.remote, offer.handshake)
            self._release(channel, offer.held)
        else:
            self._waiting.setdefault(name, deque()).append(local)
        return channel

    def is_pending(self, offer: Offered) -> bool:
        """Whether an offer of the peer's was neither taken, by opening the same channel, nor rejected since."""
        return (offer.protocol, offer.id) in self._offers

    def reject(self, offer: Offered) -> None:
        """Reject the channel that the peer offered."""
        refused = self._take_offer((offer.protocol, offer.id))
        if refused:
            self._drop(refused.held)
            self._control(Encoder().uint(Control.REJECT).uint(refused.remote))
            self._remote[refused.remote] = None

    def _take_offer(self, name: tuple[str, bytes]) -> _Offer | None:
        offer = self._offers.pop(name, None)
        if offer:
            self._offered_bytes -= offer.size
        return offer

    @contextmanager
    def cork(self) -> Iterator[None]:
        """Send the messages queued in this block as one batch, after the block."""
        self._corks += 1
        try:
            yield
        finally:
            self._corks -= 1

    def events(self) -> list[MuxEvent]:
        """The events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes | None:
        """The next message to send on the stream, `None` when there is none."""
        if self._corks or not self._queue:
            return None
        queue = self._queue
        channel, kind, payload = queue.popleft()
        size = len(kind) + len(payload)
        self._sent(channel, size)
        prefix = channel._prefix if channel else b"\x00"
        if not queue or size + len(queue[0][1]) + len(queue[0][2]) > BATCH_SIZE:
            return b"".join((prefix, kind, payload))
        parts, last = [b"\x00\x00", prefix, encode_uint(size), kind, payload], channel
        while queue:
            channel, kind, payload = queue[0]
            more = len(kind) + len(payload)
            if size + more > BATCH_SIZE:
                break
            queue.popleft()
            self._sent(channel, more)
            if channel is not last:
                parts += (b"\x00", channel._prefix if channel else b"\x00")
                last = channel
            parts += (encode_uint(more), kind, payload)
            size += more
        return b"".join(parts)

    def receive_data(self, message: bytes) -> None:
        """Take one message of the stream. Raises a `PeerError` if the peer breaks the protocol; then close it."""
        for number, start, end in _frames(message):
            self._receive(number, message, start, end)

    def _receive(self, number: int, message: bytes, start: int, end: int) -> None:
        """Take the frame that stands from `start` to before `end` of a message."""
        if number == 0:
            self._receive_control(Decoder(message[start:end]))
            return
        if number >= len(self._remote):
            raise ProtocolError(f"A message came for channel {number}, which was never opened.")
        to = self._remote[number]
        if to is None or start == end:
            return  # closed here while this was on its way
        if message[start] < 0xFD:
            type, payload = message[start], message[start + 1 : end]
        else:
            source = Decoder(message[start:end])
            type, payload = source.uint(), source.raw()
        held = to.held if isinstance(to, _Offer) else to._held
        if held is not None:
            held.append((type, payload))
            self._held_bytes += HELD_OVERHEAD + len(payload)
        elif isinstance(to, Channel):
            self._events.append(Received(to, type, payload))

    def _receive_control(self, source: Decoder) -> None:
        type = source.uint()
        number = source.uint()
        if type == Control.OPEN:
            name = (source.string(), source.buffer())
            self._receive_open(number, name, source.raw())
        elif type == Control.REJECT:
            self._receive_reject(number)
        elif type == Control.CLOSE:
            self._receive_close(number)
        else:
            raise ProtocolError(f"Protomux has no control message {type} here.")

    def _receive_open(self, number: int, name: tuple[str, bytes], handshake: bytes) -> None:
        if number == len(self._remote):
            self._remote.append(None)
        if not 0 < number < len(self._remote) or self._remote[number]:
            raise ProtocolError(f"Channel {number} was opened out of turn.")
        if max(len(name[0]), len(name[1])) > MAX_NAME:
            raise PeerRefused(f"The name of a channel has at most {MAX_NAME} bytes.")
        if len(self._remote) > MAX_CHANNELS:
            raise PeerRefused(f"At most {MAX_CHANNELS} channels may be open on one stream.")
        waiting = self._waiting.get(name)
        if waiting:
            local = waiting.popleft()
            if not waiting:
                del self._waiting[name]
            channel = self._local[local]
            if channel:
                self._pair(channel, number, handshake)
            else:
                self._free.append(local)  # closed before this answer came; our close is on its way
        elif name in self._channels or name in self._offers:
            self._control(Encoder().uint(Control.REJECT).uint(number))
        else:
            offer = _Offer(number, handshake, deque())
            self._offered_bytes += offer.size
            if self._offered_bytes > MAX_OFFERED:
                raise PeerRefused(f"Channels that wait for an answer take at most {MAX_OFFERED} bytes.")
            self._remote[number] = self._offers[name] = offer
            self._events.append(Offered(*name))

    def _receive_reject(self, number: int) -> None:
        name = next((name for name, waiting in self._waiting.items() if number in waiting), None)
        if name is None:
            raise ProtocolError(f"Channel {number} was rejected, which is not being opened.")
        self._waiting[name].remove(number)
        if not self._waiting[name]:
            del self._waiting[name]
        channel = self._local[number]
        self._free.append(number)
        if channel:
            self._forget(channel, notify=True)

    def _receive_close(self, number: int) -> None:
        closed = self._remote[number] if number < len(self._remote) else None
        if isinstance(closed, Channel):
            self._forget(closed, notify=True)
        elif closed:
            offered = Offered(*next(name for name, offer in self._offers.items() if offer is closed))
            self._events = [event for event in self._events if event != offered]
            self.reject(offered)  # the peer waits for an answer before it uses the number again

    def _pair(self, channel: Channel, remote: int, handshake: bytes) -> None:
        channel.state = ChannelState.OPEN
        channel._remote = remote
        self._remote[remote] = channel
        self._events.append(Opened(channel, handshake))

    def _forget(self, channel: Channel, *, notify: bool) -> None:
        """Remove a closed channel; `notify` if it was the peer that closed it."""
        if channel._remote:
            self._remote[channel._remote] = None
            self._free.append(channel._local)  # otherwise in use until the peer has answered the open
        channel.state = ChannelState.CLOSED
        self._local[channel._local] = None
        del self._channels[channel.protocol, channel.id]
        if channel._held:
            self._drop(channel._held)
        if notify:
            self._events.append(Closed(channel))

    def _release(self, channel: Channel, held: "deque[tuple[int, bytes]] | tuple[()]") -> None:
        for type, payload in held:
            self._held_bytes -= HELD_OVERHEAD + len(payload)
            self._events.append(Received(channel, type, payload))

    def _drop(self, held: deque[tuple[int, bytes]]) -> None:
        self._held_bytes -= sum(HELD_OVERHEAD + len(payload) for _, payload in held)
        held.clear()

    def _control(self, message: Encoder) -> None:
        self._queue.append((None, b"", bytes(message)))

    def _sent(self, channel: Channel | None, size: int) -> None:
        if channel:
            channel._queued -= size
            if channel._full and channel._queued <= SEND_LOW_WATER:
                channel._full = False
                if channel.state is not ChannelState.CLOSED:
                    self._events.append(Drained(channel))
