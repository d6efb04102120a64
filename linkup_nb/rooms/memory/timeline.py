"""The conversation of a room as a sequence that is read from the index as it is used, and never changes."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import overload

from linkup_nb.rooms.memory.index import Index
from linkup_nb.rooms.memory.message import RoomMessage
from linkup_nb.rooms.memory.rows import CONVERSATION, BlockRow, Place, View

_END = (2**63 - 1, 0, 0)
PAGE = 200  # rows that are read at a time


class Timeline(Sequence[RoomMessage]):
    """The messages of a room as they stood when it was taken, oldest first; `room.messages`.

    What arrives later is not in it, and what is taken out, for its author was removed, is not in it any more. Its
    length is known at once, and of 100,000 messages only those that are looked at are read.
    """

    def __init__(
        self, index: Index, arrived: int, build: Callable[[BlockRow], RoomMessage], view: View = CONVERSATION
    ) -> None:
        self._index = index
        self._arrived = arrived
        self._build = build
        self._view = view

    def __repr__(self) -> str:
        return f"<Timeline of {len(self):,} messages>"

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return self._index.number_of(self._arrived, self._view)

    @overload
    def __getitem__(self, number: int) -> RoomMessage: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[RoomMessage, ...]: ...
    def __getitem__(self, number: int | slice) -> RoomMessage | tuple[RoomMessage, ...]:
        if isinstance(number, slice):
            start, stop, step = number.indices(len(self))
            if step != 1:
                return tuple(self[i] for i in range(start, stop, step))
            first = self._nth(start) if start < stop else None
            return self._built([first, *self._after(first, stop - start - 1)]) if first else ()
        at = number + len(self) if number < 0 else number
        row = self._nth(at) if 0 <= at < len(self) else None
        if row is None:
            raise IndexError(f"This room has {len(self):,} messages, and none number {number}.")
        return self._build(row)

    def __iter__(self) -> Iterator[RoomMessage]:
        page = self._after((-1, 0, 0), PAGE)
        while page:
            yield from self._built(page)
            page = self._after(page[-1], PAGE)

    def __reversed__(self) -> Iterator[RoomMessage]:
        page = self._before(_END, PAGE)
        while page:
            yield from self._built(page)
            page = self._before(page[-1], PAGE)

    def last(self, count: int = 50) -> tuple[RoomMessage, ...]:
        """The newest messages, oldest first."""
        return self._built(self._before(_END, count)[::-1])

    def before(self, message: RoomMessage | Place, count: int = 50) -> tuple[RoomMessage, ...]:
        """The messages that stand right before one, or before a place (`message.place`), oldest first."""
        return self._built(self._before(_place(message), count)[::-1])

    def after(self, message: RoomMessage | Place, count: int = 50) -> tuple[RoomMessage, ...]:
        """The messages that stand right after one, or after a place."""
        return self._built(self._after(_place(message), count))

    def around(self, message: RoomMessage, count: int = 50) -> tuple[RoomMessage, ...]:
        """A message in the midst of its neighbours, about `count` of them."""
        half = count // 2
        return (*self.before(message, half), message, *self.after(message, count - half))

    def at(self, moment: datetime) -> tuple[RoomMessage, ...]:
        """The messages from a moment on, a page of them."""
        return self._built(self._after((int(moment.timestamp() * 1e6), -(2**63), 0), PAGE))

    def _nth(self, number: int) -> BlockRow | None:
        return self._index.nth(self._arrived, len(self), number, self._view)

    def _after(self, row: BlockRow | Place, count: int) -> list[BlockRow]:
        return self._index.said(self._arrived, after=_place(row), limit=count, view=self._view)

    def _before(self, row: BlockRow | Place, count: int) -> list[BlockRow]:
        return self._index.said_before(self._arrived, before=_place(row), limit=count, view=self._view)

    def _built(self, rows: Sequence[BlockRow]) -> tuple[RoomMessage, ...]:
        return tuple(map(self._build, rows))


def _place(row: BlockRow | RoomMessage | Place) -> Place:
    if isinstance(row, RoomMessage):
        return row.place
    return (row.t, row.tie, row.seq) if isinstance(row, BlockRow) else row
