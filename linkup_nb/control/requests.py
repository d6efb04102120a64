"""What a command asks of a node, as it goes over the socket: one JSON object a line."""

from datetime import timedelta
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(max_length=65_536)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # the largest that every JSON reader keeps


class Ask(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, tag_field="do"):
    """A request; `tag_field` says which."""


class RoomsAsk(Ask, frozen=True, tag="rooms"):
    """The rooms of the node."""


class CreateAsk(Ask, frozen=True, tag="create"):
    """A new room."""

    name: Text
    linkup: bool = False
    writers: str = "all"


class JoinAsk(Ask, frozen=True, tag="join"):
    """The room of an invite or a topic; `name` is what it is called here."""

    word: Text
    name: Text | None = None


class LeaveAsk(Ask, frozen=True, tag="leave"):
    """Leave a room; with `forget` delete what is here of it."""

    room: Text
    forget: bool = False


class InviteAsk(Ask, frozen=True, tag="invite"):
    """The invite of a room, or one that ends: after so many seconds, or so many people."""

    room: Text
    expires: Annotated[int, Meta(ge=0, le=timedelta.max // timedelta(seconds=1))] | None = None
    uses: Count | None = None


class SendAsk(Ask, frozen=True, tag="send"):
    """Say a text, or send the file at this path; `wait` is how many seconds somebody may take to have it."""

    room: Text
    text: Text = ""
    file: Text | None = None
    channel: Text = ""
    wait: float = 0.0


class TailAsk(Ask, frozen=True, tag="tail"):
    """The last messages of a room, "" for all rooms; with `follow` those that come, too."""

    room: Text = ""
    count: Count = 10
    follow: bool = False


class SearchAsk(Ask, frozen=True, tag="search"):
    """The messages of a room with memory that have these words, the newest first."""

    room: Text
    words: Text
    count: Count = 50


class ExportAsk(Ask, frozen=True, tag="export"):
    """Write a room with memory to a file that anybody can check."""

    room: Text
    path: Text


class PeopleAsk(Ask, frozen=True, tag="people"):
    """The others in a room."""

    room: Text


class DoctorAsk(Ask, frozen=True, tag="doctor"):
    """What works between this node and others, and what does not."""


class ConfigAsk(Ask, frozen=True, tag="config"):
    """What the profile says; first changed by `change`, setting by setting."""

    change: dict[str, Text] = {}


class DrivesAsk(Ask, frozen=True, tag="drives"):
    """The drives of the node."""


class MountAsk(Ask, frozen=True, tag="mount"):
    """Mount somebody's drive by its key, or make one's own by a name that there is no key for."""

    drive: Text


class FilesAsk(Ask, frozen=True, tag="files"):
    """What is in a folder of a drive."""

    drive: Text
    folder: Text = "/"
    version: Count | None = None
    recursive: bool = False


class GetAsk(Ask, frozen=True, tag="get"):
    """Save a file of a drive at this path."""

    drive: Text
    path: Text
    to: Text
    version: Count | None = None


class PutAsk(Ask, frozen=True, tag="put"):
    """Put the file at this path into a drive of one's own."""

    drive: Text
    file: Text
    path: Text


class HistoryAsk(Ask, frozen=True, tag="history"):
    """The changes of a file or folder, the newest first."""

    drive: Text
    path: Text = "/"
    count: Count = 1000


class DiffAsk(Ask, frozen=True, tag="diff"):
    """What changed between two versions of a drive."""

    drive: Text
    a: Count
    b: Count | None = None
    folder: Text = "/"


class MirrorAsk(Ask, frozen=True, tag="mirror"):
    """Make a folder of this computer like one of a drive, or with `back` the reverse; `dry` only says what differs."""

    drive: Text
    folder: Text
    local: Text
    version: Count | None = None
    back: bool = False
    dry: bool = False


class ServeAsk(Ask, frozen=True, tag="serve"):
    """Serve a drive to this computer's browsers until the asker goes."""

    drive: Text
    port: Annotated[int, Meta(ge=0, le=65535)] = 0


AnyAsk: TypeAlias = (
    RoomsAsk
    | CreateAsk
    | JoinAsk
    | LeaveAsk
    | InviteAsk
    | SendAsk
    | TailAsk
    | SearchAsk
    | ExportAsk
    | PeopleAsk
    | DoctorAsk
    | ConfigAsk
    | DrivesAsk
    | MountAsk
    | FilesAsk
    | GetAsk
    | PutAsk
    | HistoryAsk
    | DiffAsk
    | MirrorAsk
    | ServeAsk
)
