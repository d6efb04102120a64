"""The messages of a room, one frozen object each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from linkup_nb.errors import UsageError
from linkup_nb.wire.keys import short_key

REPR_TEXT = 60  # characters of a message that its repr shows


class Answering(Protocol):
    """Where a message can be answered."""

    async def send(self, text: str) -> "TextMessage":
        """Send a text."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Message:
    """One message of a room.

    `index` counts the room's messages from 0 since this node joined it, and is never used twice. `key` is the sender's
    32-byte public key: the name is the one they have chosen, the key is who they are. `timestamp` is the time of
    sending by the sender's clock, `received` that of arrival by ours, both in UTC. For our `own` messages, `recipients`
    counts the peers to which it was written: 0 while that is not known yet.
    """

    name: str
    key: bytes
    topic: bytes
    timestamp: datetime
    received: datetime
    index: int = -1
    own: bool = False
    recipients: int = 0
    room: Answering | None = field(default=None, compare=False)

    async def reply(self, text: str) -> "TextMessage":
        """Answer it in its room. Raises `UsageError` for one that stands in no room, and what `room.send` raises."""
        if self.room is None:
            raise UsageError("This message stands in no room, so nobody can answer it.")
        return await self.room.send(text)

    @property
    def short_key(self) -> str:
        """The ends of the sender's key, to tell two people of one name apart."""
        return short_key(self.key)

    @property
    def size(self) -> int:
        """The bytes of the content, without the envelope."""
        return 0

    def _summary(self) -> str:
        return f"{self.size:,} bytes"

    def __repr__(self) -> str:
        # repr() of a name escapes what cannot be printed, so a stranger's name cannot redraw the terminal.
        return f"<{type(self).__name__} {self.index} from {self.name!r} ({self.short_key}): {self._summary()}>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TextMessage(Message):
    """A text, in Markdown."""

    text: str

    @property
    def size(self) -> int:
        """The bytes of the text in UTF-8."""
        return len(self.text.encode("utf-8", "surrogatepass"))

    def _summary(self) -> str:
        return repr(self.text if len(self.text) <= REPR_TEXT else self.text[:REPR_TEXT] + "…")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FileMessage(Message):
    """A file: `data` is all of it, `file_name` has no folders."""

    file_name: str
    data: bytes

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return len(self.data)

    def _summary(self) -> str:
        return f"{self.file_name!r}, {self.size:,} bytes"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LinkUpFileMessage(FileMessage):
    """A file that its sender also keeps in a drive: `await node.drive(message.drive)` mounts it.

    It is at `path` of version `version`, as the sender says; whoever has the key, in z-base-32, can read all of it.
    """

    drive: str
    path: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AudioMessage(Message):
    """A recorded clip, as its sender's browser encoded it (WebM with Opus, as a rule)."""

    data: bytes

    @property
    def size(self) -> int:
        """The bytes of the clip."""
        return len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IconMessage(Message):
    """A member's name and avatar; it changes the room's members and is not kept as a message."""

    avatar: bytes

    @property
    def size(self) -> int:
        """The bytes of the image."""
        return len(self.avatar)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UnknownMessage(Message):
    """A message of a `type` that we do not know, with its other fields; lists and objects in them are JSON texts."""

    type: str
    fields: Mapping[str, str | int | float | bool | None]

    @property
    def size(self) -> int:
        """The characters of the fields' names and texts."""
        return sum(len(name) + len(str(value)) for name, value in self.fields.items())

    def _summary(self) -> str:
        return f"type {self.type!r}, {len(self.fields)} fields"
