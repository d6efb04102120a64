"""What happens on the streams of a UDX endpoint, and what it wants to be sent."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Address = tuple[str, int]


class Closing(Enum):
    """Why a stream is closed."""

    ENDED = "both ends have ended it, and all data has arrived"
    DESTROYED = "it was destroyed here"
    RESET = "the peer destroyed it"
    TIMED_OUT = "what was sent has not been acknowledged"
    IDLE = "the peer fell silent"


@dataclass(frozen=True, slots=True)
class DataReceived:
    """The DataReceived event is fired when `stream.read()` has something to return again; call it."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """The MessageReceived event is fired for each unordered message; some may be missing, or come twice."""

    stream_id: int
    message: bytes


@dataclass(frozen=True, slots=True)
class EndReceived:
    """The EndReceived event is fired when the peer has ended its side; `stream.read()` returns the last of its data.

    End or destroy our side when there is nothing left to write.
    """

    stream_id: int


@dataclass(frozen=True, slots=True)
class EndDelivered:
    """The EndDelivered event is fired when the peer has everything that was written, and knows that it is all.

    Destroy the stream if there is no use in waiting for the peer's end.
    """

    stream_id: int


@dataclass(frozen=True, slots=True)
class RoomToWrite:
    """The RoomToWrite event is fired when `stream.buffered`, having been over its high mark, has fallen far below."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """The AddressSeen event is fired when the first packet comes for a stream that is not connected yet.

    Connect it there if the peer may come from anywhere; whoever knows the stream's id can cause this.
    """

    stream_id: int
    address: Address


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The StreamClosed event is the last one of a stream; what was received can still be read."""

    stream_id: int
    closing: Closing


Event = DataReceived | MessageReceived | EndReceived | EndDelivered | RoomToWrite | AddressSeen | StreamClosed


class Datagrams(NamedTuple):
    """Datagrams to send to one address, one after the other in `data`, all of `segment_size` bytes but the last.

    One that `is_probe` must not be fragmented on its way; it is no loss if it cannot be sent.
    """

    address: Address
    data: bytes
    segment_size: int
    is_probe: bool = False
