"""Messages of a room with memory: what LinkUp's have, and their place, their proof, and what others made of them.

A message is a snapshot of when it was taken from the room. What changes later (edits, reactions, who has it) is read
from the room's index when it is asked for.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from linkup_nb.errors import UsageError
from linkup_nb.hypercore.evidence import Evidence
from linkup_nb.hyperdrive.history import Event
from linkup_nb.rooms.frames import has_frame
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory.rows import Place
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage, UnknownMessage
from linkup_nb.rooms.outputs import PICTURES, TEXT, Output

if TYPE_CHECKING:
    import pandas as pd


class Edition(NamedTuple):
    """A text that a message has or had, and when that was written."""

    text: str
    timestamp: datetime


class Provenance(NamedTuple):
    """Where a message comes from, and what proves it.

    It is the block `seq` of the feed of `evidence.key`; the evidence holds the block as it is stored, the hashes that
    lead from it to the head, and the author's signature of that. `await message.verify()` checks it, and
    `evidence.check()` does so without this room.
    """

    evidence: Evidence
    seq: int
    received: datetime


class Origin(Protocol):
    """What a message needs of its room."""

    def editions(self, message: "RoomMessage") -> tuple[Edition, ...]:
        """All texts of a message, the first one first."""

    def reactions(self, message: "RoomMessage") -> Mapping[str, tuple[bytes, ...]]:
        """The identities that reacted with each symbol."""

    def replies(self, message: "RoomMessage") -> tuple["RoomMessage", ...]:
        """The messages that answer one, in order."""

    def missing(self, message: "RoomMessage") -> tuple[str, ...]:
        """The ids of the blocks that a message names and that are not here."""

    def settled(self, message: "RoomMessage") -> bool:
        """Whether nothing can be written above it any more."""

    def may_follow(self, message: "RoomMessage") -> tuple[Member, ...]:
        """Who could still write something that stands above it."""

    def held_by(self, message: "RoomMessage") -> tuple[Member, ...]:
        """Who has it."""

    def kept_by(self, message: "RoomMessage") -> tuple[bytes, ...]:
        """The blind peers that have it."""

    def read_by(self, message: "RoomMessage") -> tuple[Member, ...]:
        """Who has read it."""

    async def reply(self, message: "RoomMessage", text: str) -> "RoomTextMessage":
        """Answer it."""

    async def react(self, message: "RoomMessage", symbol: str, *, remove: bool) -> None:
        """React to it."""

    async def edit(self, message: "RoomMessage", text: str) -> None:
        """Give it another text."""

    async def retract(self, message: "RoomMessage") -> None:
        """Take it back."""

    async def provenance(self, message: "RoomMessage") -> Provenance:
        """What proves it."""

    async def verify(self, message: "RoomMessage") -> None:
        """Check its proof."""

    async def load(self, message: "InDrive", timeout: float) -> bytes:
        """The file it names."""

    def stream(
        self,
        message: "InDrive | RoomOutputMessage",
        start: int = 0,
        end: int | None = None,
        *,
        version: int | None = None,
        timeout: float,
    ) -> AsyncIterator[bytes]:
        """The same piece by piece, from one byte to another, or of another version."""

    async def load_output(self, message: "RoomOutputMessage", timeout: float) -> Output:
        """All of an output."""

    async def load_frame(self, message: "RoomOutputMessage", timeout: float) -> "pd.DataFrame":
        """The data frame of an output."""

    async def versions(self, message: "InDrive", timeout: float) -> tuple[Event, ...]:
        """The changes of the file it names."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RoomMessage(Message):
    """A message of a room with memory.

    `id` names it everywhere; `place` is where it stands in the order, see `t`; `channel` is "" for the main one;
    `heads` is what its author had newly seen, {feed id: length}; `device` is the key of the device that wrote it.
    `late`: others stood below it already when it came. `refused`: its heads contradict its place. `disputed`: it stands
    where two histories of its author's feed part, so members may see different ones; such messages are in
    `room.disputed` only. `to` is the id of what it answers. `hidden` is why it is not to be shown (muted, blocked,
    hidden by a moderator), in one sentence.
    """

    id: str
    place: Place
    channel: str = ""
    device: bytes = b""
    heads: Mapping[str, int] = field(default_factory=dict)
    late: bool = False
    unread: bool = False
    mentions_me: bool = False
    refused: bool = False
    disputed: bool = False
    edited: bool = False
    retracted: bool = False
    to: str | None = None
    hidden: str | None = None
    origin: Origin = field(compare=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RoomMessage) and self.id == other.id and self.topic == other.topic

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def t(self) -> int:
        """Where it stands: its author's clock in microseconds, or a little more than the last it had seen."""
        return self.place[0]

    @property
    def edits(self) -> tuple[Edition, ...]:
        """Every text that it has had, the first one first."""
        return self.origin.editions(self)

    @property
    def reactions(self) -> Mapping[str, tuple[bytes, ...]]:
        """The keys of those who reacted, by symbol."""
        return self.origin.reactions(self)

    @property
    def replies(self) -> tuple["RoomMessage", ...]:
        """What answers it, in order."""
        return self.origin.replies(self)

    @property
    def missing(self) -> tuple[str, ...]:
        """The ids of what it was written after and what is not here yet."""
        return self.origin.missing(self)

    @property
    def settled(self) -> bool:
        """Whether its place is final: no member that is known here can write above it any more."""
        return self.origin.settled(self)

    @property
    def may_follow(self) -> tuple[Member, ...]:
        """Who could still write something that stands above it: they have not written anything after it yet."""
        return self.origin.may_follow(self)

    @property
    def held_by(self) -> tuple[Member, ...]:
        """Of your own message: the others who have it, as far as is known here."""
        return self.origin.held_by(self)

    @property
    def kept_by(self) -> tuple[bytes, ...]:
        """The keys of the blind peers that are connected and say to have it; see `node.blind_peers`."""
        return self.origin.kept_by(self)

    @property
    def read_by(self) -> tuple[Member, ...]:
        """Of your own message: the others who have read it, and say so; see `node.share_reads`."""
        return self.origin.read_by(self)

    @property
    def state(self) -> str:
        """How far your own message has come: "written", "held by 3", "read by 2"; "" for those of others."""
        if not self.own:
            return ""
        if read := len(self.read_by):
            return f"read by {read}"
        held = len(self.held_by)
        return f"held by {held}" if held else "written"

    async def reply(self, text: str) -> "RoomTextMessage":
        """Answer it in its channel. Raises what `room.send` raises."""
        return await self.origin.reply(self, text)

    async def react(self, symbol: str, *, remove: bool = False) -> None:
        """React with a symbol of at most 32 bytes, or take that back."""
        await self.origin.react(self, symbol, remove=remove)

    async def edit(self, text: str) -> None:
        """Give your own message another text; the earlier ones stay readable. Raises `UsageError` for another's."""
        await self.origin.edit(self, text)

    async def retract(self) -> None:
        """Take your own message back, for good. Others may have kept it. Raises `UsageError` for another's."""
        await self.origin.retract(self)

    async def provenance(self) -> Provenance:
        """The block behind it, its author's signature, and the hashes between them."""
        return await self.origin.provenance(self)

    async def verify(self) -> None:
        """Check the message against its author's signature. Raises `InvalidProof`."""
        await self.origin.verify(self)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RoomTextMessage(RoomMessage, TextMessage):
    """Markdown that somebody wrote, in its latest edition; empty once it is retracted."""

    async def load(self, *, timeout: float = 60.0) -> Any:
        """Raises `UsageError`: a text holds nothing else, as files, clips and outputs do."""
        raise UsageError("This message is a text, which has nothing to load: it is message.text.")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class InDrive(RoomMessage):
    """What is in a drive: `path` and `version` of the one with this key; `length` in bytes, as its author says."""

    drive: bytes
    path: str
    version: int
    mime: str
    length: int

    @property
    def size(self) -> int:
        """The bytes of it, as its author says."""
        return self.length

    async def load(self, *, timeout: float = 60.0) -> bytes:
        """Its content, from whoever has it. Raises `NotAvailable` after `timeout` seconds."""
        return await self.origin.load(self, timeout)

    async def history(self, *, timeout: float = 60.0) -> tuple[Event, ...]:
        """Every change of the file in its drive up to this version, the newest first. Raises `NotAvailable`."""
        return await self.origin.versions(self, timeout)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RoomFileMessage(InDrive, FileMessage):
    """A file; `width` and `height` in pixels if it is a picture and its author says so."""

    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RoomAudioMessage(InDrive, AudioMessage):
    """A recorded clip; `duration` in seconds."""

    duration: float


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RoomOutputMessage(RoomMessage):
    """What a cell showed: `data` and `metadata` by MIME type, as in Jupyter's messages; bytes are in base64.

    A large one is at `path` and `version` of the drive of this key, and `data` is the beginning of its text until you
    `load` it; a data frame is there always. In a cell it shows its picture or its text: HTML of others could run
    scripts there.
    """

    data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    drive: bytes = b""
    path: str | None = None
    version: int | None = None

    async def load(self, *, timeout: float = 60.0) -> "Mapping[str, Any] | pd.DataFrame":
        """A data frame as one of pandas, anything else as its values by MIME type; from whoever has it.

        Raises `NotAvailable` after `timeout` seconds, `DecodeError` for a file that is no such thing or too large,
        `UsageError` where pandas or pyarrow is missing.
        """
        if has_frame(self.path):
            return await self.origin.load_frame(self, timeout)
        return (await self.origin.load_output(self, timeout)).data

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {mime: self.data[mime] for mime in (TEXT, *PICTURES) if isinstance(self.data.get(mime), str)}

    def _summary(self) -> str:
        return ", ".join(self.data)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RoomUnknownMessage(RoomMessage, UnknownMessage):
    """What a newer program wrote."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RoomNotice(RoomMessage):
    """What became of the room: `kind` is "hello" for who has come, "leave", "icon", "topic", "channel", "room", …

    `fields` is what the notice says. It stands in `room.timeline`, and not among the messages.
    """

    kind: str
    fields: Mapping[str, str | int | float | bool | None]

    def _summary(self) -> str:
        return self.kind
