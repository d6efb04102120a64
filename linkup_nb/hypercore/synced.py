"""What of a log survives a power cut. All that its peers learn, and every proof, is of this and of no more.

An author who lost blocks of which others have heard would use their numbers twice, which forks the log: nothing that is
signed leaves this process before the disk has it.
"""

import asyncio
import logging
from functools import partial
from typing import Protocol

from linkup_nb.errors import StoreError, UsageError
from linkup_nb.hypercore import events as ev
from linkup_nb.hypercore.bitfield import Bitfield
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.proof import MissingNode, Proof, ProofRequest, prove
from linkup_nb.hypercore.storage import Store
from linkup_nb.wire.keys import short_key

logger = logging.getLogger("linkup_nb")


class GrowingLog(Protocol):
    """The whole log, which may be longer."""

    store: Store
    key: bytes
    fork: int
    length: int
    signature: bytes
    manifest: Manifest | None
    blocks: Bitfield

    def find(self, index: int) -> MerkleNode | None:
        """The tree node `index`."""

    def block(self, index: int) -> bytes:
        """The block `index`, which is here."""

    def damaged(self, lost: str) -> StoreError:
        """What to raise for what the disk has lost."""

    def notify(self, event: ev.LogEvent) -> None:
        """Report what has happened."""


class SyncedLog:
    """The beginning of a log that survives a power cut: its head, its blocks, its proofs. Its fork is the log's."""

    def __init__(self, log: GrowingLog) -> None:
        self.length = 0
        self.signature = b""
        self.failure: StoreError | None = None  # once the disk has refused to keep what was appended
        self._log = log
        self._followed = 0  # heads that are not synced yet
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def contiguous(self) -> int:
        """How many of its blocks from the first on are here."""
        return min(self._log.blocks.contiguous, self.length)

    def has(self, index: int) -> bool:
        """Whether the block `index` is one of it, and is here."""
        return index < self.length and self._log.blocks.has(index)

    def take_all(self) -> None:
        """All of the log is on disk, or is what others have heard already."""
        if not self.failure:
            self.length, self.signature = self._log.length, self._log.signature
            self._wake()

    def follow(self) -> None:
        """Take all that the log has now once that survives a power cut, which is soon."""
        log = self._log
        self._followed += 1
        log.store.sync_soon(partial(self._take, log.fork, log.length, log.signature), self._fail)

    def _take(self, fork: int, length: int, signature: bytes) -> None:
        log = self._log
        self._followed -= 1
        self._wake()
        if fork == log.fork and self.length < length <= log.length and not self.failure:
            self.length, self.signature = length, signature
            log.notify(ev.Synced())

    def _fail(self, error: Exception) -> None:
        self._followed -= 1
        logger.error("The log %s can be appended to no more: %s", short_key(self._log.key), error)
        self.failure = StoreError(f"{str(error).removesuffix('.')}; open the store again.")
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self) -> None:
        """Wait until it has all that the log has now. Raises `StoreError` if the disk does not keep it."""
        fork, length = self._log.fork, self._log.length
        while self._log.fork == fork and self.length < length:
            if self.failure:
                raise self.failure
            if not self._followed:
                return
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)

    # Proofs

    def prove(self, wanted: ProofRequest, block: bytes | None = None) -> Proof:
        """Answer a request, whose block has to be here, and may be given.

        Raises `InvalidRequest` for what no log of this length can show, `MissingNode` for what another copy can,
        `StoreError` for what was here and is lost.
        """
        log = self._log
        if block is None:
            block = log.block(wanted.block[0]) if wanted.block else b""
        try:
            return prove(wanted, self.length, log.find, block=block, signature=self.signature)
        except MissingNode:
            if wanted.block and not wanted.upgrade:  # a block came with its path, or was appended here
                raise log.damaged("nodes of its tree") from None
            raise

    def evidence(self, index: int | None = None) -> Evidence:
        """The head, and the block `index` under it, for anybody who knows the key. Raises `UsageError` if not here."""
        log = self._log
        if not self.length:
            raise UsageError("An empty log proves nothing.")
        if not log.manifest:
            raise UsageError("A log without a manifest has no proofs to pass on.")
        if index is not None and not (index >= 0 and self.has(index)):
            raise UsageError(f"Block {index} is not here; get it first.")
        block = None if index is None else (index, 0)
        return Evidence(
            log.key, log.fork, log.manifest, self.prove(ProofRequest(block=block, upgrade=(0, self.length)))
        )

    def head_at(self, length: int) -> Evidence:
        """The head, shown by the roots that the log had at an earlier length; by its own if those are not all here."""
        log = self._log
        assert log.manifest
        try:
            proof = self.prove(ProofRequest(upgrade=(0, length)))
        except MissingNode:
            return self.evidence()
        return Evidence(log.key, log.fork, log.manifest, proof)
