"""One peer that has a log open with us: what it has, what was requested of it, and whether its answers are true.

Protocol: the npm package `hypercore` 11.37.1, `lib/replicator.js`.
"""

from asyncio import get_running_loop
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from linkup_nb.channels import Channels
from linkup_nb.errors import HandshakeError, InvalidProof, MachineError, PeerRefused, ProtocolError
from linkup_nb.hypercore import events as ev
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.bitfield import PAGE, Bitfield
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.proof import Proof, ProofRequest
from linkup_nb.hypercore.storage import MAX_LENGTH
from linkup_nb.hypercore.upload import SEGMENT, Upload
from linkup_nb.wire.keys import blake2b_256, namespace, short_key
from linkup_nb.wire.protomux import ChannelState

PROTOCOL = "hypercore/alpha"
MAX_PAGES = 1024  # of 32,768 blocks each, some of which the peer has and others not; 4 MiB
MAX_ABANDONED = 4096  # requests given up whose answers may still come
MAX_REFUSALS = 256  # requests that a peer refuses in a row before nothing more is requested of it

_INITIATOR, _RESPONDER = namespace("hypercore", [1, 2])


def capability(key: bytes, handshake_hash: bytes, initiator: bool) -> bytes:
    """What proves, on one connection, that its sender knows the key of a log."""
    return blake2b_256((_INITIATOR if initiator else _RESPONDER) + key, key=handshake_hash)


class PendingRequest(NamedTuple):
    """A request that the peer has not answered; `evidence` is to show whether the peer or the author lies."""

    wanted: ProofRequest
    fork: int
    evidence: bool = False


class Replication(Protocol):
    """What a peer belongs to, and reports to."""

    log: Log

    @property
    def downloading(self) -> bool:
        """Whether somebody here uses the log; a channel that neither end uses is closed."""

    def opened(self, peer: "Peer") -> None:
        """The peer has opened the log too."""

    def ended(self, peer: "Peer") -> None:
        """The peer has closed the log, or does not have it, or its connection has ended."""

    def head_received(self, peer: "Peer") -> None:
        """`peer.head` is new."""

    def blocks_received(self, peer: "Peer", start: int) -> None:
        """`peer.blocks` has more, from `start` on."""

    def answered(self, peer: "Peer", request: PendingRequest, data: msg.Data) -> None:
        """The peer has sent what was requested; whether it is true is not known yet. Raises `InvalidProof`."""

    def unanswered(self, peer: "Peer", requests: list[PendingRequest]) -> None:
        """The peer will not answer these."""

    def failed(self, error: MachineError) -> None:
        """The log cannot be read here."""

    def tell(self, peer: "Peer", message: msg.Message, request: msg.DataRequest | None) -> msg.Message | None:
        """What the peer is sent instead of a message, which may answer a request of its; `None` for nothing."""


class Peer:
    """One end of a `hypercore/alpha` channel."""

    def __init__(self, replication: Replication, channels: Channels) -> None:
        connection = channels.connection
        self.log = replication.log
        self.channels = channels
        self.connection = connection
        self.head: msg.Sync | None = None
        self.blocks = Bitfield()
        self.reported = 0  # of its blocks, how many from the first on were last reported to have come
        self.pending: dict[int, PendingRequest] = {}
        self.last_answer = 0.0  # loop time
        self.refusals = 0
        self.unproven_fork = 0  # the latest fork that it announced and could not prove
        self.suspect: InvalidProof | None = None
        self.expected: set[int] = set()  # nodes that the answers to pending requests will show
        self._replication = replication
        self._upload = Upload(self.log, self._send)
        self._sent_head: msg.Sync | None = None
        self._next_request = 1
        self._abandoned: dict[int, None] = {}
        self._wanted_segments: set[int] = set()
        self._ended = False
        self._announced_idle = False  # whether it was ever sent that nobody here uses the log
        handshake = msg.Handshake(capability(self.log.key, connection.handshake_hash, connection.initiator))
        self._channel = channels.open(PROTOCOL, self.log.discovery_key, handshake.encode(), self)

    def __repr__(self) -> str:
        return f"<Peer {short_key(self.connection.remote_public_key)} of {short_key(self.log.key)}>"

    @property
    def length(self) -> int:
        """Its length of our fork, as far as it has announced it."""
        return self.head.length if self.head and self.head.fork == self.log.fork else 0

    @property
    def head_pending(self) -> bool:
        """Whether a longer tree, or a later fork, is requested of it."""
        return any(pending.wanted.upgrade or pending.fork > self.log.fork for pending in self.pending.values())

    @property
    def undecided(self) -> bool:
        """Whether it has neither refused the channel nor sent its head yet."""
        return self._channel.state is not ChannelState.CLOSED and self.head is None

    @property
    def closed_as_idle(self) -> bool:
        """Whether it may have closed the channel because neither end used the log."""
        idle = self._announced_idle and self.head is not None and not self.head.downloading
        return idle and not self.connection.closed

    def close(self) -> None:
        """Leave the channel."""
        if not self._ended:
            self._ended = True
            self.channels.close(self._channel)

    # Callbacks of the channel

    def opened(self, handshake: bytes) -> None:
        connection = self.connection
        theirs = capability(self.log.key, connection.handshake_hash, not connection.initiator)
        if msg.Handshake.decode(handshake).capability != theirs:
            raise HandshakeError("The peer does not know the key of the log that it opened.")
        self.send_head()
        if self.log.blocks.contiguous:
            self.send_have(0, self.log.blocks.contiguous)
        self._replication.opened(self)

    def received(self, type: int, payload: bytes) -> None:
        message = msg.decode(type, payload)
        try:
            if isinstance(message, msg.Data):
                self._on_data(message)
            elif isinstance(message, msg.DataRequest):
                self._upload.request(message)
            elif isinstance(message, msg.Sync):
                self._on_sync(message)
            elif isinstance(message, msg.Range):
                self._on_range(message)
            elif isinstance(message, msg.HaveBitfield):
                self._on_bitfield(message)
            elif isinstance(message, msg.NoData):
                self._on_no_data(message)
            elif isinstance(message, msg.Want) and not isinstance(message, msg.Unwant):
                self._upload.want(message)
            elif isinstance(message, msg.Cancel):
                self._upload.cancel(message.request)
        except MachineError as error:  # no fault of the peer's, nor of the other logs on this connection
            self._replication.failed(error)

    def drained(self) -> None:
        try:
            self._upload.resume()
        except MachineError as error:
            self._replication.failed(error)

    def ended(self) -> None:
        self._ended = True
        self._replication.ended(self)

    # What is sent

    def send_head(self) -> None:
        """Announce our head, unless that was done."""
        log, head = self.log, self.head
        acknowledged = head.length if head and head.fork == log.fork else 0
        downloading = self._replication.downloading
        self._announced_idle |= not downloading
        ours = msg.Sync(
            log.fork, log.length, acknowledged, downloading=downloading, has_manifest=log.manifest is not None
        )
        if ours != self._sent_head:
            self._sent_head = ours
            self._send(ours)

    def send_have(self, start: int, length: int) -> None:
        """Announce blocks that are here, unless the peer has them all itself: the first ones always, for its sake."""
        if start == 0 or next(self.blocks.missing(start, start + length), None) is not None:
            self._send(msg.Range(start, length))

    def send_dropped(self, start: int, length: int) -> None:
        """Announce that blocks are here no longer."""
        if length:
            self._send(msg.Range(start, length, drop=True))

    def request(self, wanted: ProofRequest, *, fork: int | None = None, evidence: bool = False) -> None:
        """Request a proof; `answered` or `unanswered` follows, unless it is cancelled or abandoned."""
        if not self.pending:
            self.last_answer = get_running_loop().time()
        number = self._next_request
        self._next_request = number % 2**31 + 1
        fork = self.log.fork if fork is None else fork
        self.pending[number] = PendingRequest(wanted, fork, evidence)
        self._send(msg.DataRequest(number, fork, wanted, self.log.manifest is None or evidence))

    def request_segment(self, index: int) -> None:
        """Request which blocks around `index` the peer has, once."""
        segment = index - index % SEGMENT
        if segment not in self._wanted_segments and self.head:
            self._wanted_segments.add(segment)
            self._send(msg.Want(segment, SEGMENT))

    def abandon(self) -> list[PendingRequest]:
        """Expect no answers any more; what was pending."""
        return self._expect_no_more(list(self.pending))

    def cancel(self, unwanted: Callable[[PendingRequest], bool]) -> list[PendingRequest]:
        """Take requests back; which they were."""
        numbers = [number for number, pending in self.pending.items() if unwanted(pending)]
        for number in numbers:
            self._send(msg.Cancel(number))
        return self._expect_no_more(numbers)

    def _expect_no_more(self, numbers: Iterable[int]) -> list[PendingRequest]:
        """Ignore the answers to some requests, if they come."""
        requests = [self.pending.pop(number) for number in numbers]
        if requests:
            self.expected.clear()
            self._abandoned.update(dict.fromkeys(numbers))
            while len(self._abandoned) > MAX_ABANDONED:
                del self._abandoned[next(iter(self._abandoned))]
        return requests

    def _send(self, message: msg.Message, request: msg.DataRequest | None = None) -> None:
        told = None if self._ended else self._replication.tell(self, message, request)
        if told and not self.channels.send(self._channel, msg.NUMBERS[type(told)], told.encode()):
            self._upload.paused = True

    # What is received

    def _on_sync(self, sync: msg.Sync) -> None:
        if sync.length > MAX_LENGTH:
            raise PeerRefused(f"A log has at most {MAX_LENGTH} blocks, not {sync.length}.")
        before, self.head = self.head, sync
        if before and (sync.fork != before.fork or sync.length < before.length):
            self.blocks.truncate(sync.length)
            self._wanted_segments.clear()
        self.send_head()
        self._replication.head_received(self)

    def _on_range(self, range: msg.Range) -> None:
        if range.start + range.length > MAX_LENGTH:
            raise PeerRefused(f"A log has at most {MAX_LENGTH} blocks, not {range.start + range.length}.")
        # What lies far beyond the head that is known here is requested once that head is.
        end = min(range.start + range.length, self.log.length + SEGMENT)
        if range.start >= end:
            return
        if range.drop:
            self._break_up(range.start)
            self.blocks.clear(range.start, end - range.start)
        else:
            if range.start > self.blocks.contiguous and end - range.start > MAX_PAGES * PAGE:
                raise PeerRefused(f"The peer announces over {MAX_PAGES * PAGE} blocks in the middle of a log.")
            self.blocks.set(range.start, end - range.start)
            self._check_size()
            self._replication.blocks_received(self, range.start)

    def _on_bitfield(self, bitfield: msg.HaveBitfield) -> None:
        if bitfield.start % 32:
            raise ProtocolError(f"A bitfield starts at a multiple of 32 blocks, not at block {bitfield.start}.")
        if len(bitfield.words) * 8 > SEGMENT:
            raise PeerRefused(f"A bitfield is about at most {SEGMENT} blocks, not {len(bitfield.words) * 8}.")
        if bitfield.start + len(bitfield.words) * 8 > MAX_LENGTH:
            raise PeerRefused(f"A bitfield of blocks beyond {MAX_LENGTH}.")
        if bitfield.start < self.log.length + SEGMENT:
            self._break_up(bitfield.start)
            self.blocks.set_words(bitfield.start, bitfield.words)
            self._check_size()
            self._replication.blocks_received(self, bitfield.start)

    def _break_up(self, start: int) -> None:
        """A hole comes into the contiguous beginning: forget what would need too many pages; `want` brings it again."""
        if self.blocks.contiguous - start > MAX_PAGES * PAGE:
            self.blocks.truncate(start)
            self._wanted_segments.clear()

    def _check_size(self) -> None:
        if self.blocks.pages > MAX_PAGES:
            raise PeerRefused(f"The peer has blocks here and there in over {MAX_PAGES} parts of a log.")

    def _on_no_data(self, refusal: msg.NoData) -> None:
        request = self._take(refusal.request)
        if request:
            self._refused(request)

    def _refused(self, request: PendingRequest) -> None:
        self.refusals += 1
        if request.wanted.block:
            self.blocks.clear(request.wanted.block[0], 1)
        self._replication.unanswered(self, [request])

    def _on_data(self, data: msg.Data) -> None:
        if data.request == 0:  # the peer believes that the author signed two histories
            self._on_conflict(data)
            return
        request = self._take(data.request)
        if request is None:
            return
        if data.manifest and self.log.manifest is None:
            self.log.set_manifest(data.manifest)
        if not any(data.proof):
            self._refused(request)
            return
        self.refusals = 0
        self._check_answer(request, data)
        if request.evidence:
            self._on_evidence(data)
            return
        try:
            self._replication.answered(self, request, data)
        except InvalidProof as fault:
            self._accuse(fault)

    def _check_answer(self, request: PendingRequest, data: msg.Data) -> None:
        """What was not requested is not taken, even if it is true."""
        proof, wanted = data.proof, request.wanted
        parts = (
            (proof.block and proof.block.index, wanted.block, False),
            (proof.hash and proof.hash.index, wanted.hash, False),
            (proof.seek and proof.seek.bytes, wanted.seek, True),  # may be shown by the hash
        )
        for part, requested, optional in parts:
            if part != (requested[0] if requested else None) and not (optional and part is None):
                raise InvalidProof(f"Requested {requested[0] if requested else 'nothing'}, got {part}.")
        if proof.block and wanted.block and not wanted.upgrade and len(proof.block.nodes) != wanted.block[1]:
            raise InvalidProof(f"Requested a path of {wanted.block[1]} nodes, got {len(proof.block.nodes)}.")
        upgrade = (proof.upgrade.start, proof.upgrade.length) if proof.upgrade else None
        if upgrade != wanted.upgrade and not (wanted.upgrade and upgrade == self._prologue(wanted.upgrade[0])):
            raise InvalidProof(f"Requested an upgrade by {wanted.upgrade}, got {upgrade}.")
        if any(proof) and data.fork != request.fork:
            raise InvalidProof(f"Requested fork {request.fork}, got fork {data.fork}.")

    def _prologue(self, start: int) -> tuple[int, int] | None:
        """The upgrade by which npm's `hypercore` 11.37 answers all who do not have the prologue of a log yet."""
        prologue = self.log.manifest.prologue if self.log.manifest else None
        return (0, prologue.length) if prologue and start < prologue.length else None

    def _take(self, request: int) -> PendingRequest | None:
        pending = self.pending.pop(request, None)
        if pending:
            self.last_answer = get_running_loop().time()
        elif request in self._abandoned:
            del self._abandoned[request]
        else:
            raise ProtocolError(f"An answer to request {request}, which was not made.")
        return pending

    def _accuse(self, fault: InvalidProof) -> None:
        """A proof of this peer was false: it lies, or the author signed two histories. Its whole head shows which."""
        log = self.log
        if self.suspect or not log.length or not self.length or not log.manifest:
            raise self.suspect or fault
        self.suspect = fault
        self._replication.unanswered(self, self.abandon())
        self.request(ProofRequest(upgrade=(0, min(log.length, self.length))), evidence=True)

    def _on_conflict(self, data: msg.Data) -> None:
        upgrade = data.proof.upgrade
        if not upgrade or upgrade.start:
            raise ProtocolError("An answer to no request.")
        self._upload.count_invalid("heads that contradict nothing")
        if self.log.manifest and data.fork == self.log.fork and upgrade.length <= self.log.length:
            self._weigh(data)

    def _on_evidence(self, data: msg.Data) -> None:
        log, upgrade = self.log, data.proof.upgrade
        if upgrade and data.fork == log.fork and self._weigh(data):
            return
        if upgrade and data.fork > log.fork and not log.follows_forks and log.manifest:
            head = Evidence(log.key, data.fork, log.manifest, Proof(upgrade=upgrade))
            head.check()
            log.notify(ev.ForkRefused(head))
            return
        raise self.suspect or ProtocolError("An answer to no request.")

    def _weigh(self, data: msg.Data) -> bool:
        """Whether the author signed two histories, of which this is the other; nothing more is taken then."""
        log, upgrade = self.log, data.proof.upgrade
        if not upgrade or not log.manifest:
            return False
        theirs = Evidence(log.key, data.fork, log.manifest, Proof(upgrade=upgrade))
        theirs.check()
        known = [(node, log.find(node.index)) for node in upgrade.nodes]
        # The sizes of two siblings can be forged together: what was signed is the hash.
        if all(own is None or own.hash == node.hash for node, own in known):
            return False
        if not log.conflict:
            ours = log.head_at(upgrade.length)
            self._send(msg.Data(0, log.fork, ours.proof, log.manifest))
            log.freeze(ours, theirs)
        return True
