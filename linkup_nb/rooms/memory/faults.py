"""What is wrong with the feeds of a room, as far as one can see here."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.rows import FeedRow

TOO_LONG = "It is longer than one talks in so many days: `room.allow(member)` fetches the rest."
REWRITTEN = "Its author has cut blocks off: what was there stays, and what came instead is not fetched."
TWO_COPIES = (
    "Two copies of its author's profile wrote it, and members may see different ones: where they part, its messages are"
    " not among the others, see `room.disputed`."
)


class Fault(NamedTuple):
    """A feed of the identity `member`: why blocks of it are skipped and how many, or, with 0, what else is wrong.

    `str(fault)` is one or two sentences for people.
    """

    member: bytes
    feed: str
    reason: str
    blocks: int = 0

    def __str__(self) -> str:
        if not self.blocks:
            return self.reason
        skipped = "1 block is skipped:" if self.blocks == 1 else f"{self.blocks:,} blocks are skipped, the last one:"
        return f"{skipped} {self.reason}"


def faults_of(feeds: Iterable[FeedRow], *reasons: Mapping[bytes, str]) -> tuple[Fault, ...]:
    """The faults of the feeds of members; `reasons`, by key, are those besides skipped blocks."""
    found = []
    for row in feeds:
        if row.identity is None:
            continue
        found += [Fault(row.identity, short_id(row.key), by_key[row.key]) for by_key in reasons if row.key in by_key]
        if row.faults:
            found.append(Fault(row.identity, short_id(row.key), row.fault, row.faults))
    return tuple(found)
