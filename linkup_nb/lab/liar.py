"""Peers that lie about the logs they give to others, each in one way."""

from collections.abc import Callable
from typing import Protocol

from linkup_nb.errors import InvalidRequest
from linkup_nb.hypercore import messages as msg
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.merkle import MerkleNode, Peaks
from linkup_nb.hypercore.peer import Peer
from linkup_nb.hypercore.proof import ProofRequest, prove

TOO_LONG = 10  # blocks that a log is said to have more than there are


class Liar(Protocol):
    """What a store of a lab tells peers; see `Tell`."""

    def __call__(self, peer: Peer, message: msg.Message, request: msg.DataRequest | None) -> msg.Message | None:
        """What the peer is told instead."""


class FalseProofs:
    """Alters every block that it sends."""

    def __call__(self, peer: Peer, message: msg.Message, request: msg.DataRequest | None) -> msg.Message | None:
        if not isinstance(message, msg.Data) or not message.proof.block:
            return message
        block = message.proof.block
        return message._replace(proof=message.proof._replace(block=block._replace(value=altered(block.value))))


class FalseLength:
    """Says that its logs are longer than they are, and proves what there is of them when asked for that much."""

    def __call__(self, peer: Peer, message: msg.Message, request: msg.DataRequest | None) -> msg.Message | None:
        log = peer.log
        if isinstance(message, msg.Sync) and message.length:
            return message._replace(length=message.length + TOO_LONG)
        if isinstance(message, msg.NoData) and request and request.wanted.upgrade:
            start = request.wanted.upgrade[0]
            if start < log.length and request.fork == log.fork:
                proof = log.prove(ProofRequest(upgrade=(start, log.length - start)))
                return msg.Data(request.id, log.fork, proof, log.manifest if request.manifest else None)
        return message


class Silent:
    """Says what it has, and answers no request for it."""

    def __call__(self, peer: Peer, message: msg.Message, request: msg.DataRequest | None) -> msg.Message | None:
        return None if request else message


class TwoHistories:
    """Signs two histories of each log of its own that grows from now on, and shows the other to every second peer."""

    def __init__(self, store: Corestore) -> None:
        self._lengths = {core.key: core.length for core in store.cores}
        self._others: dict[bytes, _OtherHistory] = {}
        self._told: list[bytes] = []

    def __call__(self, peer: Peer, message: msg.Message, request: msg.DataRequest | None) -> msg.Message | None:
        log = peer.log
        if not log.key_pair:
            return message
        other = self._others.get(log.key)
        if other is None:
            other = self._others[log.key] = _OtherHistory(log, self._lengths.get(log.key, 0))
        if not isinstance(message, msg.Data) or not request or request.fork != log.fork:
            return message
        key = peer.connection.remote_public_key
        if key not in self._told:
            self._told.append(key)
        return other.answer(message, request) if self._told.index(key) % 2 else message


class _OtherHistory:
    """A log as it would be if each block from some length on had been another one."""

    def __init__(self, log: Log, length: int) -> None:
        self._log = log
        self._from = length
        self._peaks = Peaks()
        self._nodes: dict[int, MerkleNode] = {}

    def answer(self, message: msg.Data, request: msg.DataRequest) -> msg.Message:
        """The answer to a request, out of this history."""
        log, peaks = self._log, self._peaks
        assert log.key_pair
        assert log.manifest
        peaks.append([self._block(index) for index in range(peaks.length, log.length)])
        self._nodes.update({node.index: node for node in peaks.added})
        peaks.added.clear()
        block = self._block(request.wanted.block[0]) if request.wanted.block else b""
        signature = log.manifest.sign(log.key_pair, log.key, peaks.hash(), peaks.length, log.fork)
        try:
            return message._replace(
                proof=prove(request.wanted, peaks.length, self._nodes.get, block=block, signature=signature)
            )
        except InvalidRequest:
            return msg.NoData(request.id)

    def _block(self, index: int) -> bytes:
        block = self._log.block(index)
        return altered(block) if index >= self._from else block


def altered(block: bytes) -> bytes:
    """Another block of the same size, or of one byte in place of none."""
    return bytes([block[0] ^ 1]) + block[1:] if block else b"\0"


LIARS: dict[str, Callable[[Corestore], Liar]] = {
    "false proofs": lambda store: FalseProofs(),
    "false length": lambda store: FalseLength(),
    "silent": lambda store: Silent(),
    "two histories": TwoHistories,
}
