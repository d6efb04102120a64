"""Every exception that linkup_nb raises.

LinkupError
 ├─ UsageError            you called it wrongly; the sentence says what to do
 │   ├─ InvalidTopic
 │   ├─ InvalidInvite
 │   ├─ InvalidName
 │   ├─ InvalidImage
 │   ├─ FileTooLarge
 │   ├─ UnknownCommand
 │   ├─ UnknownRoom
 │   ├─ ProfileInUse
 │   ├─ InvalidRequest        proof of what this log cannot show
 │   └─ NotWritable           a log whose secret key is not here, or a frozen view of one
 ├─ MachineError          this machine refused, whoever asked: its disk, its files, its memory
 │   └─ StoreError            a store that cannot be opened, read or written
 │       ├─ StoreInUse            another process has it open
 │       └─ StoreVersion          another version of linkup_nb wrote it
 ├─ PeerError             the peer broke the rules; its connection is closed with this as the reason
 │   ├─ DecodeError           bytes that are not what the format says
 │   ├─ HandshakeError        the Noise handshake failed, or the peer is not who it should be
 │   ├─ DecryptionError       a frame was forged or damaged
 │   ├─ FrameTooLarge
 │   ├─ PeerTimeout           the peer fell silent, or stopped reading
 │   ├─ NotReachable          no way leads to the peer, or none through its firewall and ours
 │   ├─ PeerRefused           over a limit of ours
 │   ├─ ProtocolError         a message that does not belong where it came
 │   └─ InvalidProof          a block or a head that its author did not sign
 ├─ NotAvailable          a block that no peer sent in time
 ├─ DriveUnreachable      what `linkup://` needs of a drive and no peer sent in time
 ├─ ConnectionClosed      the connection has ended; `reason` says why
 └─ NodeClosed            the node behind this object has been closed
"""


class LinkupError(Exception):
    """The root of all that linkup_nb raises."""


class UsageError(LinkupError, ValueError):
    """You called it wrongly; the sentence says what to do instead."""


class InvalidTopic(UsageError):
    """A topic that is not 64 hexadecimal digits."""


class InvalidInvite(UsageError):
    """A word that is no invite to a room; it is not repeated in the sentence."""


class InvalidName(UsageError):
    """A name that is empty, too long, or nothing but invisible characters."""


class InvalidImage(UsageError):
    """Bytes that are not an image, given as an avatar."""


class FileTooLarge(UsageError):
    """A file over the limit of one LinkUp message."""


class UnknownCommand(UsageError):
    """A line that starts with `~` and names no command."""


class UnknownRoom(UsageError):
    """A room that this node has not joined."""


class ProfileInUse(UsageError):
    """Another process holds this profile."""


class InvalidRequest(UsageError):
    """A request for proof of what this log cannot show."""


class NotWritable(UsageError):
    """A log whose secret key is not here, a frozen one, or a view of its past."""


class MachineError(LinkupError):
    """This machine refused: its disk, its files or its memory; neither you nor a peer did anything wrong."""


class StoreError(MachineError):
    """A store that cannot be opened, read or written; the sentence says why, `__cause__` what the system reported."""


class StoreInUse(StoreError):
    """Another process writes to this store."""


class StoreVersion(StoreError):
    """A store that another version of linkup_nb wrote."""


class PeerError(LinkupError):
    """The peer broke the rules; its connection is closed with this as the reason."""


class DecodeError(PeerError):
    """Bytes that are not what the format says."""


class HandshakeError(PeerError):
    """The handshake failed, or the peer is not who it should be."""


class DecryptionError(PeerError):
    """A frame was forged or damaged on its way."""


class FrameTooLarge(PeerError):
    """A frame longer than this side accepts."""


class PeerTimeout(PeerError):
    """The peer fell silent, or stopped reading what we send."""


class NotReachable(PeerError):
    """No way leads to the peer, or none through its firewall and ours; the sentence says what was tried."""


class PeerRefused(PeerError):
    """The peer came over one of our limits."""


class ProtocolError(PeerError):
    """A message that the protocol does not allow where it came."""


class InvalidProof(PeerError):
    """A block or a head that does not belong to the log that its author signed."""


class NotAvailable(LinkupError, TimeoutError):
    """A block, or a newer head, that no peer sent in time."""


class DriveUnreachable(LinkupError):
    """What `linkup://` needs of a drive and no peer sent in time.

    No `TimeoutError`: fsspec takes one for an answer, that nothing is there, or loses its sentence.
    """


class ConnectionClosed(LinkupError):
    """The connection has ended; `reason` says why, `None` for an ordinary end."""

    def __init__(self, reason: Exception | None = None) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"The connection is closed: {self.reason}" if self.reason else "The connection is closed."


class NodeClosed(LinkupError):
    """The node behind this object has been closed; `lu.start()` makes a new one."""
