"""What is lent to blind peers: cores that belong together, such as those of a room."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from linkup_nb.hypercore.core import Core


class Loan(Protocol):
    """Cores for blind peers to hold, which changes as cores come and go."""

    @property
    def blind_peers(self) -> tuple[bytes, ...]:
        """The keys of those that are to hold them."""

    @property
    def referrers(self) -> tuple[bytes, ...]:
        """The secrets under which blind peers name cores that others have lent them, and that may belong here."""

    def lent(self) -> Mapping[Core, bytes | None]:
        """The cores, each with the referrer under which it is to be named, if it is."""

    async def prove(self, key: bytes, until: "asyncio.Future[None]") -> None:
        """A blind peer, which is gone at `until`, has named a core: find out whether it belongs here."""
