"""Which blocks of a log somebody has."""

from collections.abc import Callable, Iterator

PAGE = 2**15  # blocks whose bits are kept, loaded and dropped together
_PAGE_BYTES = PAGE // 8
_FULL = bytes([0xFF]) * _PAGE_BYTES
_EMPTY = bytes(_PAGE_BYTES)


class Bitfield:
    """A set of block numbers, small when it is a beginning of the log; `contiguous` is how long that beginning is.

    `load(start, end)` gives the blocks that are set in a part of the log that was not looked at before.
    """

    def __init__(self, contiguous: int = 0, load: Callable[[int, int], list[int]] | None = None) -> None:
        self.contiguous = contiguous
        self._load = load
        self._pages: dict[int, bytes | bytearray] = {}  # a `bytes` is shared by many

    @property
    def pages(self) -> int:
        """How many pages it keeps, of 4 KiB each."""
        return sum(isinstance(page, bytearray) for page in self._pages.values())

    def count(self, start: int, end: int) -> int:
        """How many blocks of a range are set."""
        found = 0
        for page, first, last in _spans(start, end):
            if (page + 1) * PAGE <= self.contiguous:
                found += last - first
            elif (bits := self._bits(page)) is not _EMPTY:
                found += (int.from_bytes(bits, "little") >> first & (1 << last - first) - 1).bit_count()
        return found

    def has(self, index: int) -> bool:
        """Whether the block is set."""
        if index < self.contiguous:
            return True
        if self._load is None and index // PAGE not in self._pages:
            return False
        at = index % PAGE
        return bool(self._look(index // PAGE)[at >> 3] >> (at & 7) & 1)

    def set(self, start: int, length: int = 1) -> None:
        """Add blocks."""
        end = start + length
        if start <= self.contiguous:
            self.contiguous = max(self.contiguous, end)
        else:
            for number, first, last in _spans(start, end):
                _fill(self._page(number), first, last, True)
        while self.has(self.contiguous):  # has to look at the pages only
            page = self._look(self.contiguous // PAGE)
            at = self.contiguous % PAGE
            if at == 0 and page == _FULL:
                self.contiguous += PAGE
            elif not at & 7 and page[at >> 3] == 0xFF:
                self.contiguous += 8
            else:
                self.contiguous += 1
        self._prune()

    def clear(self, start: int, length: int) -> None:
        """Take blocks away."""
        if length <= 0:
            return
        end = start + length
        if start < self.contiguous:
            for page, first, last in _spans(end, max(end, self.contiguous)):
                _fill(self._page(page), first, last, True)
            self.contiguous = start
        known = [page for page in self._pages if start // PAGE <= page <= (end - 1) // PAGE]
        if self._load:
            known = [page for page, _, _ in _spans(start, end)]
        for page in known:
            first, last = max(start - page * PAGE, 0), min(end - page * PAGE, PAGE)
            _fill(self._page(page), first, last, False)

    def truncate(self, length: int) -> None:
        """Take every block from `length` on away."""
        self.contiguous = min(self.contiguous, length)
        for page in [page for page in self._pages if (page + 1) * PAGE > length]:
            if page * PAGE >= length:
                del self._pages[page]
            else:
                _fill(self._page(page), length - page * PAGE, PAGE, False)

    def words(self, start: int, length: int) -> bytes:
        """The bits of a range as 4-byte words; `start` and `length` are multiples of 32."""
        out = bytearray()
        for page, first, last in _spans(start, start + length):
            bits = bytearray(self._bits(page))
            out += bits[first // 8 : last // 8]
        return bytes(out)

    def set_words(self, start: int, words: bytes) -> None:
        """Replace a range, which starts at a multiple of 32, by the bits of some words."""
        end = start + 8 * len(words)
        if start < self.contiguous:
            self.clear(start, end - start)
        at = 0
        for page, first, last in _spans(start, end):
            size = (last - first) // 8
            self._page(page)[first // 8 : last // 8] = words[at : at + size]
            at += size
        self.set(self.contiguous, 0)

    def missing(self, start: int, end: int) -> Iterator[int]:
        """The blocks of a range that are not set, in order."""
        for number, first, last in _spans(max(start, self.contiguous), end):
            page = self._bits(number)
            at = first
            while at < last:
                if not at & 7 and page[at >> 3] == 0xFF:
                    at += 8
                    continue
                if not page[at >> 3] >> (at & 7) & 1:
                    yield number * PAGE + at
                at += 1

    def _bits(self, number: int) -> bytes | bytearray:
        """A page with the contiguous beginning filled in."""
        filled = self.contiguous - number * PAGE
        if filled >= PAGE:
            return _FULL
        page = self._look(number)
        if filled > 0:
            page = bytearray(page)
            _fill(page, 0, filled, True)
        return page

    def _look(self, number: int) -> bytes | bytearray:
        """A page to read."""
        page = self._pages.get(number)
        if page is None:
            if self._load is None:
                return _EMPTY
            found = self._load(number * PAGE, (number + 1) * PAGE)
            page = self._pages[number] = bytearray(_PAGE_BYTES) if found else _EMPTY
            if isinstance(page, bytearray):
                for index in found:
                    page[(index % PAGE) >> 3] |= 1 << (index & 7)
        return page

    def _page(self, number: int) -> bytearray:
        """A page to change."""
        page = self._look(number)
        if not isinstance(page, bytearray):
            page = self._pages[number] = bytearray(page)
        return page

    def _prune(self) -> None:
        """Drop the pages that the contiguous beginning covers."""
        for page in [page for page in self._pages if (page + 1) * PAGE <= self.contiguous]:
            del self._pages[page]


def _spans(start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The pages of a range, and where in each it begins and ends."""
    while start < end:
        page = start // PAGE
        stop = min(end, (page + 1) * PAGE)
        yield page, start - page * PAGE, stop - page * PAGE
        start = stop


def _fill(page: bytearray, first: int, last: int, value: bool) -> None:
    if first >= last:
        return
    low, high = first >> 3, last >> 3
    head, tail = 0xFF << (first & 7) & 0xFF, (1 << (last & 7)) - 1
    if low == high:
        head, tail = head & tail, 0
    if value:
        page[low] |= head
        page[low + 1 : high] = bytes([0xFF]) * max(high - low - 1, 0)
        if tail:
            page[high] |= tail
    else:
        page[low] &= ~head & 0xFF
        page[low + 1 : high] = bytes(max(high - low - 1, 0))
        if tail:
            page[high] &= ~tail & 0xFF
