"""The requests of the chat's page, one message type a class, and their answers."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from linkup_nb.notebook.bridge import Answer, Id, Request
from linkup_nb.notebook.chat.updates import Row

MAX_PAGE = 200  # rows that a page asks for at once
MAX_SEEN = 500  # rows that it says were read, at once

Topic: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Place: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


class HelloRequest(Request, kw_only=True, frozen=True):
    """A view is there, and has what changed in `epoch` up to `version`."""

    epoch: str | None = None
    version: Count | None = None


class ByeRequest(Request, kw_only=True, frozen=True):
    """A view is gone."""


class ProfileRequest(Request, kw_only=True, frozen=True):
    """The reader's name; `avatar` is a finished upload."""

    name: str
    avatar: Id | None = None


class CreateRequest(Request, kw_only=True, frozen=True):
    """A new room; a room of LinkUp keeps no history."""

    name: str
    linkup: bool = False


class JoinRequest(Request, kw_only=True, frozen=True):
    """A room by its invite or its topic, as somebody typed it."""

    word: str


class LeaveRequest(Request, kw_only=True, frozen=True):
    """Leave a room; with `forget`, one with memory is deleted here."""

    topic: Topic
    forget: bool = False


class ShowRequest(Request, kw_only=True, frozen=True):
    """Show another room, or another channel."""

    topic: Topic
    channel: str = ""


class SendRequest(Request, kw_only=True, frozen=True):
    """A message for a room, the answer to another, or a command; commands need no room."""

    topic: Topic | None
    channel: str = ""
    text: str
    to: Id | None = None


class SelectRequest(Request, kw_only=True, frozen=True):
    """A row was clicked."""

    topic: Topic | None = None
    target: Id


class SeenRequest(Request, kw_only=True, frozen=True):
    """These rows were read, and all that stand from `since` to `until`."""

    topic: Topic
    channel: str = ""
    targets: Annotated[list[Id], Meta(max_length=MAX_SEEN)]
    since: Place | None = None
    until: Place | None = None


class PageRequest(Request, kw_only=True, frozen=True):
    """Rows before or after a place, around a row, or the newest."""

    topic: Topic | None
    channel: str = ""
    before: Place | None = None
    after: Place | None = None
    around: Id | None = None
    count: Annotated[int, Meta(ge=1, le=MAX_PAGE)]


class EditRequest(Request, kw_only=True, frozen=True):
    """Another text for a message of one's own."""

    topic: Topic
    target: Id
    text: str


class ReactRequest(Request, kw_only=True, frozen=True):
    """A reaction to a message, or its removal."""

    topic: Topic
    target: Id
    symbol: str
    remove: bool = False


class ActRequest(Request, kw_only=True, frozen=True):
    """Something else that is done with a message, or about its author."""

    topic: Topic
    target: Id
    action: Literal["retract", "verify", "hide", "mute", "block", "remove"]


class TypingRequest(Request, kw_only=True, frozen=True):
    """The reader is writing."""

    topic: Topic
    channel: str = ""


class AwayRequest(Request, kw_only=True, frozen=True):
    """Nobody has looked at this view for a while, or somebody does again."""

    away: bool


class SearchRequest(Request, kw_only=True, frozen=True):
    """Messages by their words, in one channel or all of a room; before a hit, to go on."""

    topic: Topic
    channel: str | None = None
    text: str
    before: Id | None = None


class EditionsRequest(Request, kw_only=True, frozen=True):
    """The texts that a message has had."""

    topic: Topic
    target: Id


class WholeRequest(Request, kw_only=True, frozen=True):
    """All of a text that is shown in part."""

    topic: Topic
    target: Id


class VersionsRequest(Request, kw_only=True, frozen=True):
    """The versions of the file of a message."""

    topic: Topic
    target: Id


class InviteRequest(Request, kw_only=True, frozen=True):
    """The invite of a room, whole."""

    topic: Topic


class ChangeRoomRequest(Request, kw_only=True, frozen=True):
    """What is not `None` is changed: the name here, the subject for everybody, whether the room is muted here."""

    topic: Topic
    name: str | None = None
    subject: str | None = None
    muted: bool | None = None


class ChannelRequest(Request, kw_only=True, frozen=True):
    """A new channel."""

    topic: Topic
    name: str


class LoadRequest(Request, kw_only=True, frozen=True):
    """Bring the file of a message into the store, in this version or that of the message."""

    topic: Topic
    target: Id
    version: Count | None = None


class LoadCancelRequest(Request, kw_only=True, frozen=True):
    """Do not."""

    topic: Topic
    target: Id


class UploadBeginRequest(Request, kw_only=True, frozen=True):
    """A file comes, in `chunks` of 1 MiB."""

    upload: Id
    purpose: Literal["file", "audio", "avatar"]
    topic: Topic | None = None
    channel: str = ""
    name: str = ""
    size: Count
    chunks: Count


class UploadChunkRequest(Request, kw_only=True, frozen=True):
    """Chunk `index` of an upload."""

    upload: Id
    index: Count
    data: bytes


class UploadEndRequest(Request, kw_only=True, frozen=True):
    """All chunks are there: send the file."""

    upload: Id


class UploadCancelRequest(Request, kw_only=True, frozen=True):
    """Forget an upload."""

    upload: Id


class FetchRequest(Request, kw_only=True, frozen=True):
    """Chunk `index` of what is attached to a row; `inline` to show it, not to save it."""

    topic: Topic | None = None
    target: Id
    version: Count | None = None
    index: Count
    inline: bool = False


class RecordRequest(Request, kw_only=True, frozen=True):
    """Start or stop recording."""

    on: bool


class Entered(Answer, kw_only=True):
    """To `CreateRequest` and `JoinRequest`: the room's topic."""

    topic: str


class Sent(Answer, kw_only=True):
    """To `SendRequest`: what the page does besides."""

    action: Literal["none", "clear", "pick_avatar"]


class Chunk(Answer, kw_only=True):
    """To `FetchRequest`: one of so many chunks; `size` is the bytes of all, `mime` what those are that are shown."""

    chunks: int
    size: int
    mime: str
    data: bytes


class Page(Answer, kw_only=True):
    """To `PageRequest`: rows in order, and whether nothing stands before or after them."""

    rows: list[Row]
    start: bool
    end: bool


class Part(msgspec.Struct, frozen=True):
    """A piece of a text, and whether it is what was looked for."""

    text: str
    hit: bool


class Hit(msgspec.Struct, frozen=True):
    """A message that was found: its text in parts."""

    id: str
    channel: str
    name: str
    time: int
    parts: list[Part]


class Hits(Answer, kw_only=True):
    """To `SearchRequest`: the newest first."""

    hits: list[Hit]
    more: bool


class EditionEntry(msgspec.Struct, frozen=True):
    """A text that a message has had, made safe, and when it was written, in ms since 1970."""

    html: str
    time: int


class Editions(Answer, kw_only=True):
    """To `EditionsRequest`, the first one first."""

    editions: list[EditionEntry]


class Whole(Answer, kw_only=True):
    """To `WholeRequest`."""

    text: str


class VersionEntry(msgspec.Struct, frozen=True):
    """A version of a file, its bytes, and when it was put there, in ms since 1970, as far as is known."""

    version: int
    size: int
    time: int | None


class Versions(Answer, kw_only=True):
    """To `VersionsRequest`, the newest first."""

    versions: list[VersionEntry]


class InviteAnswer(Answer, kw_only=True):
    """To `InviteRequest`: the word, and its QR code as an SVG made here."""

    link: str
    svg: str


class Done(Answer, kw_only=True):
    """To `ActRequest`: what it did, and what it cannot do."""

    text: str
