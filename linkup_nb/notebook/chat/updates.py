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


class ChannelEntry(msgspec.Struct, frozen=True):
    """A channel of a room; with an `invite` it is a room of its own."""

    name: str
    topic: str
    unread: int
    mentions: int
    invite: bool


class RoomEntry(msgspec.Struct, frozen=True):
    """A room of the list; `unread` and `mentions` are those of its main channel, and of `channels` each has its own.

    `waiting` is why nobody has let us in yet, or that nobody has.
    """

    topic: str
    name: str
    linkup: bool
    unread: int
    mentions: int
    muted: bool
    waiting: str | None
    channels: list[ChannelEntry]


class PeerEntry(msgspec.Struct, frozen=True):
    """Somebody in the room that is shown, the reader too; `detail` is the round trip in words.

    `role` is what they are in the room, `since` when they were last here, in ms since 1970; `faults` say what is wrong
    with what they write.
    """

    key: str
    short: str
    name: str
    shared_name: bool
    status: MemberStatus
    detail: str | None
    avatar: str | None
    role: str
    since: int | None
    faults: list[str]


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
    """Of what is sent to a LinkUp room, and of a text to any; in bytes."""

    file: int
    text: int


class Selection(msgspec.Struct, frozen=True):
    """The row that was clicked, and the Python that gives its message."""

    id: str
    expression: str


class StateUpdate(Update, kw_only=True, tag="state"):
    """The state around the rows; `node` is the Python that gives the node.

    `invite` is shortened: the whole one is got by an `InviteRequest`. `read_only` is why the reader cannot write in the
    room.
    """

    me: Me
    needs_profile: bool
    rooms: list[RoomEntry]
    room: str | None
    channel: str
    subject: str
    invite: str | None
    read_only: str | None
    peers: list[PeerEntry]
    typing: list[str]
    status: StatusLine
    commands: list[CommandEntry]
    limits: Limits
    node: str
    selection: Selection | None
    recording: bool


class Attachment(msgspec.Struct, omit_defaults=True):
    """A file of a row, `inline` if the page may show it; `size` in bytes, `width` and `height` in pixels.

    One in the drive of a room says whose that is, and the version of it.
    """

    name: str
    size: int
    mime: str
    inline: bool
    width: int | None = None
    height: int | None = None
    drive: str | None = None
    version: int | None = None


class Quote(msgspec.Struct, frozen=True):
    """The line of what a row answers; without text it is not here, or not to be shown."""

    id: str
    name: str
    text: str


class Reaction(msgspec.Struct, frozen=True):
    """A symbol on a row, as it is shown and as it was sent, who reacted with it, and whether the reader did."""

    symbol: str
    raw: str
    count: int
    own: bool
    names: list[str]


class Row(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the transcript: `text` is shown as it is, `html` has been made safe. Times are in ms since 1970.

    Rows stand in the order of their `place`, compared as strings. `received` is when one came that was late; `mention`
    whether it names the reader; `hidden` why it is folded; `actions` what the reader may do with it; `source` is the
    Markdown of `html`, to copy or edit.
    """

    id: str
    place: str
    kind: Literal["text", "image", "audio", "file", "output", "notice", "unknown"]
    time: int
    name: str | None = None
    key: str | None = None
    avatar: str | None = None
    short: str | None = None
    own: bool = False
    text: str | None = None
    html: str | None = None
    source: str | None = None
    file: Attachment | None = None
    unread: bool = False
    mention: bool = False
    received: int | None = None
    delivery: str | None = None
    reply: Quote | None = None
    reactions: list[Reaction] = []
    edited: bool = False
    retracted: bool = False
    hidden: str | None = None
    warning: str | None = None
    actions: list[str] = []


class Rows(Update, kw_only=True):
    """After a `reset` a window of rows in order, else those that came or changed since version `after`.

    The version counts the changes of an epoch: a view that has another than `after` asks again. Of a window, `start`
    and `end` are whether nothing stands before and after it, `divider` is its first unread row.
    """

    room: str | None
    channel: str
    epoch: str
    after: int
    version: int
    reset: bool
    rows: list[Row]
    start: bool
    end: bool
    divider: str | None
    unread: int


class ProgressUpdate(Update, kw_only=True, tag="progress"):
    """A file on its way into the store: so many of `size` bytes, and the names of those who send it."""

    room: str
    target: str
    received: int
    size: int
    senders: list[str]


class AvatarPicture(Update, kw_only=True, tag="avatar"):
    """A picture, before anything names it."""

    avatar: str
    mime: str
    data: bytes
