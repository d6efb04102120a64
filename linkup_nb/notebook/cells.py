"""The cell that runs, or that ran last: what its threads print has to stay in its output."""

import sys
import threading
from typing import Any

_parent: dict[str, Any] | None = None  # the message by which the cell was sent


def shell() -> Any:
    """The IPython shell of this kernel or terminal; `None` elsewhere."""
    # Not imported: where IPython runs it is loaded, and elsewhere it would take 50 ms.
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def number() -> int | None:
    """The number that the cell which runs will have; `None` outside of IPython."""
    here = shell()
    return here.execution_count if here else None


def bar() -> Any | None:
    """The class of progress bars for the cell that calls this; `None` in a terminal, and on threads of our own."""
    if getattr(shell(), "kernel", None) is None or threading.current_thread() is not threading.main_thread():
        return None
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    return tqdm


def show(value: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a cell shows of a value: data and metadata by MIME type; empty outside of IPython."""
    here = shell()
    return here.display_formatter.format(value) if here and here.display_formatter else ({}, {})


def follow() -> None:
    """Note from now on which cell runs; does nothing outside of a kernel."""
    here = shell()
    if hasattr(here, "set_parent"):
        here.events.register("pre_run_cell", _note)
        if threading.current_thread() is threading.main_thread():
            _note()


def give_back_output() -> None:
    """Let threads of the user's print into their cell again, after the kernel has taken a message on another thread.

    From ipykernel 7.3 on, output of a thread that no cell has claimed goes to the message that came last: a training
    loop on a thread would lose its lines while somebody chats. Earlier versions know whose a thread is.
    """
    if _parent is not None:
        shell().set_parent(_parent)


def _note(*_: object) -> None:
    global _parent
    _parent = shell().get_parent()
    give_back_output()  # a message that came while this cell began has claimed it for the cell before
