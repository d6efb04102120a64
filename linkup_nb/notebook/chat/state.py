"""The state around the transcript: rooms, people, and the status line."""

from linkup_nb.node import Node
from linkup_nb.notebook.chat.feed import Avatars, Feeds
from linkup_nb.notebook.chat.updates import (
    CommandEntry,
    Limits,
    Me,
    PeerEntry,
    RoomEntry,
    Selection,
    StateUpdate,
    StatusLine,
)
from linkup_nb.rooms.commands import COMMANDS
from linkup_nb.rooms.linkup.messages import MAX_FILE
from linkup_nb.rooms.member import Member, milliseconds
from linkup_nb.rooms.memory.message import RoomMessage
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.status import Level
from linkup_nb.wire.keys import short_key

_COMMANDS = [CommandEntry(name=command.name, usage=command.usage, help=command.help) for command in COMMANDS.values()]


def describe(
    node: Node,
    feeds: Feeds,
    room: Room | None,
    *,
    finding: str = "",
    selection: Selection | None = None,
    recording: bool = False,
) -> StateUpdate:
    """The state around the rows of a room; the doctor's `finding`, `selection` and `recording` are one panel's."""
    status = node.status_of(room, finding)
    return StateUpdate(
        me=_me(node, feeds.avatars),
        needs_profile=status.level is not Level.OFF and node.profile.name is None,
        rooms=[_room(each, feeds) for each in node.rooms],
        room=room.topic.hex() if room else None,
        peers=[_peer(member, feeds.avatars) for member in (room.peers if room else ())],
        status=StatusLine(level=status.level, text=status.text),
        commands=_COMMANDS,
        limits=Limits(file=MAX_FILE),
        selection=selection,
        recording=recording,
    )


def pictures(node: Node, room: Room | None) -> dict[bytes, bytes | None]:
    """The avatar of everybody in a room, ours too, by their keys."""
    others = {member.key: member.avatar for member in (room.peers if room else ())}
    return others | {node.public_key: node.avatar if node.status.level is not Level.OFF else None}


def expression(node_expression: str, node: Node, message: Message) -> str:
    """The Python that gives a message, as long as its room keeps it."""
    for number, room in enumerate(node.rooms):
        if room.topic != message.topic:
            continue
        if isinstance(message, RoomMessage):
            return f"{node_expression}.rooms[{number}].message({message.id!r})"
        if len(room):
            return f"{node_expression}.rooms[{number}][{message.index - room[0].index}]"
    return "panel.selection"


def _me(node: Node, avatars: Avatars) -> Me:
    if node.status.level is Level.OFF:
        name, avatar = node.profile.name, None
    else:
        name, avatar = node.name, avatars.name(node.avatar)
    return Me(name=name, key=node.public_key.hex(), short=short_key(node.public_key), avatar=avatar)


def _room(room: Room, feeds: Feeds) -> RoomEntry:
    return RoomEntry(topic=room.topic.hex(), name=room.name, unread=feeds.of(room).unread)


def _peer(member: Member, avatars: Avatars) -> PeerEntry:
    return PeerEntry(
        key=member.key.hex(),
        short=member.short_key,
        name=member.name,
        shared_name=member.shared_name,
        status=member.status,
        detail=milliseconds(member.rtt),
        avatar=avatars.name(member.avatar),
    )
