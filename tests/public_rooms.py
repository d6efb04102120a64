"""A call of each public method of rooms, their messages, and bots."""

from collections.abc import Callable
from typing import Any

import pytest

import linkup_nb as lu
from linkup_nb.rooms.linkup.room import LinkUpRoom
from linkup_nb.rooms.member import Member, MemberStatus
from linkup_nb.rooms.memory.channel import RoomChannel
from linkup_nb.rooms.memory.message import RoomFileMessage, RoomTextMessage
from linkup_nb.rooms.memory.qr import QrCode
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.timeline import Timeline
from tests.public_methods import Call, World, calls, method

STRANGER = b"s" * 32

ROOMS: dict[type, tuple[Callable[[World], Any], list[tuple[str, Call]]]] = {
    LinkUpRoom: (
        lambda world: world.room,
        [
            method("send", "text"),
            method("send_file", ("name.txt", b"content")),
            method("send_audio", b"audio"),
            method("__len__"),
            method("__getitem__", 0),
            method("shares_name", "otter"),
            method("to_pandas"),
            method("clear"),
            method("rename", "our room"),
            method("leave"),
        ],
    ),
    MemoryRoom: (
        lambda world: world.remembered,
        [
            method("send", "text"),
            method("send_file", ("name.txt", b"content")),
            method("send_audio", b"audio"),
            method("mark_read"),
            calls("mark_rows_read", lambda world, room: room.mark_rows_read("", [room[0].id], None, None)),
            method("timeline_in", ""),
            method("first_unread", ""),
            method("mentioned_in", ""),
            calls("find", lambda world, room: room.find(room[0].id)),
            method("name_of", STRANGER),
            calls("drive_of", lambda world, room: room.drive_of(room.drive.key)),
            method("may_remove", STRANGER),
            calls("holders", lambda world, room: _holders(room)),
            method("set_muted", True),
            method("rename", "our room"),
            method("search", "text"),
            method("create_channel", "random", "anything"),
            method("invite_qr"),
            method("create_invite", uses=1),
            method("channel", "random"),
            method("messages_in", "random"),
            method("unread_in", "random"),
            method("set_subject", "physics"),
            method("set_typing"),
            calls("at", lambda world, room: room.at(room[0])),
            calls("message", lambda world, room: room.message(room[0].id)),
            calls("export", lambda world, room: room.export(world.folder / "room.linkup")),
            method("__len__"),
            method("__getitem__", 0),
            method("shares_name", "otter"),
            method("to_pandas"),
            *(method(name, STRANGER) for name in ("mute", "block", "hide", "remove", "admit", "appoint")),
            method("set_follow_moderators", False),
            method("allow", Member("otter", STRANGER, MemberStatus.AWAY)),
            calls("clear", lambda world, room: _refused(room)),
            calls("prune", lambda world, room: room.prune(room[0])),
            method("leave", forget=True),
            method("close"),
        ],
    ),
    lu.Bot: (
        lambda world: world.bot,
        [
            method("open"),
            method("on", "message", print),
            method("command", "!roll"),
            method("every", "1h"),
            calls("join", lambda world, bot: bot.join(bytes(32))),
            calls("say", lambda world, bot: bot.say(bot.node.rooms[0], "hello")),
            calls("run", lambda world, bot: _refused_to_run(bot)),
            method("close"),
        ],
    ),
    QrCode: (lambda world: world.remembered.invite_qr(), []),
    RoomChannel: (
        lambda world: world.channel,
        [
            method("send", "text"),
            method("send_file", ("name.txt", b"content")),
            method("search", "text"),
            method("set_typing"),
            method("mark_read"),
            method("__len__"),
            method("__getitem__", 0),
        ],
    ),
    Timeline: (
        lambda world: world.remembered.timeline,
        [
            method("__len__"),
            method("__getitem__", 0),
            method("last"),
            calls("before", lambda world, timeline: timeline.before(world.said)),
            calls("after", lambda world, timeline: timeline.after(world.said)),
            calls("around", lambda world, timeline: timeline.around(world.said)),
            calls("at", lambda world, timeline: timeline.at(world.said.timestamp)),
        ],
    ),
    RoomTextMessage: (
        lambda world: world.said,
        [
            method("reply", "yes"),
            method("react", "+"),
            method("edit", "better"),
            method("provenance"),
            method("verify"),
            calls("load", lambda world, message: _nothing_to_load(message)),
            method("retract"),
        ],
    ),
}


async def _nothing_to_load(message: RoomTextMessage) -> None:
    with pytest.raises(lu.UsageError, match="nothing to load"):
        await message.load()


async def _refused(room: MemoryRoom) -> None:
    with pytest.raises(lu.UsageError):
        await room.clear()


def _refused_to_run(bot: lu.Bot) -> None:
    with pytest.raises(lu.UsageError, match="a process of its own"):
        bot.run()


def _holders(room: MemoryRoom) -> list[str]:
    [file] = [message for message in room.messages if isinstance(message, RoomFileMessage)]
    return room.holders(file)
