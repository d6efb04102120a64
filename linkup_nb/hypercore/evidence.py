"""What anybody who knows the key of a log can check without having the log."""

from typing import NamedTuple

from linkup_nb.errors import InvalidProof
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.merkle import Peaks
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


def encode_conflict(first: Evidence, second: Evidence) -> bytes:
    """Two heads that disagree, for the store."""
    return bytes(Encoder().buffer(first.encode()).buffer(second.encode()))


def decode_conflict(data: bytes) -> tuple[Evidence, Evidence]:
    """Read the bytes of `encode_conflict`."""
    source = Decoder(data)
    return Evidence.decode(source.buffer()), Evidence.decode(source.buffer())
