"""UDX: many reliable streams over the datagrams of one socket.

Format: the C library `libudx`, version 1 of its protocol. There is no handshake: both ends learn each other's stream id
elsewhere, for instance in the messages of a Noise handshake. Nothing is authenticated; put a secret stream on top.
"""

from collections import Counter, deque
from heapq import heappop, heappush
from math import inf

from linkup_nb.errors import DecodeError, UsageError
from linkup_nb.wire.udx.events import Address, AddressSeen, Datagrams, Event, MessageReceived
from linkup_nb.wire.udx.joint import Joint, JointEnd
from linkup_nb.wire.udx.packet import HEADER, HEADER_SIZE, decode, is_udx
from linkup_nb.wire.udx.stream import IDLE_TIMEOUT, NOW, Stream, StreamState

MAX_STREAMS = 4096  # on one endpoint, those that linger included
MAX_FORWARDED = 1024  # packets of joined streams that wait to be sent on; more are dropped
MAX_EVENTS = 1024  # that wait to be taken; over it, messages and notices of strange addresses are dropped


class Endpoint:
    """The streams of one socket; the owner moves the datagrams and knows the time.

    `now` is in seconds, on a clock that never goes back. After every call, here or on a stream, take the events with
    `next_event`, send what `datagrams_to_send` returns, and call that again no later than at `get_timer`.
    """

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()  # packets, by reason
        self._streams: dict[int, Stream] = {}
        self._joints: dict[int, Joint] = {}
        self._forwarded: list[Datagrams] = []
        self._events: deque[Event] = deque()
        self._awake: dict[int, Stream] = {}  # those that may have something to send at once
        self._timers: list[tuple[float, int]] = []  # a heap; an entry counts if it is the one in `_timer_of`
        self._timer_of: dict[int, float] = {}  # for each stream the next time to look at it, never too late

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All streams that are not closed."""
        return tuple(self._streams.values())

    def has(self, local_id: int) -> bool:
        """Whether this id is taken."""
        return local_id in self._streams or local_id in self._joints

    def join(self, one: JointEnd, other: JointEnd, now: float) -> Joint:
        """Send on from now what comes for the one to the other, both of whose ids are not taken, until `part`."""
        joint = Joint(one, other, now)
        self._joints.update({one.local_id: joint, other.local_id: joint})
        return joint

    def part(self, joint: Joint) -> None:
        """Forward nothing any more; the peers are not notified, for they may have found a path of their own."""
        for end in joint.ends:
            self._joints.pop(end.local_id, None)

    def open_stream(self, local_id: int, now: float, *, idle_timeout: float | None = IDLE_TIMEOUT) -> Stream:
        """Make a stream to which the peer sends with this id, a random one of 32 bits; `connect` it once you can.

        Raises `UsageError` if there is one with this id, or there are too many.
        """
        if self.has(local_id):
            raise UsageError(f"This endpoint has a stream {local_id}: choose another id.")
        if len(self._streams) >= MAX_STREAMS:
            raise UsageError(f"An endpoint has at most {MAX_STREAMS} streams: close some, or open another socket.")
        stream = Stream(local_id, self._emit, self._count, self._wake, now, idle_timeout)
        self._streams[local_id] = stream
        self._wake(stream)
        return stream

    def receive_datagram(self, data: bytes | memoryview, address: Address, now: float) -> bool:
        """Take a datagram; false if it is not UDX, and so may be meant for another user of the socket.

        A packet that no peer would send, or that belongs to no stream, is counted in `dropped`.
        """
        if not is_udx(data):
            return False
        if self._joints and (joint := self._joints.get(local_id := HEADER.unpack_from(data)[3])):
            self._forward(joint, local_id, data, address, now)
            return True
        try:
            packet = decode(data)
        except DecodeError:
            self._count("not a UDX packet")
            return True
        stream = self._streams.get(packet.stream_id)
        if stream is None:
            self._count("no such stream")
        else:
            stream.receive(packet, address, now)
        return True

    def receive_run(self, batch: memoryview, size: int, address: Address, now: float) -> int:
        """Take those datagrams at the beginning of a batch that are the next data of one stream, as most are.

        All datagrams have `size` bytes, but the last may be smaller. Returns how many bytes of the batch it took; the
        next datagram is one for `receive_datagram`.
        """
        if len(batch) <= HEADER_SIZE:
            return 0
        stream = self._streams.get(HEADER.unpack_from(batch)[3])
        return stream.receive_run(batch, size, address, now) if stream is not None else 0

    def datagrams_to_send(self, now: float) -> list[Datagrams]:
        """What is to be sent now, in this order."""
        out, self._forwarded = self._forwarded, []
        while self._timers and self._timers[0][0] <= now:
            timer, local_id = heappop(self._timers)
            if self._timer_of.get(local_id) == timer:
                del self._timer_of[local_id]
                self._wake(self._streams[local_id])
        due, self._awake = self._awake, {}
        for local_id, stream in due.items():
            at = stream.wake_at
            if at is None or at <= now:
                out += stream.datagrams_to_send(now)
                at = stream.wake_at
                self._awake.pop(local_id, None)
                if stream.state is StreamState.CLOSED:
                    del self._streams[local_id]
                    self._timer_of.pop(local_id, None)
                    continue
            if at is not None and at < self._timer_of.get(local_id, inf):
                self._timer_of[local_id] = at  # or before: most timers are put off many times before they end
                heappush(self._timers, (at, local_id))
        return out

    def get_timer(self) -> float | None:
        """When `datagrams_to_send` is to be called at the latest; `None` if only calls of yours change anything."""
        return NOW if self._awake or self._forwarded else self._next_timer()

    def next_event(self) -> Event | None:
        """The oldest event that was not taken yet."""
        return self._events.popleft() if self._events else None

    def _forward(self, joint: Joint, local_id: int, data: bytes | memoryview, address: Address, now: float) -> None:
        to, packet = joint.carry(local_id, data, address, now)
        if not packet or len(self._forwarded) >= MAX_FORWARDED:
            self._count("packet to send on over a limit, or not from the peer")
        else:
            self._forwarded.append(Datagrams(to, packet, len(packet)))

    def _next_timer(self) -> float | None:
        timers = self._timers
        while timers and self._timer_of.get(timers[0][1]) != timers[0][0]:
            heappop(timers)
        return timers[0][0] if timers else None

    def _wake(self, stream: Stream) -> None:
        self._awake[stream.local_id] = stream

    def _emit(self, event: Event) -> bool:
        if isinstance(event, (MessageReceived, AddressSeen)) and len(self._events) >= MAX_EVENTS:
            return False
        self._events.append(event)
        return True

    def _count(self, reason: str) -> None:
        self.dropped[reason] += 1
