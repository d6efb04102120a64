"""The checking of what is here of a log against what its author signed."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.merkle import MerkleNode, Peaks, leaf_hash, parent

_STRIDE = 256  # blocks checked before others may run


@dataclass(frozen=True, slots=True)
class Audit:
    """What checking every hash and the signature of a log has shown."""

    blocks: int
    nodes: int
    faults: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether everything was as it should be."""
        return not self.faults


async def audit(log: Log) -> Audit:
    """Hash every block and node that is here again, and check the signature; changes nothing."""
    faults: list[str] = []
    blocks = nodes = 0
    length = log.length
    for index in range(length):
        held = log.blocks.has(index)
        block = log.store.block(log.id, index) if held else None
        node = log.find(2 * index)
        if block is not None:
            blocks += 1
            if not node or (node.size, node.hash) != (len(block), leaf_hash(block)):
                faults.append(f"block {index} is not the one that was signed")
        elif held:
            faults.append(f"block {index} is missing")
        odd = 2 * index + 1
        for number, found in ((2 * index, node), (odd, log.find(odd))):
            if found:
                nodes += 1
                faults += _audit_parent(log, number, found, length)
        if index % _STRIDE == 0:
            await asyncio.sleep(0)
    if length and log.manifest:
        try:
            log.authenticate(log.fork)(Peaks(log.roots), log.signature)
        except InvalidProof as error:
            faults.append(str(error))
    return Audit(blocks, nodes, tuple(faults))


def _audit_parent(log: Log, index: int, node: MerkleNode, length: int) -> Iterable[str]:
    if not index & 1 or flat.right_span(index) >= 2 * length:
        return
    left, right = (log.find(child) for child in flat.children(index))
    if left and right and parent(left, right) != node:
        yield f"node {index} is not the parent of its children"
