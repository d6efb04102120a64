"""Known answers that the JavaScript packages made, and the log that they tell of."""

import json
from pathlib import Path
from typing import Any

from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import MerkleNode, Peaks
from linkup_nb.wire.keys import KeyPair

FOLDER = Path(__file__).parent.parent / "vectors"


def load(name: str) -> Any:
    """The vectors of one file."""
    return json.loads((FOLDER / f"{name}.json").read_text())


HYPERCORE = load("hypercore")
BLOCKS = [bytes.fromhex(block) for block in HYPERCORE["blocks"]]
KEY_PAIR = KeyPair.from_seed(bytes.fromhex(HYPERCORE["seed"]))
MANIFEST = Manifest.of(KEY_PAIR.public_key)
KEY = MANIFEST.key


class Log:
    """A log of some blocks, all of it in memory."""

    def __init__(self, blocks: list[bytes], fork: int = 0) -> None:
        self.blocks = blocks
        self.peaks = Peaks()
        self.peaks.append(blocks)
        self.nodes = {node.index: node for node in self.peaks.added}
        self.signature = self.sign(self.peaks, fork)

    @staticmethod
    def sign(peaks: Peaks, fork: int = 0) -> bytes:
        """The author's signature of a tree."""
        return MANIFEST.sign(KEY_PAIR, KEY, peaks.hash(), peaks.length, fork)

    def find(self, index: int) -> MerkleNode | None:
        return self.nodes.get(index)


def authenticate(peaks: Peaks, signature: bytes) -> None:
    """Raises unless the author of the vectors signed this tree."""
    MANIFEST.verify(signature, KEY, peaks.hash(), peaks.length, 0)
