"""The views of one page's tab that are kept up to date, each with what it has."""

from typing import TypeVar

T = TypeVar("T")

MAX_VIEWS = 32  # views of one tab that are kept up to date; the one whose request is oldest is forgotten


class OpenViews(dict[str, T]):
    """By the view's name; made by whoever answers its requests."""

    def open(self, view: str, has: T) -> None:
        """A view has come, or has asked anew."""
        self.pop(view, None)
        self[view] = has
        if len(self) > MAX_VIEWS:
            del self[next(iter(self))]
