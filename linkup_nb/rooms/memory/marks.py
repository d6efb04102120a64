"""How long one's own feeds have been, kept outside of the profile: a restored backup is shorter, and is noticed.

Who goes on writing a feed that is shorter than it was forks it, for ever.
"""

from pathlib import Path

from platformdirs import user_state_path


class Marks:
    """The length of each feed at its last append, in a folder of the machine's, not of the profile's."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or user_state_path("linkup_nb", appauthor=False) / "feeds"

    def get(self, feed: bytes) -> int:
        """The length that was reached, 0 if nothing is known."""
        try:
            return int((self._folder / feed.hex()).read_text())
        except (OSError, ValueError):
            return 0

    def put(self, feed: bytes, length: int) -> None:
        """Remember a length. A machine that refuses loses this safeguard, and nothing else."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / feed.hex()).write_text(str(length))
        except OSError:
            return
