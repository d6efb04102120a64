"""The blocks of a feed: one JSON object each, with its place in the order (`t`) and what its author had seen (`heads`).

An envelope is what every block has; a body is what its `type` adds. Bytes of any kind are an `Envelope` or a
`MalformedBlock`, alike on every peer: what is valid decides what everybody shows.
"""

import json
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from linkup_nb.errors import UsageError
from linkup_nb.rooms.memory.keys import ID_LETTERS
from linkup_nb.wire.rooms import MAX_CHANNEL_NAME, MAX_LENGTH

MAX_BLOCK_BYTES = 512 * 1024
MAX_DEPTH = 32  # arrays and objects inside of each other
MAX_TYPE = 32  # characters
MAX_HEADS = 32  # feeds that one block names
MAX_TEXT = 64 * 1024  # bytes of a text in UTF-8
MAX_REACTION = 32  # bytes of a reaction in UTF-8
EARLIEST = 1_500_000_000_000_000  # µs since 1970; no room is older than 2017
LATEST = 2**53  # what JavaScript holds exactly

_NONE = Raw()
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[{}\[\]]', re.DOTALL)
_MALFORMED = (ValueError, RecursionError)  # all that msgspec raises for bytes of any kind


class MalformedBlock(Exception):
    """A block that has no place in the order; it is skipped and counted, with this reason."""


class Kind(IntEnum):
    """What a block is, as the index keeps it; `UNKNOWN` for what a later version may write, or what is malformed."""

    UNKNOWN = 0
    HELLO = 1
    MESSAGE = 2
    REPLY = 3
    FILE = 4
    AUDIO = 5
    OUTPUT = 6
    REACTION = 7
    EDIT = 8
    RETRACT = 9
    ICON = 10
    TOPIC = 11
    CHANNEL = 12
    ROOM = 13
    ROLE = 14
    ADMIT = 15
    REMOVE = 16
    HIDE = 17
    INVITE = 18
    USED = 19
    NEXT = 20
    LEAVE = 21


SAID = {Kind.UNKNOWN, Kind.MESSAGE, Kind.REPLY, Kind.FILE, Kind.AUDIO, Kind.OUTPUT}
"""The kinds that are rows of a conversation; the others change such rows, or the room, or are notices."""

CHANGES = {Kind.REACTION, Kind.EDIT, Kind.RETRACT}
"""The kinds that are seen on the row that they change, and nowhere else."""

Key = Annotated[str, Meta(pattern="^[a-z0-9]{52}$")]  # z-base-32 of 32 bytes
ShortId = Annotated[str, Meta(pattern=f"^[a-z0-9]{{{ID_LETTERS}}}$")]
BlockId = Annotated[str, Meta(pattern=rf"^[a-z0-9]{{{ID_LETTERS}}}/(0|[1-9][0-9]{{0,9}})$")]
Length = Annotated[int, Meta(ge=1, le=MAX_LENGTH)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Name = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, lt=LATEST)]


class Body(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the type of a block adds to its envelope."""


class HelloBody(Body, frozen=True, tag_field="type", tag="hello"):
    """Block 0 of a feed: whose it is. `signatures` are the identity's and the device's; see `rooms.memory.hello`."""

    name: Name
    identity: Key
    device: Key
    drive: Key
    signatures: tuple[bytes, bytes]
    from_: dict[ShortId, Length] | None = msgspec.field(default=None, name="from")


class MessageBody(Body, frozen=True, tag_field="type", tag="message"):
    """Markdown that somebody wrote; `mentions` are identities."""

    message: Text
    mentions: list[ShortId] = []


class ReplyBody(Body, frozen=True, tag_field="type", tag="reply"):
    """Markdown that answers another message."""

    to: BlockId
    message: Text
    mentions: list[ShortId] = []


class FileBody(Body, frozen=True, tag_field="type", tag="file"):
    """A file at a path and version of a drive, the author's own if none is named; `size` in bytes.

    Of a picture `width` and `height` are in pixels, so that readers know its box before it comes.
    """

    file_name: Name
    path: Text
    version: Count
    size: Count
    mime: Name = ""
    drive: Key | None = None
    width: Count | None = None
    height: Count | None = None


class AudioBody(Body, frozen=True, tag_field="type", tag="audio"):
    """A recorded clip, likewise; `duration` in seconds."""

    file_name: Name
    path: Text
    version: Count
    size: Count
    mime: Name = ""
    drive: Key | None = None
    duration: Annotated[float, Meta(ge=0)] = 0.0


class OutputBody(Body, frozen=True, tag_field="type", tag="output"):
    """What a cell showed: values by their MIME type, or a file that holds them where they are large."""

    data: dict[str, Raw] = {}
    metadata: dict[str, Raw] = {}
    path: Text | None = None
    version: Count | None = None


class ReactionBody(Body, frozen=True, tag_field="type", tag="reaction"):
    """A symbol on a message, or its removal."""

    to: BlockId
    reaction: Annotated[str, Meta(min_length=1, max_length=MAX_REACTION)]
    remove: bool = False


class EditBody(Body, frozen=True, tag_field="type", tag="edit"):
    """Another text for a message of the same identity."""

    to: BlockId
    message: Text


class RetractBody(Body, frozen=True, tag_field="type", tag="retract"):
    """Takes a message of the same identity back, for good."""

    to: BlockId


class IconBody(Body, frozen=True, tag_field="type", tag="icon"):
    """What somebody calls themselves and looks like."""

    name: Name
    avatar: bytes = b""


class TopicBody(Body, frozen=True, tag_field="type", tag="topic"):
    """What the room is about."""

    message: Text


class ChannelBody(Body, frozen=True, tag_field="type", tag="channel"):
    """A channel of the room; with `invite`, a room of its own."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_CHANNEL_NAME)]
    topic: Text = ""
    invite: Name | None = None


class RoomBody(Body, frozen=True, tag_field="type", tag="room"):
    """Who founded the room, as the nonce proves, and who may write: "all" or "admitted"."""

    name: Name
    nonce: bytes
    writers: str = "all"
    before: bytes | None = None


class RoleBody(Body, frozen=True, tag_field="type", tag="role"):
    """The founder makes an identity a moderator, or nothing in particular."""

    member: Key
    role: Name


class AdmitBody(Body, frozen=True, tag_field="type", tag="admit"):
    """An identity may write, or is back after it was removed."""

    member: Key
    role: Name = "writer"


class RemoveBody(Body, frozen=True, tag_field="type", tag="remove"):
    """Of an identity, nothing above these lengths of its feeds is shown."""

    member: Key
    cut: dict[ShortId, Annotated[int, Meta(ge=0, le=MAX_LENGTH)]]


class HideBody(Body, frozen=True, tag_field="type", tag="hide"):
    """A moderator hides a message, or all of a member, or shows it again."""

    to: BlockId | None = None
    member: Key | None = None
    hide: bool = True
    reason: Text = ""


class InviteMadeBody(Body, frozen=True, tag_field="type", tag="invite"):
    """A limited invite, by the public key that recognises it; a later one with `revoked` ends it."""

    id: Key
    key: Key
    expires: Count | None = None
    uses: Annotated[int, Meta(ge=1, le=MAX_LENGTH)] | None = None
    role: Name = "writer"
    revoked: bool = False


class InviteUsedBody(Body, frozen=True, tag_field="type", tag="used"):
    """A member has let an identity in by an invite."""

    id: Key
    identity: Key


class NextBody(Body, frozen=True, tag_field="type", tag="next"):
    """The room goes on with another secret, sealed for each feed's device."""

    topic: Key
    for_: dict[ShortId, str] = msgspec.field(name="for")


class LeaveBody(Body, frozen=True, tag_field="type", tag="leave"):
    """The author has left."""


BODIES: dict[str, tuple[Kind, type[Body]]] = {
    "hello": (Kind.HELLO, HelloBody),
    "message": (Kind.MESSAGE, MessageBody),
    "reply": (Kind.REPLY, ReplyBody),
    "file": (Kind.FILE, FileBody),
    "audio": (Kind.AUDIO, AudioBody),
    "output": (Kind.OUTPUT, OutputBody),
    "reaction": (Kind.REACTION, ReactionBody),
    "edit": (Kind.EDIT, EditBody),
    "retract": (Kind.RETRACT, RetractBody),
    "icon": (Kind.ICON, IconBody),
    "topic": (Kind.TOPIC, TopicBody),
    "channel": (Kind.CHANNEL, ChannelBody),
    "room": (Kind.ROOM, RoomBody),
    "role": (Kind.ROLE, RoleBody),
    "admit": (Kind.ADMIT, AdmitBody),
    "remove": (Kind.REMOVE, RemoveBody),
    "hide": (Kind.HIDE, HideBody),
    "invite": (Kind.INVITE, InviteMadeBody),
    "used": (Kind.USED, InviteUsedBody),
    "next": (Kind.NEXT, NextBody),
    "leave": (Kind.LEAVE, LeaveBody),
}
"""The kind and the shape of what each type of a block adds to its envelope."""


class Envelope(NamedTuple):
    """What every block has: `t` in µs, `timestamp` in ms, `heads` {feed id: length}, `channel` "" for the main one.

    `heads` is `None` where they are malformed: such a block has a place in the order, and is refused there.
    """

    type: str
    t: int
    timestamp: int
    heads: Mapping[str, int] | None
    channel: str
    raw: bytes

    def body(self) -> tuple[Kind, Body | None]:
        """What the type adds; `Kind.UNKNOWN` and `None` for a type that is not known, or is not as its type says."""
        kind, decoder = _DECODERS.get(self.type, (Kind.UNKNOWN, None))
        if decoder is None:
            return Kind.UNKNOWN, None
        try:
            return kind, decoder.decode(self.raw)
        except _MALFORMED:
            return Kind.UNKNOWN, None


class _Envelope(Struct):
    type: Annotated[str, Meta(max_length=MAX_TYPE)]
    t: Annotated[int, Meta(gt=EARLIEST, lt=LATEST)]
    # Views into the block: what is wrong with these does not cost it its place.
    timestamp: Raw = _NONE
    heads: Raw = _NONE
    channel: Raw = _NONE


_DECODERS = {name: (kind, msgspec.json.Decoder(body)) for name, (kind, body) in BODIES.items()}
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_TIMESTAMP = msgspec.json.Decoder(Count)
_HEADS = msgspec.json.Decoder(Annotated[dict[ShortId, Length], Meta(max_length=MAX_HEADS)])
_CHANNEL = msgspec.json.Decoder(Annotated[str, Meta(max_length=MAX_CHANNEL_NAME)])


def decode(block: bytes) -> Envelope:
    """The envelope of a block. Raises `MalformedBlock` for what is no block of a room."""
    if len(block) > MAX_BLOCK_BYTES:
        raise MalformedBlock(f"A block has at most {MAX_BLOCK_BYTES} bytes, this one has {len(block)}.")
    _check_depth(block)
    try:
        block.decode()  # msgspec does not look into the strings that it skips
        found = _ENVELOPE.decode(block)
    except _MALFORMED as error:
        raise MalformedBlock(f"A block is a JSON object with a type and a place in the order: {error}.") from None
    timestamp = _lenient(_TIMESTAMP, found.timestamp, found.t // 1000)
    heads = _lenient(_HEADS, found.heads, None) if found.heads else {}
    return Envelope(found.type, found.t, timestamp, heads, _lenient(_CHANNEL, found.channel, ""), block)


def encode(body: Body, *, t: int, timestamp: int, heads: Mapping[str, int] | None = None, channel: str = "") -> bytes:
    """The block with this body. Raises `UsageError` for one that is too large."""
    fields: dict[str, Any] = {"type": "", "t": t}
    if timestamp != t // 1000:
        fields["timestamp"] = timestamp
    if heads:
        fields["heads"] = heads
    if channel:
        fields["channel"] = channel
    # By way of JSON, for an output has values that are JSON already.
    block = msgspec.json.encode(fields | msgspec.json.decode(msgspec.json.encode(body)))
    if len(block) > MAX_BLOCK_BYTES:
        most = MAX_BLOCK_BYTES // 1024
        raise UsageError(f"A message has at most {most} KiB, and this one {len(block) // 1024}: send it as a file.")
    if decode(block).body()[1] != body:
        raise UsageError("This message breaks a limit of rooms with memory: its texts have at most 64 KiB.")
    return block


def unknown_fields(envelope: Envelope) -> dict[str, Any]:
    """What a block of a type that is not known says, for people to look at."""
    fields = json.loads(envelope.raw)
    return {name: value for name, value in fields.items() if name not in ("type", "t", "timestamp", "heads", "channel")}


def _lenient(decoder: msgspec.json.Decoder[Any], raw: Raw, otherwise: Any) -> Any:
    if not raw:
        return otherwise
    try:
        return decoder.decode(raw)
    except _MALFORMED:
        return otherwise


def _check_depth(block: bytes) -> None:
    if block.count(b"{") + block.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(block):
        first = found[0][:1]
        depth += (first in b"{[") - (first in b"}]")
        if depth > MAX_DEPTH:
            raise MalformedBlock(f"A block is at most {MAX_DEPTH} deep.")
