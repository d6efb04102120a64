"""Keeping widgets usable while a cell runs, and the cell unharmed by them."""

from typing import Any

from ipywidgets import Widget

from linkup_nb.notebook.cells import give_back_output


def free_comm(widget: Widget) -> None:
    """Free `widget`, and all widgets that it consists of, from the cell that made it and from the one that runs.

    What the page sends to them is then handled on the page's own subshell, also while a cell computes: ipykernel 7.4
    answers a comm in the shell that last sent on it, which for a widget made by a cell is the main one. And it fires no
    hook of a cell: a comm's own `handle_msg` triggers `pre_execute` and `post_execute` around each message, upon which
    matplotlib's inline backend draws and closes the figure that the running cell has just begun.

    All three names are private to `comm` and ipykernel; tests/kernels tries them on all versions that people have.
    """
    comm = widget.comm

    def handle(message: dict[str, Any]) -> None:
        give_back_output()
        widget._handle_msg(message)

    comm.handle_msg = handle
    if hasattr(comm, "_reply_subshell_for"):  # from ipykernel 7.4 on
        comm._reply_subshell_for = None
    for value in widget.trait_values(sync=True).values():
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, Widget):
                free_comm(part)
