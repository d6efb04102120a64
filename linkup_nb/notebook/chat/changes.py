"""What of a feed has changed, so that a page that has been away gets no more than it lacks."""

MAX_CHANGES = 1_000  # changes of one feed that are remembered: a page further behind gets its rows anew


class Changes:
    """Counts changes of rows: `version` of them so far."""

    def __init__(self) -> None:
        self.version = 0
        self._last: dict[str, int] = {}
        self._forgotten = 0

    def add(self, id: str) -> None:
        """A row has come, or changed."""
        self.version += 1
        self._last.pop(id, None)
        self._last[id] = self.version
        while len(self._last) > MAX_CHANGES:
            self._forgotten = self._last.pop(next(iter(self._last)))

    def since(self, version: int) -> list[str] | None:
        """The rows that changed after `version`, the last ones last; `None` if that is not known any more."""
        if not self._forgotten <= version <= self.version:
            return None
        found = []
        for id, changed in reversed(self._last.items()):
            if changed <= version:
                break
            found.append(id)
        return found[::-1]
