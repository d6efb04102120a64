"""The state around the transcript: rooms, people, and the status line."""

import msgspec

from linkup_nb.node import Node
from linkup_nb.notebook.chat.feeds import Feeds
from linkup_nb.notebook.chat.rendering import Avatars
from linkup_nb.notebook.chat.updates import (
    ChannelEntry,
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
from linkup_nb.rooms.linkup.messages import MAX_FILE, MAX_TEXT
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.member import Member, MemberStatus, milliseconds
from linkup_nb.rooms.memory.message import InDrive, RoomMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.status import Level
from linkup_nb.wire.keys import short_key

_COMMANDS = [CommandEntry(name=command.name, usage=command.usage, help=command.help) for command in COMMANDS.values()]


def describe(
    node: Node,
    feeds: Feeds,
    room: Room | None,
    channel: str = "",
    *,
    finding: str = "",
    selection: Selection | None = None,
    recording: bool = False,
    node_expression: str = "",
) -> StateUpdate:
    """The state around the rows of a room; the doctor's `finding`, `selection` and `recording` are one panel's."""
    status = node.status_of(room, finding)
    return StateUpdate(
        me=_me(node, feeds.avatars),
        needs_profile=status.level is not Level.OFF and node.profile.name is None,
        rooms=[_room(each, feeds) for each in node.rooms],
        room=room.topic.hex() if room else None,
        channel=channel,
        subject=room.subject if isinstance(room, MemoryRoom) else "",
        invite=_shortened(room.invite) if isinstance(room, MemoryRoom) else None,
        read_only=room.read_only if isinstance(room, MemoryRoom) else None,
        peers=_people(node, room, feeds.avatars),
        typing=[member.name for member in room.typing.get(channel, ())] if isinstance(room, MemoryRoom) else [],
        status=StatusLine(level=status.level, text=status.text),
        commands=_COMMANDS,
        limits=Limits(file=MAX_FILE, text=MAX_TEXT),
        node=node_expression,
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
            found = f"{node_expression}.rooms[{number}].message({message.id!r})"
            return f"await {found}.load()" if isinstance(message, InDrive) else found
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
    memory = room if isinstance(room, MemoryRoom) else None
    return RoomEntry(
        topic=room.topic.hex(),
        name=room.name,
        linkup=isinstance(room, LinkUpRoom),
        unread=feeds.of(room).unread,
        mentions=memory.mentioned_in("") if memory else 0,
        muted=bool(memory and memory.muted),
        waiting=(room.refusal or "Waiting for a member to let you in") if isinstance(room, WaitingRoom) else None,
        channels=[
            ChannelEntry(
                name=channel.name,
                topic=channel.topic,
                unread=channel.unread,
                mentions=memory.mentioned_in(channel.name),
                invite=channel.invite is not None,
            )
            for channel in memory.channels
        ]
        if memory
        else [],
    )


def _shortened(invite: str) -> str:
    word = invite.partition("?")[0].removeprefix("linkup:")
    return f"linkup:{word[:4]}…{word[-4:]}"


def _people(node: Node, room: Room | None, avatars: Avatars) -> list[PeerEntry]:
    """The reader first, then the others."""
    if room is None or node.status.level is Level.OFF:
        return []
    memory = room if isinstance(room, MemoryRoom) else None
    me = Member(node.name, node.public_key, MemberStatus.HERE, node.avatar, shared_name=room.shares_name(node.name))
    you = _peer(me, avatars, _role(memory, me.key))
    you = msgspec.structs.replace(you, role="you, founder" if you.role == "founder" else "you")
    return [you, *(_peer(member, avatars, _role(memory, member.key)) for member in room.peers)]


def _role(room: MemoryRoom | None, key: bytes) -> str:
    if room is None:
        return ""
    if key == room.founder:
        return "founder"
    if key in room.moderators:
        return "moderator"
    return "reader" if room.writers is not None and key not in room.writers else ""


def _peer(member: Member, avatars: Avatars, role: str) -> PeerEntry:
    return PeerEntry(
        key=member.key.hex(),
        short=member.short_key,
        name=member.name,
        shared_name=member.shared_name,
        status=member.status,
        detail=milliseconds(member.rtt),
        avatar=avatars.name(member.avatar),
        role=role,
        since=round(member.last_seen.timestamp() * 1000) if member.last_seen and not member.here else None,
        faults=list(member.faults),
    )
