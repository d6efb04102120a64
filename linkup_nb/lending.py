"""What a node lends to its blind peers, named in config.json and by invites: its rooms with memory and its drives."""

import asyncio
from collections.abc import Iterable
from functools import partial

from linkup_nb.blind.loan import Loan
from linkup_nb.blind.peers import BlindPeers
from linkup_nb.blind.status import BlindPeer, blind_peer_keys
from linkup_nb.drives import NodeDrives
from linkup_nb.errors import UsageError
from linkup_nb.loops import Events, on_own_loop
from linkup_nb.rooms.memory.rooms import MemoryRooms
from linkup_nb.rooms.profile import Profile
from linkup_nb.swarm.swarm import Swarm
from linkup_nb.wire.keys import z32encode


class Lending(Events):
    """The blind peers of a node. Make it before the rooms: one is asked to hold a log before that is offered to it.

    Emits `update` when one of them stands otherwise than before.
    """

    def __init__(self, profile: Profile, swarm: Swarm) -> None:
        super().__init__(asyncio.get_running_loop())
        self._profile = profile
        self._memory: MemoryRooms | None = None
        self._drives: NodeDrives | None = None
        self._peers = BlindPeers(swarm, self._loans)
        self._peers.on("update", partial(self.emit, "update"))

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Those of the profile. Raises `UsageError` where somebody has written into the file what is no key."""
        try:
            return blind_peer_keys(self._profile.blind_peers)
        except UsageError as error:
            raise UsageError(
                f"{self._profile.path / 'config.json'} names blind peers that cannot be: {error}"
            ) from None

    @property
    def status(self) -> tuple[BlindPeer, ...]:
        """Where we stand with each, those of the profile first."""
        named = [key for loan in self._loans() for key in loan.blind_peers]
        return tuple(self._peers.status(key) for key in dict.fromkeys((*self.keys, *named)))

    def lend(self, memory: MemoryRooms, drives: NodeDrives) -> None:
        """Lend from these from now on; both have been opened."""
        self._memory, self._drives = memory, drives
        for part in (memory, drives):
            for event in ("room", "message", "update"):
                part.on(event, self._changed)
        self._peers.open()

    @on_own_loop
    def choose(self, keys: Iterable[bytes | str | BlindPeer]) -> None:
        """Lend to these, and keep them in the profile. Raises `UsageError` for what is no key."""
        self._profile.blind_peers = [z32encode(key) for key in blind_peer_keys(keys)]
        self._profile.save()
        for part in (self._memory, self._drives):
            if part:
                part.set_blind_peers(self.keys)
        self._changed()

    async def close(self) -> None:
        """Leave them."""
        await self._peers.close()

    def _changed(self, *_: object) -> None:
        self._peers.changed()

    def _loans(self) -> tuple[Loan, ...]:
        drives: tuple[Loan, ...] = (self._drives,) if self._drives else ()
        return (*(self._memory.sessions if self._memory else ()), *drives)
