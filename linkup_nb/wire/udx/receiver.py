"""The receiving half of a UDX stream: packets in any order become bytes in their order."""

from bisect import bisect_left
from collections import deque

from linkup_nb.wire.udx.packet import END, MAX_SACKS

RECEIVE_WINDOW = 4 * 1024 * 1024  # bytes held for the application; libudx's default too
MAX_EARLY = 16 * 1024  # packets held that came before their turn, however small they are


class Receiver:
    """Puts packets into order and reports what has arrived.

    `ack` is the number of the packet expected next; `ended` is set once all packets up to the peer's END have come.
    """

    def __init__(self) -> None:
        self.ack = 0
        self.ended = False
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._early: dict[int, tuple[bytes, bool]] = {}  # data, and whether it is the last
        self._early_bytes = 0
        self._starts: list[int] = []  # of the ranges of early packets, rising
        self._ends: list[int] = []

    @property
    def window(self) -> int:
        """How many bytes the peer may send beyond what is acknowledged."""
        return RECEIVE_WINDOW - self._unread_bytes if self._unread_bytes < RECEIVE_WINDOW else 0

    @property
    def readable(self) -> bool:
        """Whether `read` would return something."""
        return bool(self._unread)

    @property
    def newest(self) -> int:
        """The number after the last of all packets that have come."""
        return self._ends[-1] if self._ends else self.ack

    @property
    def early(self) -> bool:
        """Whether packets are held that came before their turn."""
        return bool(self._starts)

    def sacks(self) -> tuple[tuple[int, int], ...]:
        """The ranges of packets that came before their turn, as many as a packet can name."""
        return tuple(zip(self._starts[:MAX_SACKS], self._ends[:MAX_SACKS], strict=True))

    def read(self, limit: int | None = None) -> bytes:
        """Data that has come in order and was not read yet: all of it, or at most `limit` bytes, at least one."""
        if limit is not None and self._unread_bytes > limit:
            return self._read_some(limit)
        data = self._unread[0] if len(self._unread) == 1 else b"".join(self._unread)
        self._unread.clear()
        self._unread_bytes = 0
        return data

    def _read_some(self, limit: int) -> bytes:
        unread, size = self._unread, 0
        parts: list[bytes] = []
        while size + len(unread[0]) <= limit:
            part = unread.popleft()
            parts.append(part)
            size += len(part)
        if not parts:
            first = unread[0]
            parts, unread[0] = [first[:limit]], first[limit:]
            size = limit
        self._unread_bytes -= size
        return b"".join(parts)

    def receive(self, seq: int, kinds: int, payload: bytes) -> bool:
        """Take a packet of data or an END; false if it was dropped because it lies beyond what we agreed to hold."""
        if seq == self.ack and not self.ended:
            if self._unread_bytes >= RECEIVE_WINDOW:  # libudx oversteps it by part of a packet
                return False
            self._take(payload, bool(kinds & END))
            if self._starts:
                self._take_early()
            return True
        if seq < self.ack or self.ended or seq in self._early:
            return True
        if seq - self.ack > MAX_EARLY or self._unread_bytes + self._early_bytes >= RECEIVE_WINDOW:
            return False
        self._early[seq] = payload, bool(kinds & END)
        self._early_bytes += len(payload)
        self._add_to_ranges(seq)
        return True

    def takes_run(self, size: int) -> bool:
        """Whether packets of so many bytes can be taken by `receive_run`, if they come in order."""
        return not (self.ended or self._starts) and self._unread_bytes + size <= RECEIVE_WINDOW

    def receive_run(self, payloads: list[memoryview]) -> None:
        """Take packets that are the next ones, of data only."""
        data = b"".join(payloads)
        self.ack += len(payloads)
        self._unread.append(data)
        self._unread_bytes += len(data)

    def _take(self, payload: bytes, last: bool) -> None:
        self.ack += 1
        if payload:
            self._unread.append(payload)
            self._unread_bytes += len(payload)
        if last:
            self.ended = True
            self._early.clear()
            self._early_bytes = 0
            self._starts.clear()
            self._ends.clear()

    def _take_early(self) -> None:
        while self._starts and self._starts[0] == self.ack:
            payload, last = self._early.pop(self.ack)
            self._early_bytes -= len(payload)
            if self.ack + 1 == self._ends[0]:
                del self._starts[0], self._ends[0]
            else:
                self._starts[0] += 1
            self._take(payload, last)

    def _add_to_ranges(self, seq: int) -> None:
        starts, ends = self._starts, self._ends
        place = bisect_left(starts, seq)  # the first range beyond it
        joins_left = place > 0 and ends[place - 1] == seq
        joins_right = place < len(starts) and starts[place] == seq + 1
        if joins_left and joins_right:
            ends[place - 1] = ends[place]
            del starts[place], ends[place]
        elif joins_left:
            ends[place - 1] = seq + 1
        elif joins_right:
            starts[place] = seq
        else:
            starts.insert(place, seq)
            ends.insert(place, seq + 1)
