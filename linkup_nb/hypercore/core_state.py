"""What is known of a core at one moment, without waiting for anybody."""

import asyncio

from linkup_nb.errors import LinkupError, NotAvailable, StoreError
from linkup_nb.hypercore.core_info import CoreInfo
from linkup_nb.hypercore.encryption import PADDING, BlockCipher
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hypercore.log import Log
from linkup_nb.hypercore.manifest import Manifest
from linkup_nb.hypercore.offsets import count_bytes
from linkup_nb.hypercore.replicator import Replicator
from linkup_nb.loops import Events
from linkup_nb.wire.keys import KeyPair, short_key, z32encode


class CoreState(Events):
    """The properties of a `Core`; each is a snapshot, which any thread may take."""

    def __init__(
        self, log: Log, replicator: Replicator, encryption_key: bytes | None, at: tuple[int, int] | None
    ) -> None:
        super().__init__(asyncio.get_running_loop())
        self.closed = False
        self._log = log
        self._replicator = replicator
        self._encryption_key = encryption_key
        self._cipher = self._make_cipher()
        self._at = at
        # Counted on this loop alone: only its thread may read the store, and any thread may read `byte_length`.
        self._bytes_at: int | None = None
        self._count_bytes()

    def __repr__(self) -> str:
        kind = f"snapshot at {self.length}" if self._at else "writable" if self.writable else "read-only"
        return f"Core({short_key(self.key)}, {self.length} blocks, fork {self.fork}, {kind})"

    def __len__(self) -> int:
        return self.length

    @property
    def log(self) -> Log:
        """The log that this is a view of; only for the loop of the store."""
        return self._log

    @property
    def key(self) -> bytes:
        """32 bytes by which anybody can find and check this core."""
        return self._log.key

    @property
    def discovery_key(self) -> bytes:
        """32 bytes by which peers that know the key find each other, and nobody else learns it."""
        return self._log.discovery_key

    @property
    def id(self) -> str:
        """The key as 52 letters and digits."""
        return z32encode(self.key)

    @property
    def length(self) -> int:
        """How many blocks its author has signed, as far as is known here."""
        return self._at[0] if self._at else self._log.length

    @property
    def synced_length(self) -> int:
        """How many blocks survive a power cut, and peers may learn of; see `append`."""
        return min(self.length, self._log.synced.length)

    @property
    def fork(self) -> int:
        """How often the end has been cut off."""
        return self._at[1] if self._at else self._log.fork

    @property
    def byte_length(self) -> int:
        """Bytes of all blocks, whether they are here or not.

        Raises `NotAvailable` for a view of the past if not enough of its tree is here; `seek` fetches it.
        """
        total = self._total()
        if total is None:
            raise NotAvailable(f"Not enough of the tree of {self!r} is here to compute its size; `seek` fetches it.")
        return total

    def _total(self) -> int | None:
        """The bytes of all blocks; those of the past are kept, as their tree may be cut off."""
        total = self._bytes_at if self._at else self._log.byte_length
        return None if total is None else total - self._padding * self.length

    def _count_bytes(self) -> None:
        if self._at and self._bytes_at is None and not self._cut:
            self._bytes_at = count_bytes(self._log, self.length)

    @property
    def _cut(self) -> bool:
        """Whether some of this view of the past has been cut off since."""
        fork = self._at[1] if self._at else self._log.fork
        return fork != self._log.fork and self.length > self._replicator.common_since(fork)

    @property
    def contiguous_length(self) -> int:
        """How many blocks from the first on are here."""
        return min(self._log.blocks.contiguous, self.length)

    @property
    def writable(self) -> bool:
        """Whether this core can be appended to here."""
        return self._log.writable and not self._at

    @property
    def peers(self) -> int:
        """How many peers have this core open with us."""
        return len(self._replicator.peers)

    @property
    def held(self) -> dict[bytes, int]:
        """How many blocks from the first on each peer has that has this core open with us, by its public key."""
        peers = tuple(self._replicator.peers)
        return {peer.connection.remote_public_key: min(peer.blocks.contiguous, self.length) for peer in peers}

    @property
    def counts(self) -> dict[bytes, int]:
        """How many blocks, wherever they stand, each of those peers has."""
        peers = tuple(self._replicator.peers)
        return {peer.connection.remote_public_key: peer.blocks.count(0, self.length) for peer in peers}

    @property
    def manifest(self) -> Manifest | None:
        """Who may sign this core; `None` until a peer has sent it, and for cores without one (npm's `compat`)."""
        return self._log.manifest

    @property
    def key_pair(self) -> KeyPair | None:
        """What this core is signed with, `None` for a core of somebody else."""
        return self._log.key_pair

    @property
    def write_lock(self) -> asyncio.Lock:
        """Held by whoever appends what refers to places in this core, whichever view of it they use; on its loop."""
        return self._log.write_lock

    def missing(self, sentence: str) -> LinkupError:
        """What to raise for what no peer sent: a `StoreError` if it was sent, maybe, and the disk refused it."""
        failure = self._log.store.failure
        return StoreError(str(failure)) if failure else NotAvailable(sentence)

    @property
    def conflict(self) -> tuple[Evidence, Evidence] | None:
        """Two heads that its author signed and that disagree, if that has happened; the core is frozen then."""
        return self._log.conflict

    @property
    def _padding(self) -> int:
        return PADDING if self._cipher else 0

    @property
    def info(self) -> CoreInfo:
        """What there is to know about this core, now."""
        return CoreInfo(
            self.key,
            self.discovery_key,
            self.length,
            self.byte_length,
            self.contiguous_length,
            self.fork,
            self.writable,
            self._cipher is not None,
            self.peers,
        )

    def _make_cipher(self) -> BlockCipher | None:
        log = self._log
        bare = log.manifest is None and log.length > 0
        return BlockCipher(log.key, self._encryption_key, bare=bare) if self._encryption_key else None
