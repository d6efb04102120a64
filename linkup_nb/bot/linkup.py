"""The shape of LinkUp's own bots, whose handlers are called with a peer and a message of these fields."""

from base64 import b64encode
from dataclasses import dataclass

from linkup_nb.rooms.member import Member
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage

EVENTS = {"onMessage": "message", "onFile": "file", "onAudio": "audio", "onIcon": "icon"}
"""Ours by LinkUp's."""


@dataclass(frozen=True, slots=True)
class LinkUpPeer:
    """Who wrote: `publicKey` in hexadecimal digits."""

    publicKey: str
    peerName: str


@dataclass(frozen=True, slots=True)
class LinkUpMessage:
    """A message by LinkUp's names; what its kind does not have is empty. Bytes are base64, times ms since 1970."""

    type: str
    peerName: str
    peerAvatar: str
    topic: str
    timestamp: int
    message: str = ""
    fileName: str = ""
    fileData: str = ""
    audioData: str = ""


def peer_of(member: Member | Message) -> LinkUpPeer:
    """Who wrote a message, or has another picture."""
    return LinkUpPeer(member.key.hex(), member.name)


def message_of(message: Message, avatar: bytes | None, data: bytes | None = None) -> LinkUpMessage:
    """A message by LinkUp's names; `data` is the file of one whose bytes stand elsewhere."""
    content: dict[str, str] = {}
    match message:
        case TextMessage(text=text):
            content = {"type": "message", "message": text}
        case FileMessage(file_name=name):
            content = {"type": "file", "fileName": name, "fileData": b64encode(data or message.data).decode()}
        case AudioMessage():
            content = {"type": "audio", "audioData": b64encode(data or message.data).decode()}
    sent = round(message.timestamp.timestamp() * 1000)
    return LinkUpMessage(
        **{"type": "unknown"} | content,
        peerName=message.name,
        peerAvatar=_picture(avatar),
        topic=message.topic.hex(),
        timestamp=sent,
    )


def icon_of(member: Member, topic: bytes, now: float) -> LinkUpMessage:
    """Somebody's new name or picture as LinkUp's icon message; `now` in seconds since 1970."""
    return LinkUpMessage("icon", member.name, _picture(member.avatar), topic.hex(), round(now * 1000))


def _picture(avatar: bytes | None) -> str:
    return b64encode(avatar).decode() if avatar else ""
