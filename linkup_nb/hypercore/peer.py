"""One peer that has a log open with us: what it says it has, what we asked of it, and what it asked of us."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from linkup_nb.channels import Channels
from linkup_nb.errors import HandshakeError, InvalidProof, InvalidRequest, PeerRefused, ProtocolError
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.bitfield import PAGE, Bitfield
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.proof import Proof, Wanted
from linkup_nb.hypercore.storage import MAX_LENGTH
from linkup_nb.wire.keys import blake2b_256, namespace, short_key
from linkup_nb.wire.protomux import ChannelState

if TYPE_CHECKING:
    from linkup_nb.hypercore.replicator import Replicator

PROTOCOL = "hypercore/alpha"
SEGMENT = 2**21  # blocks about which one `want` asks
MAX_BACKLOG = 4096  # requests of a peer that wait for it to read our answers
MAX_PAGES = 1024  # of 32,768 blocks each, some of which the peer has and others not; 4 MiB
MAX_INVALID = 64  # requests of a peer that no log can answer
MAX_ABANDONED = 4096  # requests given up whose answers may still come
MAX_REFUSALS = 256  # requests that a peer refuses in a row before it is asked no more

_INITIATOR, _RESPONDER = namespace("hypercore", [1, 2])


def capability(key: bytes, handshake_hash: bytes, initiator: bool) -> bytes:
    """What proves, on one connection, that its sender knows the key of a log."""
    return blake2b_256((_INITIATOR if initiator else _RESPONDER) + key, key=handshake_hash)


class Asked(NamedTuple):
    """A request under way."""

    wanted: Wanted
    fork: int
    asked_at: float
    evidence: bool = False


class Peer:
    """One end of a `hypercore/alpha` channel."""

    def __init__(self, replicator: "Replicator", channels: Channels) -> None:
        connection = channels.connection
        self.log = replicator.log
        self.connection = connection
        self.heard: msg.Sync | None = None
        self.blocks = Bitfield()
        self.asked: dict[int, Asked] = {}
        self.last_answer = 0.0
        self.refusals = 0
        self.doubted = 0  # the latest fork that it could not show
        self.suspect: InvalidProof | None = None
        self.expected: set[int] = set()
        self._replicator = replicator
        self._channels = channels
        self._said: msg.Sync | None = None
        self._next_request = 1
        self._abandoned: dict[int, None] = {}
        self._backlog: dict[int | msg.Want, msg.Request | msg.Want] = {}
        self._full = False
        self._invalid = 0
        self._wanted_segments: set[int] = set()
        self._ended = False
        self._rested = False  # whether it was ever told that nobody here uses the log
        handshake = msg.Handshake(capability(self.log.key, connection.handshake_hash, connection.initiator))
        self._channel = channels.open(PROTOCOL, self.log.discovery_key, handshake.encode(), self)

    def __repr__(self) -> str:
        return f"<Peer {short_key(self.connection.remote_public_key)} of {short_key(self.log.key)}>"

    @property
    def length(self) -> int:
        """Its length of our fork, as far as it said."""
        return self.heard.length if self.heard and self.heard.fork == self.log.fork else 0

    @property
    def asked_for_head(self) -> bool:
        """Whether it is asked for a longer tree, or about a later fork."""
        return any(asked.wanted.upgrade or asked.fork > self.log.fork for asked in self.asked.values())

    @property
    def answering(self) -> bool:
        """Whether it has not refused the channel, nor said what it has yet."""
        return self._channel.state is not ChannelState.CLOSED and self.heard is None

    def close(self) -> None:
        """Leave the channel."""
        if not self._ended:
            self._ended = True
            self._channels.close(self._channel)

    # What the channel says

    def opened(self, handshake: bytes) -> None:
        connection = self.connection
        theirs = capability(self.log.key, connection.handshake_hash, not connection.initiator)
        if msg.Handshake.decode(handshake).capability != theirs:
            raise HandshakeError("the peer does not know the key of the log that it opened")
        self.say_head()
        if self.log.blocks.contiguous:
            self.say_have(0, self.log.blocks.contiguous)
        self._replicator.joined(self)

    def received(self, type: int, payload: bytes) -> None:
        message = msg.decode(type, payload)
        if isinstance(message, msg.Data):
            self._on_data(message)
        elif isinstance(message, msg.Request):
            self._on_request(message.id, message)
        elif isinstance(message, msg.Sync):
            self._on_sync(message)
        elif isinstance(message, msg.Range):
            self._on_range(message)
        elif isinstance(message, msg.Bitfield):
            self._on_bitfield(message)
        elif isinstance(message, msg.NoData):
            self._on_no_data(message)
        elif isinstance(message, msg.Want) and not isinstance(message, msg.Unwant):
            self._on_want(message)
        elif isinstance(message, msg.Cancel):
            self._backlog.pop(message.request, None)

    def drained(self) -> None:
        self._full = False
        while self._backlog and not self._full:
            self._answer(self._backlog.pop(next(iter(self._backlog))))

    def ended(self) -> None:
        self._ended = True
        self._replicator.left(self)
        idle = self._rested and self.heard is not None and not self.heard.downloading
        if idle and self._replicator.downloading and not self.connection.closed:
            self._replicator.add(self._channels)  # it was closed as idle while it came into use again here

    # What we say

    def say_head(self) -> None:
        """Tell our head, unless it was told."""
        log, heard = self.log, self.heard
        acknowledged = heard.length if heard and heard.fork == log.fork else 0
        downloading = self._replicator.downloading
        self._rested |= not downloading
        head = msg.Sync(
            log.fork, log.length, acknowledged, downloading=downloading, has_manifest=log.manifest is not None
        )
        if head != self._said:
            self._said = head
            self._send(head)

    def say_have(self, start: int, length: int) -> None:
        """Tell that blocks are here, unless the peer has them all itself."""
        if next(self.blocks.missing(start, start + length), None) is not None:
            self._send(msg.Range(start, length))

    def say_lost(self, start: int, length: int) -> None:
        """Tell that blocks are here no longer."""
        if length:
            self._send(msg.Range(start, length, drop=True))

    def ask(self, wanted: Wanted, now: float, *, fork: int | None = None, evidence: bool = False) -> int:
        """Request something; the id of the request."""
        if not self.asked:
            self.last_answer = now
        number = self._next_request
        self._next_request = number % 2**31 + 1
        fork = self.log.fork if fork is None else fork
        manifest = self.log.manifest is None or evidence
        self.asked[number] = Asked(wanted, fork, now, evidence)
        self._send(msg.Request(number, fork, wanted, manifest))
        return number

    def ask_where(self, index: int) -> None:
        """Ask which blocks around `index` the peer has, once."""
        segment = index - index % SEGMENT
        if segment not in self._wanted_segments and self.heard:
            self._wanted_segments.add(segment)
            self._send(msg.Want(segment, SEGMENT))

    def abandon(self) -> list[Asked]:
        """Expect no answers any more; what they would have answered."""
        return self._expect_no_more(list(self.asked))

    def cancel(self, unwanted: Callable[[Asked], bool]) -> list[Asked]:
        """Take requests back; what they asked."""
        numbers = [number for number, asked in self.asked.items() if unwanted(asked)]
        for number in numbers:
            self._send(msg.Cancel(number))
        return self._expect_no_more(numbers)

    def _expect_no_more(self, numbers: Iterable[int]) -> list[Asked]:
        """Ignore the answers to some requests, if they come."""
        asked = [self.asked.pop(number) for number in numbers]
        if asked:
            self.expected.clear()
            self._abandoned.update(dict.fromkeys(numbers))
            while len(self._abandoned) > MAX_ABANDONED:
                del self._abandoned[next(iter(self._abandoned))]
        return asked

    def _send(self, message: msg.Message) -> None:
        if not self._ended and not self._channels.send(self._channel, msg.NUMBERS[type(message)], message.encode()):
            self._full = True

    # What the peer says

    def _on_sync(self, sync: msg.Sync) -> None:
        if sync.length > MAX_LENGTH:
            raise PeerRefused(f"a log has at most {MAX_LENGTH} blocks, not {sync.length}")
        before, self.heard = self.heard, sync
        if before and (sync.fork != before.fork or sync.length < before.length):
            self.blocks.truncate(sync.length)
            self._wanted_segments.clear()
        self.say_head()
        self._replicator.told_by(self)

    def _on_range(self, range: msg.Range) -> None:
        if range.start + range.length > MAX_LENGTH:
            raise PeerRefused(f"blocks up to {range.start + range.length} of a log of at most {MAX_LENGTH}")
        # What lies far beyond the head that is known here is asked for once that head is.
        end = min(range.start + range.length, self.log.length + SEGMENT)
        if range.start >= end:
            return
        if range.drop:
            self._break_up(range.start)
            self.blocks.clear(range.start, end - range.start)
        else:
            if range.start > self.blocks.contiguous and end - range.start > MAX_PAGES * PAGE:
                raise PeerRefused(f"over {MAX_PAGES * PAGE} blocks in the middle of a log")
            self.blocks.set(range.start, end - range.start)
            self._check_size()
            self._replicator.has_more(self, range.start)

    def _on_bitfield(self, bitfield: msg.Bitfield) -> None:
        if bitfield.start % 32:
            raise ProtocolError(f"a bitfield that starts at block {bitfield.start}, which is no multiple of 32")
        if len(bitfield.words) * 8 > SEGMENT:
            raise PeerRefused(f"a bitfield tells of at most {SEGMENT} blocks, not {len(bitfield.words) * 8}")
        if bitfield.start + len(bitfield.words) * 8 > MAX_LENGTH:
            raise PeerRefused(f"a bitfield of blocks beyond {MAX_LENGTH}")
        if bitfield.start < self.log.length + SEGMENT:
            self._break_up(bitfield.start)
            self.blocks.set_words(bitfield.start, bitfield.words)
            self._check_size()
            self._replicator.has_more(self, bitfield.start)

    def _break_up(self, start: int) -> None:
        """A hole comes into the contiguous beginning: forget what would need too many pages; it can be asked again."""
        if self.blocks.contiguous - start > MAX_PAGES * PAGE:
            self.blocks.truncate(start)
            self._wanted_segments.clear()

    def _check_size(self) -> None:
        if self.blocks.pages > MAX_PAGES:
            raise PeerRefused(f"it has blocks here and there in over {MAX_PAGES} parts of a log")

    def _on_no_data(self, refusal: msg.NoData) -> None:
        asked = self._take(refusal.request)
        if asked:
            self._refused(asked)

    def _refused(self, asked: Asked) -> None:
        self.refusals += 1
        if asked.wanted.block:
            self.blocks.clear(asked.wanted.block[0], 1)
        self._replicator.unanswered(self, [asked])

    def _on_data(self, data: msg.Data) -> None:
        if data.request == 0:  # the peer believes that the author signed two histories
            self._on_conflict(data)
            return
        asked = self._take(data.request)
        if asked is None:
            return
        if data.manifest and self.log.manifest is None:
            self.log.set_manifest(data.manifest)
        if not any(data.proof):
            self._refused(asked)
            return
        self.refusals = 0
        self._check_answer(asked, data)
        if asked.evidence:
            self._on_evidence(data)
        else:
            self._replicator.answered(self, asked, data)

    def _check_answer(self, asked: Asked, data: msg.Data) -> None:
        """What was not asked for is not taken, even if it is true."""
        proof, wanted = data.proof, asked.wanted
        parts = (
            (proof.block and proof.block.index, wanted.block, False),
            (proof.hash and proof.hash.index, wanted.hash, False),
            (proof.seek and proof.seek.bytes, wanted.seek, True),  # may be shown by the hash
        )
        for part, asked_part, optional in parts:
            if part != (asked_part[0] if asked_part else None) and not (optional and part is None):
                raise InvalidProof(f"asked for {asked_part[0] if asked_part else 'nothing'}, got {part}")
        if proof.block and wanted.block and not wanted.upgrade and len(proof.block.nodes) != wanted.block[1]:
            raise InvalidProof(f"asked for a path of {wanted.block[1]} nodes, got {len(proof.block.nodes)}")
        upgrade = (proof.upgrade.start, proof.upgrade.length) if proof.upgrade else None
        if upgrade != wanted.upgrade:
            raise InvalidProof(f"asked for an upgrade by {wanted.upgrade}, got {upgrade}")
        if any(proof) and data.fork != asked.fork:
            raise InvalidProof(f"asked for fork {asked.fork}, got fork {data.fork}")

    def _take(self, request: int) -> Asked | None:
        asked = self.asked.pop(request, None)
        if asked:
            self.last_answer = self._replicator.now()
        elif request in self._abandoned:
            del self._abandoned[request]
        else:
            raise ProtocolError(f"an answer to request {request}, which was not made")
        return asked

    def accuse(self, fault: InvalidProof) -> None:
        """A proof of this peer was false: it lies, or the author signed two histories. Its whole head tells which."""
        log = self.log
        if self.suspect or not log.length or not self.length or not log.manifest:
            raise self.suspect or fault
        self.suspect = fault
        self._replicator.unanswered(self, self.abandon())
        self.ask(Wanted(upgrade=(0, min(log.length, self.length))), self._replicator.now(), evidence=True)

    def _on_conflict(self, data: msg.Data) -> None:
        upgrade = data.proof.upgrade
        if not upgrade or upgrade.start:
            raise ProtocolError("an answer to no request")
        self._count_invalid("heads that contradict nothing")
        if self.log.manifest and data.fork == self.log.fork and upgrade.length <= self.log.length:
            self._weigh(data)

    def _on_evidence(self, data: msg.Data) -> None:
        if data.proof.upgrade and data.fork == self.log.fork and self._weigh(data):
            return
        raise self.suspect or ProtocolError("an answer to no request")

    def _weigh(self, data: msg.Data) -> bool:
        """Whether the author signed two histories, of which this is the other; nothing more is taken then."""
        log, upgrade = self.log, data.proof.upgrade
        if not upgrade or not log.manifest:
            return False
        theirs = Evidence(log.key, data.fork, log.manifest, Proof(upgrade=upgrade))
        theirs.check()
        if all(log.find(node.index) in (None, node) for node in upgrade.nodes):
            return False
        if not log.conflict:
            ours = log.evidence()
            self._send(msg.Data(0, log.fork, ours.proof, log.manifest))
            log.freeze(ours, theirs)
        return True

    def _count_invalid(self, what: str) -> None:
        self._invalid += 1
        if self._invalid > MAX_INVALID:
            raise PeerRefused(f"over {MAX_INVALID} {what}")

    # What the peer asks

    def _on_request(self, name: int | msg.Want, request: msg.Request | msg.Want) -> None:
        if self._full or self._backlog:
            if len(self._backlog) >= MAX_BACKLOG:
                raise PeerRefused(f"over {MAX_BACKLOG} requests without reading the answers")
            self._backlog[name] = request
        else:
            self._answer(request)

    def _answer(self, request: msg.Request | msg.Want) -> None:
        if isinstance(request, msg.Want):
            for message in self._told(request):
                self._send(message)
        else:
            self._answer_with_data(request)

    def _answer_with_data(self, request: msg.Request) -> None:
        log = self.log
        manifest = log.manifest if request.manifest else None
        wanted = request.wanted
        if request.fork != log.fork or (wanted.block and not self._has(wanted.block[0])):
            if request.fork != log.fork and manifest:
                self._send(msg.Data(request.id, request.fork, Proof(), manifest))
            else:
                self._send(msg.NoData(request.id))
            return
        try:
            proof = log.prove(wanted)
        except InvalidRequest as error:
            self._count_invalid(f"requests that no log can answer, the last for {error}")
            self._send(msg.NoData(request.id, msg.Refusal.INVALID_REQUEST))
            return
        self._send(msg.Data(request.id, request.fork, proof, manifest))

    def _has(self, index: int) -> bool:
        return index < self.log.length and self.log.blocks.has(index)

    def _on_want(self, want: msg.Want) -> None:
        size = want.length
        if not 32 <= size <= SEGMENT or size & (size - 1) or want.start % size:
            raise ProtocolError(f"a want of {size} blocks from {want.start}; it is a power of two, and so is its place")
        self._on_request(want, want)

    def _told(self, want: msg.Want) -> Iterable[msg.Message]:
        log = self.log
        end = min(want.start + want.length, log.length)
        if end <= want.start:
            return
        contiguous = log.blocks.contiguous
        if contiguous >= end:
            yield msg.Range(0, contiguous)
        elif want.any:
            if contiguous > want.start:
                yield msg.Range(want.start, 1)
        else:
            rounded = end - want.start + 31 & ~31
            yield msg.Bitfield(want.start, log.blocks.words(want.start, rounded))
