"""`linkup-nb chat`: rooms in a terminal, of the running node or of one that lives as long as this does."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from pathlib import Path

import click
from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.patch_stdout import patch_stdout

from linkup_nb.cli.output import Output, common
from linkup_nb.cli.rooms import message_words
from linkup_nb.control.actions import Item
from linkup_nb.control.client import Asked, node_of
from linkup_nb.control.requests import (
    Ask,
    CreateAsk,
    InviteAsk,
    JoinAsk,
    PeopleAsk,
    RoomsAsk,
    SearchAsk,
    SendAsk,
    TailAsk,
)
from linkup_nb.errors import LinkupError, UsageError

SHOWN = 20  # messages of a room that are shown when it is entered


class TerminalChat:
    """What is typed and shown for one room at a time."""

    def __init__(self, node: Asked) -> None:
        self._node = node
        self.room = ""
        self.rooms: list[str] = []
        self.people: list[str] = []
        self.over = False
        self.commands: dict[str, tuple[str, str, Callable[[str], Awaitable[None]]]] = {
            "~rooms": ("", "your rooms", self._list_rooms),
            "~room": ("NAME", "go to another room", self.enter),
            "~join": ("WORD", "join a room by its invite or topic", self._join),
            "~create": ("NAME", "make a room", self._create),
            "~invite": ("", "the invite of this room", self._invite),
            "~people": ("", "who is in this room", self._list_people),
            "~search": ("WORDS", "find messages of this room", self._search),
            "~file": ("PATH", "send a file", self._send_file),
            "~help": ("", "these lines", self._help),
            "~quit": ("", "leave the chat; Ctrl-D does, too", self._quit),
        }

    async def type(self, line: str) -> None:
        """What a line means: a command, or a message for the room. What goes wrong is shown as one sentence."""
        word, _, rest = line.strip().partition(" ")
        try:
            if word.startswith("~"):
                if word not in self.commands:
                    raise UsageError(f"There is no command {word}: ~help shows those that there are.")
                usage, _, run = self.commands[word]
                if usage and not rest.strip():
                    raise UsageError(f"{word} needs {usage}.")
                await run(rest.strip())
            elif line.strip():
                await self._ask(SendAsk(room=self._here(), text=line))
        except (LinkupError, OSError, ValueError) as error:
            self.say(str(error))

    async def follow(self) -> None:
        """Show what comes, from all rooms; of another than this one the room is named."""
        async with aclosing(self._node.ask(TailAsk(count=0, follow=True))) as messages:
            async for message in messages:
                if not message["own"] or message["topic"] == self.room:
                    self.say(message_words(message, with_room=message["topic"] != self.room))

    async def enter(self, name: str) -> None:
        """Show another room, and say into it what is typed."""
        rooms = await self._ask(RoomsAsk())
        found = next((room for room in rooms if name in (room["name"], room["topic"])), None)
        if found is None:
            raise UsageError(f"You are in no room {name!r}: ~rooms shows yours.")
        self.room = found["topic"]
        self.rooms = [room["name"] for room in rooms]
        self.say(f"— {found['name']}: {found['status']}")
        for message in await self._ask(TailAsk(room=self.room, count=SHOWN)):
            self.say(message_words(message))
        await self._look_around()

    def say(self, words: str) -> None:
        """Print above the line that is typed."""
        print_formatted_text(words)

    def _here(self) -> str:
        if not self.room:
            raise UsageError("You are in no room yet: ~join WORD, or ~create NAME.")
        return self.room

    async def _ask(self, ask: Ask) -> list[Item]:
        async with aclosing(self._node.ask(ask)) as answer:
            return [item async for item in answer]

    async def _look_around(self) -> None:
        self.people = [member["name"] for member in await self._ask(PeopleAsk(room=self._here()))]

    async def _list_rooms(self, _: str) -> None:
        for room in await self._ask(RoomsAsk()):
            mark = "*" if room["topic"] == self.room else " "
            self.say(f"{mark} {room['name']}: {room['here']} of {room['people']} here")

    async def _join(self, word: str) -> None:
        [room] = await self._ask(JoinAsk(word=word))
        await self.enter(room["topic"])

    async def _create(self, name: str) -> None:
        [room] = await self._ask(CreateAsk(name=name))
        await self.enter(room["topic"])
        self.say(f"Others join by {room['invite']}")

    async def _invite(self, _: str) -> None:
        [made] = await self._ask(InviteAsk(room=self._here()))
        self.say(made["invite"])

    async def _list_people(self, _: str) -> None:
        await self._look_around()
        for member in await self._ask(PeopleAsk(room=self._here())):
            self.say(f"{'●' if member['here'] else '○'} {member['name']}  {member['key'][:8]}")

    async def _search(self, words: str) -> None:
        found = await self._ask(SearchAsk(room=self._here(), words=words))
        for message in reversed(found):
            self.say(message_words(message))
        if not found:
            self.say("No message has these words.")

    async def _send_file(self, path: str) -> None:
        [name] = shlex.split(path) if path[0] in "'\"" else [path]
        await self._ask(SendAsk(room=self._here(), file=str(Path(name).expanduser().absolute())))  # noqa: ASYNC240

    async def _help(self, _: str) -> None:
        for name, (usage, words, _run) in self.commands.items():
            self.say(f"{name + ' ' + usage:<16}{words}")

    async def _quit(self, _: str) -> None:
        self.over = True


class ChatCompleter(Completer):
    """Commands, rooms, people behind an @, and paths of files."""

    def __init__(self, chat: TerminalChat) -> None:
        self._chat = chat
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        """See `Completer`."""
        text = document.text_before_cursor
        command, space, rest = text.partition(" ")
        word = text.rpartition(" ")[2]
        if command == "~file" and space:
            yield from self._paths.get_completions(Document(rest), event)
        elif command == "~room" and space:
            yield from (Completion(name, -len(rest)) for name in self._chat.rooms if name.startswith(rest))
        elif text.startswith("~") and not space:
            for name, (usage, words, _) in self._chat.commands.items():
                if name.startswith(text):
                    yield Completion(name, -len(text), f"{name} {usage}".strip(), words)
        elif word.startswith("@"):
            yield from (Completion(f"@{name}", -len(word)) for name in self._chat.people if name.startswith(word[1:]))


@click.command()
@click.argument("room", required=False)
@common
def chat(output: Output, room: str | None) -> None:
    """Chat in the terminal: in ROOM (a name, a topic or an invite), or the first of your rooms."""
    if output.json:
        raise click.UsageError("A program reads `linkup-nb tail --follow --json`, and says with `linkup-nb send`.")

    async def run() -> None:
        async with node_of(output.path, lasting=True) as node:
            await _chat(node, room)

    output.finish(run())


async def _chat(node: Asked, room: str | None) -> None:
    talk = TerminalChat(node)
    # What is sent comes back as a message, so the line is taken away.
    session: PromptSession[str] = PromptSession(
        completer=ChatCompleter(talk), complete_while_typing=True, erase_when_done=True
    )
    with patch_stdout(raw=False):
        following = asyncio.ensure_future(talk.follow())
        try:
            if room:
                await talk.type(f"~join {room}")
            else:
                async with aclosing(node.ask(RoomsAsk())) as rooms:
                    first = next((one["topic"] for one in [each async for each in rooms]), None)
                if first:
                    await talk.enter(first)
                else:
                    talk.say("You are in no room yet: ~join WORD, or ~create NAME. ~help shows the rest.")
            with suppress(EOFError, KeyboardInterrupt):
                while not talk.over:
                    await talk.type(await _line(session, following))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _line(session: PromptSession[str], following: asyncio.Task[None]) -> str:
    """The next line that is typed. Raises what ended the following: nothing would be shown any more."""
    typing = asyncio.ensure_future(session.prompt_async("> "))
    try:
        await asyncio.wait({typing, following}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        return await typing
    finally:
        typing.cancel()
        await asyncio.gather(typing, return_exceptions=True)
