"""Rates as people write them."""

import re

from linkup_nb.errors import UsageError

_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMG]?)B/s\s*")
_FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def parse_rate(rate: str | float) -> float:
    """Bytes a second, of a number of them or a text like "1MB/s"; raises `UsageError`."""
    number = 0.0
    if isinstance(rate, str):
        if found := _RATE.fullmatch(rate):
            number = float(found[1]) * _FACTORS[found[2]]
    elif isinstance(rate, int | float) and not isinstance(rate, bool):
        number = float(rate)
    if not 0 < number < float("inf"):
        raise UsageError(f'A rate is a number of bytes a second, or text like "500kB/s" or "1MB/s", not {rate!r}.')
    return number
