"""Somebody who is connected with a blind peer of ours: what they ask to be held, and what is named to them."""

import time
from collections.abc import Awaitable, Callable

from linkup_nb.blind.kept import KeptCores
from linkup_nb.blind.wakeup import WakeupChannel
from linkup_nb.channels import Channels
from linkup_nb.connection.connection import Connection
from linkup_nb.errors import PeerRefused
from linkup_nb.hypercore.peer import PROTOCOL as HYPERCORE
from linkup_nb.loops import Inbox, Tasks
from linkup_nb.wire import blind_peer as wire
from linkup_nb.wire import wakeup
from linkup_nb.wire.blind_peer import HoldCores
from linkup_nb.wire.protomux import Channel
from linkup_nb.wire.rate_limit import Bucket, Rate
from linkup_nb.wire.wakeup import NamedCore

CORES = Rate(per_second=20, burst=8_192)  # that one connection asks for; each message counts as one more
MAX_WAKEUPS = 1_024  # referrers of which one connection wants to be told


class Asker:
    """One connection. `hold(asker, request)` is awaited for each request in turn, `wanted` called as for a wakeup."""

    def __init__(
        self,
        connection: Connection,
        kept: KeptCores,
        hold: "Callable[[Asker, HoldCores], Awaitable[None]]",
        wanted: Callable[[WakeupChannel], None],
    ) -> None:
        self.connection = connection
        self.key = connection.remote_public_key
        self.channels = Channels.of(connection)
        self.given: set[bytes] = set()
        """The cores that it has asked for on this connection."""
        self.gone = False
        self._kept = kept
        self._hold = hold
        self._wanted = wanted
        self._opened: set[bytes] = set()
        self._wakeups: dict[bytes, WakeupChannel] = {}
        self._bucket = Bucket(CORES, time.monotonic())
        self._requests: Inbox[HoldCores] = Inbox()
        self._channel: Channel | None = None
        self._tasks = Tasks()
        self._tasks.start(self._work(), "holding what a peer has asked for")
        self.channels.accept(wire.PROTOCOL, self._accept)
        self.channels.accept(wakeup.PROTOCOL, self._accept_wakeup)
        self.channels.accept(HYPERCORE, self._note)

    def may_copy(self, key: bytes) -> bool:
        """Whether a core is opened on this connection: nobody learns from us of one that they do not know."""
        return key in self.given or key in self._opened

    def name(self, referrer: bytes) -> None:
        """Open the channel in which the cores of a referrer are named, which the peer has shown to know."""
        if not (self.gone or referrer in self._wakeups or len(self._wakeups) >= MAX_WAKEUPS):
            channel = WakeupChannel(self.channels, referrer, wanted=self._wanted, ended=self._wakeup_ended)
            self._wakeups[referrer] = channel

    def tell(self, referrer: bytes, cores: tuple[NamedCore, ...]) -> None:
        """Name cores that have grown, if the peer wants to be told of their referrer."""
        if channel := self._wakeups.get(referrer):
            channel.announce(cores)

    async def close(self) -> None:
        """Do nothing more for it; the connection is closed by its owner."""
        self.gone = True
        await self._tasks.cancel()

    async def _work(self) -> None:
        while True:
            await self._hold(self, await self._requests.get())

    # What the channel calls

    def opened(self, handshake: bytes) -> None:
        """It is going to ask."""

    def received(self, type: int, payload: bytes) -> None:
        """It asks for cores to be held. Raises `PeerRefused` for what comes faster than anybody needs."""
        if type == wire.CORES:
            request = HoldCores.decode(payload)
            if not self._bucket.take(time.monotonic(), 1 + len(request.cores)):
                raise PeerRefused(f"The peer asks to hold over {CORES.burst:,} logs at once.")
            self._requests.put(request)

    def drained(self) -> None:
        """Nothing is sent on this channel."""

    def ended(self) -> None:
        """It asks for nothing more."""

    def _accept(self, id: bytes) -> bool:
        if id or self._channel:
            return False
        self._channel = self.channels.open(wire.PROTOCOL, id, b"", self)
        return True

    def _accept_wakeup(self, id: bytes) -> bool:
        referrer = self._kept.referrer_of(id)
        if referrer is None:
            return False
        self.name(referrer)
        return referrer in self._wakeups

    def _note(self, id: bytes) -> bool:
        """It opens a core of which it knows at least the discovery key: the store may accept that."""
        if key := self._kept.key_of(id):
            self._opened.add(key)
        return False

    def _wakeup_ended(self, channel: WakeupChannel) -> None:
        self._wakeups.pop(channel.capability, None)
