"""What is wrong with the feeds of a room, as far as one can see here."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from linkup_nb.rooms.memory.keys import short_id
from linkup_nb.rooms.memory.rows import FeedRow


class Fault(NamedTuple):
    """A feed of the identity `member`: why blocks of it are skipped and how many, or, with 0, why it is disputed."""

    member: bytes
    feed: str
    reason: str
    blocks: int = 0


def faults_of(feeds: Iterable[FeedRow], disputed: Mapping[bytes, str]) -> tuple[Fault, ...]:
    """The faults of the feeds of members; `disputed` has reasons by key."""
    found = []
    for row in feeds:
        if row.identity is None:
            continue
        if reason := disputed.get(row.key):
            found.append(Fault(row.identity, short_id(row.key), reason))
        if row.faults:
            found.append(Fault(row.identity, short_id(row.key), row.fault, row.faults))
    return tuple(found)
