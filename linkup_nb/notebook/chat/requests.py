"""The requests of the chat's page, one message type a class, and their answers."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from linkup_nb.notebook.bridge import Answer, Id, Request

Topic: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


class HelloRequest(Request, kw_only=True, frozen=True):
    """A view is there, and has the rows of `epoch` up to `last_seq`."""

    epoch: str | None = None
    last_seq: int | None = None


class ByeRequest(Request, kw_only=True, frozen=True):
    """A view is gone."""


class ProfileRequest(Request, kw_only=True, frozen=True):
    """The reader's name; `avatar` is a finished upload."""

    name: str
    avatar: Id | None = None


class CreateRequest(Request, kw_only=True, frozen=True):
    """A new room."""

    name: str


class JoinRequest(Request, kw_only=True, frozen=True):
    """A room by its topic, as somebody typed it."""

    topic: str


class LeaveRequest(Request, kw_only=True, frozen=True):
    """Leave a room."""

    topic: Topic


class ShowRequest(Request, kw_only=True, frozen=True):
    """Show another room."""

    topic: Topic


class SendRequest(Request, kw_only=True, frozen=True):
    """A message for a room, or a command; commands need no room."""

    topic: Topic | None
    text: str


class SelectRequest(Request, kw_only=True, frozen=True):
    """A row was clicked."""

    topic: Topic | None = None
    seq: Count


class SeenRequest(Request, kw_only=True, frozen=True):
    """A room was read up to a row."""

    topic: Topic
    seq: Count


class UploadBeginRequest(Request, kw_only=True, frozen=True):
    """A file comes, in `chunks` of 1 MiB."""

    upload: Id
    purpose: Literal["file", "audio", "avatar"]
    topic: Topic | None = None
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
    """Chunk `index` of what is attached to a row."""

    topic: Topic | None = None
    seq: Count
    index: Count


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
    """To `FetchRequest`: one of so many chunks; `size` is the bytes of all."""

    chunks: int
    size: int
    data: bytes
