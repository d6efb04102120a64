"""Commands, typed instead of a message: a line that starts with `~` and a word."""

import difflib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from linkup_nb.discovery.check import Report
from linkup_nb.errors import UnknownCommand, UnknownRoom, UsageError
from linkup_nb.rooms.member import Member, MemberStatus, milliseconds
from linkup_nb.rooms.names import clean, escape_markdown
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.topic import short_topic
from linkup_nb.wire.keys import short_key

MAX_LISTED = 50  # rooms or people in one answer
MAX_QUOTED = 32  # characters of a line that an answer repeats

# Markdown's own ~~strikethrough~~ and ~~~ fences are no commands, and neither is "~5 minutes".
_COMMAND = re.compile(r"~([^\W\d_]\w*)(?:\s+(.*?))?\s*", re.DOTALL)


class ReplyAction(StrEnum):
    """What the panel does besides showing the reply."""

    NONE = "none"
    CLEAR = "clear"
    PICK_AVATAR = "pick_avatar"
    SHOW_ROOM = "show_room"


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The reply to a command: Markdown for the one who typed it, and an action; `room` is the one to show."""

    text: str
    action: ReplyAction = ReplyAction.NONE
    room: Room | None = None


class Host(Protocol):
    """The part of a node that commands use."""

    @property
    def name(self) -> str: ...
    @property
    def public_key(self) -> bytes: ...
    @property
    def rooms(self) -> tuple[Room, ...]: ...
    async def create_room(self, name: str, *, linkup: Literal[True]) -> Room: ...
    async def join(self, topic: str | bytes, *, name: str | None = None) -> Room: ...
    async def doctor(self) -> Report: ...
    async def set_name(self, name: str) -> None: ...
    async def set_avatar(self, image: bytes | str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: `usage` is how it is typed, `help` what it does, `takes` what must follow its name."""

    name: str
    usage: str
    help: str
    run: Callable[[Host, Room | None, str], Awaitable[CommandReply]]
    takes: str | None = None


def is_command(line: str) -> bool:
    """Whether a line that was typed is a command, known or not, rather than a message."""
    return _COMMAND.fullmatch(line) is not None


async def run(line: str, node: Host, room: Room | None) -> CommandReply:
    """Run the command in a line; `room` is the one shown. Raises `UsageError`: its sentence is the answer to show.

    `UnknownCommand` names the command that was probably meant.
    """
    typed = _COMMAND.fullmatch(line)
    name, argument = (typed[1].lower(), typed[2] or "") if typed else (line.lstrip("~"), "")
    command = COMMANDS.get(name)
    if not command:
        raise UnknownCommand(_hint(name))
    if command.takes and not argument:
        raise UsageError(f"~{name} needs {command.takes}: type {command.usage}.")
    return await command.run(node, room, argument)


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name[:MAX_QUOTED].lower(), COMMANDS, n=1)
    advice = f"Did you mean ~{close[0]}?" if close else "Type ~help for those that there are."
    return f"There is no command ~{clean(name)[:MAX_QUOTED]}. {advice} To send it as a message, start with a space."


async def _help(node: Host, room: Room | None, argument: str) -> CommandReply:
    rows = "".join(f"| `{command.usage}` | {command.help} |\n" for command in COMMANDS.values())
    return CommandReply(f"| Command | What it does |\n| --- | --- |\n{rows}")


async def _create(node: Host, room: Room | None, argument: str) -> CommandReply:
    made = await node.create_room(argument, linkup=True)
    text = f"You made {_named(made)}. Others join by its topic:\n\n`{made.topic.hex()}`"
    return CommandReply(text, ReplyAction.SHOW_ROOM, made)


async def _join(node: Host, room: Room | None, argument: str) -> CommandReply:
    joined = await node.join(argument)
    return CommandReply(f"You are in {_named(joined)}.", ReplyAction.SHOW_ROOM, joined)


async def _leave(node: Host, room: Room | None, argument: str) -> CommandReply:
    left = _shown(room)
    await left.leave()
    return CommandReply(f"You left {_named(left)}.", ReplyAction.SHOW_ROOM, next(iter(node.rooms), None))


async def _list(node: Host, room: Room | None, argument: str) -> CommandReply:
    if not node.rooms:
        return CommandReply("You are in no room. Type `~create NAME`, or `~join TOPIC`.")
    rows = [f"- {_named(each)}, topic `{short_topic(each.topic)}`, {_count(each)} here" for each in node.rooms]
    return CommandReply(_listed(rows))


async def _clear(node: Host, room: Room | None, argument: str) -> CommandReply:
    await _shown(room).clear()
    return CommandReply("", ReplyAction.CLEAR)


async def _ping(node: Host, room: Room | None, argument: str) -> CommandReply:
    here = _here(_shown(room))
    if not here:
        return CommandReply("Nobody else is here to ping.")
    return CommandReply(
        _listed([f"- {_labelled(member)}: {milliseconds(member.rtt) or 'not measured yet'}" for member in here])
    )


async def _who(node: Host, room: Room | None, argument: str) -> CommandReply:
    shown = _shown(room)
    you = f"- **{escape_markdown(node.name)}** ({short_key(node.public_key)}): you"
    others = [f"- {_labelled(member)}: {member.status.value}" for member in shown.peers]
    return CommandReply(_listed([you, *others]))


async def _doctor(node: Host, room: Room | None, argument: str) -> CommandReply:
    checks = (await node.doctor()).checks
    return CommandReply(
        _listed([f"- **{check.name}**, {check.outcome.value}: {escape_markdown(str(check))}" for check in checks])
    )


async def _name(node: Host, room: Room | None, argument: str) -> CommandReply:
    await node.set_name(argument)
    return CommandReply(f"You are now **{escape_markdown(node.name)}**.")


async def _avatar(node: Host, room: Room | None, argument: str) -> CommandReply:
    if not argument:
        return CommandReply("", ReplyAction.PICK_AVATAR)
    await node.set_avatar(argument)
    return CommandReply("This is your new avatar.")


def _shown(room: Room | None) -> Room:
    if not room:
        raise UnknownRoom("You are in no room: type ~create NAME, or ~join TOPIC, first.")
    return room


def _here(room: Room) -> list[Member]:
    return [member for member in room.peers if member.status is MemberStatus.HERE]


def _count(room: Room) -> int:
    return len(_here(room))


def _named(room: Room) -> str:
    return f"**{escape_markdown(room.name)}**"


def _labelled(member: Member) -> str:
    return f"**{escape_markdown(member.name)}** ({member.short_key})"


def _listed(rows: list[str]) -> str:
    more = [f"- … and {len(rows) - MAX_LISTED} more"] if len(rows) > MAX_LISTED else []
    return "\n".join([*rows[:MAX_LISTED], *more])


COMMANDS = {
    command.name: command
    for command in (
        Command("help", "~help", "show this list", _help),
        Command("create", "~create NAME", "make a room, and get its topic to share", _create, "a name"),
        Command("join", "~join TOPIC", "join a room by its 64 hexadecimal digits", _join, "a topic"),
        Command("leave", "~leave", "leave this room", _leave),
        Command("list", "~list", "list your rooms", _list),
        Command("clear", "~clear", "empty this transcript, here only", _clear),
        Command("ping", "~ping", "show the round-trip time to each peer here", _ping),
        Command("who", "~who", "show who is in this room", _who),
        Command("doctor", "~doctor", "show what works between you and others, and what does not", _doctor),
        Command("name", "~name NEW", "call yourself by another name", _name, "a name"),
        Command("avatar", "~avatar [PATH]", "choose a picture, or use the one at PATH", _avatar),
    )
}
