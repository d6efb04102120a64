"""What somebody had seen when they wrote: the vector clock of a block, found by following heads.

A vector clock says how much of each feed had been seen: {tie: length}. Every `EVERY` blocks of a feed its clock is
kept, so that not all of the past has to be followed again. What is kept makes it quick, never different.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from linkup_nb.rooms.memory.keys import tie_of_id
from linkup_nb.rooms.memory.rows import Mark, Place, State

EVERY = 256  # blocks of a feed between two clocks that are kept
PAGE = 10_000  # rows of the history that are read at a time
RECENT = 300_000  # lengths in the clocks that are held in memory while clocks are made: about 20 MB

Clock = dict[int, int]

_INCOMPLETE = 2**63  # in the place of a tie: something that was seen is not here
_HEADS = msgspec.json.Decoder(dict[str, int])
_MARK = msgspec.json.Decoder(list[tuple[int, int]])


class PastIndex(Protocol):
    """What is needed of the index."""

    def heads(self, tie: int, start: int, end: int) -> list[bytes]:
        """The heads that count of the blocks of a feed from `start` to before `end`."""

    def mark_at(self, tie: int, length: int) -> Mark | None:
        """The last clock that is kept of a feed up to this length."""

    def history(self, after: Place, limit: int) -> list[tuple[int, int, int, bytes | None, int]]:
        """(t, tie, seq, heads, state) of every block after a place, in order."""


def clock_of(index: PastIndex, seen: Mapping[int, int]) -> tuple[Clock, int]:
    """All that was seen by who had seen so much of these feeds; and how many heads were looked at for that."""
    past: Clock = dict(seen)
    followed = 0
    ranges = [(tie, 0, length) for tie, length in past.items()]
    while ranges:
        tie, low, high = ranges.pop()
        mark = index.mark_at(tie, high) if high - low >= EVERY else None
        if mark and mark.length > low:
            low = mark.length
            _merge(past, dict(_MARK.decode(mark.clock)))  # it has all that follows from it
        for heads in index.heads(tie, low, high):
            followed += 1
            for id, length in _HEADS.decode(heads).items():
                other = tie_of_id(id)
                known = past.get(other, 0)
                if known < length:
                    past[other] = length
                    ranges.append((other, known, length))
    return past, followed


def make_marks(index: PastIndex, lengths: Mapping[int, int]) -> Iterable[Mark]:
    """The clocks to keep, of feeds of which the first so many blocks are here; none from which something is missing.

    Follows the whole history once, in order: what a block names has then been there.
    """
    running: defaultdict[int, Clock] = defaultdict(dict)
    recent: defaultdict[int, deque[tuple[int, Clock]]] = defaultdict(deque)  # (length, its clock), the last ones
    most = max(1, RECENT // max(1, len(lengths)) ** 2)
    place: Place = (-1, 0, 0)
    while rows := index.history(place, PAGE):
        place = rows[-1][:3]
        for _, tie, seq, heads, state in rows:
            if seq >= lengths.get(tie, 0):
                continue
            clock = running[tie]
            if heads and not state & (State.REFUSED | State.OUT_OF_ORDER):
                for id, length in _HEADS.decode(heads).items():
                    other = tie_of_id(id)
                    if length > lengths.get(other, 0):
                        clock[_INCOMPLETE] = 1
                    elif length > clock.get(other, 0):
                        _merge(clock, _clock_at(index, recent[other], other, length))
            clock[tie] = seq + 1
            kept = recent[tie]
            if heads or not kept:
                kept.append((seq + 1, dict(clock)))
                if len(kept) > most:
                    kept.popleft()
            if (seq + 1) % EVERY == 0 and _INCOMPLETE not in clock:
                yield Mark(tie, seq + 1, msgspec.json.encode(list(clock.items())))


def _clock_at(index: PastIndex, recent: Iterable[tuple[int, Clock]], tie: int, length: int) -> Clock:
    for known, clock in reversed(list(recent)):
        if known <= length:
            return clock | {tie: length}  # no block between them names anything
    return clock_of(index, {tie: length})[0]


def _merge(clock: Clock, other: Mapping[int, int]) -> None:
    for tie, length in other.items():
        if length > clock.get(tie, 0):
            clock[tie] = length
