"""Whole numbers on a line, from left to right: versions of a drive, or a time."""

from linkup_nb.notebook.charts.card import GREY, Row, Spec, labels, rules

_TICKS = 7  # steps on the line at most


class Line:
    """Where the numbers from `first` to `last` stand between two places in pixels."""

    def __init__(self, first: int, last: int, left: float, right: float) -> None:
        self.first = first
        self._last = last
        self._left = left
        self._right = right
        self._span = max(1, last - first)

    def x(self, number: float) -> float:
        """The place of a number."""
        return round(self._left + (number - self.first) / self._span * (self._right - self._left), 1)

    def axis(self, top: float, end: float) -> list[Spec | None]:
        """Lines from `top` to `end` at some numbers, and those below."""
        steps = (part * 10**power for power in range(20) for part in (1, 2, 5))
        step = next(step for step in steps if self._span <= _TICKS * step)
        shown = {self.first, self._last}
        first = -(-self.first // step) * step
        room = 0.55 * step
        shown |= {n for n in range(first, self._last + 1, step) if room < n - self.first and room < self._last - n}
        lines: list[Row] = [{"x": self.x(n), "y": top, "x2": self.x(n), "y2": end} for n in sorted(shown)]
        numbers: list[Row] = [{"x": self.x(n), "y": end + 10, "label": f"{n:,}"} for n in sorted(shown)]
        return [rules(lines, colour="#dfe4e8"), labels(numbers, align="center", colour=GREY)]
