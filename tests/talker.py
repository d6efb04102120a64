"""A peer in a process of its own: does what the lines of JSON on its standard input say. See `tests/peer.py`."""

import asyncio
import base64
import json
import sys
from typing import Any

import msgspec

import linkup_nb as lu
from linkup_nb.rooms.memory import block as blocks
from linkup_nb.rooms.memory.room import MemoryRoom


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class Talker:
    """One node in one room; each public method is one command."""

    def __init__(self, node: lu.Node) -> None:
        self._node = node
        self._room: lu.Room | None = None

    @property
    def room(self) -> lu.Room:
        assert self._room is not None, "create or join a room first"
        return self._room

    async def create(self, name: str) -> str:
        self._listen_to(await self._node.create_room(name, linkup=True))
        return self.room.topic.hex()

    async def found(self, name: str) -> str:
        """Create a room with memory; its invite."""
        room = await self._node.create_room(name)
        assert isinstance(room, MemoryRoom)
        self._listen_to(room)
        return room.invite

    async def history(self, count: int) -> list[tuple[str, str]]:
        """Who has said what in a room with memory, in its order, once so many messages are here and checked."""
        assert isinstance(self.room, MemoryRoom)
        changed = asyncio.Event()
        self.room.on("message", lambda _: changed.set())
        while len(self.room) < count:
            await changed.wait()
            changed.clear()
        for message in self.room.messages:
            await message.verify()
        return [(message.name, message.text) for message in self.room.messages if isinstance(message, lu.TextMessage)]

    async def reads(self, text: str) -> list[tuple[str, str]]:
        """Who has said what, once a message has this in it: one that was edited, too."""
        changed = asyncio.Event()
        for event in ("message", "change"):
            self.room.on(event, lambda _: changed.set())
        while True:
            said = [
                (message.name, message.text) for message in self.room.messages if isinstance(message, lu.TextMessage)
            ]
            if any(text in one for _, one in said):
                return said
            await changed.wait()
            changed.clear()

    async def join(self, topic: str) -> None:
        self._listen_to(await self._node.join(topic))

    def _listen_to(self, room: lu.Room) -> None:
        self._room = room

        @room.on("message")
        def tell(message: lu.Message) -> None:
            if not message.own:
                kind = type(message).__name__.removeprefix("LinkUp")
                say(received={"type": kind, "name": message.name} | described(message))

    async def send(self, text: str) -> None:
        await self.room.send(text)

    async def burst(self, count: int) -> None:
        """Say "0", "1", … as fast as the room takes them."""
        for number in range(count):
            await self.room.send(str(number))

    async def send_file(self, name: str, data: str) -> None:
        await self.room.send_file((name, base64.b64decode(data)))

    async def set_name(self, name: str) -> None:
        await self._node.set_name(name)

    async def raw(self, message: str) -> None:
        """Write bytes that no node of ours would write, to every peer."""
        for connection in self._node.linkup_swarm.connections:
            await connection.write(message.encode("utf-8", "surrogatepass"))

    async def flood(self, count: int, size: int) -> None:
        """Send `count` messages, then one of `size` bytes that is not LinkUp's, as fast as peers take them."""
        for number in range(count):
            await self.raw(json.dumps({"type": "message", "message": f"spam {number}", "topic": self.room.topic.hex()}))
        for connection in self._node.linkup_swarm.connections:
            await connection.write(bytes(size))

    async def write(self, type: str, fields: dict[str, Any], channel: str = "") -> str:
        """Write a block that no room of ours would, to one's own feed in a room with memory; its id."""
        assert isinstance(self.room, MemoryRoom)
        _, body = blocks.BODIES[type]
        for name in fields.keys() & {"data", "metadata"}:  # an output's values are kept as they came
            fields[name] = {mime: msgspec.Raw(msgspec.json.encode(value)) for mime, value in fields[name].items()}
        [row] = await self.room._session.write([body(**fields)], channel=channel)
        return self.room._origin.build(row).id

    async def connected(self, count: int) -> None:
        """Return once `count` members are here."""
        changed = asyncio.Event()
        self.room.on("update", changed.set)
        while sum(member.status == "here" for member in self.room.peers) < count:
            await changed.wait()
            changed.clear()
        self.room.remove_listener("update", changed.set)


def described(message: lu.Message) -> dict[str, Any]:
    match message:
        case lu.TextMessage(text=text):
            return {"text": text}
        case lu.FileMessage(file_name=file_name, data=data):
            return {"file_name": file_name, "size": len(data)}
        case lu.AudioMessage(data=data):
            return {"size": len(data), "start": data[:4].hex()}
        case _:
            return {}


async def main(path: str, name: str) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with lu.Node(path, name=name) as node:
        talker = Talker(node)
        say(ready=node.public_key.hex())
        while line := await lines.readline():
            command = json.loads(line)
            try:
                say(done=await getattr(talker, command.pop("do"))(**command))
            except Exception as error:  # noqa: BLE001 (the test is told, whatever it was)
                say(failed=repr(error))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
