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


class Row(NamedTuple):
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
