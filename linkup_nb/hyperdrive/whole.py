"""Which versions of a bee have a root of their own, and which lie inside of a batch.

Format: the npm package `hyperbee` 2.27. Of the blocks of a batch only the last has the root of its tree in its index.
The others have what is left of theirs once the root and all that later blocks rewrote is gone, the last node first; and
nothing marks them.
"""

from collections.abc import Iterator

from linkup_nb.errors import DecodeError
from linkup_nb.hyperdrive.tree import Block, LoadBlock

MAX_BATCH = 2**20  # blocks looked at in search of the beginning of a batch


async def whole(version: int, head: int, load: LoadBlock) -> int:
    """The latest version up to `version` that surely has its root in its last block; 1 if that is the empty one.

    `head` is the latest version of all. Raises `DecodeError` for a batch of over `MAX_BATCH` blocks.
    """
    block = await load(version - 1)
    if _hangs_together(block) or (_alone(block) and (version == head or _follows(block, await load(version)))):
        return version
    for earlier in range(version - 1, max(1, version - MAX_BATCH), -1):
        later, block = block, await load(earlier - 1)
        if _hangs_together(block) or _follows(block, later):
            return earlier
    if version > MAX_BATCH:
        raise DecodeError(f"Version {version} lies in a batch of over {MAX_BATCH} changes.")
    return 1


def _hangs_together(block: Block) -> bool:
    """Whether the index has several nodes, the first the root of the others: no order in which a batch leaves them."""
    levels = block.levels()
    inside = {offset for _, children in levels for seq, offset in _pairs(children) if seq == block.seq}
    return len(levels) > 1 and inside == set(range(1, len(levels))) and _of_its_time(block)


def _alone(block: Block) -> bool:
    """Whether the index has one node, which may be a root or what a batch left."""
    return len(block.levels()) == 1 and _of_its_time(block)


def _of_its_time(block: Block) -> bool:
    """Whether no node refers to a later block: what a batch left of a tree may have grown with the batch."""
    return all(
        max(keys, default=0) <= block.seq and max(children[::2], default=0) <= block.seq
        for keys, children in block.levels()
    )


def _follows(before: Block, after: Block) -> bool:
    """Whether the one node of a block is what the change after it makes of the one node before: both are roots.

    Another node than the root that a change takes apart is not left in an earlier block of the same batch.
    """
    if not (_alone(before) and _alone(after)):
        return False
    [(old, old_children)], [(new, new_children)] = before.levels(), after.levels()
    if old_children != new_children:
        return False
    if after.value is None:
        return not new_children and len(new) + 1 == len(old) and set(new) < set(old)
    if after.seq not in new:
        return False
    at = new.index(after.seq)
    replaced = [*old[:at], after.seq, *old[at + 1 :]]
    inserted = [*old[:at], after.seq, *old[at:]]
    return new == replaced or (not new_children and new == inserted)


def _pairs(children: list[int]) -> Iterator[tuple[int, int]]:
    return zip(children[::2], children[1::2], strict=True)
