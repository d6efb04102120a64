"""A LinkUp room shared with a peer that runs the real `@hyperswarm/secret-stream`."""

import asyncio
import io
import json
from asyncio.subprocess import PIPE, Process
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import linkup_nb as lu
from linkup_nb.discovery.protocol import Announcer, FoundPeer
from tests.rooms.nodes import PATIENCE, until

PEER = Path(__file__).with_name("linkup_peer.js")


class Known:
    """A discovery that finds one peer on every topic."""

    name = "known"
    this_machine_only = True

    def __init__(self, key: str, port: int) -> None:
        self._peer = FoundPeer(bytes.fromhex(key), (("127.0.0.1", port),), self.name)

    async def start(self, announcer: Announcer) -> None: ...
    async def leave(self, topic: bytes) -> None: ...
    async def refresh(self, topic: bytes) -> None: ...
    async def close(self) -> None: ...

    def describe(self) -> str:
        return "knows one peer"

    async def join(self, topic: bytes, *, server: bool, client: bool, found: Callable[[FoundPeer], None]) -> None:
        found(self._peer)


def png(color: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(out, "PNG")
    return out.getvalue()


async def receives(peer: Process) -> dict[str, Any]:
    assert peer.stdout
    return dict(json.loads(await asyncio.wait_for(peer.stdout.readline(), PATIENCE)))


def write(peer: Process, **message: object) -> None:
    assert peer.stdin
    peer.stdin.write(json.dumps(message).encode() + b"\n")


async def test_a_linkup_peer_and_a_node_share_a_room(tmp_path: Path) -> None:
    avatar = b64encode(png()).decode()
    peer = await asyncio.create_subprocess_exec(
        "node", str(PEER), "jay", avatar, stdin=PIPE, stdout=PIPE, limit=64 * 1024 * 1024
    )
    found = await receives(peer)
    async with lu.Node(tmp_path, name="kestrel", discovery=[Known(**found)]) as node:
        room = await node.create_room("lobby", linkup=True)
        topic = room.topic.hex()
        icon = await receives(peer)
        assert (icon["type"], icon["username"], b64decode(icon["avatar"])) == ("icon", "kestrel", node.avatar)
        await until(lambda: [member.name for member in room.peers] == ["jay"], room)
        await until(lambda: room.peers[0].avatar is not None, room)
        assert node.status.text == "Connected to jay"

        write(peer, type="message", name="jay", message="hi 🦊", topic=topic, timestamp=1_777_896_000_250)
        write(peer, type="file", name="jay", fileName="a.bin", file=b64encode(bytes(9_000_000)).decode(), topic=topic)
        write(peer, type="audio", name="jay", audio=b64encode(b"webm").decode(), topic=topic)
        await until(lambda: len(room) == 3, room)
        text, file, audio = room.messages
        assert isinstance(text, lu.TextMessage)
        assert (text.text, text.name, text.key.hex()) == ("hi 🦊", "jay", found["key"])
        assert text.timestamp.timestamp() == 1_777_896_000.25
        assert isinstance(file, lu.FileMessage)
        assert (file.file_name, file.data) == ("a.bin", bytes(9_000_000))
        assert isinstance(audio, lu.AudioMessage)
        assert audio.data == b"webm"

        sent = await room.send("**hello** ö")
        assert sent.recipients == 1
        assert await receives(peer) == {
            "type": "message",
            "name": "kestrel",
            "message": "**hello** ö",
            "topic": topic,
            "timestamp": round(sent.timestamp.timestamp() * 1000),
        }
        await room.send_file(("b.bin", bytes(9_000_000)))
        received = await receives(peer)
        assert (received["fileName"], b64decode(received["file"])) == ("b.bin", bytes(9_000_000))

        assert peer.stdin
        peer.stdin.close()
        await peer.wait()
        await until(lambda: room.peers[0].status == "away", room)
