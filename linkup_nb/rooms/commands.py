"""Commands, typed instead of a message: a line that starts with `~` and a word."""

import asyncio
import difflib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from linkup_nb.discovery.check import Report
from linkup_nb.errors import UnknownCommand, UnknownRoom, UsageError
from linkup_nb.rooms.member import Member, MemberStatus, milliseconds
from linkup_nb.rooms.memory.invites import parse_duration
from linkup_nb.rooms.memory.message import RoomMessage
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.memory.writers import ADMITTED, ALL, WRITER
from linkup_nb.rooms.message import FileMessage, TextMessage
from linkup_nb.rooms.names import clean, escape_markdown
from linkup_nb.rooms.room import Room
from linkup_nb.rooms.topic import short_topic
from linkup_nb.wire.keys import short_key

MAX_LISTED = 50  # rooms or people in one answer
MAX_FOUND = 20  # messages in the answer to a search
MAX_QUOTED = 32  # characters of a line that an answer repeats
MAX_EXCERPT = 120  # characters of a message that an answer quotes

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

    text: str = field(repr=False)  # it may hold an invite
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
    async def create_room(self, name: str, *, writers: str = ..., linkup: bool = ...) -> Room: ...
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
    options, name = _options("create", argument, {"linkup": False, "admitted": False})
    writers = ADMITTED if "admitted" in options else ALL
    made = await node.create_room(name, writers=writers, linkup="linkup" in options)
    if isinstance(made, MemoryRoom):
        return CommandReply(f"You made {_named(made)}. {_invitation(made)}", ReplyAction.SHOW_ROOM, made)
    text = f"You made {_named(made)}. Others join by its topic:\n\n`{made.topic.hex()}`"
    return CommandReply(text, ReplyAction.SHOW_ROOM, made)


async def _invite(node: Host, room: Room | None, argument: str) -> CommandReply:
    invited = _with_memory(room)
    options, rest = _options("invite", argument, {"expires": True, "uses": True, "role": True})
    if rest:
        raise UsageError(f"~invite takes nothing else: type {COMMANDS['invite'].usage}.")
    if not options:
        return CommandReply(_invitation(invited))
    expires = parse_duration(options["expires"]) if "expires" in options else None
    uses = options.get("uses")
    if uses is not None and not re.fullmatch("[0-9]{1,9}", uses):
        raise UsageError(f"--uses is followed by a number: type {COMMANDS['invite'].usage}.")
    made = await invited.create_invite(
        expires=expires, uses=None if uses is None else int(uses), role=options.get("role", WRITER)
    )
    limits = [f"until {made.expires.astimezone():%d %b %Y, %H:%M}"] if made.expires else []
    limits += [f"for {made.uses} {'person' if made.uses == 1 else 'people'}"] if made.uses else []
    good = f"This invite is good {' and '.join(limits) or 'until you revoke it'}"
    honest = "While it lasts, whoever has it can come in and read everything. It is shown only now."
    writes = (
        "" if invited.writers is None else f"Who comes by it may {'write' if made.role == WRITER else 'only read'}. "
    )
    return CommandReply(f"{good}. {writes}{honest}\n\n`{made.link}`")


def _invitation(room: MemoryRoom) -> str:
    honest = "Whoever has this invite can come in and read everything: send it only to whom you want there."
    readers = "" if room.writers is None else " They write only once the founder or a moderator types `~admit WHO`."
    return f"{honest}{readers}\n\n`{room.invite}`"


async def _join(node: Host, room: Room | None, argument: str) -> CommandReply:
    joined = await node.join(argument)
    if isinstance(joined, WaitingRoom):
        text = f"Waiting for a member to let you in to {_named(joined)}, also after a restart."
        return CommandReply(text, ReplyAction.SHOW_ROOM, joined)
    return CommandReply(f"You are in {_named(joined)}.", ReplyAction.SHOW_ROOM, joined)


async def _search(node: Host, room: Room | None, argument: str) -> CommandReply:
    found = await _with_memory(room).search(argument, limit=MAX_FOUND + 1)
    if not found:
        return CommandReply("No message has all of these words. `begin*` finds words that begin so.")
    more = ["- … and older ones: search for more words to find fewer"] if len(found) > MAX_FOUND else []
    return CommandReply("\n".join([*map(_found, found[:MAX_FOUND]), *more]))


def _found(message: RoomMessage) -> str:
    if isinstance(message, TextMessage):
        text = message.text
    else:
        text = message.file_name if isinstance(message, FileMessage) else ""
    shown = clean(text[: 4 * MAX_EXCERPT])
    excerpt = shown if len(shown) <= MAX_EXCERPT else shown[:MAX_EXCERPT] + "…"
    when = message.timestamp.astimezone().strftime("%d %b %Y, %H:%M")
    return f"- **{escape_markdown(message.name)}**, {when}: {escape_markdown(excerpt)}"


async def _disputed(node: Host, room: Room | None, argument: str) -> CommandReply:
    found = _with_memory(room).disputed
    if not found:
        return CommandReply("Nothing in this room is disputed.")
    more = [f"- … and {len(found) - MAX_FOUND} older ones, in `room.disputed`"] if len(found) > MAX_FOUND else []
    return CommandReply("\n".join([*map(_found, found[: -MAX_FOUND - 1 : -1]), *more]))


async def _export(node: Host, room: Room | None, argument: str) -> CommandReply:
    exported = _with_memory(room)
    try:
        if await asyncio.to_thread(_is_there, argument):
            raise UsageError(f"There is a file {clean(argument)!r} already: choose another name.")
        count = await exported.export(argument)
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{clean(argument)!r} cannot be written: {reason}.") from None
    what = f"{count:,} blocks of {_named(exported)} are in {escape_markdown(argument)}"
    return CommandReply(f"{what}. Whoever has it can read them, and check them with `linkup-nb verify FILE`.")


def _is_there(path: str) -> bool:
    return Path(path).expanduser().exists()


async def _mute(node: Host, room: Room | None, argument: str) -> CommandReply:
    options, who = _options("mute", argument, {"off": False})
    shown = _with_memory(room)
    key, label = _person(shown, who)
    await shown.mute(key, "off" not in options)
    if "off" in options:
        return CommandReply(f"You hear {label} again.")
    return CommandReply(f"You have muted {label}, for you only: others still read them. `~mute --off` undoes it.")


async def _block(node: Host, room: Room | None, argument: str) -> CommandReply:
    options, who = _options("block", argument, {"off": False})
    shown = _with_memory(room)
    key, label = _person(shown, who)
    await shown.block(key, "off" not in options)
    if "off" in options:
        return CommandReply(f"You have unblocked {label}.")
    honest = "nothing of theirs is shown or fetched here, but others may pass on to them what you write"
    return CommandReply(f"You have blocked {label}: {honest}. `~block --off` undoes it.")


async def _remove(node: Host, room: Room | None, argument: str) -> CommandReply:
    options, who = _options("remove", argument, {"off": False})
    shown = _with_memory(room)
    key, label = _person(shown, who)
    if "off" in options:
        await shown.admit(key)
        return CommandReply(f"{label} may take part again.")
    await shown.remove(key)
    honest = "nobody shows what they write from now on, but they keep what they have, and the secret of the room"
    return CommandReply(f"You have removed {label}: {honest}. `~remove --off KEY` undoes it.")


async def _admit(node: Host, room: Room | None, argument: str) -> CommandReply:
    shown = _with_memory(room)
    key, label = _person(shown, argument)
    await shown.admit(key)
    return CommandReply(f"{label} may write here.")


def _person(room: MemoryRoom, who: str) -> tuple[bytes, str]:
    """The key of the member of that name or short key, and how to call them; who was removed by the short key only."""
    found = {member.key: _labelled(member) for member in room.peers if who in (member.name, member.short_key)}
    found |= {key: f"**{short_key(key)}**" for key in room.removed if who == short_key(key)}
    if len(found) > 1:
        raise UsageError("Several people here are called so: type the key that ~who shows beside the name.")
    if not found:
        raise UsageError("There is nobody of this name or key here: ~who shows who is.")
    return next(iter(found.items()))


async def _leave(node: Host, room: Room | None, argument: str) -> CommandReply:
    options, rest = _options("leave", argument, {"forget": False})
    if rest:
        raise UsageError(f"~leave takes nothing else: type {COMMANDS['leave'].usage}.")
    left = _shown(room)
    text = f"You left {_named(left)}."
    if "forget" in options:
        await _with_memory(left).leave(forget=True)
        text += " What was here of it is deleted; the others keep what they have."
    else:
        await left.leave()
    return CommandReply(text, ReplyAction.SHOW_ROOM, next(iter(node.rooms), None))


async def _list(node: Host, room: Room | None, argument: str) -> CommandReply:
    if not node.rooms:
        return CommandReply("You are in no room. Type `~create NAME`, or `~join INVITE`.")
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
        raise UnknownRoom("You are in no room: type ~create NAME, or ~join INVITE, first.")
    return room


def _with_memory(room: Room | None) -> MemoryRoom:
    shown = _shown(room)
    if isinstance(shown, WaitingRoom):
        raise UsageError(shown.refusal or "No member has let you in yet: wait until one is there.")
    if not isinstance(shown, MemoryRoom):
        raise UsageError("This is a room of LinkUp, which forgets: ~create NAME makes one with memory.")
    return shown


def _options(command: str, argument: str, known: dict[str, bool]) -> tuple[dict[str, str], str]:
    """The options that `argument` begins with, and the rest; `known` says of each whether a value follows it."""
    usage = COMMANDS[command].usage
    found = {}
    while argument.startswith("--"):
        option, _, argument = argument[2:].partition(" ")
        argument = argument.lstrip()
        if option not in known:
            raise UsageError(f"~{command} has no option --{clean(option)[:MAX_QUOTED]}: type {usage}.")
        value = ""
        if known[option]:
            value, _, argument = argument.partition(" ")
            argument = argument.lstrip()
        found[option] = value
    if COMMANDS[command].takes and not argument:
        raise UsageError(f"~{command} needs {COMMANDS[command].takes}: type {usage}.")
    return found, argument


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
        Command(
            "create",
            "~create [--linkup | --admitted] NAME",
            "make a room, and get its invite; one where only those write who were admitted",
            _create,
            "a name",
        ),
        Command(
            "invite",
            "~invite [--expires 2d --uses 1 --role reader]",
            "show this room's invite, or make one that ends",
            _invite,
        ),
        Command("join", "~join INVITE", "join by an invite, or a LinkUp room by its 64 digits", _join, "an invite"),
        Command("leave", "~leave [--forget]", "leave this room, and delete what is here of it", _leave),
        Command("list", "~list", "list your rooms", _list),
        Command("clear", "~clear", "empty this transcript, here only", _clear),
        Command("search", "~search WORDS", "find messages by their words", _search, "a word"),
        Command("export", "~export PATH", "write this room to a file that anybody can check", _export, "a path"),
        Command("disputed", "~disputed", "show what two copies of a profile said, which is not in the room", _disputed),
        Command("mute", "~mute [--off] WHO", "fold what somebody writes, for you only", _mute, "a name"),
        Command("block", "~block [--off] WHO", "neither show nor fetch what somebody writes", _block, "a name"),
        Command("remove", "~remove [--off] WHO", "end somebody's part in a room of yours", _remove, "a name"),
        Command("admit", "~admit WHO", "let somebody write where only those do who were admitted", _admit, "a name"),
        Command("ping", "~ping", "show the round-trip time to each peer here", _ping),
        Command("who", "~who", "show who is in this room", _who),
        Command("doctor", "~doctor", "show what works between you and others, and what does not", _doctor),
        Command("name", "~name NEW", "call yourself by another name", _name, "a name"),
        Command("avatar", "~avatar [PATH]", "choose a picture, or use the one at PATH", _avatar),
    )
}
