"""The peers of one log: which it is open with, and what each of them is notified of."""

import logging
from collections.abc import Callable, Iterable

from linkup_nb.channels import Channels
from linkup_nb.errors import MachineError
from linkup_nb.hypercore import events as ev
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.peer import Peer, PendingRequest
from linkup_nb.hypercore.scheduler import Scheduler
from linkup_nb.loops import Timers
from linkup_nb.wire.keys import short_key

ANNOUNCE_DELAY = 0.05  # seconds in which blocks that have come are gathered into few messages

logger = logging.getLogger("linkup_nb")


Tell = Callable[[Peer, msg.Message, msg.DataRequest | None], msg.Message | None]
"""What a peer is sent instead of a message, which may answer a request of its; `None` for nothing."""


class Replicator:
    """The replication of one log; what it sends goes through `tell`, which in a lab may lie.

    `at_rest()` is called when nobody here uses it and no peer has it open.
    """

    def __init__(self, log: Log, tell: Tell, at_rest: Callable[[], None] = lambda: None) -> None:
        self.log = log
        self.tell = tell
        self.peers: set[Peer] = set()
        self.scheduler = Scheduler(log, self.peers, idle=self.deactivate, failed=self.failed)
        self._at_rest = at_rest
        self._opening: set[Peer] = set()
        self._unannounced: list[int] = []
        self._timers = Timers()
        self._cuts: list[tuple[int, int]] = []
        self._length = log.length
        log.listeners.add(self._on_event)

    def add(self, channels: Channels) -> None:
        """Open the log with a peer, or accept that it did."""
        self._opening.add(Peer(self, channels))

    def has(self, channels: Channels) -> bool:
        """Whether the log is open with this peer, or being opened."""
        return any(peer.connection is channels.connection for peer in self.peers | self._opening)

    async def updated(self) -> None:
        """Wait until every peer has announced its head, and the best of them is ours."""
        while any(peer.undecided for peer in self._opening | self.peers) or any(
            peer.length > self.log.length or self.scheduler.is_ahead(peer) for peer in self.peers
        ):
            await self.scheduler.progress()

    def common_since(self, fork: int) -> int:
        """How many blocks are still the same as they were under an earlier fork."""
        return min((length for new_fork, length in self._cuts if new_fork > fork), default=self.log.length)

    # Whether anybody uses it

    @property
    def downloading(self) -> bool:
        """Whether somebody here uses the log; a channel that neither end uses is closed."""
        return bool(self.log.views) or self.scheduler.active

    @property
    def resting(self) -> bool:
        """Whether nobody uses the log, here or elsewhere."""
        return not (self.downloading or self.peers or self._opening)

    def activate(self, everybody: Iterable[Channels]) -> None:
        """Somebody here begins to use the log: open it with those with whom it is not open."""
        for peer in self.peers:
            peer.send_head()
        for channels in everybody:
            if not self.has(channels):
                self.add(channels)

    def deactivate(self) -> None:
        """Somebody here has ceased to use the log."""
        if not self.downloading:
            for peer in tuple(self.peers):
                peer.send_head()
                self._close_idle(peer)
            if self.resting:
                self._at_rest()

    def _close_idle(self, peer: Peer) -> bool:
        if peer.head is None or peer.head.downloading or peer.pending or self.downloading:
            return False
        self._leave(peer)
        return True

    @property
    def _serves_conflicts(self) -> bool:
        """Whether a log whose author signed two histories is copied further, up to where those part."""
        return not self.log.follows_forks

    # Notifications to the peers

    def _on_event(self, event: ev.LogEvent) -> None:
        match event:
            case ev.Appended():
                self._announce_head()
                self.scheduler.schedule_soon()
            case ev.Downloaded(index):
                self._unannounced.append(index)
                self._timers.start("announce", ANNOUNCE_DELAY, self._announce_blocks)
                self.scheduler.arrived(index)
            case ev.Truncated(length, fork):
                self._truncated(length, fork)
            case ev.Cleared(start, end):
                for peer in self.peers:
                    peer.send_dropped(start, end - start)
                self.scheduler.recount()
            case ev.WriteFailed(error) | ev.StorageFailed(error):
                self.scheduler.fail(error)
            case ev.BlockRequested():
                self.scheduler.schedule_soon()
            case ev.BlockReleased():
                self.scheduler.cancel_soon()
            case ev.ConflictFound():
                if self._serves_conflicts:
                    self.scheduler.schedule_soon()
                else:
                    self.close()

    def _announce_head(self) -> None:
        for peer in self.peers:
            peer.send_head()
        start, self._length = self._length, self.log.length
        if self.log.writable and start < self._length and self.log.blocks.has(start):
            for peer in self.peers:
                peer.send_have(start, self._length - start)

    def _truncated(self, length: int, fork: int) -> None:
        self._cuts.append((fork, length))
        self._length = min(self._length, length)
        self.scheduler.truncated()
        for peer in self.peers:
            if self.log.writable:
                peer.send_dropped(length, max(peer.blocks.contiguous, length + 1) - length)
            peer.send_head()

    def _announce_blocks(self) -> None:
        """Announce what has come, to those who lack it, in runs."""
        indexes, self._unannounced = sorted(self._unannounced), []
        contiguous = self.log.blocks.contiguous
        if indexes and contiguous > indexes[0]:
            for peer in self.peers:
                peer.send_have(0, contiguous)
        at = 0
        while at < len(indexes):
            run = at + 1
            while run < len(indexes) and indexes[run] == indexes[at] + run - at:
                run += 1
            if indexes[at] >= contiguous:
                for peer in self.peers:
                    peer.send_have(indexes[at], run - at)
            at = run

    # Notifications from the peers, see `peer.Replication`

    def opened(self, peer: Peer) -> None:
        self._opening.discard(peer)
        self.peers.add(peer)
        if self.log.conflict and not self._serves_conflicts:
            self._leave(peer)
        else:
            self.log.notify(ev.PeerOpened(peer.connection))

    def ended(self, peer: Peer) -> None:
        self._remove(peer)
        if peer.closed_as_idle and self.downloading:
            self.add(peer.channels)  # it came into use again here in the meantime

    def head_received(self, peer: Peer) -> None:
        self.scheduler.wake()
        if not self._close_idle(peer):
            self.scheduler.schedule(peer)

    def blocks_received(self, peer: Peer, start: int) -> None:
        self.scheduler.blocks_received(peer, start)
        before, peer.reported = peer.reported, peer.blocks.contiguous
        if peer.reported > before:
            self.log.notify(ev.PeerGrown(peer.connection, peer.reported))

    def answered(self, peer: Peer, request: PendingRequest, data: msg.Data) -> None:
        self.scheduler.answered(peer, request, data)

    def unanswered(self, peer: Peer, requests: list[PendingRequest]) -> None:
        self.scheduler.unanswered(peer, requests)

    def failed(self, error: MachineError) -> None:
        """This log cannot be read: leave its peers, and let who waits for it know. Other logs go on.

        It is replicated again once it is opened anew, here or by a peer that connects.
        """
        logger.error("The log %s is not replicated any more: %s", short_key(self.log.key), error)
        for peer in tuple(self.peers | self._opening):
            self._leave(peer)
        self.log.fail(error)

    def _leave(self, peer: Peer) -> None:
        peer.close()
        self._remove(peer)

    def _remove(self, peer: Peer) -> None:
        self._opening.discard(peer)
        self.peers.discard(peer)
        self.scheduler.peer_left(peer)
        self.deactivate()

    def close(self) -> None:
        """Leave every peer."""
        self._timers.close()
        for peer in tuple(self.peers | self._opening):
            self._leave(peer)
        self.scheduler.close()
