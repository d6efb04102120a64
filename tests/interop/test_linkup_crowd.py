"""A LinkUp room of ten peers in Python and ten in JavaScript who all talk at once: nothing lost, nothing twice."""

import asyncio
import io
import os
from base64 import b64encode
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

from PIL import Image

import linkup_nb as lu
from tests.interop.hyperswarm import JavaScript, Peer, javascript, make_peer, make_testnet
from tests.interop.test_linkup_over_hyperdht import node_in
from tests.interop.test_linkup_room import png
from tests.rooms.nodes import until

EACH = 10  # peers of a kind
TEXTS = 20  # that each peer says
FILE = 1_000_000  # bytes of the file that each peer sends
TIME = 1_777_896_000_250  # milliseconds
PATIENCE = 90.0  # seconds for all to be connected, and for all to have arrived
BLUE = (0, 0, 255)  # of avatars once they have been changed

LONG = 1000  # characters

Said = list[str]
"""What one peer says, in its order: texts, and the hash of its file."""


def reported(data: bytes) -> str:
    """How `hyperswarm_peer.js` reports bytes: as they are in JSON, but long ones by their hash."""
    text = b64encode(data)
    return text.decode() if len(text) <= LONG else sha256(text).hexdigest()


def words(name: str) -> Said:
    return [f"{name} says {number}" for number in range(TEXTS)]


def color(avatar: bytes | None) -> tuple[int, ...] | None:
    """That of the middle of a picture, which may have been through a lossy format."""
    if avatar is None:
        return None
    picture = Image.open(io.BytesIO(avatar)).convert("RGB")
    pixel = picture.getpixel((picture.width // 2, picture.height // 2))
    assert isinstance(pixel, tuple)
    return tuple(255 if part > 127 else 0 for part in pixel)


class JavaScriptMember:
    """One of the JavaScript peers, and what it has received."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.key = peer.key
        self.name = f"j{peer.number}"

    @property
    def connected(self) -> Counter[bytes]:
        count = Counter(bytes.fromhex(event["key"]) for event in self.peer.reported("connection"))
        return count - Counter(bytes.fromhex(event["key"]) for event in self.peer.reported("close"))

    def received(self) -> dict[bytes, Said]:
        said: dict[bytes, Said] = defaultdict(list)
        for event in self.peer.reported("received"):
            message = event["message"]
            if message["type"] != "icon":
                said[bytes.fromhex(event["key"])].append(message.get("message") or message["file"])
        return said

    async def meets(self, keys: set[bytes]) -> None:
        await self.peer.javascript.until(lambda: self.connected == Counter(keys - {self.key}), PATIENCE)

    async def receives(self, count: int) -> None:
        await self.peer.expect("received", lambda event: event["message"]["type"] != "icon", count, PATIENCE)

    async def sees(self, avatars: dict[bytes, str]) -> None:
        others = {key: avatar for key, avatar in avatars.items() if key != self.key}
        await self.peer.javascript.until(lambda: self.avatars() == others, PATIENCE)

    def avatars(self) -> dict[bytes, str]:
        icons = (event for event in self.peer.reported("received") if event["message"]["type"] == "icon")
        return {bytes.fromhex(event["key"]): event["message"]["avatar"] for event in icons}

    def talk(self, topic: bytes, file: bytes) -> Said:
        about = {"name": self.name, "topic": topic.hex(), "timestamp": TIME}
        texts = words(self.name)
        for text in texts[: TEXTS // 2]:
            self.peer.order("write", message={"type": "message", "message": text, **about})
        self.peer.order(
            "write", message={"type": "file", "fileName": "a.bin", "file": b64encode(file).decode(), **about}
        )
        self.peer.order("write", message=icon(self.name, "blue"))
        for text in texts[TEXTS // 2 :]:
            self.peer.order("write", message={"type": "message", "message": text, **about})
        return [*texts[: TEXTS // 2], reported(file), *texts[TEXTS // 2 :]]


class PythonMember:
    """One of our nodes, and what it has received."""

    def __init__(self, node: lu.Node, room: lu.Room, name: str) -> None:
        self.node = node
        self.room = room
        self.name = name
        self.key = node.public_key

    @property
    def connected(self) -> Counter[bytes]:
        return Counter(member.key for member in self.room.peers if member.status == "here")

    def received(self) -> dict[bytes, Said]:
        said: dict[bytes, Said] = defaultdict(list)
        for message in self.room.messages:
            if message.key != self.key:
                assert isinstance(message, (lu.TextMessage, lu.FileMessage))
                what = message.text if isinstance(message, lu.TextMessage) else reported(message.data)
                said[message.key].append(what)
        return said

    async def meets(self, keys: set[bytes]) -> None:
        await until(lambda: self.connected == Counter(keys - {self.key}), self.room, patience=PATIENCE)

    async def receives(self, count: int) -> None:
        ours = TEXTS + 1
        await until(lambda: len(self.room) >= count + ours, self.room, patience=PATIENCE)

    async def sees(self, shade: tuple[int, ...]) -> None:
        await until(
            lambda: {color(member.avatar) for member in self.room.peers} == {shade}, self.room, patience=PATIENCE
        )

    async def talk(self, file: bytes) -> Said:
        texts = words(self.name)
        for text in texts[: TEXTS // 2]:
            await self.room.send(text)
        await self.room.send_file(("a.bin", file))
        await self.node.set_avatar(png("blue"))
        for text in texts[TEXTS // 2 :]:
            await self.room.send(text)
        return [*texts[: TEXTS // 2], reported(file), *texts[TEXTS // 2 :]]


def icon(name: str, shade: str) -> dict[str, object]:
    return {"type": "icon", "username": name, "avatar": b64encode(png(shade)).decode(), "timestamp": TIME}


async def javascript_members(process: JavaScript, ports: list[int], topic: bytes) -> list[JavaScriptMember]:
    """They join one after the other, for of those who join at once some find each other only 10 minutes later."""
    members = []
    for number in range(EACH):
        peer = await make_peer(process, ports, greeting=icon(f"j{number}", "red"))
        await peer.join(topic)
        members.append(JavaScriptMember(peer))
    return members


async def test_in_a_great_room_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    topic = os.urandom(32)
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(javascript())
        ports = await make_testnet(process)
        theirs = await javascript_members(process, ports, topic)
        ours = []
        for number in range(EACH):
            node = await stack.enter_async_context(node_in(tmp_path / str(number), ports))
            await node.set_name(f"p{number}")
            await node.set_avatar(png("red"))
            ours.append(node)
        rooms = await asyncio.gather(*(node.join(topic, name="lobby") for node in ours))
        pythons = [PythonMember(node, room, node.name) for node, room in zip(ours, rooms, strict=True)]
        everybody: list[PythonMember | JavaScriptMember] = [*pythons, *theirs]
        keys = {member.key for member in everybody}

        for each in everybody:
            await each.meets(keys)
        files = {member.key: os.urandom(FILE) for member in everybody}
        said = {member.key: member.talk(topic, files[member.key]) for member in theirs}
        talks = await asyncio.gather(*(member.talk(files[member.key]) for member in pythons))
        said |= {member.key: talk for member, talk in zip(pythons, talks, strict=True)}

        def expected(each: PythonMember | JavaScriptMember) -> dict[bytes, Said]:
            return {key: words for key, words in said.items() if key != each.key}

        for each in everybody:
            await each.receives((TEXTS + 1) * (len(keys) - 1))
        for each in everybody:
            assert each.received() == expected(each), each.name

        avatars = {member.key: reported(member.node.avatar) for member in pythons}
        avatars |= {member.key: reported(png("blue")) for member in theirs}
        for their in theirs:
            await their.sees(avatars)
        for our in pythons:
            await our.sees(BLUE)
        for each in everybody:
            assert each.received() == expected(each), each.name
            assert each.connected == Counter(keys - {each.key}), each.name
