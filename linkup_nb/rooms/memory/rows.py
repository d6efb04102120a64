"""The rows of a room's index."""

from enum import IntFlag
from typing import NamedTuple

Place = tuple[int, int, int]
"""Where a row stands: its t, tie and seq."""


class State(IntFlag):
    """What is known of a row."""

    UNREAD = 1
    MENTIONS_ME = 2
    LATE = 4
    REFUSED = 64
    """Its heads contradict its place."""
    OUT_OF_ORDER = 256
    """Its place is not after that of the block before it, which was read later."""
    PRUNED = 512
    """Its text and its block were deleted here."""


class FeedRow(NamedTuple):
    """A feed and how much of it is read; see the table."""

    tie: int
    key: bytes
    identity: bytes | None = None
    device: bytes | None = None
    drive: bytes | None = None
    rejected: int = 0
    next: int = 0
    tau: int = 0
    low: int = 0
    high: int = 0
    high_tau: int = 0
    named: int = 0
    faults: int = 0
    fault: str = ""
    disputed: int | None = None
    rewritten: int = 0


class BlockRow(NamedTuple):
    """A block with its place in the order; `heads` and `body` are JSON, `body` the block where `text` is not all."""

    t: int
    tie: int
    seq: int
    arrival: int | None
    received: int
    timestamp: int
    kind: int
    channel: str
    state: int
    heads: bytes | None
    text: str | None
    body: bytes | None
    number: int | None


class Link(NamedTuple):
    """A block that refers to another: a reply, a reaction, an edit, a retraction."""

    tie: int
    seq: int
    kind: int
    t: int
    from_tie: int
    from_seq: int
    identity: bytes
    value: str | None


class Missing(NamedTuple):
    """A head that names a block which is not here."""

    tie: int
    seq: int
    t: int
    from_tie: int
    from_seq: int


class Held(NamedTuple):
    """How much of a feed of one's own a device has, and how much of it its owner has read."""

    device: bytes
    tie: int
    length: int
    read: int


class Mark(NamedTuple):
    """All that was seen by whoever wrote the first `length` blocks of a feed; `clock` is JSON, [[tie, length], …]."""

    tie: int
    length: int
    clock: bytes


class View(NamedTuple):
    """Some of the rows: of one channel, of what a vector clock names; `order` is the SQL index that has them in order.

    `column` numbers the rows as they come: the rows up to a number are a snapshot.
    """

    order: str
    column: str
    channel: str | None = None
    clock: tuple[tuple[int, int], ...] | None = None
    top: int | None = None
    """The greatest t in it, so that what is above is not looked at."""
    kinds: tuple[int, ...] = ()
    """Only blocks of these kinds, if any are named."""


CONVERSATION = View("ordered", "arrival")
TIMELINE = View("timeline", "number")


def channel_view(channel: str) -> View:
    """What people said in one channel."""
    return View("said", "arrival", channel)
