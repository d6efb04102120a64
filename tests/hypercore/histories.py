"""Several histories of one log, which its author signed, and what shows them to others."""

from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.proof import Proof, ProofRequest, prove
from tests.hypercore.liar import HONEST
from tests.hypercore.vectors import KEY, MANIFEST, Log


def forked(length: int, at: int) -> Log:
    """Another history of the author: the blocks of the honest one up to one, and then others."""
    return Log([*HONEST.blocks[:at], *(b"another %d" % number for number in range(at, length))])


def head(log: Log, length: int) -> Evidence:
    """The signed head of a log, by its roots at a length."""
    proof = prove(ProofRequest(upgrade=(0, length)), len(log.blocks), log.find, signature=log.signature)
    return Evidence(KEY, 0, MANIFEST, proof)


def resized(evidence: Evidence) -> Evidence:
    """The same head, a byte of which has moved from the last root to the node that it is joined with."""
    upgrade = evidence.proof.upgrade
    assert upgrade
    *roots, last = upgrade.nodes
    beside, *rest = upgrade.additional
    forged = upgrade._replace(
        nodes=[*roots, last._replace(size=last.size - 1)], additional=[beside._replace(size=beside.size + 1), *rest]
    )
    return evidence._replace(proof=Proof(upgrade=forged))
