"""Watching a connection: every frame that goes over it in either direction, without its contents."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from linkup_nb.channels import MessageStream, protocols_on
from linkup_nb.connection.frames import Interpreter, Part
from linkup_nb.errors import NodeClosed, UsageError
from linkup_nb.loops import from_any_loop
from linkup_nb.wire.secret_stream import FrameKind, SecretStream

if TYPE_CHECKING:
    import pandas as pd

MAX_FRAMES = 2048  # frames that a tap keeps; the oldest make room, and are counted
MAX_MEASURES = 2048  # measures that a tap keeps; the oldest make room
MEASURE_EVERY = 0.1  # seconds between measures while no frame passes
MEASURE_APART = 0.001  # seconds between two measures at least


class Direction(StrEnum):
    """Who sent a frame."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """One frame: its place among those seen by the tap, when it passed (unix seconds), and its bytes on the wire.

    `parts` are the messages in it that could be read, `omitted` is how many more there are.
    """

    number: int
    time: float
    direction: Direction
    kind: FrameKind
    size: int
    parts: tuple[Part, ...] = ()
    omitted: int = 0

    def __repr__(self) -> str:
        return f"<Frame {self.number}: {self.kind.value} {self.direction.value}, {self.size} bytes>"


class Measure(NamedTuple):
    """How a UDX stream was doing: when (unix seconds), its congestion window in bytes, its smoothed round trip."""

    time: float
    window: int
    rtt: float | None  # seconds


class Watchable(MessageStream, Protocol):
    """What a tap needs of a connection."""

    _loop: asyncio.AbstractEventLoop

    @property
    def congestion(self) -> tuple[int, float | None] | None:
        """The congestion window in bytes and the round trip in seconds; `None` where that is the kernel's matter."""

    def once(self, event: str, f: Callable[..., Any]) -> Any:
        """Call `f` at the next event of this name."""


class Tap:
    """The frames of one connection since `connection.tap()`, at most `MAX_FRAMES`; ends with it, or with `close`.

    `async for frame in tap` begins with the oldest that is kept and goes on as they come; one that is slower than the
    connection misses what the tap has dropped.
    """

    def __init__(self, connection: Watchable, stream: SecretStream) -> None:
        self._loop = connection._loop
        self.connection = connection
        self._stream = stream
        self._frames: deque[Frame] = deque(maxlen=MAX_FRAMES)
        self._measures: deque[Measure] = deque(maxlen=MAX_MEASURES)
        self._timer: asyncio.TimerHandle | None = None
        self._count = 0
        self._closed = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._interpreters: dict[Direction, Interpreter] = {}
        self._watch = self._saw
        self._call(self._begin)

    def __repr__(self) -> str:
        return f"<Tap on {self.connection!r}: {self._count} frames>"

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Those that are kept, oldest first."""
        return tuple(self._frames.copy())

    @property
    def measures(self) -> tuple[Measure, ...]:
        """How the congestion window and the round trip of a UDX stream have changed; none over TCP."""
        return tuple(self._measures.copy())

    @property
    def dropped(self) -> int:
        """How many frames have made room for later ones."""
        return self._count - len(self._frames)

    @property
    def closed(self) -> bool:
        """Whether no further frame will come."""
        return self._closed

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each message, and for each frame without one: a frame of several has as many rows.

        Raises `UsageError` where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UsageError("This needs pandas: run %pip install pandas, then try again.") from None
        rows = [_row(frame, part) for frame in self.frames for part in frame.parts or (None,)]
        table = pd.DataFrame(rows, columns=_COLUMNS)
        table["time"] = pd.to_datetime(table["time"], unit="s", utc=True)
        return table.astype({"channel": "Int64", "message_size": "Int64"})

    def close(self) -> None:
        """Watch no more; the frames seen so far stay."""
        with suppress(NodeClosed):
            self._call(self._end)

    async def __aiter__(self) -> AsyncIterator[Frame]:
        at = 0
        while frame := await self._next(at):
            at = frame.number + 1
            yield frame

    @from_any_loop
    async def _next(self, at: int) -> Frame | None:
        while not self._closed and self._count <= at:
            waiter = self._loop.create_future()
            self._waiting.add(waiter)
            try:
                await waiter
            finally:
                self._waiting.discard(waiter)
        return self._frames[max(0, at - self.dropped)] if self._count > at else None

    def _call(self, action: Callable[[], object]) -> None:
        """Do it on the connection's loop: now, if that is where we are."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            action()
            return
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:
            raise NodeClosed("This node has been closed; lu.start() makes a new one.") from None

    def _begin(self) -> None:
        ours, theirs = protocols_on(self.connection) or (None, None)
        self._interpreters = {Direction.SENT: Interpreter(ours), Direction.RECEIVED: Interpreter(theirs)}
        self._stream.watchers = (*self._stream.watchers, self._watch)
        self.connection.once("close", self._end)
        self._measure_on()
        if self.connection.closed:
            self._end()

    def _end(self, _: object = None) -> None:
        self._closed = True
        if self._timer:
            self._timer.cancel()
        self._stream.watchers = tuple(watch for watch in self._stream.watchers if watch is not self._watch)
        self._wake()

    def _saw(self, received: bool, kind: FrameKind, size: int, message: bytes) -> None:
        direction = Direction.RECEIVED if received else Direction.SENT
        parts, omitted = self._interpreters[direction].read(message) if message else ((), 0)
        self._frames.append(Frame(self._count, time.time(), direction, kind, size, parts, omitted))
        self._count += 1
        self._measure()
        self._wake()

    def _measure_on(self) -> None:
        """Frames alone do not show a stream that is waiting for acknowledgements."""
        if self.connection.congestion:
            self._measure()
            self._timer = self._loop.call_later(MEASURE_EVERY, self._measure_on)

    def _measure(self) -> None:
        now, found = time.time(), self.connection.congestion
        last = self._measures[-1] if self._measures else None
        if found and (last is None or (now - last.time >= MEASURE_APART and found != last[1:])):
            self._measures.append(Measure(now, *found))

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)


_COLUMNS = ["number", "time", "direction", "kind", "size", "protocol", "channel", "type", "message_size", "text"]


def _row(frame: Frame, part: Part | None) -> tuple[object, ...]:
    about = (part.protocol, part.channel, part.type, part.size, part.text) if part else ("", None, "", None, "")
    return frame.number, frame.time, frame.direction.value, frame.kind.value, frame.size, *about
