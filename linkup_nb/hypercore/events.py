"""What happens to a log, as it is reported to its views and to its replication."""

from dataclasses import dataclass

from linkup_nb.channels import MessageStream
from linkup_nb.errors import MachineError
from linkup_nb.hypercore.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Appended:
    """The log has a longer head, signed by its author; blocks of it may be here or not."""


@dataclass(frozen=True, slots=True)
class Synced:
    """More of what was appended survives a power cut: peers may learn of it."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """The end was cut off: `length` blocks are left, under a later fork."""

    length: int
    fork: int


@dataclass(frozen=True, slots=True)
class ForkRefused:
    """The author signed a later fork of a log of which no fork is followed."""

    head: Evidence


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A peer has sent a block, and it was verified."""

    index: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """The blocks from `start` to before `end` are here no longer."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BlockRequested:
    """Somebody here begins to wait for a block that is not here."""


@dataclass(frozen=True, slots=True)
class BlockReleased:
    """Nobody here waits for a block any more."""


@dataclass(frozen=True, slots=True)
class PeerOpened:
    """A peer has opened the log too, over this connection."""

    connection: MessageStream


@dataclass(frozen=True, slots=True)
class PeerGrown:
    """The peer on this connection has announced that it has the first `length` blocks, more than before."""

    connection: MessageStream
    length: int


@dataclass(frozen=True, slots=True)
class ConflictFound:
    """The author signed two heads that disagree; the log is frozen."""

    ours: Evidence
    theirs: Evidence


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """The disk refused what peers have sent: the log is as it was before that."""

    error: Exception


@dataclass(frozen=True, slots=True)
class StorageFailed:
    """The store cannot be read: the log is not replicated any more, and who waits for its blocks waits in vain."""

    error: MachineError


@dataclass(frozen=True, slots=True)
class LogClosed:
    """The store is being closed, and the log with it."""


LogEvent = (
    Appended
    | Synced
    | Truncated
    | ForkRefused
    | Downloaded
    | Cleared
    | BlockRequested
    | BlockReleased
    | PeerOpened
    | PeerGrown
    | ConflictFound
    | WriteFailed
    | StorageFailed
    | LogClosed
)
