"""Rooms from a terminal: create, join, say, read, search, export, verify."""

import sys
from datetime import datetime
from pathlib import Path

import click

from linkup_nb.cli.output import Output, common
from linkup_nb.control.actions import Item
from linkup_nb.control.client import node_of
from linkup_nb.control.requests import (
    CreateAsk,
    ExportAsk,
    InviteAsk,
    JoinAsk,
    LeaveAsk,
    RoomsAsk,
    SearchAsk,
    SendAsk,
    TailAsk,
)
from linkup_nb.errors import UsageError
from linkup_nb.rooms.memory.export import verify_export
from linkup_nb.rooms.memory.invites import parse_duration
from linkup_nb.rooms.names import clean

STANDARD_INPUT = "-"


def message_words(message: Item, *, with_room: bool = False) -> str:
    """A message as lines: the time, who, and what."""
    moment = datetime.fromisoformat(message["time"]).astimezone()
    place = f"{message['room']}{' #' + message['channel'] if 'channel' in message else ''} " if with_room else ""
    head = f"{moment:%Y-%m-%d %H:%M} {place}{message['name']}: "
    if message["kind"] == "file":
        return f"{head}[{message['file']}, {message['size']:,} bytes]"
    if message["kind"] in ("audio", "unknown"):
        return f"{head}[{message['kind']}]"
    return head + str(message["text"]).replace("\n", "\n    ")


@click.command()
@common
def rooms(output: Output) -> None:
    """List your rooms."""

    def shown(room: Item) -> str:
        unread = f", {room['unread']:,} unread" if room.get("unread") else ""
        return f"{room['name']}  {room['topic'][:8]}  {room['kind']}, {room['here']} of {room['people']} here{unread}"

    output.run(RoomsAsk(), shown)


@click.command()
@click.argument("name")
@click.option("--linkup", is_flag=True, help="A room of LinkUp, which keeps no history.")
@click.option("--admitted", is_flag=True, help="Who comes by its invite reads only, until you let them write.")
@common
def create(output: Output, name: str, linkup: bool, admitted: bool) -> None:
    """Create a room, and print its invite (a topic for --linkup)."""
    ask = CreateAsk(name=name, linkup=linkup, writers="admitted" if admitted else "all")
    output.run(ask, lambda room: str(room.get("invite", room["topic"])))


@click.command()
@click.argument("word")
@click.option("--name", help="What you call it.")
@common
def join(output: Output, word: str, name: str | None) -> None:
    """Join a room by its invite, or a LinkUp room by its topic."""
    output.run(JoinAsk(word=word, name=name), lambda room: f"{room['name']}: {room['status']}")


@click.command()
@click.argument("room")
@click.option("--forget", is_flag=True, help="Delete what is here of it, too.")
@common
def leave(output: Output, room: str, forget: bool) -> None:
    """Leave a room."""
    output.run(LeaveAsk(room=room, forget=forget), lambda left: f"Left {left['left']}.")


@click.command()
@click.argument("room")
@click.option("--expires", metavar="TIME", help="As in 30m, 12h or 2d.")
@click.option("--uses", type=click.IntRange(1), help="For so many people.")
@common
def invite(output: Output, room: str, expires: str | None, uses: int | None) -> None:
    """Print the invite of a room, or make one that ends."""
    try:
        seconds = None if expires is None else round(parse_duration(expires).total_seconds())
    except UsageError as error:
        raise click.BadParameter(str(error)) from None
    output.run(InviteAsk(room=room, expires=seconds, uses=uses), lambda made: str(made["invite"]))


@click.command()
@click.argument("room")
@click.argument("text", nargs=-1)
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send this file.")
@click.option("--channel", default="", help="Of a room with memory.")
@click.option(
    "--wait",
    default=10.0,
    show_default=True,
    help="Seconds for somebody to have it, where no node runs.",
)
@common
def send(output: Output, room: str, text: tuple[str, ...], file: Path | None, channel: str, wait: float) -> None:
    """Say TEXT in a room; - reads it from standard input."""
    said, path = " ".join(text), None if file is None else str(file.absolute())
    if said == STANDARD_INPUT:
        said = sys.stdin.buffer.read().decode(errors="replace")
    if bool(said.strip()) == (file is not None):
        raise click.UsageError("Say a text, or send a file with --file.")

    async def run() -> None:
        async with node_of(output.path) as node:
            ask = SendAsk(
                room=room,
                text=said,
                file=path,
                channel=channel,
                wait=wait if node.here else 0.0,
            )
            await output.ask(node, ask, lambda message: None)

    output.finish(run())


@click.command()
@click.argument("room", default="")
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(0), help="So many of the last ones.")
@click.option("-f", "--follow", is_flag=True, help="And those that come, until Ctrl-C.")
@common
def tail(output: Output, room: str, count: int, follow: bool) -> None:
    """Print the last messages of a room, or of all."""
    output.run(
        TailAsk(room=room, count=count, follow=follow),
        lambda message: message_words(message, with_room=not room),
        lasting=follow,
    )


@click.command()
@click.argument("room")
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "count", default=50, show_default=True, type=click.IntRange(1))
@common
def search(output: Output, room: str, words: tuple[str, ...], count: int) -> None:
    """Find messages by their words, the newest first."""
    output.run(SearchAsk(room=room, words=" ".join(words), count=count), message_words)


@click.command()
@click.argument("room")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@common
def export(output: Output, room: str, file: Path) -> None:
    """Write a room to FILE, which anybody can check with `linkup-nb verify`."""
    ask = ExportAsk(room=room, path=str(file.absolute()))
    output.run(ask, lambda done: f"{done['blocks']:,} blocks of {done['room']} are in {done['path']}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def verify(file: Path, as_json: bool) -> None:
    """Check FILE, an exported room: is every block as its author signed it, and in its place?

    It needs neither the room nor a network. Prints the first line that is wrong, and ends with 1 if there is one.
    """
    output = Output("", as_json)
    try:
        report = verify_export(file)
    except OSError as error:
        output.fail({"kind": "failed", "error": f"{file} cannot be read: {error.strerror}."})
    # What a stranger's file says must not steer the terminal.
    if report.bad_line is not None:
        output.fail({"kind": "failed", "error": f"Line {report.bad_line} is wrong: {clean(report.reason or '')}"})
    item = {"room": clean(report.room), "blocks": report.blocks, "feeds": report.feeds}
    blocks = f"{report.blocks:,} blocks of {report.feeds} feeds"
    output.say(item, lambda _: f"The room {item['room']!r}: {blocks}, all as their authors signed them.")
