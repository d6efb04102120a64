"""A bot: a peer that answers, in rooms of both kinds, as a process of its own or in a cell."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar, overload

from linkup_nb.bot import linkup
from linkup_nb.bot.arguments import Signature
from linkup_nb.bot.handlers import Handlers, call, names_of
from linkup_nb.bot.limits import Limits
from linkup_nb.discovery.protocol import Discovery
from linkup_nb.errors import UsageError
from linkup_nb.loops import from_any_loop, on_own_loop
from linkup_nb.node import Node
from linkup_nb.rooms.member import Member
from linkup_nb.rooms.memory.message import InDrive
from linkup_nb.rooms.memory.waiting import WaitingRoom
from linkup_nb.rooms.message import AudioMessage, FileMessage, Message, TextMessage
from linkup_nb.rooms.names import clean, escape_markdown
from linkup_nb.rooms.profile import profile_path
from linkup_nb.rooms.room import Room

HISTORY = 60.0  # seconds before a bot was there: what was written earlier is history, and starts nothing
GIVEN = dict.fromkeys(("message", "file", "audio", "other"), ("room", "message"))
GIVEN |= dict.fromkeys(("icon", "join", "leave"), ("room", "member"))
"""What the handlers of each event may name."""

log = logging.getLogger("linkup_nb.bot")

Handler = TypeVar("Handler", bound=Callable[..., Any])


class BotCommand(NamedTuple):
    """A command, how its arguments are read, and what it does."""

    name: str
    help: str
    signature: Signature
    handler: Callable[..., Any]

    @property
    def usage(self) -> str:
        """The command as one types it."""
        return f"{self.name} {self.signature.usage}".rstrip()


class _Handler(NamedTuple):
    """A handler of an event, and what is done for it."""

    handler: Callable[..., Any]
    work: Callable[[Room, Any], Awaitable[None]]


class Bot:
    """A peer with handlers. `async with bot:` opens it, `bot.run(invite_or_topic)` does all that a process needs.

    `name` is what others see, by default LINKUP_BOT_NAME; its profile has that name too unless `path` says where it is.
    What was written over a minute before it was opened starts nothing, unless `since` names an earlier moment, or how
    long ago that is. Its own messages never start anything.

        bot = lu.Bot("dice")

        @bot.command("!roll", help="Roll a die")
        async def roll(message, sides: int = 6):
            return f"{random.randint(1, sides)}"

        bot.run("linkup:…")

    A handler names what it wants: `message`, `room`, and for a command its arguments, see `bot.command`. What it
    returns, if anything, is the reply. A coroutine function runs on the bot's loop and must give way; a function runs
    in a thread, where it may take its time, beside others. One of the same name takes the place of an earlier one, so a
    cell that makes handlers can be run again.

    A bot written for LinkUp's own `Client` is ported by these names. Its handlers get `(peer, message)`:

    ======================================  ==========================================================
    LinkUp                                  here
    ======================================  ==========================================================
    new Client(name)                        lu.Bot(name)
    client.on("onMessage", f)               bot.on("onMessage", f), or @bot.on("message")
    "onFile", "onAudio", "onIcon"           the same, or "file", "audio", "icon"
    client.joinChatRoom(topic)              await bot.join(topic), or bot.run(topic)
    client.sendTextMessage(text)            await bot.say(room, text)
    message.message, .fileName, .fileData   the same; ours: message.text, .file_name, .data
    message.peerName, .topic, .timestamp    the same; ours: message.name, .topic, .timestamp
    LINKUP_ROOM_ID, LINKUP_BOT_NAME         the same
    ======================================  ==========================================================
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        since: datetime | timedelta | None = None,
        discovery: Sequence[Discovery] | None = None,
        bootstrap: Sequence[str] = (),
    ) -> None:
        self.name = name or os.environ.get("LINKUP_BOT_NAME") or "bot"
        self._path = Path(path) if path is not None else profile_path(self.name)
        self._since = since
        self._discovery = discovery
        self._bootstrap = bootstrap
        self._handlers: dict[str, list[_Handler]] = defaultdict(list)
        self._commands: dict[str, BotCommand] = {}
        self._timers: list[tuple[float, Callable[..., Any]]] = []
        self._limits = Limits()
        self._present: dict[Room, dict[bytes, Member]] = {}
        self._running = Handlers()
        self._node: Node | None = None
        self._start = datetime.now(UTC)
        self.command("!help", help="What I can do")(self._help)

    def __repr__(self) -> str:
        return f"<Bot {self.name!r}, {len(self._commands)} commands: {self._node or 'closed'}>"

    @property
    def node(self) -> Node:
        """The peer that it is. Raises `UsageError` while it is not open."""
        if self._node is None:
            raise UsageError("This bot is not open: `async with bot:` opens it, bot.run(invite) does so in a process.")
        return self._node

    @property
    def commands(self) -> Mapping[str, BotCommand]:
        """Its commands by name."""
        return dict(self._commands)

    # What it does

    @overload
    def on(self, event: str, handler: None = None) -> Callable[[Handler], Handler]: ...
    @overload
    def on(self, event: str, handler: Handler) -> Handler: ...
    def on(self, event: str, handler: Any = None) -> Any:
        """Call a handler for each `message`, `file`, `audio`, `other` message, or `icon`, `join`, `leave` of somebody.

        `@bot.on("message")`, or `bot.on("message", handler)`. It gets what it names: `message`, `room`, and `member`
        for the last three: who has another name or picture, has come, or has gone. LinkUp's names work, too, see the
        class. Raises `UsageError` for another event.
        """
        if handler is None:
            return lambda handler: self.on(event, handler)
        if event in linkup.EVENTS:
            work = _linkup_handler(handler)
        elif event in GIVEN:
            work = partial(self._react, handler, names_of(handler, GIVEN[event], event))
        else:
            raise UsageError(f"There is no event {event!r}: there are {', '.join((*GIVEN, *linkup.EVENTS))}.")
        handlers = self._handlers[linkup.EVENTS.get(event, event)]
        handlers[:] = [one for one in handlers if not _same(one.handler, handler)]
        handlers.append(_Handler(handler, work))
        return handler

    def command(self, name: str, *, help: str = "") -> Callable[[Handler], Handler]:
        """Call the decorated handler when somebody writes a command: `@bot.command("!roll", help="Roll dice")`.

        Besides `message` and `room` its parameters are the command's arguments, split as a shell would and typed by
        their annotations: `sides: int = 6`, `*words`, and keyword-only ones as options, `--times 3`. If they do not
        fit, the reply says how it is used. Raises `UsageError` for a name that is taken, or has a space.
        """
        if not name or name != "".join(name.split()):
            raise UsageError(f'A command is one word, as "!roll", not {name!r}.')

        def register(handler: Handler) -> Handler:
            known = self._commands.get(name)
            if known and name != "!help" and not _same(known.handler, handler):
                raise UsageError(f"This bot has a command {name} already: choose another name.")
            self._commands[name] = BotCommand(name, help, Signature(handler), handler)
            return handler

        return register

    def every(self, period: str | float | timedelta) -> Callable[[Handler], Handler]:
        """Call the decorated handler again and again: every "30s", "5m", "1h", or so many seconds.

        The first time is one period after the bot was opened. Raises `UsageError` for no such time.
        """
        seconds = _seconds(period)

        def register(handler: Handler) -> Handler:
            timer = (seconds, handler)
            self._timers = [*(one for one in self._timers if not _same(one[1], handler)), timer]
            if self._node:
                self._repeat(timer)
            return handler

        return register

    @from_any_loop
    async def say(self, room: Room, text: object) -> Message:
        """Send a text to a room, or anything else that `room.send` takes. Raises what that raises."""
        return await room.send(text)

    # Life

    async def open(self) -> None:
        """Open the peer, and be in the rooms of its profile. Raises what `Node.open` raises."""
        if self._node:
            return
        node = Node(self._path, name=self.name, discovery=self._discovery, bootstrap=self._bootstrap)
        self._loop = node.loop
        now = datetime.now(UTC)
        since = timedelta(seconds=HISTORY) if self._since is None else self._since
        self._start = since if isinstance(since, datetime) else now - since
        node.on("message", self._message)
        node.on("update", self._look_around)
        await node.open()
        self._node = node
        self._running.open()
        self._look_around()
        for timer in self._timers:
            self._repeat(timer)

    async def close(self) -> None:
        """Stop the handlers, and close the peer."""
        if self._node:
            await self._close()

    @from_any_loop
    async def _close(self) -> None:
        node, self._node = self._node, None
        await self._running.close()
        if node:
            await node.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def join(self, invite_or_topic: str | bytes) -> Room:
        """Be in a room, by its invite or its topic; see `Node.join`."""
        return await self.node.join(invite_or_topic)

    def run(self, invite_or_topic: str | None = None) -> None:
        """Be in this room, or that of LINKUP_ROOM_ID, and in those of the profile, until Ctrl-C or SIGTERM.

        For a process of its own; in a cell use `async with bot:`. Raises `UsageError` if there is no room at all.
        """
        if threading.current_thread() is not threading.main_thread():
            raise UsageError(
                "bot.run() is for the main thread of a process of its own: elsewhere use `async with bot:`."
            )
        with suppress(KeyboardInterrupt):
            asyncio.run(self._run(invite_or_topic or os.environ.get("LINKUP_ROOM_ID")))

    async def _run(self, room: str | None) -> None:
        ended = asyncio.Event()
        with suppress(NotImplementedError):  # Windows has no such signals for a loop
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        async with self:
            if room:
                await self.join(room)
            if not self.node.rooms:
                raise UsageError("This bot is in no room: bot.run(invite_or_topic), or set LINKUP_ROOM_ID.")
            for each in self.node.rooms:
                log.info("%s is in %s.", self.name, each.name)
            await ended.wait()

    # Inside

    def _message(self, room: Room, message: Message) -> None:
        if message.own or message.timestamp < self._start or getattr(message, "hidden", None):
            return
        event = "other"
        match message:
            case TextMessage(text=text):
                event = "message"
                if command := self._commands.get(text.split(None, 1)[0] if text.strip() else ""):
                    self._running.start(partial(self._obey, command, room, message, text), command.name, message)
                    return
            case FileMessage():
                event = "file"
            case AudioMessage():
                event = "audio"
        self._notify(event, room, message)

    def _notify(self, event: str, room: Room, about: Message | Member) -> None:
        for one in self._handlers[event]:
            self._running.start(partial(one.work, room, about), f"on {event}", about)

    async def _react(self, handler: Callable[..., Any], names: Sequence[str], room: Room, about: Any) -> None:
        given = {"room": room, "message": about, "member": about}
        answer = await call(handler, {name: given[name] for name in names})
        # Else two bots that answer everything would flood the room.
        if answer is not None and isinstance(about, Message) and self._may(room, about, "an answer"):
            await self._reply(room, about, answer)

    async def _obey(self, command: BotCommand, room: Room, message: Message, text: str) -> None:
        if not self._may(room, message, command.name):
            return
        given = {"room": room, "message": message}
        try:
            values, options = command.signature.parse(text.strip()[len(command.name) :])
        except UsageError as error:
            await self._reply(room, message, f"{escape_markdown(clean(str(error)))}. Usage: `{command.usage}`")
            return
        named = {name: given[name] for name in command.signature.given}
        answer = await call(command.handler, named | options, values)
        if answer is not None:
            await self._reply(room, message, answer)

    def _may(self, room: Room, message: Message, what: str) -> bool:
        if self._limits.allow(room.topic, message.key):
            return True
        log.info("%s to %r in %s is one too many.", what, message.name, room.name)
        return False

    async def _reply(self, room: Room, message: Message, answer: Any) -> None:
        if isinstance(answer, str):
            await message.reply(answer)
        else:
            await room.send(answer)

    def _help(self) -> str:
        lines = [f"- `{command.usage}` {escape_markdown(command.help)}".rstrip() for command in self._commands.values()]
        return "\n".join(lines)

    @on_own_loop
    def _repeat(self, timer: tuple[float, Callable[..., Any]]) -> None:
        self._running.repeat(*timer, lambda: timer in self._timers)

    def _look_around(self) -> None:
        """Who has come, gone, or has another name or picture since the last look."""
        if self._node is None:
            return
        rooms = [room for room in self._node.rooms if not isinstance(room, WaitingRoom)]
        for gone in set(self._present) - set(rooms):
            del self._present[gone]
        for room in rooms:
            now = {member.key: member for member in room.peers if member.here}
            before = self._present.get(room, {})
            self._present[room] = now
            for key, member in now.items():
                if key not in before:
                    self._notify("join", room, member)
                elif (member.name, member.avatar) != (before[key].name, before[key].avatar):
                    self._notify("icon", room, member)
            for key in before.keys() - now.keys():
                self._notify("leave", room, before[key])


def _same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two handlers are the same by name, as when a cell is run again: then the later one takes its place."""
    names = [(getattr(each, "__module__", None), getattr(each, "__qualname__", None)) for each in (one, other)]
    return names[0] == names[1] and "<lambda>" not in str(names[0][1])


def _linkup_handler(handler: Callable[..., Any]) -> Callable[[Room, Any], Awaitable[None]]:
    async def told(room: Room, about: Message | Member) -> None:
        if isinstance(about, Member):
            message = linkup.icon_of(about, room.topic, time.time())
        else:
            avatars = {member.key: member.avatar for member in room.peers}
            data = await about.load() if isinstance(about, InDrive) else None
            message = linkup.message_of(about, avatars.get(about.key), data)
        await call(handler, {}, [linkup.peer_of(about), message])

    return told


def _seconds(period: str | float | timedelta) -> float:
    if isinstance(period, timedelta):
        period = period.total_seconds()
    if isinstance(period, str):
        units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
        number, unit = period.strip()[:-1], period.strip()[-1:]
        period = float(number) * units[unit] if unit in units and number.replace(".", "", 1).isdigit() else 0.0
    if not period > 0:
        raise UsageError('A period is a number of seconds, or as "30s", "5m", "1h".')
    return float(period)
