"""What a peer requests of a log, and the answers it gets."""

from collections.abc import Callable, Iterable

from linkup_nb.errors import InvalidRequest, PeerRefused, ProtocolError
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.proof import MissingNode, Proof
from linkup_nb.hypercore.storage import TOGETHER

SEGMENT = 2**21  # blocks that one `want` is about
MAX_AHEAD = 2048  # bytes of each block that is kept because a peer may request it next
MAX_BACKLOG = 4096  # requests of a peer that wait for it to read our answers
MAX_INVALID = 64  # requests of a peer that no log can answer


class Upload:
    """The requests of one peer, answered in order, and no faster than it reads: set `paused` while it does not.

    `send` gets each answer, with the request if it is one for data.
    """

    def __init__(self, log: Log, send: Callable[[msg.Message, msg.DataRequest | None], None]) -> None:
        self.paused = False
        self._log = log
        self._send = send
        self._backlog: dict[int | msg.Want, msg.DataRequest | msg.Want] = {}
        self._invalid = 0
        self._last = -2  # the last block that was requested, alone
        self._ahead: tuple[int, dict[int, bytes]] = (0, {})  # blocks that it may request next, under a fork

    def request(self, request: msg.DataRequest) -> None:
        """Answer with data, or that there is none. Raises `PeerRefused` over a limit."""
        self._queue(request.id, request)

    def want(self, want: msg.Want) -> None:
        """Answer with the blocks that are here. Raises `ProtocolError` or `PeerRefused`."""
        size = want.length
        if not 32 <= size <= SEGMENT or size & (size - 1) or want.start % size:
            raise ProtocolError(
                f"A want has a power of two of blocks, at most {SEGMENT}, and starts at a multiple of that;"
                f" this one has {size} from {want.start}."
            )
        self._queue(want, want)

    def cancel(self, request: int) -> None:
        """The peer does not need this answer any more."""
        self._backlog.pop(request, None)

    def resume(self) -> None:
        """The peer has read: answer what has waited."""
        self.paused = False
        while self._backlog and not self.paused:
            self._answer(self._backlog.pop(next(iter(self._backlog))))

    def count_invalid(self, what: str) -> None:
        """Count a message that no honest peer sends. Raises `PeerRefused` over `MAX_INVALID`."""
        self._invalid += 1
        if self._invalid > MAX_INVALID:
            raise PeerRefused(f"The peer sent over {MAX_INVALID} {what}.")

    def _queue(self, name: int | msg.Want, request: msg.DataRequest | msg.Want) -> None:
        if not (self.paused or self._backlog):
            self._answer(request)
        elif len(self._backlog) < MAX_BACKLOG:
            self._backlog[name] = request
        else:
            raise PeerRefused(f"The peer made over {MAX_BACKLOG} requests without reading the answers.")

    def _answer(self, request: msg.DataRequest | msg.Want) -> None:
        if isinstance(request, msg.DataRequest):
            self._send(self._data(request), request)
        else:
            for message in self._held(request):
                self._send(message, None)

    def _data(self, request: msg.DataRequest) -> msg.Message:
        log, wanted = self._log, request.wanted
        manifest = log.manifest if request.manifest else None
        if request.fork != log.fork or log.being_cut:
            return msg.Data(request.id, request.fork, Proof(), manifest) if manifest else msg.NoData(request.id)
        if wanted.block and not log.synced.has(wanted.block[0]):
            return msg.NoData(request.id)
        try:
            proof = log.synced.prove(wanted, self._read(wanted.block[0]) if wanted.block else None)
        except MissingNode:
            return msg.NoData(request.id)
        except InvalidRequest as error:
            self.count_invalid(f"requests that no log can answer; the last was for this: {error}")
            return msg.NoData(request.id, msg.Refusal.INVALID_REQUEST)
        return msg.Data(request.id, request.fork, proof, manifest)

    def _read(self, index: int) -> bytes | None:
        """A block that is here, if others are read with it: once a peer requests one after the other."""
        log, last, self._last = self._log, self._last, index
        fork, ahead = self._ahead
        if fork == log.fork and index in ahead:
            return ahead[index]
        leaf = log.find(2 * index)
        if index != last + 1 or leaf is None or leaf.size > MAX_AHEAD:
            return None
        ahead = log.store.small_blocks(log.id, range(index, index + TOGETHER), MAX_AHEAD)
        self._ahead = (log.fork, ahead)
        return ahead.get(index)

    def _held(self, want: msg.Want) -> Iterable[msg.Message]:
        log = self._log
        end = min(want.start + want.length, log.synced.length)
        if end <= want.start:
            return
        contiguous = log.synced.contiguous
        if contiguous >= end:
            yield msg.Range(0, contiguous)
        elif want.any:
            if contiguous > want.start:
                yield msg.Range(want.start, 1)
        else:
            rounded = end - want.start + 31 & ~31
            yield msg.HaveBitfield(want.start, log.blocks.words(want.start, rounded))
