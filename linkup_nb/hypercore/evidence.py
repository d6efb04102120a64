"""What anybody who knows the key of a log can check without having the log."""

from collections.abc import Sequence
from typing import NamedTuple

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore import flat
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import MerkleNode, Peaks
from linkup_nb.hypercore.messages import Data
from linkup_nb.hypercore.proof import Proof, verify
from linkup_nb.wire.compact import Decoder, Encoder


class Evidence(NamedTuple):
    """A head, and perhaps a block, that its author signed; enough for anybody who knows the log's key."""

    key: bytes
    fork: int
    manifest: Manifest
    proof: Proof

    def check(self) -> Peaks:
        """The tree that was signed. Raises `InvalidProof` if it was not, or not for this key."""
        if self.manifest.key != self.key:
            raise InvalidProof("The manifest is not that of this key.")

        def authenticate(peaks: Peaks, signature: bytes) -> None:
            self.manifest.verify(signature, self.key, peaks.hash(), peaks.length, self.fork, peaks.roots)

        shown = verify(self.proof, (), lambda _: None, authenticate)
        if shown.peaks is None:
            raise InvalidProof("A proof without a head.")
        return shown.peaks

    def encode(self) -> bytes:
        """The key and then a `data` message of hypercore/alpha."""
        return self.key + Data(0, self.fork, self.proof, self.manifest).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Evidence":
        """Read the bytes of `encode`; raises `DecodeError` or `InvalidProof`."""
        message = Data.decode(data[32:])
        if message.manifest is None:
            raise InvalidProof("Evidence without a manifest.")
        return cls(data[:32], message.fork, message.manifest, message.proof)


def contradiction(one: Evidence, other: Evidence) -> int:
    """Up to which block two signed heads of one log that contradict each other agree.

    Both have to show by its roots how the log grew from nothing to the same length, and to differ in one of them: the
    first of those begins with that block. Raises `InvalidProof` for heads that contradict nothing.
    """
    first, second = _roots(one), _roots(other)
    if (one.key, one.fork) != (other.key, other.fork) or len(first) != len(second):
        raise InvalidProof("Two heads that are not of one length and fork of one log.")
    for node, beside in zip(first, second, strict=True):
        if node.index != beside.index:
            break
        # Only the hash: a hash says the size under it, and the sizes of two siblings can be forged together.
        if node.hash != beside.hash:
            return flat.left_span(node.index) // 2
    raise InvalidProof("Two heads that do not contradict each other.")


def _roots(evidence: Evidence) -> Sequence[MerkleNode]:
    """The roots that a signed head shows a log to have had at some length, and nothing else."""
    block, hash, seek, upgrade = evidence.proof
    if block or hash or seek or not upgrade or upgrade.start:
        raise InvalidProof("A head that does not show its growth from nothing, and only that.")
    evidence.check()
    if [node.index for node in upgrade.nodes] != list(flat.roots(upgrade.length)):
        raise InvalidProof("A head that is shown by other nodes than its roots.")
    return upgrade.nodes


def agreement(conflict: tuple[Evidence, Evidence]) -> int | None:
    """Up to which block the two heads of a conflict agree; `None` if they do not show it to others."""
    try:
        return contradiction(*conflict)
    except InvalidProof:
        return None


def encode_conflict(first: Evidence, second: Evidence) -> bytes:
    """Two heads that disagree, for the store."""
    return bytes(Encoder().buffer(first.encode()).buffer(second.encode()))


def decode_conflict(data: bytes) -> tuple[Evidence, Evidence]:
    """Read the bytes of `encode_conflict`."""
    source = Decoder(data)
    return Evidence.decode(source.buffer()), Evidence.decode(source.buffer())
