"""`lu.lab.lesson`: a lesson by its number, one at a time."""

from importlib import import_module
from typing import Any

from linkup_nb.errors import UsageError
from linkup_nb.lab.lessons.frame import Lesson
from linkup_nb.loops import at_exit

# Imported when they are begun: each knows other floors.
_HOMES = {
    1: ("keys", "KeysAreNames"),
    2: ("meeting", "Meeting"),
    3: ("xor", "XorAndBuckets"),
    4: ("log", "LogThatCannotLie"),
    5: ("sparse", "OnlyWhatYouNeed"),
    6: ("time_travel", "TimeTravel"),
    7: ("conversation", "FromLogsToAConversation"),
    8: ("cheats", "WhenPeersCheat"),
}

_open: list[Lesson] = []


def lesson(number: int) -> Any:
    """Begin a lesson, and end the one before; its own verbs, stores and peers are named in its notebook.

    Progress stays, however often a lesson is begun. Raises `UsageError` for a number that there is none of.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number not in _HOMES:
        raise UsageError(f"There are lessons 1 to {len(_HOMES)}, and no {number!r}.")
    end()
    module, name = _HOMES[number]
    begun: Lesson = getattr(import_module(f"linkup_nb.lab.lessons.{module}"), name)()
    _open.append(begun)
    return begun


def end() -> None:
    """End the lesson that runs, if any."""
    while _open:
        _open.pop().close()


at_exit(end)
