"""Feeds by whole subtrees, between two members that both can: many times as fast as block by block.

Whoever is asked answers in order, and no faster than the other reads. What does not come so, for a peer has not all of
it or is JavaScript, comes by Hypercore's own replication.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from linkup_nb.errors import ProtocolError
from linkup_nb.hypercore.core import Core
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.subtrees import RUN, keep_run, keep_skeleton, run_of, skeleton
from linkup_nb.rooms.memory.peer import RoomPeer
from linkup_nb.wire import rooms as wire

MAX_ASKED = 4  # runs that are requested of one peer at a time
MAX_WAITING = 8  # requests of one peer that wait for it to read the answers before
ANSWER_TIMEOUT = 30.0  # seconds for an answer; then the rest is fetched block by block
FEWEST = 2  # runs that are worth a skeleton

Request = wire.SkeletonRequest | wire.RunRequest
Answer = wire.Skeleton | wire.Run


class _Pending:
    """A request of ours; `take` checks and keeps what is answered, and says whether it was anything."""

    def __init__(self, take: Callable[[Answer], bool]) -> None:
        self.take = take
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class _Partner:
    """A peer that is here: what it has requested, and what was requested of it."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self.ready = True
        self.pending: dict[int, _Pending] = {}
        self.next_id = 1


class Runs:
    """Fetches and serves runs of the feeds of one room; `core_of` gives the open core of a feed by its tag."""

    def __init__(self, core_of: Callable[[bytes], Core | None]) -> None:
        self._core_of = core_of
        self._partners: dict[RoomPeer, _Partner] = {}
        self._one_feed = asyncio.Lock()  # at a time, so that nobody is asked for more than they take

    def proven(self, peer: RoomPeer) -> None:
        """A peer has proven to know the room."""
        self._partners[peer] = _Partner()

    def gone(self, peer: RoomPeer) -> None:
        """A peer has left: it answers nothing any more."""
        partner = self._partners.pop(peer, None)
        for pending in partner.pending.values() if partner else ():
            _settle(pending, False)

    def received(self, peer: RoomPeer, message: Request | Answer) -> None:
        """A peer requests something, or has answered. Raises `ProtocolError` or `InvalidProof`."""
        partner = self._partners.get(peer)
        if partner is None:
            return
        if isinstance(message, wire.Skeleton | wire.Run):
            pending = partner.pending.pop(message.id, None)
            if pending:
                try:
                    _settle(pending, pending.take(message))
                finally:
                    _settle(pending, False)
            return
        if len(partner.requests) >= MAX_WAITING:
            raise ProtocolError(f"The peer requested over {MAX_WAITING} runs without reading the answers.")
        partner.requests.append(message)
        self._serve(peer, partner)

    def drained(self, peer: RoomPeer) -> None:
        """A peer has read what was sent to it."""
        partner = self._partners.get(peer)
        if partner:
            partner.ready = True
            self._serve(peer, partner)

    def _serve(self, peer: RoomPeer, partner: _Partner) -> None:
        while partner.ready and partner.requests:
            partner.ready = peer.send(self._answer(partner.requests.popleft()))

    def _answer(self, request: Request) -> Answer:
        core = self._core_of(request.tag)
        if isinstance(request, wire.SkeletonRequest):
            nodes = skeleton(core.log, request.length) if core else None
            return wire.Skeleton(request.id, tuple((node.index, node.size, node.hash) for node in nodes or ()))
        blocks = run_of(core.log, request.start, wire.MAX_RUN_BYTES) if core else None
        return wire.Run(request.id, tuple(blocks or ()))

    async def fetch(self, core: Core, start: int, end: int) -> None:
        """Fetch the runs that end after block `start` and by `end`; returns when no peer has more of them."""
        async with self._one_feed:
            wanted = [run for run in range(start // RUN, end // RUN) if _lacks(core.log, run)]
            for peer in tuple(self._partners):
                if len(wanted) >= FEWEST and peer.flags & wire.SERVES_RUNS and not (core.conflict or core.closed):
                    wanted = await self._fetch_from(peer, core, wanted)

    async def _fetch_from(self, peer: RoomPeer, core: Core, wanted: Sequence[int]) -> list[int]:
        """The runs that did not come from this peer."""
        log, tag, length = core.log, core.key[: wire.TAG_SIZE], core.length

        def take_skeleton(answer: Answer) -> bool:
            if not isinstance(answer, wire.Skeleton) or not answer.nodes or log.length // RUN != length // RUN:
                return False  # the peer has not all of it, or the feed has grown meanwhile
            keep_skeleton(log, [MerkleNode(*node) for node in answer.nodes])
            return True

        if not await self._request(peer, partial(wire.SkeletonRequest, tag=tag, length=length), take_skeleton):
            return list(wanted)
        queue, left = deque(wanted), list[int]()

        def take_run(run: int, answer: Answer) -> bool:
            if not isinstance(answer, wire.Run) or not answer.blocks or core.closed or core.conflict:
                return False
            keep_run(log, run * RUN, answer.blocks)
            return True

        async def ask() -> None:
            while queue and peer in self._partners and not core.closed:
                run = queue.popleft()
                request = partial(wire.RunRequest, tag=tag, start=run * RUN)
                if not await self._request(peer, request, partial(take_run, run)):
                    left.append(run)
                while log.store.congested:
                    await log.store.flush()

        await asyncio.gather(*(ask() for _ in range(MAX_ASKED)))
        return sorted([*left, *queue])

    async def _request(self, peer: RoomPeer, make: Callable[[int], Request], take: Callable[[Answer], bool]) -> bool:
        """Whether a peer had an answer, and it was kept."""
        partner = self._partners.get(peer)
        if partner is None:
            return False
        id, partner.next_id = partner.next_id, partner.next_id + 1
        pending = partner.pending[id] = _Pending(take)
        try:
            peer.send(make(id))
            await asyncio.wait([pending.answered], timeout=ANSWER_TIMEOUT)
        finally:
            partner.pending.pop(id, None)
        return pending.answered.done() and pending.answered.result()


def _settle(pending: _Pending, kept: bool) -> None:
    if not pending.answered.done():
        pending.answered.set_result(kept)


def _lacks(log: Log, run: int) -> bool:
    return log.blocks.count(run * RUN, (run + 1) * RUN) < RUN
