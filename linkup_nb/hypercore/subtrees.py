"""Whole subtrees of a log, of `RUN` blocks each: proven by one node, which a skeleton of such nodes proves.

Hypercore's own replication sends and checks every block with its path. Where two peers agree to it, the nodes at one
depth come first; folded together they are the roots that the author signed, so all of them are proven at once. The
blocks under each are then hashed up to it, and kept together.
"""

from collections.abc import Sequence

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.merkle import MerkleNode, leaf, parent

RUN = 256  # blocks of one subtree
MAX_NODES = 4096  # of a skeleton that is read here: those of a log of a million blocks


def node_of(run: int) -> int:
    """The number of the node over the subtree of this number."""
    return 2 * RUN * run + RUN - 1


def skeleton(log: Log, length: int) -> list[MerkleNode] | None:
    """The nodes over all whole subtrees below `length`; `None` if some are not here, or there are over `MAX_NODES`."""
    count = length // RUN
    if length > log.synced.length or count > MAX_NODES:
        return None
    nodes = [log.find(node_of(run)) for run in range(count)]
    found = [node for node in nodes if node]
    return found if len(found) == count else None


def keep_skeleton(log: Log, nodes: Sequence[MerkleNode]) -> None:
    """Keep the nodes over all whole subtrees of a log as it is. Raises `InvalidProof` unless they fold to its roots."""
    if [node.index for node in nodes] != [node_of(run) for run in range(log.length // RUN)]:
        raise InvalidProof("These are not the nodes over the subtrees of this log.")
    kept = list(nodes)
    start = 0
    for root in log.roots:
        count = flat.leaves(root.index) // RUN
        level = list(nodes[start : start + count])
        start += count
        while len(level) > 1:
            level = [parent(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
            kept += level
        if level and level[0] != root:
            raise InvalidProof("These nodes are not those of the tree that the author of this log signed.")
    log.keep_nodes(kept)


def run_of(log: Log, start: int, max_bytes: int) -> list[bytes] | None:
    """The stored blocks of the subtree from `start` on; `None` if it is not whole here, or has over `max_bytes`."""
    node = log.find(node_of(start // RUN))
    whole = start % RUN == 0 and start + RUN <= log.synced.length and log.blocks.count(start, start + RUN) == RUN
    if not whole or node is None or node.size > max_bytes:
        return None
    return log.store.blocks(log.id, start, start + RUN)


def keep_run(log: Log, start: int, blocks: Sequence[bytes]) -> None:
    """Keep all blocks of a subtree whose node is known. Raises `InvalidProof` unless they are those under it."""
    if len(blocks) != RUN:
        raise InvalidProof(f"A subtree has {RUN} blocks, this one {len(blocks)}.")
    nodes = level = [leaf(start + place, block) for place, block in enumerate(blocks)]
    while len(level) > 1:
        level = [parent(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
        nodes = nodes + level
    if level[0] != log.find(node_of(start // RUN)):
        raise InvalidProof(f"The blocks from {start} on are not those of this log.")
    log.keep_blocks(start, blocks, nodes)
