"""How a node, its rooms, their people and messages look as the value of a cell."""

from collections.abc import Callable

from linkup_nb.node import Node
from linkup_nb.notebook.reprs.html import paragraph, table, titled
from linkup_nb.rooms.member import Member, milliseconds
from linkup_nb.rooms.message import AudioMessage, FileMessage, IconMessage, Message, TextMessage, UnknownMessage
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.topic import short_topic
from linkup_nb.wire.keys import short_key


def _node(node: Node) -> str:
    if not node.rooms:
        return titled(str(node), node.status.text)
    rooms = [(room.name, short_topic(room.topic), len(room), len(room.peers)) for room in node.rooms]
    return titled(_who(node.name, short_key(node.public_key)), node.status.text) + table(
        ("room", "topic", "messages", "people"), rooms
    )


def _room(room: Room) -> str:
    summary = f"{len(room):,} messages"
    people = [(member.label, member.status.value, milliseconds(member.rtt)) for member in room.peers]
    return titled(f"{room.name} ({short_topic(room.topic)})", summary) + table(("person", "", "round trip"), people)


def _member(member: Member) -> str:
    return titled(_who(member.name, member.short_key), member.status.value)


def _message(message: Message) -> str:
    match message:
        case TextMessage(text=text):
            # Markdown and Pygments take 50 ms to import, for which a node that starts need not wait.
            from linkup_nb.notebook.chat import markup

            body = markup.render(text)
        case FileMessage(file_name=name):
            body = paragraph(f"{name}, {message.size:,} bytes: evaluate its .data")
        case AudioMessage() | IconMessage():
            body = paragraph(f"{message.size:,} bytes")
        case UnknownMessage(type=kind, fields=fields):
            body = paragraph(f"A message of type {kind}") + table(("field", "value"), list(fields.items()))
        case _:
            body = ""
    return titled(_who(message.name, message.short_key), f"{message.timestamp:%Y-%m-%d %H:%M:%S} UTC") + body


def _who(name: str, key: str) -> str:
    """A name with its key, which stands in for a name that has not been announced."""
    return name if name == key else f"{name} ({key})"


DRAWERS: dict[type, Callable[..., str | None]] = {Member: _member, Message: _message, Node: _node, Room: _room}
