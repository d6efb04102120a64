"""The way to a later fork: what its tree and ours have in common is found by one request a level of the tree."""

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.merkle import MerkleNode
from linkup_nb.hypercore.proof import Proof, ProofRequest, UpgradeProof, verify
from linkup_nb.hypercore.storage import MAX_LENGTH


class Reorganization:
    """Request `question` of a peer and give the proofs to `learn`; once there is no question, `finish`.

    Raises `InvalidProof` unless the author of `log` signed the whole head `upgrade` under `fork`.
    """

    def __init__(self, log: Log, fork: int, upgrade: UpgradeProof | None) -> None:
        shown = verify(Proof(upgrade=upgrade), (), lambda _: None, log.authenticate(fork))
        if not upgrade or not shown.peaks or shown.peaks.length > MAX_LENGTH:
            raise InvalidProof("A later fork without its head.")
        self.fork = fork
        self._log = log
        self._length = log.length
        self._peaks = shown.peaks
        self._signature = upgrade.signature
        self._nodes = {node.index: node for node in shown.nodes}
        self._compared = list(reversed(shown.peaks.roots))  # what comes next is last
        self._common = 0
        self._compare()

    @property
    def question(self) -> ProofRequest | None:
        """What decides how far the trees are the same, `None` once that is known."""
        return ProofRequest(hash=(flat.children(self._compared[-1].index)[0], 1)) if self._compared else None

    def learn(self, proof: Proof) -> None:
        """Take the answer to the question. Raises `InvalidProof`."""
        nodes = verify(Proof(hash=proof.hash), (), self._nodes.get, self._log.authenticate(self.fork)).nodes
        self._nodes.update((node.index, node) for node in nodes)
        if not proof.hash or flat.children(self._compared[-1].index)[0] not in self._nodes:
            raise InvalidProof("An answer lacks the node that was requested")
        self._compare()

    def _compare(self) -> None:
        """Go on as far as the nodes known of both trees lead."""
        while self._compared:
            node = self._compared[-1]
            inside = flat.right_span(node.index) < 2 * self._length
            ours = self._log.find(node.index) if inside else None
            if ours == node:
                self._common = flat.right_span(node.index) // 2 + 1
                self._compared.pop()
            elif not node.index & 1 or flat.left_span(node.index) >= 2 * self._length or (inside and not ours):
                self._compared.clear()
            else:
                children = [self._nodes.get(child) for child in flat.children(node.index)]
                if None in children:
                    return
                self._compared[-1:] = [child for child in reversed(children) if child]

    def finish(self) -> None:
        """Take the later fork over; what both have in common, as far as that is known, stays."""
        kept: list[MerkleNode] = list(self._nodes.values())
        self._log.reorganize(self._peaks, self.fork, self._signature, kept, self._common)
