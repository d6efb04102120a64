"""What a cell gives to the chat: its source, as code that others can put into a cell of theirs, and what it showed."""

import re

from linkup_nb.errors import UsageError
from linkup_nb.notebook.chat.feeds import shown_last
from linkup_nb.notebook.runtime import running_nodes
from linkup_nb.rooms.memory.channel import RoomChannel
from linkup_nb.rooms.memory.room import MemoryRoom
from linkup_nb.rooms.message import Message
from linkup_nb.rooms.room import Room


async def share(source: str, *outputs: object, room: Room | RoomChannel | None = None) -> tuple[Message, ...]:
    """Send the source of a cell as Python code, then each of `outputs` as a cell shows it; to `room`, or the open one.

    Nobody's program runs it: others see it, and may put it into a cell of theirs. Returns the messages. Raises
    `UsageError` if there is no source or it is not clear which room is meant, and what `room.send` raises.
    """
    place = room or open_place()
    if not source.strip():
        raise UsageError("There is no source to share: write it below %%share.")
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", source))]))
    messages: list[Message] = [await place.send(f"{fence}python\n{source.strip(chr(10))}\n{fence}")]
    for output in outputs:
        messages.append(await place.send(output))
    return tuple(messages)


def open_place(name: str | None = None) -> Room | RoomChannel:
    """The room of this name; without one, what a panel showed last, or the only room. Raises `UsageError`."""
    nodes = running_nodes()
    rooms = [room for node in nodes.values() for room in node.rooms]
    if name is not None:
        named = [room for room in rooms if room.name == name]
        if len(named) != 1:
            raise UsageError(f"You are in {len(named) or 'no'} rooms called {name!r}: join it, or name another.")
        return named[0]
    for node in nodes.values():
        room, channel = shown_last(node)
        if room in node.rooms:
            return room.channel(channel) if channel and isinstance(room, MemoryRoom) else room
    if len(rooms) != 1:
        raise UsageError(
            "Say which room: --room NAME." if rooms else "You are in no room: run lu.chat(), and create or join one."
        )
    return rooms[0]
