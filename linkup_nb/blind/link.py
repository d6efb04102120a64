"""One connection with a blind peer: what it is given to hold, and what it names to us."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from linkup_nb.blind.loan import Loan
from linkup_nb.blind.wakeup import WakeupChannel
from linkup_nb.channels import Channels
from linkup_nb.connection.connection import Connection
from linkup_nb.hypercore.core import Core
from linkup_nb.loops import Tasks
from linkup_nb.wire import blind_peer as wire
from linkup_nb.wire import wakeup
from linkup_nb.wire.blind_peer import HoldCores
from linkup_nb.wire.keys import discovery_key
from linkup_nb.wire.protomux import Channel
from linkup_nb.wire.wakeup import NamedCore

CORES_A_REQUEST = 256  # given in one message
MAX_UNPROVEN = 64  # cores that one blind peer has named, which are being looked at
MAX_NAMED = 1_024  # cores that one blind peer names on one connection; it need not be one that we have chosen


class Held(NamedTuple):
    """How many blocks of a core are here, and how many of those a blind peer says to have."""

    blocks: int
    there: int


class BlindLink:
    """A connection to a blind peer. `give` what is lent whenever that has changed."""

    def __init__(
        self, connection: Connection, loans: Callable[[], Iterable[Loan]], changed: Callable[[], None]
    ) -> None:
        self.connection = connection
        self.key = connection.remote_public_key
        self.refused = False
        """Whether the peer does not speak the protocol, or has ended it."""
        self.progress_at = asyncio.get_running_loop().time()
        self.held_before = 0
        self.looked_at = 0.0
        self._loans = loans
        self._changed = changed
        self._given: dict[bytes, Core] = {}
        self._named: set[bytes] = set()
        self._queue: list[tuple[Loan, bytes]] = []
        self._proving = 0
        self._wakeups: dict[bytes, WakeupChannel] = {}
        self._tasks = Tasks()
        self._left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._channels = Channels.of(connection)
        self._channels.accept(wakeup.PROTOCOL, self._accept)
        self._channels.on_end(self._end)
        self._channel: Channel = self._channels.open(wire.PROTOCOL, b"", b"", self)
        self.give()
        self.look()

    @property
    def loans(self) -> list[Loan]:
        """What this peer is to hold."""
        return [loan for loan in self._loans() if self.key in loan.blind_peers]

    def held(self) -> list[Held]:
        """How much it says to have of each core that it is given, or will be in a moment."""
        cores = {core.key: core for loan in self.loans for core in loan.lent() if core.length}
        held = []
        for core in cores.values():
            blocks = core.log.blocks.count(0, core.length)
            held.append(Held(blocks, min(blocks, core.counts.get(self.key, 0))))
        return held

    def give(self) -> None:
        """Ask it to hold what it was not asked before."""
        if self.refused or self._left.done():
            return
        by_referrer: dict[bytes | None, list[NamedCore]] = {}
        for loan in self.loans:
            for core, referrer in loan.lent().items():
                if core.length and core.key not in self._given:
                    self._given[core.key] = core
                    core.on("held", self._grown)
                    by_referrer.setdefault(referrer, []).append(NamedCore(core.key, core.length))
        for referrer, cores in by_referrer.items():
            self.progress_at = asyncio.get_running_loop().time()
            for start in range(0, len(cores), CORES_A_REQUEST):
                request = HoldCores(tuple(cores[start : start + CORES_A_REQUEST]), referrer)
                self._channels.send(self._channel, wire.CORES, bytes(request))

    def look(self) -> None:
        """Ask it to name what others have given it, where it does not do so already."""
        self.looked_at = asyncio.get_running_loop().time()
        if not (self.refused or self._left.done()):
            for loan in self.loans:
                for referrer in loan.referrers:
                    self._open(loan, referrer)

    def close(self) -> None:
        """Leave the peer; the connection stays."""
        self._channels.close(self._channel)
        for channel in tuple(self._wakeups.values()):
            channel.close()
        self._end()

    # What the channel calls

    def opened(self, handshake: bytes) -> None:
        """It is a blind peer."""
        self._changed()

    def received(self, type: int, payload: bytes) -> None:
        """A blind peer has nothing to say on this channel."""

    def drained(self) -> None:
        """What was sent has gone out."""

    def ended(self) -> None:
        """It is no blind peer, or does not want to be ours; or the connection has ended."""
        self.refused = not self.connection.closed
        self._changed()

    def _grown(self, key: bytes, length: int) -> None:
        """Somebody has more of a core than before."""
        if key == self.key:
            self._changed()

    def _accept(self, id: bytes) -> bool:
        """It opens a channel in which it names cores, since we have given it some."""
        for loan in self.loans:
            for referrer in loan.referrers:
                if discovery_key(referrer) == id:
                    self._open(loan, referrer)
                    return True
        return False

    def _open(self, loan: Loan, referrer: bytes) -> None:
        if referrer not in self._wakeups:
            self._wakeups[referrer] = WakeupChannel(
                self._channels,
                referrer,
                named=partial(self._name, loan),
                ended=self._wakeup_ended,
            )

    def _wakeup_ended(self, channel: WakeupChannel) -> None:
        self._wakeups.pop(channel.capability, None)

    def _name(self, loan: Loan, cores: tuple[NamedCore, ...]) -> None:
        """Anybody who knows the referrer may have given these: each is looked at before it counts for anything."""
        for key, _ in cores:
            if key not in self._named and len(self._named) < MAX_NAMED:
                self._named.add(key)
                self._queue.append((loan, key))
        self._prove_next()

    def _prove_next(self) -> None:
        while self._queue and self._proving < MAX_UNPROVEN:
            self._proving += 1
            self._tasks.start(self._prove(*self._queue.pop(0)), "looking at a log that a blind peer has named")

    async def _prove(self, loan: Loan, key: bytes) -> None:
        try:
            await loan.prove(key, self._left)
        finally:
            self._proving -= 1
        self._changed()
        self._prove_next()

    def _end(self) -> None:
        if not self._left.done():
            self._left.set_result(None)
            self._queue.clear()
            for core in self._given.values():
                core.remove_listener("held", self._grown)
            self._channels.refuse(wakeup.PROTOCOL, self._accept)
            self._channels.off_end(self._end)
