"""Which block, tree node or head of a log is requested of which peer, and when."""

import asyncio
from collections.abc import Callable, Collection, Iterable

from linkup_nb.errors import InvalidProof, MachineError
from linkup_nb.hypercore import flat
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.download import BlockRange, Download
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.peer import MAX_REFUSALS, Peer, PendingRequest
from linkup_nb.hypercore.proof import ProofRequest, Unrooted
from linkup_nb.hypercore.reorg import Reorganization
from linkup_nb.loops import Timers

MAX_PENDING = 256  # requests under way at one peer: some are answered while others are on their way
MIN_REQUESTED = MAX_PENDING // 8  # requests made together: rarely, and many
ANSWER_TIMEOUT = 10.0  # seconds without any answer after which what is pending at a peer is requested of others
CHECK_EVERY = 1.0  # seconds between two looks for such peers
CANCEL_DELAY = 0.2  # seconds after which what nobody wants any more is cancelled; a stream reads on in the meantime
CONGESTION_DELAY = 0.05  # seconds after which the disk may take more
MAX_EXPECTED = 16384  # nodes that pending answers should show
SCAN = 4096  # blocks looked at for one peer before others may run


class Scheduler:
    """Requests of the peers of one log what is wanted here.

    `idle()` is called when less is wanted than before, `failed(error)` when the log cannot be read.
    """

    def __init__(
        self,
        log: Log,
        peers: Collection[Peer],
        *,
        idle: Callable[[], None],
        failed: Callable[[MachineError], None],
    ) -> None:
        self.log = log
        self._peers = peers
        self._idle = idle
        self._failed = failed
        self._ranges: set[BlockRange] = set()
        self._in_flight: dict[int, Peer] = {}
        self._seeks: dict[ProofRequest, set[asyncio.Future[None]]] = {}
        self._upgrading: Peer | None = None
        self._reorganization: Reorganization | None = None
        self._progressed: asyncio.Future[None] | None = None
        self._timers = Timers()

    # What is wanted

    @property
    def active(self) -> bool:
        """Whether blocks are wanted."""
        return bool(self._ranges or self.log.wanted)

    def download(self, start: int, end: int) -> Download:
        """Fetch a range of blocks."""
        wanted = BlockRange(self.log, start, end)
        if wanted.missing:
            self._ranges.add(wanted)
            self._schedule_all()
        else:
            wanted.complete()
        return Download(self.log, wanted, self._stop)

    async def seek(self, top: int, offset: int, padding: int) -> None:
        """Fetch what is under the node `top` on the way to a byte, counted without `padding` bytes in each block."""
        wanted = ProofRequest(hash=(flat.left_span(top), flat.depth(top)), seek=(offset, padding))
        waiting = asyncio.get_running_loop().create_future()
        self._seeks.setdefault(wanted, set()).add(waiting)
        self._schedule_all()
        try:
            await waiting
        finally:
            all_waiting = self._seeks.get(wanted, set())
            all_waiting.discard(waiting)
            if not all_waiting:
                self._seeks.pop(wanted, None)

    async def progress(self) -> None:
        """Wait until a peer has announced a head, answered, or will not answer."""
        waiting = self._progressed
        if waiting is None or waiting.done():
            waiting = self._progressed = asyncio.get_running_loop().create_future()
        await asyncio.shield(waiting)

    def wake(self) -> None:
        """Wake who waits for progress."""
        if self._progressed and not self._progressed.done():
            self._progressed.set_result(None)

    def is_ahead(self, peer: Peer) -> bool:
        """Whether the peer is on a later fork, and may prove it."""
        head = peer.head
        if head is None or head.fork <= self.log.fork:
            return False
        if not self.log.follows_forks:
            if peer.unproven_fork < head.fork:
                peer.unproven_fork = head.fork
                peer.request(ProofRequest(upgrade=(0, head.length)), fork=head.fork, evidence=True)
            return False
        return head.length > 0 or peer.unproven_fork < head.fork

    # What has changed

    def arrived(self, index: int) -> None:
        """A block is here."""
        for wanted in tuple(self._ranges):
            if index in wanted:
                wanted.missing -= 1
                if not wanted.missing:
                    self._stop(wanted)

    def recount(self) -> None:
        """Blocks have gone away."""
        for wanted in self._ranges:
            wanted.recount()

    def truncated(self) -> None:
        """The end of the log was cut off: nothing that is pending counts any more."""
        self._upgrading = self._reorganization = None
        for peer in self._peers:
            for request in peer.abandon():
                self._forget(request)
        self.recount()
        self.wake()

    def fail(self, error: Exception) -> None:
        """What was wanted cannot be kept here: whoever waits gets the error."""
        for wanted in tuple(self._ranges):
            wanted.complete(error)
            self._stop(wanted)

    def peer_left(self, peer: Peer) -> None:
        """Request of others what is pending at a peer."""
        for wanted in self._ranges:
            wanted.cursors.pop(peer, None)
        peer.abandon()
        indexes = [index for index, other in self._in_flight.items() if other is peer]
        self.unanswered(peer, [PendingRequest(ProofRequest(block=(index, 0)), 0) for index in indexes])

    def blocks_received(self, peer: Peer, start: int) -> None:
        """The peer has blocks, from `start` on, that it did not have before."""
        for wanted in self._ranges:
            wanted.rewind(peer, start)
        self.schedule(peer)

    def unanswered(self, peer: Peer, requests: Iterable[PendingRequest]) -> None:
        """Request of others what this peer will not answer."""
        for request in requests:
            self._forget(request)
            if request.wanted.upgrade and request.fork > self.log.fork:
                peer.unproven_fork = request.fork
        if self._upgrading is peer and not peer.head_pending:
            reorganization, self._upgrading, self._reorganization = self._reorganization, None, None
            if reorganization and peer in self._peers and not self.log.busy:
                reorganization.finish()  # what is known to be in common has to do
        self.wake()
        self.schedule_soon()

    def answered(self, peer: Peer, request: PendingRequest, data: msg.Data) -> None:
        """Keep what the peer has sent. Raises `InvalidProof` if it is not true, and keeps nothing of it then."""
        log, proof = self.log, data.proof
        if self._upgrading is peer and not peer.head_pending:
            self._upgrading = None
        if request.wanted.block:
            self._in_flight.pop(request.wanted.block[0], None)
        fault: InvalidProof | None = None
        try:
            if request.fork > log.fork:
                self._reorganize(peer, request, data)
            elif request.fork == log.fork:
                if proof.upgrade and (proof.upgrade.start != log.length or log.busy):
                    proof = proof._replace(upgrade=None)  # another peer was quicker
                if any(proof):
                    log.accept(proof)
        except Unrooted as error:
            peer.expected.clear()
            self._forget(request)
            if request.wanted.hash:  # it was requested from a node that is known here
                fault = error
        except InvalidProof as error:
            self._forget(request)
            fault = error
        for waiting in self._seeks.pop(request.wanted, ()):
            if not waiting.done():
                waiting.set_result(None)
        self.wake()
        if fault:
            raise fault
        if proof.upgrade or self._seeks or len(peer.pending) <= MAX_PENDING - MIN_REQUESTED:
            self.schedule(peer)

    def _reorganize(self, peer: Peer, request: PendingRequest, data: msg.Data) -> None:
        """Follow the peer to a later fork, or request more of it."""
        if self.log.busy:
            self._reorganization = None
            return
        if request.wanted.hash:
            reorganization = self._reorganization
            if reorganization is None or reorganization.fork != request.fork:
                return
            reorganization.learn(data.proof)
        elif data.proof.upgrade:
            reorganization = Reorganization(self.log, request.fork, data.proof.upgrade)
        else:
            peer.unproven_fork = request.fork  # npm's `hypercore` 11.37.1 proves no log that it has cut to nothing
            return
        if reorganization.question:
            self._reorganization, self._upgrading = reorganization, peer
            peer.request(reorganization.question, fork=reorganization.fork)
        else:
            self._reorganization = None
            reorganization.finish()

    def _forget(self, request: PendingRequest) -> None:
        if request.wanted.block:
            index = request.wanted.block[0]
            self._in_flight.pop(index, None)
            for wanted in self._ranges:
                for peer in wanted.cursors:
                    wanted.rewind(peer, index)

    # Requesting

    def schedule_soon(self) -> None:
        """Request what is wanted at the loop's next turn."""
        if self._peers:
            self._timers.start("schedule", 0, self._schedule_all)

    def cancel_soon(self) -> None:
        """Take back soon what nobody wants any more."""
        self._timers.start("cancel", CANCEL_DELAY, self._cancel_unwanted)

    def schedule(self, peer: Peer) -> None:
        """Request of a peer as much as it has and is good for."""
        try:
            self._schedule(peer)
        except MachineError as error:
            self._failed(error)

    def _schedule_all(self) -> None:
        self._timers.cancel("schedule")
        for peer in tuple(self._peers):
            self.schedule(peer)

    def _schedule(self, peer: Peer) -> None:
        head = peer.head
        if head is None or peer.suspect or peer.refusals >= MAX_REFUSALS:
            return
        self._request_upgrade(peer)
        if head.fork == self.log.fork:
            self._request_seeks(peer)
            if self.log.store.congested:
                self._timers.start("schedule", CONGESTION_DELAY, self._schedule_all)
            else:
                self._request_blocks(peer)
        if peer.pending:
            self._timers.start("check", CHECK_EVERY, self._check_answers)

    def _request_upgrade(self, peer: Peer) -> None:
        log, head = self.log, peer.head
        if self._upgrading or not head or log.busy or (log.conflict and log.length >= (log.agreed or 0)):
            return
        if self.is_ahead(peer):
            start = 0
        elif (
            head.fork == log.fork and head.can_upgrade and head.length > log.length and head.remote_length == log.length
        ):
            start = log.length
        else:
            return
        self._upgrading = peer
        peer.request(ProofRequest(upgrade=(start, head.length - start)), fork=head.fork)

    def _request_seeks(self, peer: Peer) -> None:
        if self._seeks and peer.length >= self.log.length:
            pending = {request.wanted for other in self._peers for request in other.pending.values()}
            for wanted in self._seeks:
                if wanted not in pending:
                    peer.request(wanted)

    def _request_blocks(self, peer: Peer) -> None:
        room = MAX_PENDING - len(peer.pending)
        if room < MIN_REQUESTED:
            return
        for index in list(self.log.wanted):
            if index not in self._in_flight and index < self.log.length:
                if peer.blocks.has(index):
                    self._request_block(peer, index)
                    room -= 1
                    if room == 0:
                        return
                elif index < peer.length:
                    peer.request_segment(index)
        for wanted in self._ranges:
            room = self._request_range(peer, wanted, room)
            if room == 0:
                return

    def _request_range(self, peer: Peer, wanted: BlockRange, room: int) -> int:
        """Request blocks of a range, from the last one that was requested of this peer; how much room is left."""
        cursor = max(wanted.cursors.get(peer, 0), wanted.start)
        end = min(wanted.end, self.log.length)
        scanned = 0
        for index in self.log.blocks.missing(cursor, end):
            cursor = index + 1
            if index not in self._in_flight:
                if peer.blocks.has(index):
                    self._request_block(peer, index)
                    room -= 1
                elif index < peer.length:
                    peer.request_segment(index)
            scanned += 1
            if room == 0 or scanned == SCAN:
                break
        else:
            cursor = max(cursor, end)
        if scanned == SCAN:
            self.schedule_soon()
        wanted.cursors[peer] = cursor
        return room

    def _request_block(self, peer: Peer, index: int) -> None:
        # A peer answers in order, so this path may end at a node that an answer before this one will have shown.
        expected = peer.expected
        if not peer.pending or len(expected) > MAX_EXPECTED:
            expected.clear()
        self._in_flight[index] = peer
        steps, node, width, find = 0, 2 * index, 2, self.log.find
        while node not in expected and find(node) is None:
            beside = node ^ width  # its sibling
            expected.add(node)
            expected.add(beside)
            node = node + beside >> 1  # their parent
            width <<= 1
            steps += 1
        peer.request(ProofRequest(block=(index, steps)))

    def _stop(self, wanted: BlockRange) -> None:
        """A range is complete, or is given up."""
        self._ranges.discard(wanted)
        wanted.complete()
        if wanted.missing:
            self.cancel_soon()
        self._idle()

    def _cancel_unwanted(self) -> None:
        """Cancel the requests whose answers nobody waits for."""
        for peer in self._peers:
            for request in peer.cancel(self._unwanted):
                self._forget(request)
        self._idle()

    def _unwanted(self, request: PendingRequest) -> bool:
        if not request.wanted.block or request.wanted.upgrade:
            return False
        index = request.wanted.block[0]
        return index not in self.log.wanted and not any(index in wanted for wanted in self._ranges)

    def _check_answers(self) -> None:
        """Take from silent peers what is pending there, and request it of others."""
        now = asyncio.get_running_loop().time()
        for peer in tuple(self._peers):
            if peer.pending and now - peer.last_answer > ANSWER_TIMEOUT:
                peer.refusals = MAX_REFUSALS  # until it answers again
                self.unanswered(peer, peer.abandon())
        if any(peer.pending for peer in self._peers):
            self._timers.start("check", CHECK_EVERY, self._check_answers)

    def close(self) -> None:
        """Give up everything that is wanted."""
        self._timers.close()
        for wanted in tuple(self._ranges):
            self._ranges.discard(wanted)
            wanted.complete()
