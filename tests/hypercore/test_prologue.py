"""Logs that begin with a tree that their manifest names, as the views of npm's `autobase` do."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore.corestore import Corestore
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.manifest import Prologue
from linkup_nb.hypercore.merkle import Peaks
from linkup_nb.hypercore.proof import Proof, ProofRequest, UpgradeProof, prove
from tests.hypercore.vectors import KEY_PAIR, MANIFEST

BEGINNING = 6  # blocks in the prologue
BLOCKS = [b"block %d" % index for index in range(10)]
OTHERS = [b"other %d" % index for index in range(10)]


def tree(blocks: list[bytes]) -> Peaks:
    peaks = Peaks()
    peaks.append(blocks)
    return peaks


BEGINS = replace(MANIFEST, prologue=Prologue(tree(BLOCKS[:BEGINNING]).hash(), BEGINNING))


def upgrade(blocks: list[bytes], start: int, length: int, *, signed: bool = True) -> UpgradeProof:
    """What an author who has these blocks answers; JavaScript signs nothing at the length of the prologue."""
    peaks = tree(blocks)
    nodes = {node.index: node for node in peaks.added}
    signature = BEGINS.sign(KEY_PAIR, BEGINS.key, peaks.hash(), peaks.length, 0) if signed else b""
    shown = prove(ProofRequest(upgrade=(start, length)), len(blocks), nodes.get, signature=signature).upgrade
    assert shown
    return shown


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with Corestore(tmp_path) as store:
        core = await store.core(key=BEGINS.key)
        core._log.set_manifest(BEGINS)
        yield core._log


async def test_the_prologue_needs_no_signature_and_the_rest_follows(log: Log) -> None:
    log.accept(Proof(upgrade=upgrade(BLOCKS[:BEGINNING], 0, BEGINNING, signed=False)))
    assert log.length == BEGINNING

    log.accept(Proof(upgrade=upgrade(BLOCKS, BEGINNING, 4)))
    assert log.length == 10


async def test_the_prologue_may_come_with_the_rest_of_the_tree(log: Log) -> None:
    log.accept(Proof(upgrade=upgrade(BLOCKS, 0, BEGINNING)))

    assert log.length == 10


FALSE = {
    "another beginning": upgrade(OTHERS[:BEGINNING], 0, BEGINNING),
    "another beginning, not signed": upgrade(OTHERS[:BEGINNING], 0, BEGINNING, signed=False),
    "another beginning, and the rest": upgrade(OTHERS, 0, BEGINNING),
    "a part of the beginning": upgrade(BLOCKS[:4], 0, 4),
    "the rest, not signed": upgrade(BLOCKS, 0, BEGINNING, signed=False),
}


@pytest.mark.parametrize("false", FALSE.values(), ids=FALSE)
async def test_any_other_beginning_is_refused_even_if_its_author_signed_it(log: Log, false: UpgradeProof) -> None:
    with pytest.raises(InvalidProof):
        log.accept(Proof(upgrade=false))

    assert (log.length, log.roots) == (0, ())
