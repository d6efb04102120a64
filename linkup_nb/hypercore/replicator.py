"""The copying of one log between all peers that have it open: who is asked for what, and who is told what."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

from linkup_nb.channels import Channels
from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.download import Download
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.peer import MAX_REFUSALS, Asked, Peer
from linkup_nb.hypercore.proof import Unrooted, Wanted
from linkup_nb.hypercore.reorg import Reorganization

MAX_ASKED = 128  # requests under way at one peer
ANSWER_TIMEOUT = 10.0  # seconds without any answer after which what a peer was asked is asked of others
CANCEL_DELAY = 0.2  # seconds after which what nobody wants any more is cancelled; a stream asks on in the meantime
ANNOUNCE_DELAY = 0.05  # seconds in which blocks that have come are gathered into few messages
MAX_EXPECTED = 16384  # nodes that answers under way should show
SCAN = 4096  # blocks looked at for one peer before others may run


class Replicator:
    """The peers of one log. `at_rest()` is called when nobody here uses it and no peer has it open."""

    def __init__(self, log: Log, at_rest: Callable[[], None] = lambda: None) -> None:
        self.log = log
        self._at_rest = at_rest
        self.peers: set[Peer] = set()
        self._joining: set[Peer] = set()
        self._downloads: set[Download] = set()
        self._in_flight: dict[int, Peer] = {}
        self._seeks: dict[Wanted, set[asyncio.Future[None]]] = {}
        self._upgrading: Peer | None = None
        self._reorg: Reorganization | None = None
        self._announce: list[int] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._cuts: list[tuple[int, int]] = []
        self._length = log.length
        log.listeners.add(self)

    def now(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    def add(self, channels: Channels) -> None:
        """Open the log with a peer, or accept that it did."""
        self._joining.add(Peer(self, channels))

    def has(self, channels: Channels) -> bool:
        """Whether the log is open with this peer, or being opened."""
        return any(peer.connection is channels.connection for peer in self.peers | self._joining)

    # What a `Core` wants

    def download(self, start: int, end: int) -> Download:
        """Fetch a range of blocks."""
        download = Download(self.log, start, end, self._stopped)
        if not download.finished:
            self._downloads.add(download)
            self._pump_all()
        return download

    async def updated(self) -> None:
        """Wait until every peer has told its head, and the best of them is ours."""
        while any(peer.answering for peer in self._joining | self.peers) or any(
            peer.length > self.log.length or self._ahead(peer) for peer in self.peers
        ):
            await self._progress()

    def _ahead(self, peer: Peer) -> bool:
        """Whether the peer is on a later fork, and may show it."""
        heard = peer.heard
        return heard is not None and heard.fork > self.log.fork and (heard.length > 0 or peer.doubted < heard.fork)

    async def seek(self, top: int, offset: int, padding: int) -> None:
        """Ask for what is under the node `top` on the way to a byte, counted without `padding` bytes in each block."""
        wanted = Wanted(hash=(flat.left_span(top), flat.depth(top)), seek=(offset, padding))
        waiting = asyncio.get_running_loop().create_future()
        self._seeks.setdefault(wanted, set()).add(waiting)
        self._pump_all()
        try:
            await waiting
        finally:
            all_waiting = self._seeks.get(wanted, set())
            all_waiting.discard(waiting)
            if not all_waiting:
                self._seeks.pop(wanted, None)

    def common_since(self, fork: int) -> int:
        """How many blocks are still the same as they were under an earlier fork."""
        return min((length for new_fork, length in self._cuts if new_fork > fork), default=self.log.length)

    # Whether anybody uses it

    @property
    def downloading(self) -> bool:
        """Whether somebody here uses the log; a channel that neither end uses is closed."""
        return len(self.log.listeners) > 1 or bool(self._downloads or self.log.wanted)

    @property
    def resting(self) -> bool:
        """Whether nobody uses the log, here or elsewhere."""
        return not (self.downloading or self.peers or self._joining)

    def use(self, everybody: Iterable[Channels]) -> None:
        """Somebody begins to use the log: open it with whom it is not open."""
        for peer in self.peers:
            peer.say_head()
        for channels in everybody:
            if not self.has(channels):
                self.add(channels)

    def rest(self) -> None:
        """Somebody has ceased to use the log."""
        if not self.downloading:
            for peer in tuple(self.peers):
                peer.say_head()
                self._close_idle(peer)
            if self.resting:
                self._at_rest()

    def _close_idle(self, peer: Peer) -> bool:
        if peer.heard is None or peer.heard.downloading or peer.asked or self.downloading:
            return False
        peer.close()
        self.left(peer)
        return True

    # What the log says

    def told(self, event: str, *details: Any) -> None:
        """The log has changed: tell the peers, and ask them for what is missing now."""
        if event == "append":
            for peer in self.peers:
                peer.say_head()
            start, self._length = self._length, self.log.length
            if self.log.writable and start < self._length and self.log.blocks.has(start):
                for peer in self.peers:
                    peer.say_have(start, self._length - start)
            self._pump_soon()
        elif event == "download":
            self._announce.append(details[0])
            self._after("announce", ANNOUNCE_DELAY, self._say_downloaded)
            for download in tuple(self._downloads):
                download.arrived(details[0])
        elif event == "truncate":
            self._truncated(*details)
        elif event == "clear":
            start, end = details
            for peer in self.peers:
                peer.say_lost(start, end - start)
            for download in self._downloads:
                download.recount()
        elif event == "unwritten":
            for download in tuple(self._downloads):
                download.fail(details[0])
        elif event == "want":
            self._pump_soon()
        elif event == "unwant":
            self._after("cancel", CANCEL_DELAY, self._cancel_unwanted)
        elif event == "conflict":
            self.close()

    def _truncated(self, length: int, fork: int) -> None:
        self._cuts.append((fork, length))
        self._length = min(self._length, length)
        self._upgrading = self._reorg = None
        for peer in self.peers:
            for asked in peer.abandon():
                self._forget(asked)
            if self.log.writable:
                peer.say_lost(length, max(peer.blocks.contiguous, length + 1) - length)
            peer.say_head()
        for download in self._downloads:
            download.recount()
        self._wake()

    def _say_downloaded(self) -> None:
        """Tell what has come, to those who lack it, in runs."""
        self._timers.pop("announce", None)
        indexes, self._announce = sorted(self._announce), []
        contiguous = self.log.blocks.contiguous
        if indexes and contiguous > indexes[0]:
            for peer in self.peers:
                peer.say_have(0, contiguous)
        at = 0
        while at < len(indexes):
            run = at + 1
            while run < len(indexes) and indexes[run] == indexes[at] + run - at:
                run += 1
            if indexes[at] >= contiguous:
                for peer in self.peers:
                    peer.say_have(indexes[at], run - at)
            at = run

    # What the peers say

    def joined(self, peer: Peer) -> None:
        """The peer has opened the log too."""
        self._joining.discard(peer)
        self.peers.add(peer)
        if self.log.conflict:
            peer.close()
            self.left(peer)
            return
        self.log._tell("peer", peer.connection)

    def left(self, peer: Peer) -> None:
        """The peer has closed the log, or does not have it."""
        self._joining.discard(peer)
        self.peers.discard(peer)
        for download in self._downloads:
            download.cursors.pop(peer, None)
        peer.abandon()
        asked = [index for index, other in self._in_flight.items() if other is peer]
        self.unanswered(peer, [Asked(Wanted(block=(index, 0)), 0, 0.0) for index in asked])
        self.rest()

    def told_by(self, peer: Peer) -> None:
        """The peer has told its head."""
        self._wake()
        if not self._close_idle(peer):
            self._pump(peer)

    def has_more(self, peer: Peer, start: int) -> None:
        """The peer has told of blocks, from `start` on."""
        for download in self._downloads:
            if peer in download.cursors:
                download.cursors[peer] = min(download.cursors[peer], max(start, download.start))
        self._pump(peer)

    def unanswered(self, peer: Peer, all_asked: list[Asked]) -> None:
        """What the peer will not answer is asked of others."""
        for asked in all_asked:
            self._forget(asked)
            if asked.wanted.upgrade and asked.fork > self.log.fork:
                peer.doubted = asked.fork
        if self._upgrading is peer and not peer.asked_for_head:
            reorg, self._upgrading, self._reorg = self._reorg, None, None
            if reorg and peer in self.peers and not self.log.busy:
                reorg.finish()  # what is known to be in common has to do
        self._wake()
        self._pump_soon()

    def _forget(self, asked: Asked) -> None:
        if asked.wanted.block:
            index = asked.wanted.block[0]
            self._in_flight.pop(index, None)
            for download in self._downloads:
                for peer in download.cursors:
                    download.cursors[peer] = min(download.cursors[peer], index)

    def answered(self, peer: Peer, asked: Asked, data: msg.Data) -> None:
        """The peer has sent what it was asked for: keep it if it is true."""
        log = self.log
        if self._upgrading is peer and not peer.asked_for_head:
            self._upgrading = None
        if asked.wanted.block:
            self._in_flight.pop(asked.wanted.block[0], None)
        proof = data.proof
        try:
            if asked.fork > log.fork:
                self._reorganize(peer, asked, data)
            elif asked.fork == log.fork:
                if proof.upgrade and (proof.upgrade.start != log.length or log.busy):
                    proof = proof._replace(upgrade=None)  # another peer was quicker
                if any(proof):
                    log.accept(proof)
        except Unrooted as fault:
            if asked.wanted.hash:  # it was asked from a node that is known here
                peer.accuse(fault)
            peer.expected.clear()
            self._forget(asked)
        except InvalidProof as fault:
            peer.accuse(fault)
        for waiting in self._seeks.pop(asked.wanted, ()):
            if not waiting.done():
                waiting.set_result(None)
        self._wake()
        self._pump(peer)

    def _reorganize(self, peer: Peer, asked: Asked, data: msg.Data) -> None:
        """Follow the peer to a later fork, or ask it on."""
        if self.log.busy:
            self._reorg = None
            return
        if asked.wanted.hash:
            reorg = self._reorg
            if reorg is None or reorg.fork != asked.fork:
                return
            reorg.learn(data.proof)
        elif data.proof.upgrade:
            reorg = Reorganization(self.log, asked.fork, data.proof.upgrade)
        else:
            peer.doubted = asked.fork  # an empty log that JavaScript has cut shows nothing
            return
        if reorg.question:
            self._reorg, self._upgrading = reorg, peer
            peer.ask(reorg.question, self.now(), fork=reorg.fork)
        else:
            self._reorg = None
            reorg.finish()

    # Asking

    def _pump_soon(self) -> None:
        if self.peers and "pump" not in self._timers:
            self._timers["pump"] = asyncio.get_running_loop().call_later(0, self._pump_all)

    def _pump_all(self) -> None:
        if timer := self._timers.pop("pump", None):
            timer.cancel()
        for peer in tuple(self.peers):
            self._pump(peer)

    def _pump(self, peer: Peer) -> None:
        """Ask the peer for as much as it has and is good for."""
        heard = peer.heard
        if heard is None or peer.suspect or peer.refusals >= MAX_REFUSALS or self.log.conflict:
            return
        self._ask_upgrade(peer)
        if heard.fork == self.log.fork:
            self._ask_seeks(peer)
            if self.log.store.congested:
                self._after("pump", ANNOUNCE_DELAY, self._pump_all)
            else:
                self._ask_blocks(peer)
        if peer.asked:
            self._after("check", 1.0, self._check_answers)

    def _ask_upgrade(self, peer: Peer) -> None:
        log, heard = self.log, peer.heard
        if self._upgrading or not heard or log.busy:
            return
        if self._ahead(peer):
            start = 0
        elif (
            heard.fork == log.fork
            and heard.can_upgrade
            and heard.length > log.length
            and heard.remote_length == log.length
        ):
            start = log.length
        else:
            return
        self._upgrading = peer
        peer.ask(Wanted(upgrade=(start, heard.length - start)), self.now(), fork=heard.fork)

    def _ask_seeks(self, peer: Peer) -> None:
        if self._seeks and peer.length >= self.log.length:
            asked = {asked.wanted for other in self.peers for asked in other.asked.values()}
            for wanted in self._seeks:
                if wanted not in asked:
                    peer.ask(wanted, self.now())

    def _ask_blocks(self, peer: Peer) -> None:
        room = MAX_ASKED - len(peer.asked)
        if room < MAX_ASKED // 8:
            return  # ask rarely, for many
        for index in list(self.log.wanted):
            if index not in self._in_flight and index < self.log.length:
                if peer.blocks.has(index):
                    self._ask_block(peer, index)
                    room -= 1
                    if room == 0:
                        return
                elif index < peer.length:
                    peer.ask_where(index)
        for download in self._downloads:
            room = self._ask_range(peer, download, room)
            if room == 0:
                return

    def _ask_range(self, peer: Peer, download: Download, room: int) -> int:
        """Ask for blocks of a download, from where this peer was asked last; how much room is left."""
        cursor = max(download.cursors.get(peer, 0), download.start)
        end = min(download.end, self.log.length)
        scanned = 0
        for index in self.log.blocks.missing(cursor, end):
            cursor = index + 1
            if index not in self._in_flight:
                if peer.blocks.has(index):
                    self._ask_block(peer, index)
                    room -= 1
                elif index < peer.length:
                    peer.ask_where(index)
            scanned += 1
            if room == 0 or scanned == SCAN:
                break
        else:
            cursor = max(cursor, end)
        if scanned == SCAN:
            self._pump_soon()
        download.cursors[peer] = cursor
        return room

    def _ask_block(self, peer: Peer, index: int) -> None:
        # A peer answers in order, so this path may end at a node that an answer before this one will have shown.
        expected = peer.expected
        if not peer.asked or len(expected) > MAX_EXPECTED:
            expected.clear()
        self._in_flight[index] = peer
        steps, node = 0, 2 * index
        while node not in expected and self.log.find(node) is None:
            expected.add(node)
            expected.add(flat.sibling(node))
            node = flat.parent(node)
            steps += 1
        peer.ask(Wanted(block=(index, steps)), self.now())

    def _stopped(self, download: Download) -> None:
        """A download has come to its end, or is given up."""
        self._downloads.discard(download)
        if download.cancelled:
            self._after("cancel", CANCEL_DELAY, self._cancel_unwanted)
        self.rest()

    def _cancel_unwanted(self) -> None:
        """Tell peers which of their answers nobody waits for."""
        self._timers.pop("cancel", None)
        for peer in self.peers:
            for asked in peer.cancel(self._unwanted):
                self._forget(asked)
        self.rest()

    def _unwanted(self, asked: Asked) -> bool:
        if not asked.wanted.block or asked.wanted.upgrade:
            return False
        index = asked.wanted.block[0]
        return index not in self.log.wanted and not any(d.start <= index < d.end for d in self._downloads)

    def _check_answers(self) -> None:
        """Take from silent peers what they were asked, and give it to others."""
        self._timers.pop("check", None)
        now = self.now()
        for peer in tuple(self.peers):
            if peer.asked and now - peer.last_answer > ANSWER_TIMEOUT:
                peer.refusals = MAX_REFUSALS  # until it answers again
                self.unanswered(peer, peer.abandon())
        if any(peer.asked for peer in self.peers):
            self._after("check", 1.0, self._check_answers)

    # Waiting

    def _after(self, name: str, delay: float, action: Any) -> None:
        if name not in self._timers:
            self._timers[name] = asyncio.get_running_loop().call_later(delay, action)

    async def _progress(self) -> None:
        waiting = self._waiting
        if waiting is None or waiting.done():
            waiting = self._waiting = asyncio.get_running_loop().create_future()
        await asyncio.shield(waiting)

    _waiting: asyncio.Future[None] | None = None

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def close(self) -> None:
        """Leave every peer."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for peer in tuple(self.peers | self._joining):
            peer.close()
            self.left(peer)
        for timer in self._timers.values():
            timer.cancel()
        for download in tuple(self._downloads):
            download.cancel()
