"""LinkUp rooms shared with a peer that runs the real `hyperswarm`, found and reached through HyperDHT alone."""

import os
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

import linkup_nb as lu
from tests.interop.hyperswarm import HOST, javascript, make_peer
from tests.interop.test_hyperdht_swarm import network_of
from tests.interop.test_linkup_room import png
from tests.rooms.nodes import until

FILE = os.urandom(5_000_000)
TIME = 1_777_896_000_250  # milliseconds


def node_in(path: Path, ports: list[int]) -> lu.Node:
    discovery = lu.HyperDHT([(HOST, port) for port in ports], host=HOST, port=0)
    return lu.Node(path, name="kestrel", discovery=[discovery])


def hashed(data: bytes) -> str:
    return sha256(b64encode(data)).hexdigest()


@pytest.mark.parametrize("ours_first", [False, True])
@pytest.mark.parametrize("kind", ["python", "javascript"])
async def test_a_linkup_peer_and_a_node_exchange_every_kind_of_message(
    tmp_path: Path, kind: str, ours_first: bool
) -> None:
    topic = os.urandom(32)
    greeting = {"type": "icon", "username": "jay", "avatar": b64encode(png()).decode(), "timestamp": TIME}
    async with network_of(kind) as ports, javascript() as process, node_in(tmp_path, ports) as node:
        jay = await make_peer(process, ports, greeting=greeting)
        if not ours_first:
            await jay.join(topic)
        room = await node.join(topic, name="lobby")
        if ours_first:
            await jay.join(topic)
        icon = await jay.expect("received")
        assert icon["message"]["type"] == "icon"
        assert icon["message"]["username"] == "kestrel"
        assert icon["message"]["avatar"] == hashed(node.avatar)
        await until(lambda: [member.name for member in room.peers] == ["jay"], room)
        await until(lambda: room.peers[0].avatar is not None, room)

        about = {"name": "jay", "topic": topic.hex(), "timestamp": TIME}
        jay.order("write", message={"type": "message", "message": "hi 🦊", **about})
        jay.order("write", message={"type": "file", "fileName": "a.bin", "file": b64encode(FILE).decode(), **about})
        jay.order("write", message={"type": "audio", "audio": b64encode(b"webm").decode(), **about})
        await until(lambda: len(room) == 3, room)
        text, file, audio = room.messages
        assert isinstance(text, lu.TextMessage)
        assert (text.text, text.name, text.key) == ("hi 🦊", "jay", jay.key)
        assert isinstance(file, lu.FileMessage)
        assert (file.file_name, file.data) == ("a.bin", FILE)
        assert isinstance(audio, lu.AudioMessage)
        assert audio.data == b"webm"

        assert (await room.send("**hello** ö")).recipients == 1
        await room.send_file(("b.bin", FILE))
        await room.send_audio(b"webm again")
        received = await jay.expect("received", times=4)
        said = [reported["message"] for reported in jay.reported("received")[1:]]
        assert [message["type"] for message in said] == ["message", "file", "audio"]
        assert {message["topic"] for message in said} == {topic.hex()}
        assert said[0]["message"] == "**hello** ö"
        assert (said[1]["fileName"], said[1]["file"]) == ("b.bin", hashed(FILE))
        assert received["message"]["audio"] == b64encode(b"webm again").decode()

        await node.set_name("osprey")
        await node.set_avatar(png())
        renamed = await jay.expect(
            "received", lambda reported: reported["message"].get("username") == "osprey", times=2
        )
        assert renamed["message"]["avatar"] in (hashed(node.avatar), b64encode(node.avatar).decode())
        jay.order("write", message={**greeting, "username": "jackdaw", "avatar": ""})
        await until(lambda: [member.name for member in room.peers] == ["jackdaw"], room)

        jay.order("destroy")
        await until(lambda: room.peers[0].status == "away", room)


async def test_a_silent_linkup_peer_hears_its_room_and_no_other(tmp_path: Path) -> None:
    shared = os.urandom(32)
    async with network_of("python") as ports, javascript() as process, node_in(tmp_path, ports) as node:
        private = await node.create_room("private", linkup=True)
        room = await node.join(shared)
        silent = await make_peer(process, ports)
        await silent.join(shared)
        await until(lambda: [member.key for member in room.peers] == [silent.key], room)
        assert (await private.send("for nobody yet")).recipients == 0
        assert (await room.send("for all here")).recipients == 1
        await silent.expect("received", lambda reported: reported["message"].get("message") == "for all here")
        assert all(reported["message"]["topic"] == shared.hex() for reported in silent.reported("received"))
