"""What ids of a DHT are called in a picture, and where they stand: by first bytes, as far as those tell them apart."""

from collections.abc import Iterable
from math import log2

_HEX = 8  # digits at most, of ids whose first bytes do not tell them apart


class Ids:
    """Names for ids of `bits` bits: 0 to 255, or hexadecimal digits where two of them share their first byte."""

    def __init__(self, ids: Iterable[int], bits: int) -> None:
        distinct = set(ids)
        self.bits = bits
        self.small = len({one >> bits - 8 for one in distinct}) == len(distinct)
        self._digits = next(
            (n for n in range(2, _HEX, 2) if len({one >> bits - 4 * n for one in distinct}) == len(distinct)), _HEX
        )

    def name(self, id: int) -> str:
        """What an id is called."""
        return str(id >> self.bits - 8) if self.small else f"{id >> self.bits - 4 * self._digits:0{self._digits}x}"

    def place(self, id: int) -> float:
        """Where it stands on a line from 0 to 1."""
        return round((id >> self.bits - 16) / 65536, 4)

    def shared(self, distance: int) -> float:
        """How many leading bits two ids at this distance share, with a fraction for where in its block one stands."""
        return round(self.bits - log2(distance), 2) if distance else float(self.bits)

    def away(self, distance: int) -> str:
        """A distance in words."""
        if self.small:
            return str(distance >> self.bits - 8)
        return f"under 2^{distance.bit_length()}"

    @property
    def what(self) -> str:
        """What the names are."""
        return "the first byte of each id" if self.small else f"the first {self._digits} digits of each id"


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shelves(places: list[float], names: list[str], most: int) -> list[int | None]:
    """Which of `most` rows has room for each label, in the middle over its place in pixels, sorted; `None` for none."""
    ends = [-1e9] * most
    found: list[int | None] = []
    for x, name in zip(places, names, strict=True):
        half = 3.2 * len(name) + 1.5
        row = next((row for row in range(most) if ends[row] <= x - half), None)
        if row is not None:
            ends[row] = x + half
        found.append(row)
    return found
