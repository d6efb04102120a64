"""What the page may ask of the kernel: one message type a class, checked field by field before anything reads it."""

import re
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

MAX_ID = 128  # characters of a request's, view's, upload's or avatar's id

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
Topic: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]


def _tag(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


class Request(msgspec.Struct, kw_only=True, frozen=True, tag_field="type", tag=_tag):
    """`id` is answered exactly once; `view` is the one of several views of the widget that asks."""

    id: Id
    view: Id


class Hello(Request, kw_only=True, frozen=True):
    """A view is there, and has the rows of `epoch` up to `last_seq`."""

    epoch: str | None = None
    last_seq: int | None = None


class Bye(Request, kw_only=True, frozen=True):
    """A view is gone."""


class Profile(Request, kw_only=True, frozen=True):
    """Call me this; `avatar` is a finished upload."""

    name: str
    avatar: Id | None = None


class Create(Request, kw_only=True, frozen=True):
    """A new room."""

    name: str


class Join(Request, kw_only=True, frozen=True):
    """A room by its topic, as somebody typed it."""

    topic: str


class Leave(Request, kw_only=True, frozen=True):
    """Leave a room."""

    topic: Topic


class Show(Request, kw_only=True, frozen=True):
    """Show another room."""

    topic: Topic


class Send(Request, kw_only=True, frozen=True):
    """Say something in a room, or give a command; commands need no room."""

    topic: Topic | None
    text: str


class Select(Request, kw_only=True, frozen=True):
    """Somebody clicked a row."""

    topic: Topic | None = None
    seq: Count


class Seen(Request, kw_only=True, frozen=True):
    """Somebody has read a room up to a row."""

    topic: Topic
    seq: Count


class UploadBegin(Request, kw_only=True, frozen=True):
    """A file comes, in `chunks` of 1 MiB."""

    upload: Id
    purpose: Literal["file", "audio", "avatar"]
    topic: Topic | None = None
    name: str = ""
    size: Count
    chunks: Count


class UploadChunk(Request, kw_only=True, frozen=True):
    """Chunk `index` of an upload, in the message's one buffer."""

    upload: Id
    index: Count


class UploadEnd(Request, kw_only=True, frozen=True):
    """All chunks are there: send the file."""

    upload: Id


class UploadCancel(Request, kw_only=True, frozen=True):
    """Forget an upload."""

    upload: Id


class Fetch(Request, kw_only=True, frozen=True):
    """Chunk `index` of what is attached to a row."""

    topic: Topic | None = None
    seq: Count
    index: Count


class Avatar(Request, kw_only=True, frozen=True):
    """A picture that a view lacks."""

    avatar: Id


class Record(Request, kw_only=True, frozen=True):
    """Start or stop recording."""

    on: bool


AnyRequest: TypeAlias = (
    Hello
    | Bye
    | Profile
    | Create
    | Join
    | Leave
    | Show
    | Send
    | Select
    | Seen
    | UploadBegin
    | UploadChunk
    | UploadEnd
    | UploadCancel
    | Fetch
    | Avatar
    | Record
)


def parse(content: object) -> AnyRequest:
    """The request in a custom message. Raises `msgspec.ValidationError`."""
    request: AnyRequest = msgspec.convert(content, AnyRequest)
    return request
