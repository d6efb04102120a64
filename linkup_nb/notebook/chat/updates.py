"""The messages of the kernel to the chat's page, as `static/protocol.d.ts` declares them for the page."""

from typing import Literal

import msgspec

from linkup_nb.notebook.bridge import Update
from linkup_nb.rooms.member import MemberStatus
from linkup_nb.rooms.status import Level


class Me(msgspec.Struct, frozen=True):
    """Who the reader is; `avatar` is the id of a picture, as everywhere here."""

    name: str | None
    key: str
    short: str
    avatar: str | None


class RoomEntry(msgspec.Struct, frozen=True):
    """A room of the list."""

    topic: str
    name: str
    unread: int


class PeerEntry(msgspec.Struct, frozen=True):
    """Somebody else in the room that is shown; `detail` is the round trip, in words."""

    key: str
    short: str
    name: str
    shared_name: bool
    status: MemberStatus
    detail: str | None
    avatar: str | None


class CommandEntry(msgspec.Struct, frozen=True):
    """A command to complete."""

    name: str
    usage: str
    help: str


class StatusLine(msgspec.Struct, frozen=True):
    """How we are connected, in one sentence."""

    level: Level
    text: str


class Limits(msgspec.Struct, frozen=True):
    """`file` is in bytes."""

    file: int


class Selection(msgspec.Struct, frozen=True):
    """The row that was clicked, and the Python that gives its message."""

    seq: int
    expression: str


class StateUpdate(Update, kw_only=True, tag="state"):
    """The state around the rows."""

    me: Me
    needs_profile: bool
    rooms: list[RoomEntry]
    room: str | None
    peers: list[PeerEntry]
    status: StatusLine
    commands: list[CommandEntry]
    limits: Limits
    selection: Selection | None
    recording: bool


class Attachment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a row, `inline` if the page may show it; `size` in bytes, `width` and `height` in pixels."""

    name: str
    size: int
    mime: str
    inline: bool
    width: int | None = None
    height: int | None = None


class Row(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the transcript: `text` is shown as it is, `html` has been made safe. `time` is in ms since 1970.

    `recipients` of an `own` row is `None` until it is delivered.
    """

    seq: int
    kind: Literal["text", "image", "audio", "file", "notice", "unknown"]
    time: int
    name: str | None = None
    key: str | None = None
    avatar: str | None = None
    short: str | None = None
    own: bool = False
    recipients: int | None = None
    text: str | None = None
    html: str | None = None
    file: Attachment | None = None


class Rows(Update, kw_only=True):
    """Rows that follow those which a view has, or all of them after a `reset`; `seen` is up to where they were read."""

    room: str | None
    epoch: str
    reset: bool
    rows: list[Row]
    oldest: int
    last_seq: int
    seen: int | None = None


class DeliveryEntry(msgspec.Struct, frozen=True):
    """To how many peers one of our messages was written."""

    seq: int
    recipients: int


class RowUpdate(Update, kw_only=True):
    """News of rows that the views have."""

    room: str | None
    rows: list[DeliveryEntry]


class AvatarPicture(Update, kw_only=True, tag="avatar"):
    """A picture, before anything names it."""

    avatar: str
    mime: str
    data: bytes
