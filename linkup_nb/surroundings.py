"""What the program around this peer hands in, a notebook as a rule: the floors below it know no Jupyter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`bar` gives the class of progress bars for the cell that asks, with `tqdm`'s interface; `None` for no cell.

    `show` gives what a cell shows of a value: data and metadata by MIME type.

    `proxy` gives the address under which a browser finds this machine's ports, as in `https://hub/user/me/proxy` for
    `…/proxy/8080`, or only its path; `None` where the browser runs on this machine.
    """

    show: Callable[[object], tuple[dict[str, Any], dict[str, Any]]] | None = None
    bar: Callable[[], Any | None] = lambda: None
    proxy: Callable[[], str | None] = lambda: None


_current = Surroundings()


def surroundings() -> Surroundings:
    """What was handed in last."""
    return _current


def hand_in(new: Surroundings) -> None:
    """Use `new` from now on."""
    global _current
    _current = new
