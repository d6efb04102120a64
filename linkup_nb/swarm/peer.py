"""What the swarm keeps about one peer."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import zip_longest

from linkup_nb.connection.addresses import MAX_ADDRESSES
from linkup_nb.connection.connection import Connection
from linkup_nb.discovery.protocol import FoundPeer, PeerInfo, PeerStatus


class SwarmPeer:
    """One peer, from when it is first found or comes by itself until it is neither connected nor announced."""

    def __init__(self, public_key: bytes) -> None:
        self.public_key = public_key
        self.topics: set[bytes] = set()  # those that we have joined too
        self.found_at = 0.0  # loop time
        self.attempts = 0
        self.dialled_at = float("-inf")  # loop time
        self.last_error: str | None = None
        self.dropped = 0
        self.connection: Connection | None = None  # the one: open, or the one that we chose to open
        self.pending: list[Connection] = []  # established, but not chosen by the side that decides
        self.dial: asyncio.Task[None] | None = None
        self.retry: asyncio.TimerHandle | None = None
        self.grace: asyncio.TimerHandle | None = None
        self._found: dict[str, FoundPeer] = {}  # by source

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where to dial it: each source's first address, then the second ones, so that no source crowds out another."""
        rounds = zip_longest(*(found.addresses for found in self._found.values()))
        return tuple(dict.fromkeys(address for round in rounds for address in round if address))[:MAX_ADDRESSES]

    @property
    def reaches(self) -> tuple[Callable[[], Awaitable[Connection]], ...]:
        """How to reach it besides its addresses."""
        return tuple(found.reach for found in self._found.values() if found.reach)

    def found(self, found: FoundPeer) -> bool:
        """Take what one source knows now; returns whether there is a new address, or a first way besides, to try."""
        before = self.addresses, self.reaches
        self._found[found.source] = found
        return not set(self.addresses) <= set(before[0]) or len(self.reaches) > len(before[1])

    @property
    def open(self) -> bool:
        """Whether the app has its connection."""
        return self.connection is not None and self.connection.opened_at > 0

    @property
    def newcomer(self) -> Connection | None:
        """The latest of those that wait to be chosen, if its peer still wants it."""
        return next((connection for connection in reversed(self.pending) if not connection.closed), None)

    @property
    def status(self) -> PeerStatus:
        if self.open:
            return PeerStatus.CONNECTED
        if self.connection or self.pending or self.dial:
            return PeerStatus.CONNECTING
        if not self.attempts:
            return PeerStatus.DISCOVERED
        return PeerStatus.WAITING if self.retry else PeerStatus.FAILED

    def info(self) -> PeerInfo:
        """A snapshot."""
        connection = self.connection if self.open else None
        return PeerInfo(
            public_key=self.public_key,
            status=self.status,
            topics=frozenset(self.topics),
            addresses=self.addresses,
            sources=frozenset(self._found),
            attempts=self.attempts,
            last_error=self.last_error,
            transport=connection.transport if connection else None,
            address=connection.address if connection else None,
            since=connection.opened_at if connection else None,
            rtt=connection.rtt if connection else None,
            bytes_sent=connection.bytes_sent if connection else 0,
            bytes_received=connection.bytes_received if connection else 0,
            initiator=connection.initiator if connection else None,
            dropped=self.dropped,
            relayed=connection.relayed if connection else False,
        )
