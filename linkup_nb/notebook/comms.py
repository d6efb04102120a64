"""Keeping widgets usable while a cell runs."""

from ipywidgets import Widget


def free_comm(widget: Widget) -> None:
    """Let what the page says to `widget` be handled on the page's own subshell, also while a cell runs.

    ipykernel 7.4 answers a comm in the shell that last sent on it, which for a widget made by a cell is the main one: a
    click would wait for the cell. The name is private, hence the guard; earlier versions do not have it.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = None
